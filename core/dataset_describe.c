/* What data sets there are and which were found, for GET /datasets. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"

static json_t *describe_shape(const struct shape *shape)
{
    json_t *dims = json_array();
    for (int i = 0; dims && i < shape->rank; i++) {
        if (json_array_append_new(dims, json_integer((json_int_t)shape->dims[i])) != 0) {
            json_decref(dims);
            return NULL;
        }
    }
    return dims;
}

/* One data set by the defaults of its keys; `path` is npy's, else NULL. */
static json_t *describe(const struct dataset_loader *loader, const char *path, const struct dataset_folders *folders)
{
    struct dataset_spec spec = {.name = loader->name, .path = path, .train_limit = SIZE_MAX, .test_limit = SIZE_MAX};
    struct problem_list problems = {0};
    struct dataset_info info = {0};
    struct error err = {"out of memory"};
    attribute_cleanup(cleanup_free) char *folder = NULL;
    if (problem_list_init(&problems, NULL) != STATUS_OK)
        return NULL;
    json_t *given = json_pack("{s:s, s:s*}", "name", loader->name, "path", path);
    json_t *expanded = options_expand(loader->options, given, "", &problems);
    enum status status = STATUS_NO_MEMORY;
    if (expanded) {
        dataset_spec_read(expanded, &spec);
        status = dataset_find(&spec, folders, &folder, &info, &err);
    }
    bool found = status == STATUS_OK;
    const char *detail = !found ? err.text : info.remark[0] ? info.remark : NULL;
    json_t *item =
        json_pack("{s:s, s:b, s:s?, s:s?, s:o, s:I, s:I, s:I, s:s?, s:o}", "name", loader->name, "found", found,
                  "folder", folder, "path", path, "shape", describe_shape(&info.shape), "classes",
                  (json_int_t)info.classes, "train", (json_int_t)info.train_count, "test", (json_int_t)info.test_count,
                  "detail", detail, "options", options_describe(loader->options));
    json_decref(given);
    json_decref(expanded);
    problem_list_clear(&problems);
    return item;
}

/* npy without a folder that has one. */
static json_t *describe_absent(const struct dataset_loader *loader)
{
    return json_pack("{s:s, s:b, s:n, s:n, s:[], s:i, s:i, s:i, s:s, s:o}", "name", loader->name, "found", 0, "folder",
                     "path", "shape", "classes", 0, "train", 0, "test", 0, "detail", loader->remedy, "options",
                     options_describe(loader->options));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of all folders, one level down, that hold a train_x.npy, as the keys of an object. */
static json_t *list_npy_folders(const struct dataset_folders *folders)
{
    json_t *names = json_object();
    for (const char *const *at = folders->paths; names && *at; at++) {
        DIR *directory = opendir(*at);
        if (!directory)
            continue;
        for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
            attribute_cleanup(cleanup_free) char *file = text_format("%s/%s/train_x.npy", *at, entry->d_name);
            if (file && !path_fault(entry->d_name) && file_exists(file))
                json_object_set_new(names, entry->d_name, json_null()); /* a name that is not UTF-8 is left out */
        }
        closedir(directory);
    }
    return names;
}

/* Appends an item for each of these folders, in the order of their names. */
static bool append_folders(json_t *list, const struct dataset_loader *loader, json_t *names,
                           const struct dataset_folders *folders)
{
    size_t count = json_object_size(names), i = 0;
    attribute_cleanup(cleanup_free) const char **sorted = calloc(count + 1, sizeof *sorted);
    if (!sorted)
        return false;
    const char *name;
    json_t *unused;
    json_object_foreach(names, name, unused)
    {
        sorted[i++] = name;
    }
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (i = 0; i < count; i++)
        if (json_array_append_new(list, describe(loader, sorted[i], folders)) != 0)
            return false;
    return true;
}

static bool append_npy(json_t *list, const struct dataset_loader *loader, const struct dataset_folders *folders)
{
    json_t *names = list_npy_folders(folders);
    bool whole = names;
    if (whole && json_object_size(names) == 0)
        whole = json_array_append_new(list, describe_absent(loader)) == 0;
    else if (whole)
        whole = append_folders(list, loader, names, folders);
    json_decref(names);
    return whole;
}

json_t *datasets_describe(const struct dataset_folders *folders)
{
    json_t *list = json_array();
    bool whole = list;
    for (const char *const *name = dataset_name_list; whole && *name; name++) {
        const struct dataset_loader *loader = dataset_loader_find(*name);
        if (loader->on_disk && !loader->folder)
            whole = append_npy(list, loader, folders);
        else
            whole = json_array_append_new(list, describe(loader, NULL, folders)) == 0;
    }
    if (whole)
        return list;
    json_decref(list);
    return NULL;
}
