#include "server/job.h"

#include <assert.h>
#include <string.h>

#define TO(state) (1U << (state))

static const struct {
    const char *name;
    unsigned next; /* the states it may change to, one bit each; none: final */
} states[JOB_STATE_COUNT] = {
    [JOB_QUEUED] = {"queued", TO(JOB_RUNNING) | TO(JOB_PAUSED) | TO(JOB_CANCELLED)},
    [JOB_RUNNING] = {"running", TO(JOB_QUEUED) | TO(JOB_PAUSED) | TO(JOB_FINISHED) | TO(JOB_FAILED) | TO(JOB_DIVERGED) |
                                    TO(JOB_CANCELLED)},
    [JOB_PAUSED] = {"paused", TO(JOB_QUEUED) | TO(JOB_CANCELLED)},
    [JOB_FINISHED] = {"finished", 0},
    [JOB_FAILED] = {"failed", 0},
    [JOB_DIVERGED] = {"diverged", 0},
    [JOB_CANCELLED] = {"cancelled", 0},
};

const char *job_state_name(enum job_state state)
{
    assert(state < JOB_STATE_COUNT);
    return states[state].name;
}

enum job_state job_state_parse(const char *name)
{
    int state = 0;
    while (state < JOB_STATE_COUNT && (!name || strcmp(states[state].name, name) != 0))
        state++;
    return (enum job_state)state;
}

bool job_state_is_final(enum job_state state)
{
    assert(state < JOB_STATE_COUNT);
    return states[state].next == 0;
}

bool job_may_change(enum job_state from, enum job_state to)
{
    assert(from < JOB_STATE_COUNT && to < JOB_STATE_COUNT);
    return (states[from].next & TO(to)) != 0;
}
