/* What the tests of the scheduler share: one with real workers, what it leaves, and its workers as processes. */
#ifndef PLUMBLINE_TESTS_SCHEDULER_SUPPORT_H
#define PLUMBLINE_TESTS_SCHEDULER_SUPPORT_H

#include "tests/store_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

#include "server/clock.h"
#include "server/job.h"
#include "server/json_util.h"
#include "server/run_file.h"
#include "server/scheduler.h"
#include "server/store.h"
#include "server/worker.h"

/* How long a thing may take that takes a second: only a test that fails waits so long. */
static const double DEADLINE = 120;

enum { ENDLESS = 1000000 }; /* epochs */

/* The test is the worker too: its main calls command_work when its first argument is "work". */
static const char self[] = "/proc/self/exe";

/* --- a scheduler ------------------------------------------------------------------------------------------------- */

static inline struct scheduler *start_with(const struct scheduler_settings *settings)
{
    struct scheduler *s = NULL;
    struct error err;
    assert_ok(scheduler_start(settings, &s, &err));
    return s;
}

static inline struct scheduler *start(const char *data, const char *program, int workers, int grace)
{
    return start_with(
        &(struct scheduler_settings){.program = program, .data = data, .workers = workers, .grace_seconds = grace});
}

static inline int64_t submit_json(struct scheduler *s, json_t *json)
{
    struct spec *spec = parse_spec(json);
    struct error err;
    int64_t id = 0;
    bool again;
    assert_ok(scheduler_submit(s, spec, NULL, &id, &again, &err));
    spec_free(spec);
    return id;
}

/* What can be done to one job, by a user. */
static inline enum status cancel_job(struct scheduler *s, int64_t id, const char *reason, struct error *err)
{
    return scheduler_act(s, ACTION_CANCEL, id, reason, NULL, err);
}

static inline enum status pause_job(struct scheduler *s, int64_t id, const char *reason, struct error *err)
{
    return scheduler_act(s, ACTION_PAUSE, id, reason, NULL, err);
}

static inline enum status resume_job(struct scheduler *s, int64_t id, struct error *err)
{
    return scheduler_act(s, ACTION_RESUME, id, NULL, NULL, err);
}

static inline enum status retry_job(struct scheduler *s, int64_t id, int64_t *ret_made, struct error *err)
{
    struct job_outcome outcome = {0};
    enum status status = scheduler_act(s, ACTION_RETRY, id, NULL, &outcome, err);
    *ret_made = outcome.made;
    return status;
}

static inline enum status trash_job(struct scheduler *s, int64_t id, struct error *err)
{
    return scheduler_act(s, ACTION_TRASH, id, NULL, NULL, err);
}

static inline enum status restore_job(struct scheduler *s, int64_t id, struct error *err)
{
    return scheduler_act(s, ACTION_RESTORE, id, NULL, NULL, err);
}

static inline enum status purge_job(struct scheduler *s, int64_t id, int64_t *ret_bytes, struct error *err)
{
    struct job_outcome outcome = {0};
    enum status status = scheduler_act(s, ACTION_PURGE, id, NULL, &outcome, err);
    *ret_bytes = outcome.bytes;
    return status;
}

/* A job of so many epochs of 8 steps, of which few are measured. */
static inline json_t *job_spec(int epochs, int priority)
{
    json_t *json = small_spec("a job", epochs);
    json_object_set_new(json, "probe", json_pack("{s:s, s:i}", "schedule", "log", "count", 20));
    json_object_set_new(json, "priority", json_integer(priority));
    return json;
}

static inline int64_t submit(struct scheduler *s, int epochs, int priority)
{
    return submit_json(s, job_spec(epochs, priority));
}

static inline void cancel(struct scheduler *s, int64_t id, const char *reason)
{
    struct error err;
    assert_ok(cancel_job(s, id, reason, &err));
}

/* What scheduler_read needs to read a page of a list. */
struct listing {
    const struct list *list;
    struct list_query query;
    json_t *page; /* the caller's */
};

static inline enum status read_listing(sqlite3 *db, void *context, struct error *err)
{
    struct listing *listing = context;
    return list_page(db, listing->list, &listing->query, &listing->page, err);
}

static inline json_t *job_of(struct scheduler *s, int64_t id)
{
    json_t *job = NULL;
    struct error err;
    assert_ok(scheduler_job(s, id, &job, &err));
    return job;
}

