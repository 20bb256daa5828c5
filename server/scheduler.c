/*
 * Starting and stopping the scheduler, and the calls of other threads.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/scheduler_internal.h"
#include "server/sqlite_util.h"

static const double HEARTBEAT_SECONDS = 6, HANG_SECONDS = 900, FIRST_START_WAIT = 1;

/* --- starting and stopping --------------------------------------------------------------------------------------- */

static void scheduler_free(struct scheduler *s)
{
    for (struct running *r = s->running, *next; r; r = next) {
        next = r->next;
        running_free(r);
    }
    seals_drop(s);
    free(s->locked.jobs);
    events_free(s->events);
    store_pool_free(s->pool);
    cleanup_db(&s->db);
    if (s->wake >= 0)
        close(s->wake);
    pthread_cond_destroy(&s->answered);
    pthread_mutex_destroy(&s->mutex);
    string_list_free(s->dataset_folders);
    free(s->program);
    free(s->data);
    free(s->catalog);
    free(s);
}

static void cleanup_scheduler(struct scheduler **s)
{
    if (*s)
        scheduler_free(*s);
}

static enum status copy_settings(struct scheduler *s, const struct scheduler_settings *settings, struct error *err)
{
    s->workers = settings->workers;
    s->grace_seconds = settings->grace_seconds;
    s->heartbeat_seconds = settings->heartbeat_seconds > 0 ? settings->heartbeat_seconds : HEARTBEAT_SECONDS;
    s->hang_seconds = settings->hang_seconds > 0 ? settings->hang_seconds : HANG_SECONDS;
    s->retention = settings->retention;
    s->program = strdup(settings->program);
    s->data = strdup(settings->data);
    s->catalog = path_join(settings->data, "catalog.db");
    if (!s->program || !s->data || !s->catalog)
        return error_no_memory(err);
    return string_list_copy(settings->dataset_folders, &s->dataset_folders, err);
}

static enum status open_catalog(struct scheduler *s, struct error *err)
{
    attribute_cleanup(cleanup_free) char *runs = path_join(s->data, "runs");
    enum status status = runs ? folder_make(s->data, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = folder_make(runs, err);
    if (status == STATUS_OK)
        status = store_open(s->catalog, &s->db, err);
    if (status == STATUS_NO_SPACE) {
        space_release(s);
        status = store_open(s->catalog, &s->db, err);
    }
    if (status == STATUS_OK)
        status = store_pool_create(s->catalog, &s->pool, err);
    return status == STATUS_OK ? events_create(s->db, &s->events, err) : status;
}

/* What an earlier daemon left running is interrupted. On a full disk that waits for space, and all can be read. */
static enum status recover(struct scheduler *s, struct error *err)
{
    int64_t running = 0;
    enum status status = store_first_running(s->db, &running, err);
    if (status != STATUS_OK || running == 0)
        return status;
    status = hard_change(s, recover_jobs, NULL, err);
    if (status == STATUS_NO_SPACE) {
        space_release(s);
        status = hard_change(s, recover_jobs, NULL, err);
    }
    s->space.unrecovered = status == STATUS_NO_SPACE;
    return s->space.unrecovered ? STATUS_OK : status;
}

enum status scheduler_start(const struct scheduler_settings *settings, struct scheduler **ret_scheduler,
                            struct error *err)
{
    if (settings->workers < 1 || settings->grace_seconds < 0)
        return error_set(err, STATUS_INVALID, "at least one worker is needed, and a grace of 0 seconds or more");
    attribute_cleanup(cleanup_scheduler) struct scheduler *s = calloc(1, sizeof *s);
    if (!s)
        return error_no_memory(err);
    pthread_mutex_init(&s->mutex, NULL); /* these two cannot fail on Linux */
    pthread_cond_init(&s->answered, NULL);
    s->last_command = &s->commands;
    s->queue_running = s->queue_queued = -1;
    s->start_wait = FIRST_START_WAIT;
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake < 0)
        return error_set(err, STATUS_IO, "cannot make an eventfd: %s", strerror(errno));
    enum status status = copy_settings(s, settings, err);
    if (status == STATUS_OK)
        status = open_catalog(s, err);
    if (status == STATUS_OK)
        status = recover(s, err);
    if (status != STATUS_OK)
        return status;
    space_reserve(s);
    int code = pthread_create(&s->thread, NULL, scheduler_thread, s);
    if (code != 0)
        return error_set(err, STATUS_IO, "cannot start a thread: %s", strerror(code));
    *ret_scheduler = s;
    s = NULL;
    return STATUS_OK;
}

