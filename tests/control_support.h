/* A scheduler whose workers are the test program itself, and what is seen of its jobs. */
#ifndef PLUMBLINE_TESTS_CONTROL_SUPPORT_H
#define PLUMBLINE_TESTS_CONTROL_SUPPORT_H

#include <signal.h>

#include "server/clock.h"
#include "server/json_util.h"
#include "server/scheduler.h"
#include "server/store.h"
#include "tests/store_support.h"

static const double DEADLINE_SECONDS = 60;

static inline struct scheduler *start_with(const struct scheduler_settings *settings)
{
    struct scheduler *scheduler = NULL;
    struct error err;
    assert_ok(scheduler_start(settings, &scheduler, &err));
    return scheduler;
}

static inline struct scheduler *start_scheduler(const char *data, int workers)
{
    return start_with(&(struct scheduler_settings){
        .program = "/proc/self/exe", .data = data, .workers = workers, .grace_seconds = 3});
}

static inline int64_t submit(struct scheduler *scheduler, json_t *json)
{
    struct spec *spec = parse_spec(json);
    struct error err;
    int64_t id = 0;
    assert_ok(scheduler_submit(scheduler, spec, &id, &err));
    spec_free(spec);
    return id;
}

static inline json_t *job_json(struct scheduler *scheduler, int64_t id)
{
    json_t *job = NULL;
    struct error err;
    assert_ok(scheduler_job(scheduler, id, &job, &err));
    return job;
}

/* Waits for a state; the job as it is then. Fails if the reason does not have `words`. */
static inline void wait_for(struct scheduler *scheduler, int64_t id, const char *state, const char *words)
{
    double start = clock_seconds();
    for (;;) {
        json_t *job = job_json(scheduler, id);
        bool found = strcmp(json_string_value(json_object_get(job, "state")), state) == 0;
        if (found && words)
            assert_says(json_string_value(json_object_get(job, "reason")), words);
        if (!found && clock_seconds() - start > DEADLINE_SECONDS)
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
        if (clock_seconds() - start > DEADLINE_SECONDS)
            fail_msg("job %lld does not come to step %lld", (long long)id, (long long)step);
        clock_pause(0.005);
    }
}

/* The pid of the process that holds the lock of the job's run file; 0 when none does. */
static inline pid_t worker_pid(const char *data, int64_t id)
{
    char path[PATH_SIZE + 64], line[256];
    struct stat info;
    snprintf(path, sizeof path, "%s/runs/%lld.db.lock", data, (long long)id);
    if (stat(path, &info) != 0)
        return 0;
    FILE *locks = fopen("/proc/locks", "re");
    assert_non_null(locks);
    pid_t pid = 0;
    while (pid == 0 && fgets(line, sizeof line, locks)) {
        int found = 0;
        unsigned long inode = 0;
        if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %d %*x:%*x:%lu", &found, &inode) == 2 && inode == info.st_ino)
            pid = found;
    }
    fclose(locks);
    return pid;
}

/* Sends a signal to the job's worker, as soon as there is one. */
static inline void signal_worker(const char *data, int64_t id, int number)
{
    double start = clock_seconds();
    pid_t pid = worker_pid(data, id);
    while (pid == 0 && clock_seconds() - start < DEADLINE_SECONDS) {
        clock_pause(0.002);
        pid = worker_pid(data, id);
    }
    assert_true(pid > 0);
    assert_int_equal(kill(pid, number), 0);
}

#endif