static inline const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static inline int64_t number_of(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static inline enum status read_last_event(sqlite3 *db, void *context, struct error *err)
{
    return db_integer(db, "SELECT coalesce(max(id), 0) FROM event", context, err);
}

/* Waits until all events that are in the catalog can be read: they are shown just after they have been committed. */
static inline void await_events(struct scheduler *s)
{
    int64_t last = 0;
    struct error err;
    assert_ok(scheduler_read(s, read_last_event, &last, &err));
    double begin = clock_seconds();
    while (events_last(scheduler_events(s)) < last) {
        assert_true(clock_seconds() - begin < DEADLINE);
        clock_pause(0.005);
    }
}

/* Waits until the job is in that state, at that attempt (0: any); another final state is a failure. The caller's. */
static inline json_t *await_attempt(struct scheduler *s, int64_t id, const char *wanted, int64_t attempt)
{
    for (double begin = clock_seconds(); clock_seconds() - begin < DEADLINE; clock_pause(0.005)) {
        json_t *job = job_of(s, id);
        const char *found = text_of(job, "state");
        if (strcmp(found, wanted) == 0 && (attempt == 0 || number_of(job, "attempt") == attempt))
            return job;
        if (job_state_is_final(job_state_parse(found)))
            fail_msg("job %lld is %s in place of %s: %s", (long long)id, found, wanted, text_of(job, "reason"));
        json_decref(job);
    }
    fail_msg("job %lld did not become %s", (long long)id, wanted);
    return NULL;
}

static inline json_t *await(struct scheduler *s, int64_t id, const char *wanted)
{
    return await_attempt(s, id, wanted, 0);
}

static inline void await_end(struct scheduler *s, int64_t id, const char *wanted)
{
    json_decref(await(s, id, wanted));
}

/* The same, and its reason has these words. */
static inline void await_reason(struct scheduler *s, int64_t id, const char *wanted, const char *words)
{
    json_t *job = await(s, id, wanted);
    assert_says(text_of(job, "reason"), words);
    json_decref(job);
}

/* Waits until the job tells, after this event, that it has come to a step. */
static inline void await_step_after(struct scheduler *s, int64_t after, int64_t id, int64_t step)
{
    struct events *events = scheduler_events(s);
    struct event event;
    struct error err;
    for (double begin = clock_seconds(); clock_seconds() - begin < DEADLINE;) {
        if (events_next(events, after, 1000, &event, &err) != STATUS_OK)
            continue;
        json_t *data =
            event.job == id && strcmp(event.type, "job.progress") == 0 ? json_loads(event.text, 0, NULL) : NULL;
        bool there = data && number_of(data, "step") >= step;
        json_decref(data);
        after = event.id;
        free(event.text);
        if (there)
            return;
    }
    fail_msg("job %lld does not come to step %lld", (long long)id, (long long)step);
}

/* Waits until the job has come to a step, in this attempt or an earlier one. */
static inline void await_step(struct scheduler *s, int64_t id, int64_t step)
{
    await_step_after(s, 0, id, step);
}

/* Waits until the job tells of its progress: it makes steps now. */
static inline void await_progress(struct scheduler *s, int64_t id)
{
    await_step_after(s, events_last(scheduler_events(s)), id, 0);
}

/* --- run files --------------------------------------------------------------------------------------------------- */

#define run_of(state, id) run_path((const char *)*(state), id, (char[PATH_SIZE]){0})
static inline const char *run_path(const char *data, int64_t id, char *path)
{
    snprintf(path, PATH_SIZE, "%s/runs/%lld.db", data, (long long)id);
    return path;
}

static inline void assert_run(const char *path, const char *run_state, const char *reason)
{
    assert_true(run_file_is_sealed(path));
    assert_query(path, "SELECT state FROM run", run_state);
    assert_query(path, "SELECT reason FROM run", reason);
}

static inline void await_sealed(const char *path, const char *run_state, const char *reason)
{
    char lock[PATH_SIZE + 8];
    snprintf(lock, sizeof lock, "%s.lock", path);
    for (double begin = clock_seconds(); clock_seconds() - begin < DEADLINE; clock_pause(0.005))
        if (run_file_is_sealed(path) && !file_exists(lock))
            break;
    assert_run(path, run_state, reason);
}

/* --- workers ----------------------------------------------------------------------------------------------------- */

/* A process whose arguments have these bytes among them; 0 if there is none. */
static inline pid_t process_with(const char *bytes, size_t size)
{
    pid_t found = 0;
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry; found == 0 && (entry = readdir(folder));) {
        char path[300], arguments[4 * PATH_SIZE];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t got = fd >= 0 ? read(fd, arguments, sizeof arguments) : 0;
        if (fd >= 0)
            close(fd);
        if (got > 0 && memmem(arguments, (size_t)got, bytes, size))
            found = (pid_t)strtol(entry->d_name, NULL, 10);
    }
    closedir(folder);
    return found;
}

