/*
 * Where things are: the data directory and the folders that data sets are searched in.
 */
#ifndef PLUMBLINE_SERVER_DATA_PATHS_H
#define PLUMBLINE_SERVER_DATA_PATHS_H

#include <stddef.h>

#include "core/status.h"

/* The data directory when none is named: $PLUMBLINE_DATA, else $XDG_DATA_HOME/plumbline, else
 * ~/.local/share/plumbline. The caller frees. */
enum status data_default(char **ret_path, struct error *err);

/* "<folder>/<name>"; the caller frees. NULL when memory runs out. */
char *path_join(const char *folder, const char *name);

/* Makes a folder, for this user alone, where it is missing; STATUS_NO_SPACE on a full disk. */
enum status folder_make(const char *path, struct error *err);

/* The folders that data sets are searched in, in order: `given` (NULL-terminated, may be NULL), DATA/datasets,
 * /usr/share/datasets. NULL-terminated; freed with string_list_free. */
enum status dataset_search_list(const char *const *given, const char *data, char ***ret_list, struct error *err);

/* Frees a NULL-terminated list and its strings; nothing for NULL. */
void string_list_free(char **list);
void cleanup_string_list(char ***list);

/* A copy of a NULL-terminated list; NULL stands for an empty one. */
enum status string_list_copy(const char *const *list, char ***ret_copy, struct error *err);

#endif
