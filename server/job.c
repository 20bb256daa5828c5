#include "server/job.h"

#include <assert.h>
#include <string.h>

#define TO(state) (1U << (state))

/* The states that each may change to, one bit each; none: final. */
static const unsigned next_states[JOB_STATE_COUNT] = {
    [JOB_QUEUED] = TO(JOB_RUNNING) | TO(JOB_PAUSED) | TO(JOB_CANCELLED),
    [JOB_RUNNING] =
        TO(JOB_QUEUED) | TO(JOB_PAUSED) | TO(JOB_FINISHED) | TO(JOB_FAILED) | TO(JOB_DIVERGED) | TO(JOB_CANCELLED),
    [JOB_PAUSED] = TO(JOB_QUEUED) | TO(JOB_CANCELLED),
};

const char *const job_state_names[JOB_STATE_COUNT + 1] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",   [JOB_PAUSED] = "paused",       [JOB_FINISHED] = "finished",
    [JOB_FAILED] = "failed", [JOB_DIVERGED] = "diverged", [JOB_CANCELLED] = "cancelled",
};

const char *job_state_name(enum job_state state)
{
    assert(state < JOB_STATE_COUNT);
    return job_state_names[state];
}

enum job_state job_state_parse(const char *name)
{
    int state = 0;
    while (state < JOB_STATE_COUNT && (!name || strcmp(job_state_names[state], name) != 0))
        state++;
    return (enum job_state)state;
}

bool job_state_is_final(enum job_state state)
{
    assert(state < JOB_STATE_COUNT);
    return next_states[state] == 0;
}

bool job_may_change(enum job_state from, enum job_state to)
{
    assert(from < JOB_STATE_COUNT && to < JOB_STATE_COUNT);
    return (next_states[from] & TO(to)) != 0;
}
