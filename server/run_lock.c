#include "server/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char *lock_path(const char *path)
{
    char *lock;
    return asprintf(&lock, "%s.lock", path) < 0 ? NULL : lock;
}

/* Whether the locked descriptor is still the file of that name: its last holder may have removed it in between. */
static bool is_current(int lock, const char *name)
{
    struct stat held, named;
    return fstat(lock, &held) == 0 && stat(name, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

enum status run_lock_take(const char *path, int *ret_lock, struct error *err)
{
    attribute_cleanup(cleanup_free) char *name = lock_path(path);
    if (!name)
        return error_no_memory(err);
    for (;;) {
        int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0)
            return error_set(err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot open %s: %s", name,
                             strerror(errno));
        if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
            int reason = errno;
            close(lock);
            if (reason == EINTR)
                continue;
            if (reason == EWOULDBLOCK)
                return error_set(err, STATUS_BUSY, "another process is writing the run %s", path);
            return error_set(err, STATUS_IO, "cannot lock %s: %s", name, strerror(reason));
        }
        if (is_current(lock, name)) {
            *ret_lock = lock;
            return STATUS_OK;
        }
        close(lock);
    }
}

bool run_lock_is_held(const char *path)
{
    attribute_cleanup(cleanup_free) char *name = lock_path(path);
    int lock = name ? open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (lock < 0)
        return false;
    bool held = flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(lock);
    return held;
}

void run_lock_release(const char *path, int lock)
{
    if (lock < 0)
        return;
    attribute_cleanup(cleanup_free) char *name = lock_path(path);
    if (name)
        unlink(name); /* while it is still held; a file that stays does no harm */
    close(lock);
}
