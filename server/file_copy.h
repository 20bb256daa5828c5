/*
 * Copying what a file holds, and forcing it to the disk.
 */
#ifndef PLUMBLINE_SERVER_FILE_COPY_H
#define PLUMBLINE_SERVER_FILE_COPY_H

#include <stdint.h>

#include "core/status.h"

/* Writes what descriptor `from` has from its place to its end to `to`. The paths are for the sentence. *ret_bytes (may
 * be NULL) is how many. STATUS_NO_SPACE where the disk is full. */
enum status file_copy(int from, const char *from_path, int to, const char *to_path, int64_t *ret_bytes,
                      struct error *err);

/* Waits until what the file or folder at `path` holds is on the disk. */
enum status file_sync(const char *path, struct error *err);

#endif
