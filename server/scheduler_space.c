/*
 * A full disk.
 *
 * A worker whose run no longer fits ends, and its job is paused till there is space. To write that down takes a few
 * pages of the catalog, so a file of some bytes, DATA/reserve, is kept, and given up for it. While the disk is full no
 * job is started, and what would add to the catalog is refused; everything can be read. Every few seconds the reserve
 * is tried to be made again: when it fits, with as much beside it, the jobs go back into the queue. Where they fill the
 * disk again before any of them has ended, the next looks come later.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/data_paths.h"
#include "server/scheduler_internal.h"

static const double FIRST_WAIT = 2, LONGEST_WAIT = 60;
enum { RESERVE_BYTES = 1 << 20 };

/* Makes the reserve, with real blocks; false where it does not fit. Any other failure leaves none, and no harm. */
static bool make_reserve(const struct scheduler *s)
{
    attribute_cleanup(cleanup_free) char *path = path_join(s->data, "reserve");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (file < 0)
        return errno != ENOSPC;
    int code = posix_fallocate(file, 0, RESERVE_BYTES);
    close(file);
    if (code != 0)
        unlink(path);
    return code != ENOSPC;
}

/* Whether as much as the reserve is free besides. */
static bool has_room(const struct scheduler *s)
{
    struct statvfs info;
    return statvfs(s->data, &info) != 0 || (uint64_t)info.f_bavail * info.f_frsize >= RESERVE_BYTES;
}

void space_reserve(struct scheduler *s)
{
    int64_t waiting = 0;
    if (!make_reserve(s) || store_first_waiting(s->db, &waiting, NULL) != STATUS_OK || waiting != 0)
        space_lost(s, "the reserve, or a job that had been paused for space");
}

void space_lost(struct scheduler *s, const char *what)
{
    double now = clock_seconds();
    if (s->space.full)
        return;
    s->space.wait = s->space.again ? fmin(2 * s->space.wait, LONGEST_WAIT) : FIRST_WAIT;
    s->space.look_at = now + s->space.wait;
    s->space.full = true;
    fprintf(stderr, "plumbline: no space is left on the disk of %s (%s)\n", s->data, what);
}

enum status space_check(const struct scheduler *s, struct error *err)
{
    return s->space.full ? error_set(err, STATUS_NO_SPACE, "no space is left on the disk of %s", s->data) : STATUS_OK;
}

void space_release(struct scheduler *s)
{
    attribute_cleanup(cleanup_free) char *path = path_join(s->data, "reserve");
    if (path)
        unlink(path); /* made again when there is space */
}

/* All that wait for space go back to the queue. */
static enum status change_returned(struct scheduler *s, void *context, struct error *err)
{
    static const struct job_change change = {.to = JOB_QUEUED, .reason = "there is space on the disk again"};
    enum status status = s->space.unrecovered ? recover_jobs(s, context, err) : STATUS_OK;
    while (status == STATUS_OK) {
        int64_t job = 0;
        status = store_first_waiting(s->db, &job, err);
        if (status == STATUS_OK && job != 0)
            status = store_job_change(s->db, job, &change, err);
        if (status == STATUS_OK && job != 0)
            status = append_state(s, job, err);
        if (job == 0)
            break;
    }
    return status;
}

void space_look(struct scheduler *s)
{
    double now = clock_seconds();
    struct error err;
    if (!s->space.full || s->stopping || now < s->space.look_at)
        return;
    s->space.look_at = now + s->space.wait;
    if (!make_reserve(s) || !has_room(s))
        return;
    s->space.full = false;
    s->space.again = true;
    if (hard_change(s, change_returned, NULL, &err) != STATUS_OK) {
        fprintf(stderr, "plumbline: jobs that wait for space cannot go on yet: %s\n", err.text);
        s->space.full = true;
        return;
    }
    s->space.unrecovered = false;
    fprintf(stderr, "plumbline: there is space on the disk of %s again\n", s->data);
    tidy_runs(s); /* what ended meanwhile */
}
