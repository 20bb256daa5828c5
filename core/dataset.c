/* Finding a data set in the folders, limits, and the life of a loaded one. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"

size_t element_size(enum element element)
{
    static const size_t sizes[ELEMENT_COUNT] = {
        [ELEMENT_BYTE] = 1, [ELEMENT_FLOAT] = sizeof(float), [ELEMENT_DOUBLE] = sizeof(double)};
    return sizes[element];
}

/* ------------------------------------------------------------------ finding */

static void apply_limits(const struct dataset_spec *spec, struct dataset_info *info)
{
    if (info->train_count > spec->train_limit)
        info->train_count = spec->train_limit;
    if (info->test_count > spec->test_limit)
        info->test_count = spec->test_limit;
}

/* "/a, /b", as much as fits. */
static void list_folders(const struct dataset_folders *folders, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (const char *const *path = folders->paths; *path && used < size; path++) {
        size_t length = strlen(*path), separator = used ? 2 : 0;
        if (used + separator + length + 1 > size)
            break;
        memcpy(text + used, ", ", separator);
        memcpy(text + used + separator, *path, length + 1);
        used += separator + length;
    }
}

static enum status not_found(const struct dataset_spec *spec, const struct dataset_loader *loader,
                             const struct dataset_folders *folders, const struct error *incomplete, struct error *err)
{
    char searched[400];
    list_folders(folders, searched, sizeof searched);
    if (incomplete->text[0])
        return error_set(err, STATUS_NOT_FOUND, "The data set %s is not complete: %s.", spec->name, incomplete->text);
    return error_set(err, STATUS_NOT_FOUND, "The data set %s%s%s was not found in %s: %s.", spec->name,
                     spec->path ? " " : "", spec->path ? spec->path : "", *searched ? searched : "no folder at all",
                     loader->remedy);
}

/*
 * Finds the folder that holds the data set, and what its headers say. *ret_folder is the caller's to free, NULL where
 * the data set is not on disk. A folder with some of the files is passed over, and named if no other is better.
 */
static enum status find(const struct dataset_spec *spec, const struct dataset_loader *loader,
                        const struct dataset_folders *folders, char **ret_folder, struct dataset_info *ret_info,
                        struct error *err)
{
    struct error incomplete = {""};
    if (!loader->on_disk) {
        *ret_folder = NULL;
        return loader->inspect(spec, NULL, ret_info, err);
    }
    for (const char *const *path = folders->paths; *path; path++) {
        attribute_cleanup(cleanup_free) char *folder =
            text_format("%s/%s", *path, loader->folder ? loader->folder : spec->path);
        if (!folder)
            return error_no_memory(err);
        if (!file_exists(folder))
            continue;
        struct error missing;
        enum status status = loader->inspect(spec, folder, ret_info, &missing);
        if (status == STATUS_OK) {
            *ret_folder = folder;
            folder = NULL;
            return STATUS_OK;
        }
        if (status != STATUS_NOT_FOUND)
            return error_set(err, status, "%s", missing.text);
        if (!incomplete.text[0])
            incomplete = missing;
    }
    return not_found(spec, loader, folders, &incomplete, err);
}

enum status dataset_find(const struct dataset_spec *spec, const struct dataset_folders *folders, char **ret_folder,
                         struct dataset_info *ret_info, struct error *err)
{
    const struct dataset_loader *loader = dataset_loader_find(spec->name);
    if (!loader)
        return error_set(err, STATUS_INVALID, "There is no data set named %s.", spec->name);
    if (loader->on_disk && !loader->folder && (!spec->path || path_fault(spec->path)))
        return error_set(err, STATUS_INVALID, "The path of the data set %s.",
                         spec->path ? path_fault(spec->path) : "is missing");
    struct dataset_info info = {0};
    enum status status = find(spec, loader, folders, ret_folder, &info, err);
    if (status != STATUS_OK)
        return status;
    apply_limits(spec, &info);
    *ret_info = info;
    return STATUS_OK;
}

enum status dataset_inspect(const struct dataset_spec *spec, const struct dataset_folders *folders,
                            struct dataset_info *ret_info, struct error *err)
{
    attribute_cleanup(cleanup_free) char *folder = NULL;
    return dataset_find(spec, folders, &folder, ret_info, err);
}

/* ------------------------------------------------------------------ loading */

/* What one needs to load beside everything else is refused before it is allocated, where the memory is not there. */
static enum status check_memory(size_t bytes, struct error *err)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0 || bytes / (size_t)page <= (size_t)pages)
        return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY,
                     "The samples take %.1f GB and this machine has %.1f GB of memory: set train_limit and test_limit.",
                     (double)bytes / 1e9, (double)pages * (double)page / 1e9);
}

enum status dataset_split_allocate(struct dataset_split *split, size_t count, size_t sample_bytes, struct error *err)
{
    size_t bytes;
    if (!size_multiply(count, sample_bytes, &bytes))
        return error_set(err, STATUS_NO_MEMORY, "%zu samples of %zu bytes are more than any memory holds", count,
                         sample_bytes);
    enum status status = check_memory(bytes, err);
    if (status != STATUS_OK)
        return status;
    split->count = count;
    split->values = malloc(bytes ? bytes : 1);
    split->labels = malloc((count ? count : 1) * sizeof *split->labels);
    return split->values && split->labels ? STATUS_OK : error_no_memory(err);
}

enum status dataset_load(const struct dataset_spec *spec, const struct dataset_folders *folders,
                         struct dataset **ret_dataset, struct error *err)
{
    attribute_cleanup(cleanup_dataset) struct dataset *dataset = calloc(1, sizeof *dataset);
    attribute_cleanup(cleanup_free) char *folder = NULL;
    if (!dataset)
        return error_no_memory(err);
    enum status status = dataset_find(spec, folders, &folder, &dataset->info, err);
    if (status == STATUS_OK)
        status = dataset_loader_find(spec->name)->load(spec, folder, dataset, err);
    if (status == STATUS_OK)
        status = dataset_scaler_init(dataset, spec->scaling, err);
    if (status != STATUS_OK)
        return status;
    *ret_dataset = dataset;
    dataset = NULL;
    return STATUS_OK;
}

void dataset_free(struct dataset *dataset)
{
    if (!dataset)
        return;
    for (int i = 0; i < 2; i++) {
        free(dataset->splits[i].values);
        free(dataset->splits[i].labels);
    }
    free(dataset->scaler.shift);
    free(dataset->scaler.factor);
    free(dataset);
}

void cleanup_dataset(struct dataset **dataset)
{
    dataset_free(*dataset);
}

const struct dataset_info *dataset_info(const struct dataset *dataset)
{
    return &dataset->info;
}

const char *dataset_warning(const struct dataset *dataset)
{
    return dataset->info.remark[0] ? dataset->info.remark : NULL;
}
