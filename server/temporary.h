/*
 * DATA/tmp: what is on its way (uploads, copies that are sent, files of `plumbline import`). Whoever holds the lock of
 * the data directory (data_lock.h) makes files there and takes them away again; what one that was killed has left, the
 * next one removes.
 */
#ifndef PLUMBLINE_SERVER_TEMPORARY_H
#define PLUMBLINE_SERVER_TEMPORARY_H

#include "core/status.h"

/* A name in DATA/tmp that no file has; the folder is made where it is missing. The caller frees *ret_path, and removes
 * the file that it makes there. From any thread. */
enum status temporary_name(const char *data, char **ret_path, struct error *err);

/* Removes what has names of that kind, and what SQLite put beside. The folder may be someone else's as well, where the
 * data directory is a home: what they have there stays. A file that cannot be removed, as on a disk that may not be
 * written, takes its space and does no other harm. */
void temporary_clear(const char *data);

#endif
