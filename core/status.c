#include "core/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

const char *status_name(enum status status)
{
    static const char *const names[STATUS_COUNT] = {
        [STATUS_OK] = "ok",
        [STATUS_INVALID] = "invalid",
        [STATUS_NOT_FOUND] = "not_found",
        [STATUS_CONFLICT] = "conflict",
        [STATUS_BUSY] = "busy",
        [STATUS_IO] = "io",
        [STATUS_NO_SPACE] = "no_space",
        [STATUS_CORRUPT] = "corrupt",
        [STATUS_NO_MEMORY] = "no_memory",
        [STATUS_NOT_FINITE] = "not_finite",
        [STATUS_STOPPED] = "stopped",
    };
    return status < STATUS_COUNT ? names[status] : "unknown";
}

/* In parentheses, for status.h has macros of these names for the analyser. */
enum status(error_set)(struct error *err, enum status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        utf8_repair(err->text);
    }
    return status;
}

enum status(error_prefix)(struct error *err, enum status status, const char *format, ...)
{
    if (err) {
        char rest[sizeof err->text];
        memcpy(rest, err->text, sizeof rest);
        va_list args;
        va_start(args, format);
        int used = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text)
            snprintf(err->text + used, sizeof err->text - (size_t)used, "%s", rest);
        utf8_repair(err->text);
    }
    return status;
}

enum status(error_no_memory)(struct error *err)
{
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void cleanup_free(void *pointer_to_pointer)
{
    void *pointer;
    memcpy(&pointer, pointer_to_pointer, sizeof pointer);
    free(pointer);
}
