/*
 * Jobs whose run another process writes: a `plumbline run` into the data directory, or the worker of a server that
 * died, which is still at it. The lock alone tells when it has ended, so such a job waits in the queue, with the
 * reason, till the lock is free: as a worker it would wait in vain, in the place of others. At a new start of the
 * server a worker finds out again.
 */
#include <stdlib.h>

#include "server/array.h"
#include "server/clock.h"
#include "server/run_lock.h"
#include "server/scheduler_internal.h"

static const double LOOK_SECONDS = 1;

void locked_add(struct scheduler *s, int64_t job)
{
    struct locked *locked = &s->locked;
    int64_t *jobs = array_room(locked->jobs, locked->count, &locked->capacity, sizeof *jobs);
    if (!jobs)
        return; /* a worker waits once more */
    locked->jobs = jobs;
    jobs[locked->count++] = job;
    locked->look_at = clock_seconds() + LOOK_SECONDS;
}

static bool is_locked(struct scheduler *s, int64_t job)
{
    attribute_cleanup(cleanup_free) char *run = NULL;
    return scheduler_run_path(s, job, &run, NULL) == STATUS_OK && run_lock_is_held(run);
}

void locked_look(struct scheduler *s)
{
    struct locked *locked = &s->locked;
    double now = clock_seconds();
    if (locked->count == 0 || now < locked->look_at)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < locked->count; i++)
        if (is_locked(s, locked->jobs[i]))
            locked->jobs[kept++] = locked->jobs[i];
    locked->count = kept;
    locked->look_at = now + LOOK_SECONDS;
}
