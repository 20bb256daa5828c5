#include "core/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void cleanup_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
}

/* The descriptor, no longer the caller's to close. */
static int take_descriptor(int *descriptor)
{
    int taken = *descriptor;
    *descriptor = -1;
    return taken;
}

enum status file_open(const char *path, int *ret_descriptor, size_t *ret_size, struct error *err)
{
    /* Without O_NONBLOCK opening a pipe would wait for its writer. */
    attribute_cleanup(cleanup_descriptor) int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, STATUS_NOT_FOUND, "%s does not exist", path);
    if (descriptor < 0)
        return error_set(err, STATUS_IO, "%s cannot be opened: %s", path, strerror(errno));
    struct stat about;
    if (fstat(descriptor, &about) != 0)
        return error_set(err, STATUS_IO, "%s cannot be examined: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return error_set(err, STATUS_IO, "%s is not a regular file", path);
    *ret_size = (size_t)about.st_size;
    *ret_descriptor = take_descriptor(&descriptor);
    return STATUS_OK;
}

enum status file_read_at(int descriptor, const char *path, size_t offset, void *ret_bytes, size_t size,
                         struct error *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(descriptor, (char *)ret_bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(err, STATUS_IO, "%s cannot be read: %s", path, strerror(errno));
        if (got == 0)
            return error_set(err, STATUS_CORRUPT, "%s ends after %zu bytes, %zu are expected", path, offset + done,
                             offset + size);
        done += (size_t)got;
    }
    return STATUS_OK;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool size_multiply(size_t a, size_t b, size_t *ret_product)
{
    return !__builtin_mul_overflow(a, b, ret_product);
}

char *text_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return length < 0 ? NULL : text;
}

/* Whether the segment that starts at `at` is empty, "." or "..". */
static bool is_dot_segment(const char *at)
{
    size_t length = strcspn(at, "/");
    return length == 0 || (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.');
}

const char *path_fault(const char *path)
{
    if (strchr(path, '\\'))
        return "must have no backslash";
    if (path[0] == '/')
        return "must be relative, not begin with a slash";
    for (const char *at = path; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
        if (is_dot_segment(at))
            return "must have no empty segment and none that is . or ..";
    return NULL;
}
