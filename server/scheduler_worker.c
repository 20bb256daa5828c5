/*
 * A job from its worker's start to its end, as the scheduler sees it.
 */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/utf8.h"
#include "server/clock.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/results.h"
#include "server/scheduler_internal.h"

static const double WRITE_SECONDS = 1; /* between writes of a job's progress and results */
static const double RETRY_SECONDS = 1; /* after a change that could not be committed */
static const double SEAL_SECONDS = 1;  /* how long a run may take to be sealed when the daemon stops */

void running_free(struct running *running)
{
    if (!running)
        return;
    worker_clear(&running->process);
    json_decref(running->end);
    json_decref(running->progress);
    json_decref(running->results);
    free(running->cancel_reason);
    free(running);
}

static void cleanup_running(struct running **running)
{
    running_free(*running);
}

struct running *find_running(struct scheduler *s, int64_t job)
{
    struct running *running = s->running;
    while (running && (running->job != job || running->sealing))
        running = running->next;
    return running;
}

static struct running *running_new(int64_t job)
{
    struct running *running = calloc(1, sizeof *running);
    if (!running)
        return NULL;
    running->process = (struct worker_process){.pidfd = -1, .lines = -1, .errors = -1};
    running->job = job;
    running->kill_at = INFINITY;
    running->progress = json_object();
    running->results = json_object();
    if (!running->progress || !running->results) {
        running_free(running);
        return NULL;
    }
    return running;
}

static void add_running(struct scheduler *s, struct running *running)
{
    running->next = s->running;
    s->running = running;
}

/* --- starting ---------------------------------------------------------------------------------------------------- */

/* The arguments of a worker; the list is the caller's, the strings are borrowed. */
static char **worker_arguments(const struct scheduler *s, const char *run, const char *job, const char *attempt)
{
    const char *fixed[] = {s->program, "work", "--run", run, "--job", job, "--attempt", attempt, "--data", s->data};
    size_t count = sizeof fixed / sizeof *fixed, folders = 0;
    while (s->dataset_folders[folders])
        folders++;
    const char **list = (const char **)calloc(count + 2 * folders + 1, sizeof *list);
    if (!list)
        return NULL;
    memcpy((void *)list, (const void *)fixed, sizeof fixed);
    for (size_t i = 0; i < folders; i++) {
        list[count++] = "--datasets";
        list[count++] = s->dataset_folders[i];
    }
    return (char **)(void *)list; /* posix_spawn does not write to them */
}

static int spec_threads(const char *spec)
{
    attribute_cleanup(cleanup_json) json_t *json = json_loads(spec, 0, NULL);
    json_int_t threads = json_integer_value(json_object_get(json, "threads"));
    return threads > 0 && threads < 4096 ? (int)threads : 1;
}

static enum status spawn_worker(struct scheduler *s, struct running *running, const struct job_row *row,
                                struct error *err)
{
    attribute_cleanup(cleanup_free) char *run = NULL;
    char job[24], attempt[24];
    enum status status = scheduler_run_path(s, row->id, &run, err);
    if (status != STATUS_OK)
        return status;
    snprintf(job, sizeof job, "%" PRId64, row->id);
    snprintf(attempt, sizeof attempt, "%d", row->attempt);
    char **arguments = worker_arguments(s, run, job, attempt);
    if (!arguments)
        return error_no_memory(err);
    status = worker_spawn(arguments, row->spec, spec_threads(row->spec), &running->process, err);
    free((void *)arguments);
    return status;
}

static enum status change_start(struct scheduler *s, void *context, struct error *err)
{
    const int64_t *id = context;
    enum status status = store_job_change(s->db, *id, &(struct job_change){.to = JOB_RUNNING}, err);
    return status == STATUS_OK ? append_state(s, *id, err) : status;
}

