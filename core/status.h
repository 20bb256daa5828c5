/*
 * How core and server report that something could not be done.
 *
 * A function that can fail returns `enum status`, writes its `ret_*` outputs only when that is STATUS_OK, and takes a
 * `struct error *err` as its last argument, into which it writes one sentence for a person: what is wrong, where, and
 * what would be right. `err` may be NULL where the caller does not care. core/ never logs and never exits.
 */
#ifndef PLUMBLINE_CORE_STATUS_H
#define PLUMBLINE_CORE_STATUS_H

#include <stdarg.h>

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,    /* the caller's input is wrong */
    STATUS_NOT_FOUND,  /* what was named does not exist */
    STATUS_CONFLICT,   /* not possible in the present state */
    STATUS_BUSY,       /* someone else holds it just now; trying again may help */
    STATUS_IO,         /* a read, write, open or call of the system failed */
    STATUS_NO_SPACE,   /* the disk is full */
    STATUS_CORRUPT,    /* a file is not what it says it is */
    STATUS_NO_MEMORY,  /* an allocation failed */
    STATUS_NOT_FINITE, /* a loss, gradient or parameter is no longer finite */
    STATUS_STOPPED,    /* the caller asked to stop */
    STATUS_COUNT
};

struct error {
    char text[768]; /* UTF-8, cut where it is too long */
};

/* The stable lower-case name of a status ("not_found"): the API's problem `code` is derived from it. */
const char *status_name(enum status status);

/* Formats the sentence into `err` (if not NULL) and returns `status`, so that a caller can `return error_set(…)`. */
enum status error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a context in front of the sentence already in `err` ("train_x.npy: " …); returns `status`. */
enum status error_prefix(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The sentence for an allocation that failed. */
enum status error_no_memory(struct error *err);

#ifdef __clang_analyzer__
/* clang-tidy reads one file at a time: without this it follows paths on which an error comes back as STATUS_OK. */
static inline enum status error_same(enum status status)
{
    return status;
}
#define error_set(err, status, ...) ((error_set)(err, status, __VA_ARGS__), error_same(status))
#define error_prefix(err, status, ...) ((error_prefix)(err, status, __VA_ARGS__), error_same(status))
#define error_no_memory(err) ((error_no_memory)(err), error_same(STATUS_NO_MEMORY))
#endif

/* `attribute_cleanup(f)` calls f(&variable) when the variable goes out of scope. */
#define attribute_cleanup(f) __attribute__((cleanup(f)))

/* free() for attribute_cleanup on any pointer. */
void cleanup_free(void *pointer_to_pointer);

#endif
