/*
 * The states of a job and the ways between them.
 *
 *                      +---------------------- cancel ----------------------+
 *                      |                                                    v
 *   submit --> queued ----- a worker is started --> running --+--> cancelled (final)
 *               ^ ^ |                                |  |     +--> finished  (final)
 *               | | |                                |  |     +--> diverged  (final): no longer finite numbers
 *               | +-|-- interrupted by a stop of the +  |     +--> failed    (final): bad input, a limit reached,
 *               |   |   server, or its worker crashed   |                     or crashed three times in a row
 *               |   |                                   |
 *               |   +---- pause ----+                   | pause, or no space left on the disk
 *               |                   v                   v
 *               +---- resume ------ paused <------------+
 *                                     +-- cancel --> cancelled
 *
 * Going back to `queued` makes the attempt one higher, if it had begun. A final state is never left; a retry is a new
 * job. A job that a full disk paused goes back to `queued` by itself when there is space again. One whose run another
 * process writes goes back to `queued` as well, and is not started again before that has ended.
 */
#ifndef PLUMBLINE_SERVER_JOB_H
#define PLUMBLINE_SERVER_JOB_H

#include <stdbool.h>

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_PAUSED,
    JOB_FINISHED,
    JOB_FAILED,
    JOB_DIVERGED,
    JOB_CANCELLED,
    JOB_STATE_COUNT
};

/* A worker that ends unasked so often in a row fails its job (scheduler_worker.c). */
enum { JOB_MAX_CRASHES = 3 };

/* "queued", … as in the API and the databases, in this order; NULL behind the last. */
extern const char *const job_state_names[JOB_STATE_COUNT + 1];
const char *job_state_name(enum job_state state);

/* The state of that name, or JOB_STATE_COUNT. */
enum job_state job_state_parse(const char *name);

bool job_state_is_final(enum job_state state);

/* Whether there is an arrow from one to the other in the picture above. */
bool job_may_change(enum job_state from, enum job_state to);

#endif