static enum status start_job(struct scheduler *s, int64_t id, struct error *err)
{
    attribute_cleanup(cleanup_running) struct running *running = running_new(id);
    struct job_row row;
    enum status status = running ? store_job_row(s->db, id, &row, err) : error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    status = hard_change(s, change_start, &id, err);
    if (status != STATUS_OK) {
        job_row_clear(&row);
        return status;
    }
    struct error reason;
    if (spawn_worker(s, running, &row, &reason) != STATUS_OK) { /* like a worker that died at once */
        snprintf(running->how, sizeof running->how, "not started");
        snprintf(running->fault, sizeof running->fault, "%.250s", reason.text);
        running->ended = true;
    }
    job_row_clear(&row);
    s->busy++;
    add_running(s, running);
    running = NULL;
    return STATUS_OK;
}

void start_jobs(struct scheduler *s)
{
    double now = clock_seconds();
    while (!s->stopping && s->busy < s->workers && now >= s->start_at) {
        struct error err;
        int64_t id = 0;
        enum status status = store_next_queued(s->db, &id, &err);
        if (status == STATUS_OK && id == 0)
            return;
        if (status == STATUS_OK)
            status = start_job(s, id, &err);
        if (status != STATUS_OK) {
            fprintf(stderr, "plumbline: cannot start job %" PRId64 ": %s\n", id, err.text);
            s->start_at = now + RETRY_SECONDS;
        }
    }
}

