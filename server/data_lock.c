#include "server/data_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/data_paths.h"
#include "server/temporary.h"

/* Like mkdir -p. */
static enum status make_folders(const char *path, struct error *err)
{
    attribute_cleanup(cleanup_free) char *part = strdup(path);
    if (!part)
        return error_no_memory(err);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0700); /* that it is there is seen below */
        *slash = '/';
    }
    struct stat info;
    if ((mkdir(path, 0700) != 0 && errno != EEXIST) || stat(path, &info) != 0)
        return error_set(err, STATUS_IO, "cannot make the data directory %s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return error_set(err, STATUS_IO, "the data directory %s is not a directory", path);
    return STATUS_OK;
}

static enum status held(int lock, const char *data, struct error *err)
{
    char pid[32] = "";
    ssize_t size = pread(lock, pid, sizeof pid - 1, 0);
    pid[size > 0 ? size : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return error_set(err, STATUS_BUSY, "another plumbline serves the data directory %s (pid %s)", data,
                     *pid ? pid : "unknown");
}

enum status data_lock_take(const char *data, int *ret_lock, struct error *err)
{
    enum status status = make_folders(data, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *path = path_join(data, "lock");
    if (!path)
        return error_no_memory(err);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return error_set(err, STATUS_IO, "cannot write to the data directory %s: %s", data, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        status = held(lock, data, err);
        close(lock);
        return status;
    }
    char pid[32];
    int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* On a full disk the pid stays unsaid: what is there can be read all the same. */
    if ((pwrite(lock, pid, (size_t)length, 0) != length || ftruncate(lock, length) != 0) && errno != ENOSPC) {
        status = error_set(err, STATUS_IO, "cannot write %s: %s", path, strerror(errno));
        close(lock);
        return status;
    }
    temporary_clear(data);
    *ret_lock = lock;
    return STATUS_OK;
}
