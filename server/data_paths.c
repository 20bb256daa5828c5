#include "server/data_paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *path_join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

enum status folder_make(const char *path, struct error *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return STATUS_OK;
    return error_set(err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot make the folder %s: %s", path,
                     strerror(errno));
}

enum status data_default(char **ret_path, struct error *err)
{
    const char *named = getenv("PLUMBLINE_DATA"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char *path;
    if (named && *named)
        path = strdup(named);
    else if (xdg && *xdg == '/')
        path = path_join(xdg, "plumbline");
    else if (home && *home)
        path = path_join(home, ".local/share/plumbline");
    else
        return error_set(err, STATUS_NOT_FOUND, "no data directory: HOME is not set, so name one with --data");
    if (!path)
        return error_no_memory(err);
    *ret_path = path;
    return STATUS_OK;
}

void string_list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free((void *)list);
}

void cleanup_string_list(char ***list)
{
    string_list_free(*list);
    *list = NULL;
}

static size_t list_length(const char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

/* Copies of `list`, with room for `extra` more strings. */
static char **copy_with_room(const char *const *list, size_t extra)
{
    size_t count = list_length(list);
    char **copy = (char **)calloc(count + extra + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (!copy[i]) {
            string_list_free(copy);
            return NULL;
        }
    }
    return copy;
}

enum status string_list_copy(const char *const *list, char ***ret_copy, struct error *err)
{
    char **copy = copy_with_room(list, 0);
    if (!copy)
        return error_no_memory(err);
    *ret_copy = copy;
    return STATUS_OK;
}

enum status dataset_search_list(const char *const *given, const char *data, char ***ret_list, struct error *err)
{
    attribute_cleanup(cleanup_string_list) char **list = copy_with_room(given, 2);
    size_t count = list_length(given);
    if (!list)
        return error_no_memory(err);
    list[count] = path_join(data, "datasets");
    if (!list[count])
        return error_no_memory(err);
    list[count + 1] = strdup("/usr/share/datasets");
    if (!list[count + 1])
        return error_no_memory(err);
    *ret_list = list;
    list = NULL;
    return STATUS_OK;
}