/* The process of this job and attempt below the data directory; 0 if there is none. */
static inline pid_t worker_of(void **state, int64_t job, int attempt)
{
    char wanted[PATH_SIZE + 96];
    int size = snprintf(wanted, sizeof wanted, "--job%c%lld%c--attempt%c%d%c--data%c%s", 0, (long long)job, 0, 0,
                        attempt, 0, 0, (const char *)*state);
    return process_with(wanted, (size_t)size + 1);
}

/* After a test that has failed, too, no process is left. */
static inline int remove_folder_and_workers(void **state)
{
    for (pid_t pid; (pid = process_with(*state, strlen(*state) + 1)) > 0;)
        kill(pid, SIGKILL);
    return remove_folder(state);
}
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder_and_workers)

/* Sends a signal to the worker as soon as it is there. Returns its id. */
static inline pid_t hit(void **state, int64_t job, int attempt, int number)
{
    for (double begin = clock_seconds(); clock_seconds() - begin < DEADLINE; clock_pause(0.002)) {
        pid_t pid = worker_of(state, job, attempt);
        if (pid > 0) {
            assert_int_equal(kill(pid, number), 0);
            return pid;
        }
    }
    fail_msg("no worker for job %lld, attempt %d", (long long)job, attempt);
    return 0;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

/* All events so far, in an array of {"type", "job", "data"}; that each follows the one before is checked. */
static inline json_t *all_events(struct scheduler *s)
{
    await_events(s);
    json_t *list = json_array();
    int64_t last = events_last(scheduler_events(s));
    struct event event;
    struct error err;
    for (int64_t id = 1; id <= last; id++) {
        assert_ok(events_next(scheduler_events(s), id - 1, 1000, &event, &err));
        assert_int_equal(event.id, id);
        json_t *data = json_loads(event.text, 0, NULL);
        assert_non_null(data);
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:o}", "type", event.type, "job", (json_int_t)event.job, "data", data));
        free(event.text);
    }
    return list;
}

/* The states that the job went through, "queued running finished". */
static inline const char *states_of(const json_t *events, int64_t job, char text[256])
{
    size_t index, used = 0;
    json_t *event;
    text[0] = '\0';
    json_array_foreach(events, index, event)
    {
        const json_t *data = json_object_get(event, "data");
        if (number_of(data, "job") != job || strcmp(text_of(event, "type"), "job.state") != 0)
            continue;
        assert_int_equal(number_of(event, "job"), job);
        used += (size_t)snprintf(text + used, 256 - used, "%s%s", used ? " " : "", text_of(data, "state"));
        assert_true(used < 256);
    }
    return text;
}

/* Every job's states follow the arrows; returns how many ran at once at most, and in `order` which started when. */
static inline int most_at_once(const json_t *events, int64_t order[], size_t size)
{
    enum job_state now[64];
    size_t index, started = 0;
    int running = 0, most = 0;
    json_t *event;
    for (size_t i = 0; i < 64; i++)
        now[i] = JOB_STATE_COUNT;
    json_array_foreach(events, index, event)
    {
        const json_t *data = json_object_get(event, "data");
        if (strcmp(text_of(event, "type"), "job.state") != 0)
            continue;
        int64_t job = number_of(data, "job");
        enum job_state to = job_state_parse(text_of(data, "state"));
        assert_true(job > 0 && job < 64 && to < JOB_STATE_COUNT);
        assert_true(now[job] == JOB_STATE_COUNT ? to == JOB_QUEUED : now[job] == to || job_may_change(now[job], to));
        if (to == JOB_RUNNING && now[job] != JOB_RUNNING) {
            running++;
            if (started < size)
                order[started++] = job;
        }
        running -= to != JOB_RUNNING && now[job] == JOB_RUNNING;
        now[job] = to;
        most = running > most ? running : most;
    }
    return most;
}

static inline void assert_no_gaps(void **state)
{
    assert_query(in_folder(state, "catalog.db"), "SELECT count(*) = max(id) AND min(id) = 1 FROM event", "1");
}

#endif
