/* Reading files whose contents are not to be trusted: sizes first, then bytes, nothing past the end. */
#ifndef PLUMBLINE_CORE_FILE_UTIL_H
#define PLUMBLINE_CORE_FILE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* Closes a descriptor when it goes out of scope; −1 is none. */
void cleanup_descriptor(int *descriptor);

/*
 * Opens a regular file for reading. The caller closes *ret_descriptor; *ret_size is in bytes. STATUS_NOT_FOUND where
 * there is none, STATUS_IO for anything else; the sentence names the path.
 */
enum status file_open(const char *path, int *ret_descriptor, size_t *ret_size, struct error *err);

/* Reads `size` bytes at `offset`. STATUS_CORRUPT where the file ends before that. `path` is for the sentence. */
enum status file_read_at(int descriptor, const char *path, size_t offset, void *ret_bytes, size_t size,
                         struct error *err);

/* Whether anything exists at that path. */
bool file_exists(const char *path);

/* a · b, or false where it does not fit. */
bool size_multiply(size_t a, size_t b, size_t *ret_product);

/* A formatted path, or any text; the caller frees. NULL when memory runs out. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Whether `path` stays below the folder it is joined to: relative, no empty, "." or ".." segment, no backslash. If not,
 * returns what is wrong as the end of a sentence ("must be relative, …"); else NULL.
 */
const char *path_fault(const char *path);

#endif