void seal_run(struct scheduler *s, int64_t job, const char *state, const char *reason)
{
    struct error err;
    attribute_cleanup(cleanup_running) struct running *running = running_new(job);
    attribute_cleanup(cleanup_free) char *run = NULL;
    enum status status = running ? scheduler_run_path(s, job, &run, &err) : error_no_memory(&err);
    if (status == STATUS_OK && access(run, F_OK) != 0)
        return;
    if (status == STATUS_OK) {
        const char *arguments[] = {s->program,           "work", "--seal", "--run", run, "--state", state, "--reason",
                                   reason ? reason : "", NULL};
        running->sealing = true;
        status = worker_spawn((char *const *)(void *)arguments, NULL, 1, &running->process, &err);
        if (s->stopping)
            tell_to_stop(running, 0);
    }
    if (status != STATUS_OK) {
        fprintf(stderr, "plumbline: job %" PRId64 ": the run file is left unsealed: %s\n", job, err.text);
        return;
    }
    add_running(s, running);
    running = NULL;
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

/* A running job, and what a line of it goes to. */
struct listener {
    struct scheduler *s;
    struct running *running;
};

static enum status append(struct listener *l, const char *type, json_t *data, struct error *err)
{
    if (!data)
        return error_no_memory(err);
    enum status status = events_append(l->s->events, type, l->running->job, data, err);
    json_decref(data);
    return status;
}

static json_t *borrow(const json_t *line, const char *key)
{
    json_t *value = json_object_get(line, key);
    return value ? json_incref(value) : json_null();
}

static enum status on_started(struct listener *l, const json_t *line, struct error *err)
{
    struct running *r = l->running;
    r->steps = json_integer_value(json_object_get(line, "steps"));
    r->epochs = json_integer_value(json_object_get(line, "epochs"));
    json_t *progress = json_pack("{s:i, s:I, s:i, s:I, s:n}", "step", 0, "steps", (json_int_t)r->steps, "epoch", 0,
                                 "epochs", (json_int_t)r->epochs, "eta_seconds");
    if (!progress)
        return error_no_memory(err);
    json_decref(r->progress);
    r->progress = progress;
    r->dirty = true;
    r->written = 0; /* what an earlier attempt left is replaced at once */
    return STATUS_OK;
}

static enum status on_progress(struct listener *l, const json_t *line, struct error *err)
{
    struct running *r = l->running;
    r->step = json_integer_value(json_object_get(line, "step"));
    double speed = json_to_number(json_object_get(line, "steps_per_second"));
    double eta = speed > 0 ? (double)(r->steps - r->step) / speed : NAN;
    json_t *progress = json_pack("{s:I, s:I, s:o, s:I, s:o, s:o, s:o}", "step", (json_int_t)r->step, "steps",
                                 (json_int_t)r->steps, "epoch", borrow(line, "epoch"), "epochs", (json_int_t)r->epochs,
                                 "eta_seconds", json_number_or_null(eta), "steps_per_second",
                                 borrow(line, "steps_per_second"), "probe_share", borrow(line, "probe_share"));
    json_t *data = json_copy(progress);
    if (!progress || !data || json_object_set_new(data, "job", json_integer(r->job)) != 0) {
        json_decref(progress);
        json_decref(data);
        return error_no_memory(err);
    }
    json_decref(r->progress);
    r->progress = progress;
    r->dirty = true;
    return append(l, "job.progress", data, err);
}

static enum status on_metric(struct listener *l, const json_t *line, struct error *err)
{
    struct running *r = l->running;
    const char *key;
    json_t *value;
    enum status status = STATUS_OK;
    json_object_foreach(json_object_get(line, "values"), key, value)
    {
        if (status == STATUS_OK)
            status = results_scalar(r->results, key, json_to_number(value), err);
    }
    r->dirty = true;
    if (status != STATUS_OK)
        return status;
    return append(l, "metric",
                  json_pack("{s:I, s:o, s:o}", "job", (json_int_t)r->job, "step", borrow(line, "step"), "values",
                            borrow(line, "values")),
                  err);
}

static enum status on_divergence(struct listener *l, const json_t *line, struct error *err)
{
    struct running *r = l->running;
    const char *site;
    json_t *medians;
    enum status status = STATUS_OK;
    json_object_foreach(json_object_get(line, "sites"), site, medians)
    {
        if (status == STATUS_OK)
            status = results_site(r->results, site, json_to_number(json_object_get(medians, "median_scale")),
                                  json_to_number(json_object_get(medians, "median_self_factor")), err);
    }
    r->dirty = true;
    if (status != STATUS_OK)
        return status;
    return append(l, "divergence",
                  json_pack("{s:I, s:o, s:o}", "job", (json_int_t)r->job, "step", borrow(line, "step"), "sites",
                            borrow(line, "sites")),
                  err);
}

static enum status on_log(struct listener *l, const json_t *line, struct error *err)
{
    char now[CLOCK_TEXT_SIZE];
    return append(l, "log",
                  json_pack("{s:I, s:o, s:o, s:s}", "job", (json_int_t)l->running->job, "level", borrow(line, "level"),
                            "text", borrow(line, "text"), "at", clock_now(now)),
                  err);
}

static enum status on_end(struct listener *l, const json_t *line, struct error *err)
{
    (void)err;
    json_decref(l->running->end);
    l->running->end = json_incref((json_t *)line);
    l->running->step = json_integer_value(json_object_get(line, "step"));
    return STATUS_OK;
}

static const struct {
    const char *event;
    enum status (*handle)(struct listener *listener, const json_t *line, struct error *err);
} line_handlers[] = {
    {"started", on_started},       {"progress", on_progress}, {"metric", on_metric},
    {"divergence", on_divergence}, {"log", on_log},           {"end", on_end},
};

static void write_progress(struct listener *l, struct error *err)
{
    struct running *r = l->running;
    double now = clock_seconds();
    if (!r->dirty || now - r->written < WRITE_SECONDS)
        return;
    if (store_job_progress(l->s->db, r->job, r->progress, r->results, err) != STATUS_OK) {
        soft_abandon(l->s, err);
        return;
    }
    r->dirty = false;
    r->written = now;
}

/* Only what breaks the protocol is an error to the caller; what cannot be stored is lost with its transaction. */
static enum status handle_line(void *context, const json_t *line, struct error *err)
{
    struct listener *l = context;
    struct error failure;
    const char *event = json_string_value(json_object_get(line, "event"));
    size_t count = sizeof line_handlers / sizeof *line_handlers, i = 0;
    while (i < count && (!event || strcmp(line_handlers[i].event, event) != 0))
        i++;
    if (i == count || l->running->sealing)
        return error_set(err, STATUS_CORRUPT, "the worker sent a line of an unknown kind");
    enum status status = soft_begin(l->s, &failure);
    if (status == STATUS_OK)
        status = line_handlers[i].handle(l, line, &failure);
    if (status == STATUS_OK)
        write_progress(l, &failure);
    else
        soft_abandon(l->s, &failure);
    return STATUS_OK;
}

static void read_lines(struct scheduler *s, struct running *r)
{
    struct error err;
    struct listener listener = {s, r};
    if (*r->fault || worker_read_lines(&r->process, handle_line, &listener, &err) == STATUS_OK)
        return;
    snprintf(r->fault, sizeof r->fault, "%.250s", err.text);
    worker_signal(&r->process, SIGKILL);
}

void serve_running(struct scheduler *s, struct running *running, bool lines, bool errors, bool end)
{
    if (lines || end)
        read_lines(s, running);
    if (errors || end)
        worker_read_errors(&running->process);
    if (end)
        running->ended = worker_reap(&running->process, running->how, sizeof running->how);
}

/* --- stopping ---------------------------------------------------------------------------------------------------- */

void tell_to_stop(struct running *running, double grace)
{
    double kill_at = clock_seconds() + (running->sealing ? SEAL_SECONDS : grace);
    if (!running->told && !running->sealing) /* sealing is quick, and is let finish */
        worker_signal(&running->process, SIGTERM);
    running->told = true; /* a second SIGTERM would end it at once */
    running->kill_at = kill_at < running->kill_at ? kill_at : running->kill_at;
}

void kill_late(struct scheduler *s)
{
    double now = clock_seconds();
    for (struct running *r = s->running; r; r = r->next)
        if (!r->ended && r->told && now >= r->kill_at) {
            worker_signal(&r->process, SIGKILL);
            r->kill_at = INFINITY;
        }
}

/* --- its end ----------------------------------------------------------------------------------------------------- */

/* What becomes of a job whose worker has ended. */
struct outcome {
    struct running *running;
    enum job_state to;
    bool crashed, seal;
    char reason[1024]; /* empty: none */
};

static void say(struct outcome *outcome, enum job_state to, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct outcome *outcome, enum job_state to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(outcome->reason, sizeof outcome->reason, format, args);
    va_end(args);
    utf8_repair(outcome->reason); /* it may have been cut */
    outcome->to = to;
}

/* The worker died, or was stopped by someone else: again, but not for ever. */
static void decide_crash(struct outcome *outcome, int crashes)
{
    struct running *r = outcome->running;
    const char *words = worker_last_words(&r->process);
    const char *detail = *r->fault ? r->fault : words;
    outcome->crashed = true;
    if (crashes + 1 < JOB_MAX_CRASHES) {
        say(outcome, JOB_QUEUED, "the worker ended at step %lld (%s)%s%s; it is tried again", r->step, r->how,
            *detail ? ": " : "", detail);
        return;
    }
    outcome->seal = true;
    say(outcome, JOB_FAILED, "the worker crashed %d times in a row, at last at step %lld (%s)%s%s", JOB_MAX_CRASHES,
        r->step, r->how, *detail ? ": " : "", detail);
}

static void decide(const struct scheduler *s, struct outcome *outcome, int crashes)
{
    struct running *r = outcome->running;
    const char *state = json_string_value(json_object_get(r->end, "state"));
    const char *reason = json_string_value(json_object_get(r->end, "reason"));
    enum job_state final = job_state_parse(state);
    if (final < JOB_STATE_COUNT && job_state_is_final(final)) {
        say(outcome, final, "%s", reason ? reason : "");
    } else if (r->cancel_reason) {
        outcome->seal = true;
        say(outcome, JOB_CANCELLED, "%s", r->cancel_reason);
    } else if (s->stopping && r->told) {
        say(outcome, JOB_QUEUED, "interrupted by a stop of the server at step %lld", r->step);
    } else {
        decide_crash(outcome, crashes);
    }
}

static enum status change_end(struct scheduler *s, void *context, struct error *err)
{
    struct outcome *outcome = context;
    struct running *r = outcome->running;
    struct job_row row;
    enum status status = store_job_row(s->db, r->job, &row, err);
    if (status != STATUS_OK)
        return status;
    decide(s, outcome, row.crashes);
    job_row_clear(&row);
    const json_t *final = json_object_get(r->end, "results");
    status = store_job_progress(s->db, r->job, json_object_size(r->progress) > 0 ? r->progress : NULL,
                                json_object_size(final) > 0 ? final : r->results, err);
    const struct job_change change = {
        .to = outcome->to, .reason = *outcome->reason ? outcome->reason : NULL, .crashed = outcome->crashed};
    if (status == STATUS_OK)
        status = store_job_change(s->db, r->job, &change, err);
    return status == STATUS_OK ? append_state(s, r->job, err) : status;
}

/* The progress shown of an ended job is where it ended, with no time left to wait. */
static void finish_progress(struct running *r)
{
    if (json_object_size(r->progress) > 0 && (json_object_set_new(r->progress, "step", json_integer(r->step)) != 0 ||
                                              json_object_set_new(r->progress, "eta_seconds", json_null()) != 0))
        fprintf(stderr, "plumbline: job %" PRId64 ": out of memory for its progress\n", r->job);
}

/* Whether the child is done with. */
static bool record_end(struct scheduler *s, struct running *r)
{
    if (r->sealing) {
        const char *words = worker_last_words(&r->process);
        if (strcmp(r->how, "exited with code 0") != 0)
            fprintf(stderr, "plumbline: job %" PRId64 ": the run file is left unsealed: %s %s\n", r->job, r->how,
                    words);
        return true;
    }
    struct outcome outcome = {.running = r};
    struct error err;
    finish_progress(r);
    if (hard_change(s, change_end, &outcome, &err) != STATUS_OK) {
        fprintf(stderr, "plumbline: the end of job %" PRId64 " cannot be recorded yet: %s\n", r->job, err.text);
        r->retry_at = clock_seconds() + RETRY_SECONDS;
        return false;
    }
    s->busy--;
    if (outcome.seal)
        seal_run(s, r->job, job_state_name(outcome.to), outcome.reason);
    return true;
}

void record_ends(struct scheduler *s)
{
    double now = clock_seconds();
    for (struct running **at = &s->running; *at;) {
        struct running *r = *at;
        /* record_end may put a new child in front of the list, so the link to `r` is looked up again */
        if (!r->ended || now < r->retry_at || !record_end(s, r)) {
            at = &r->next;
            continue;
        }
        at = &s->running;
        while (*at != r)
            at = &(*at)->next;
        *at = r->next;
        running_free(r);
    }
}

enum status recover_job(struct scheduler *s, void *id, struct error *err)
{
    const int64_t *job = id;
    struct job_row row;
    char reason[128];
    enum status status = store_job_row(s->db, *job, &row, err);
    if (status != STATUS_OK)
        return status;
    snprintf(reason, sizeof reason, "interrupted by an unexpected end of the server at step %" PRId64, row.step);
    struct job_change change = {.to = JOB_QUEUED, .reason = reason};
    if (row.cancel_reason)
        change = (struct job_change){.to = JOB_CANCELLED, .reason = row.cancel_reason};
    status = store_job_change(s->db, *job, &change, err);
    job_row_clear(&row);
    return status == STATUS_OK ? append_state(s, *job, err) : status;
}
