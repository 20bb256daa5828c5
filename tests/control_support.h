/* What the tests of control and of backups have besides scheduler_support.h. */
#ifndef PLUMBLINE_TESTS_CONTROL_SUPPORT_H
#define PLUMBLINE_TESTS_CONTROL_SUPPORT_H

#include "server/store.h"
#include "tests/scheduler_support.h"

static inline struct scheduler *start_with(const struct scheduler_settings *settings)
{
    struct scheduler *scheduler = NULL;
    struct error err;
    assert_ok(scheduler_start(settings, &scheduler, &err));
    return scheduler;
}

static inline struct scheduler *start_scheduler(const char *data, int workers)
{
    return start_with(
        &(struct scheduler_settings){.program = self, .data = data, .workers = workers, .grace_seconds = 3});
}

/* Waits for a state; the job as it is then. Fails if the reason does not have `words`. */
static inline void wait_for(struct scheduler *scheduler, int64_t id, const char *state, const char *words)
{
    double start = clock_seconds();
    for (;;) {
        json_t *job = job_of(scheduler, id);
        bool found = strcmp(json_string_value(json_object_get(job, "state")), state) == 0;
        if (found && words)
            assert_says(json_string_value(json_object_get(job, "reason")), words);
        if (!found && clock_seconds() - start > DEADLINE)
            fail_msg("job %lld does not become %s: %s", (long long)id, state, json_dumps(job, JSON_COMPACT));
        json_decref(job);
        if (found)
            return;
        clock_pause(0.005);
    }
}

/* Waits till the job's worker has told of this step. */
static inline void wait_for_step(const char *data, int64_t id, int64_t step)
{
    char path[PATH_SIZE], sql[256];
    double start = clock_seconds();
    path_in(data, "catalog.db", path);
    snprintf(
        sql, sizeof sql,
        "SELECT coalesce(max(json_extract(data, '$.step')), 0) FROM event WHERE type IN ('job.progress', 'metric') "
        "AND job = %lld",
        (long long)id);
    while (query_integer(path, sql) < step) {
        if (clock_seconds() - start > DEADLINE)
            fail_msg("job %lld does not come to step %lld", (long long)id, (long long)step);
        clock_pause(0.005);
    }
}

#endif