static void wake(struct scheduler *s)
{
    uint64_t one = 1;
    if (write(s->wake, &one, sizeof one) < 0) {
        /* its counter is full: the thread is awake already */
    }
}

void scheduler_ask_stop(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    pthread_mutex_lock(&scheduler->mutex);
    scheduler->stop_asked = true;
    pthread_mutex_unlock(&scheduler->mutex);
    wake(scheduler);
}

void scheduler_stop(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    scheduler_ask_stop(scheduler);
    pthread_join(scheduler->thread, NULL);
    scheduler_free(scheduler);
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

/* Hands a command to the thread and waits for the answer. */
static enum status ask(struct scheduler *s, struct command *command)
{
    pthread_mutex_lock(&s->mutex);
    if (s->closed || s->stop_asked) {
        pthread_mutex_unlock(&s->mutex);
        return error_set(command->err, STATUS_STOPPED, "the server is stopping");
    }
    *s->last_command = command;
    s->last_command = &command->next;
    wake(s);
    while (!command->done)
        pthread_cond_wait(&s->answered, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    return command->status;
}

enum status scheduler_call(struct scheduler *s,
                           enum status (*run)(struct scheduler *s, void *argument, struct error *err), void *argument,
                           struct error *err)
{
    struct command command = {.run = run, .argument = argument, .err = err};
    return ask(s, &command);
}

enum status scheduler_submit(struct scheduler *scheduler, const struct spec *spec, const struct submission_key *key,
                             int64_t *ret_id, bool *ret_again, struct error *err)
{
    struct submission submission = {.spec = spec, .key = key};
    enum status status = scheduler_call(scheduler, command_submit, &submission, err);
    if (status != STATUS_OK)
        return status;
    *ret_id = submission.id;
    *ret_again = submission.again;
    return STATUS_OK;
}

/* Copies of the reason, one for each job whose worker may be told: nothing can fail once the change is durable. */
static enum status copy_reasons(struct acts *acts, struct error *err)
{
    acts->texts = (char **)calloc(acts->count + 1, sizeof *acts->texts);
    for (size_t i = 0; acts->texts && i < acts->count; i++) {
        acts->texts[i] = strdup(acts->reason);
        if (!acts->texts[i])
            return error_no_memory(err);
    }
    return acts->texts ? STATUS_OK : error_no_memory(err);
}

static enum status act(struct scheduler *s, struct acts *acts, struct error *err)
{
    static const char *const reasons[ACTION_COUNT] = {
        [ACTION_CANCEL] = "cancelled by a user",  [ACTION_PAUSE] = "paused by a user",
        [ACTION_RESUME] = "resumed by a user",    [ACTION_RETRY] = "tried again by a user",
        [ACTION_TRASH] = "thrown away by a user", [ACTION_RESTORE] = "restored by a user",
        [ACTION_PURGE] = "purged by a user",
    };
    if (!acts->reason)
        acts->reason = reasons[acts->action];
    enum status status = copy_reasons(acts, err);
    if (status == STATUS_OK)
        status = scheduler_call(s, command_act, acts, err);
    for (size_t i = 0; acts->texts && i < acts->count; i++)
        free(acts->texts[i]);
    free((void *)acts->texts);
    return status;
}

enum status scheduler_act(struct scheduler *scheduler, enum job_action action, int64_t id, const char *reason,
                          struct job_outcome *ret_outcome, struct error *err)
{
    struct job_outcome outcome = {.id = id};
    struct acts acts = {.action = action, .reason = reason, .outcomes = &outcome, .count = 1};
    enum status status = act(scheduler, &acts, err);
    if (status == STATUS_OK && ret_outcome)
        *ret_outcome = outcome;
    return status;
}

enum status scheduler_act_many(struct scheduler *scheduler, enum job_action action, const int64_t *ids, size_t count,
                               const char *reason, struct job_outcome *outcomes, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        outcomes[i] = (struct job_outcome){.id = ids[i]};
    struct acts acts = {.action = action, .reason = reason, .outcomes = outcomes, .count = count, .many = true};
    return act(scheduler, &acts, err);
}

enum status scheduler_patch(struct scheduler *scheduler, int64_t id, const struct job_patch *patch, struct error *err)
{
    struct patch_command command = {id, patch};
    return scheduler_call(scheduler, command_patch, &command, err);
}

enum status scheduler_retain(struct scheduler *scheduler, const struct retention *retention, bool dry_run,
                             json_t **ret_report, struct error *err)
{
    struct retain_command command = {.retention = retention, .dry_run = dry_run};
    enum status status = scheduler_call(scheduler, command_retain, &command, err);
    if (status == STATUS_OK)
        *ret_report = command.report;
    return status;
}

/* --- reads ------------------------------------------------------------------------------------------------------- */

enum status scheduler_job(struct scheduler *scheduler, int64_t id, json_t **ret_job, struct error *err)
{
    sqlite3 *db = NULL;
    enum status status = store_pool_take(scheduler->pool, &db, err);
    if (status == STATUS_OK)
        status = store_job_json(db, id, ret_job, err);
    store_pool_give(scheduler->pool, db);
    return status;
}

static enum status queue_json(const struct scheduler *s, const int64_t counts[JOB_STATE_COUNT], json_t **ret_queue,
                              struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *states = json_object();
    enum status status = states ? STATUS_OK : error_no_memory(err);
    for (int i = 0; i < JOB_STATE_COUNT && status == STATUS_OK; i++)
        status = json_put(states, job_state_name((enum job_state)i), json_integer(counts[i]), err);
    if (status != STATUS_OK)
        return status;
    json_t *queue = json_pack("{s:i, s:I, s:I, s:O}", "workers", s->workers, "running", (json_int_t)counts[JOB_RUNNING],
                              "queued", (json_int_t)counts[JOB_QUEUED], "states", states);
    if (!queue)
        return error_no_memory(err);
    *ret_queue = queue;
    return STATUS_OK;
}

enum status scheduler_queue(struct scheduler *scheduler, json_t **ret_queue, struct error *err)
{
    sqlite3 *db = NULL;
    int64_t counts[JOB_STATE_COUNT];
    enum status status = store_pool_take(scheduler->pool, &db, err);
    if (status == STATUS_OK)
        status = store_counts(db, counts, err);
    store_pool_give(scheduler->pool, db);
    return status == STATUS_OK ? queue_json(scheduler, counts, ret_queue, err) : status;
}

struct work_done scheduler_work_done(struct scheduler *scheduler)
{
    return (struct work_done){__atomic_load_n(&scheduler->work.steps, __ATOMIC_RELAXED),
                              __atomic_load_n(&scheduler->work.rows, __ATOMIC_RELAXED)};
}

struct events *scheduler_events(struct scheduler *scheduler)
{
    return scheduler->events;
}

enum status scheduler_run_path(struct scheduler *scheduler, int64_t id, char **ret_path, struct error *err)
{
    char *path;
    if (asprintf(&path, "%s/runs/%" PRId64 ".db", scheduler->data, id) < 0)
        return error_no_memory(err);
    *ret_path = path;
    return STATUS_OK;
}
