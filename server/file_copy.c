#include "server/file_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"

static enum status system_error(const char *path, const char *what, struct error *err)
{
    enum status status = errno == ENOSPC || errno == EDQUOT ? STATUS_NO_SPACE : STATUS_IO;
    return error_set(err, status, "%s cannot be %s: %s", path, what, strerror(errno));
}

enum status file_copy(int from, const char *from_path, int to, const char *to_path, int64_t *ret_bytes,
                      struct error *err)
{
    enum { CHUNK = 1 << 20 };
    attribute_cleanup(cleanup_free) char *chunk = malloc(CHUNK);
    int64_t bytes = 0;
    if (!chunk)
        return error_no_memory(err);
    for (;;) {
        ssize_t got = read(from, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_error(from_path, "read", err);
        if (got == 0)
            break;
        for (ssize_t done = 0; done < got;) {
            ssize_t written = write(to, chunk + done, (size_t)(got - done));
            if (written < 0 && errno != EINTR)
                return system_error(to_path, "written", err);
            done += written > 0 ? written : 0;
        }
        bytes += got;
    }
    if (ret_bytes)
        *ret_bytes = bytes;
    return STATUS_OK;
}

enum status file_sync(const char *path, struct error *err)
{
    attribute_cleanup(cleanup_descriptor) int file = open(path, O_RDONLY | O_CLOEXEC);
    return file >= 0 && fsync(file) == 0 ? STATUS_OK : system_error(path, "written", err);
}
