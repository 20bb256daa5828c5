/*
 * A job from its worker's start to its end, as the scheduler sees it.
 *
 * A worker that ends unasked is started again, but not for ever: the third time in a row its job fails. That it stopped
 * in order, by a SIGTERM of someone else's, makes no difference to that: a job to which this happens each time would
 * come and go without an end, taking its turn from the others. Only, such a stop leaves a checkpoint, so nothing is
 * lost by it; where the attempt got on by as much as a checkpoint interval, it forgets those before it, as a stop of
 * the server does. So a machine that is cleared once an hour is borne, and yet the attempts at a job have a bound:
 * three for each interval of its steps.
 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "server/clock.h"
#include "server/json_util.h"
#include "server/scheduler_internal.h"

/* More than else till a worker's first sign of life: it is loaded from the disk. */
static const double LOAD_SECONDS = 3;
static const double RETRY_SECONDS = 1; /* after a change that could not be committed */
static const double LONGEST_START_WAIT = 60;
static const double LAST_SEAL_SECONDS = 1;    /* how long a run may take to be sealed when the daemon stops */
static const double SEAL_AGAIN_SECONDS = 600; /* after a run could not be sealed */

void running_free(struct running *running)
{
    if (!running)
        return;
    worker_clear(&running->process);
    json_decref(running->end);
    json_decref(running->progress);
    json_decref(running->results);
    free(running->cancel_reason);
    free(running->pause_reason);
    free(running);
}

void cleanup_running(struct running **running)
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

struct running *running_new(int64_t job)
{
    struct running *running = calloc(1, sizeof *running);
    if (!running)
        return NULL;
    running->process = (struct worker_process){.pidfd = -1, .lines = -1, .errors = -1};
    running->job = job;
    running->kill_at = INFINITY;
    running->began = running->stepped = clock_seconds();
    running->heard = running->began + LOAD_SECONDS;
    running->progress = json_object();
    running->results = json_object();
    if (!running->progress || !running->results) {
        running_free(running);
        return NULL;
    }
    return running;
}

void add_running(struct scheduler *s, struct running *running)
{
    running->next = s->running;
    s->running = running;
}

/* --- starting ---------------------------------------------------------------------------------------------------- */

/* The arguments of a worker; the list is the caller's, the strings are borrowed. */
static char **worker_arguments(const struct scheduler *s, const char *run, const char *job, const char *attempt,
                               const char *seconds)
{
    const char *fixed[] = {s->program,  "work",  "--run",  run,     "--job",     job,
                           "--attempt", attempt, "--data", s->data, "--seconds", seconds};
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

/* A positive number of the expanded spec; 1 where it cannot be read. */
static int spec_number(const char *spec, const char *key)
{
    attribute_cleanup(cleanup_json) json_t *json = json_loads(spec, 0, NULL);
    json_int_t number = json_integer_value(json_object_get(json, key));
    return number > 0 && number < INT_MAX ? (int)number : 1;
}

static enum status spawn_worker(struct scheduler *s, struct running *running, const struct job_row *row,
                                struct error *err)
{
    attribute_cleanup(cleanup_free) char *run = NULL;
    char job[24], attempt[24], seconds[24];
    enum status status = scheduler_run_path(s, row->id, &run, err);
    if (status != STATUS_OK)
        return status;
    snprintf(job, sizeof job, "%" PRId64, row->id);
    snprintf(attempt, sizeof attempt, "%d", row->attempt);
    snprintf(seconds, sizeof seconds, "%.3f", row->seconds);
    char **arguments = worker_arguments(s, run, job, attempt, seconds);
    if (!arguments)
        return error_no_memory(err);
    status = worker_spawn(arguments, row->spec, spec_number(row->spec, "threads"), &running->process, err);
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
    running->earlier = row.seconds;
    if (spawn_worker(s, running, &row, &reason) == STATUS_OK) {
        s->start_wait = RETRY_SECONDS;
    } else { /* too many processes, no memory: no job would fare better just now */
        snprintf(running->fault, sizeof running->fault, "%.250s", reason.text);
        running->unstarted = running->ended = true;
        running->ended_at = running->began;
        s->start_at = running->began + s->start_wait;
        s->start_wait = fmin(2 * s->start_wait, LONGEST_START_WAIT);
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
    if (now >= s->start_at)
        s->start_at = 0; /* or the thread would go on waking for it */
    while (!s->stopping && !s->space.full && s->busy < s->workers && s->start_at == 0) {
        struct error err;
        int64_t id = 0;
        enum status status = store_next_queued(s->db, s->locked.jobs, s->locked.count, &id, &err);
        if (status == STATUS_OK && id == 0)
            return;
        if (status == STATUS_OK)
            status = start_job(s, id, &err);
        if (status != STATUS_OK && status != STATUS_NO_SPACE) { /* that has been said */
            fprintf(stderr, "plumbline: cannot start job %" PRId64 ": %s\n", id, err.text);
            s->start_at = now + RETRY_SECONDS;
        }
    }
}

void serve_running(struct scheduler *s, struct running *running, bool lines, bool errors, bool end)
{
    if (lines || end)
        read_lines(s, running);
    if (errors || end)
        worker_read_errors(&running->process);
    if (end && worker_reap(&running->process, running->how, sizeof running->how)) {
        running->ended = true;
        running->ended_at = clock_seconds();
    }
}

/* --- stopping ---------------------------------------------------------------------------------------------------- */

void tell_to_stop(struct running *running, double grace)
{
    double kill_at = clock_seconds() + (running->sealing ? LAST_SEAL_SECONDS : grace);
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
    bool crashed, full, locked;
    bool seal;         /* the run's file does not know this end */
    char reason[1536]; /* empty: none */
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
static void decide_crash(struct outcome *outcome, bool stopped, int crashes)
{
    struct running *r = outcome->running;
    const char *how = stopped ? "stopped by someone else's signal" : r->how;
    const char *words = worker_last_words(&r->process);
    const char *detail = *r->fault ? r->fault : words;
    outcome->crashed = true;
    if (crashes + 1 < JOB_MAX_CRASHES) {
        say(outcome, JOB_QUEUED, "the worker ended at step %lld (%s)%s%s; it is tried again", r->step, how,
            *detail ? ": " : "", detail);
        return;
    }
    outcome->seal = true;
    say(outcome, JOB_FAILED, "the worker crashed%s %d times in a row, at last at step %lld (%s)%s%s%s%s",
        stopped ? " or was stopped" : "", JOB_MAX_CRASHES, r->step, how, *detail ? ": " : "", detail,
        *r->last_log ? "; it had logged: " : "", r->last_log);
}

/* The worker ended in order, but not with the job. */
static void decide_stopped(struct outcome *outcome, bool stopping)
{
    const struct running *r = outcome->running;
    if (stopping && r->told)
        say(outcome, JOB_QUEUED, "interrupted by a stop of the server at step %lld", r->step);
    else if (r->told)
        say(outcome, JOB_QUEUED, "resumed before it was paused, at step %lld", r->step);
    else
        say(outcome, JOB_QUEUED, "interrupted by someone else's signal at step %lld", r->step);
}

/* Whether the attempt came further than one that crashes after its first checkpoint; see the top of the file. */
static bool has_got_on(const struct running *r, const struct job_row *row)
{
    return r->step - r->first_step >= spec_number(row->spec, "checkpoint_every");
}

static void decide(const struct scheduler *s, struct outcome *outcome, const struct job_row *row)
{
    struct running *r = outcome->running;
    const char *state = json_string_value(json_object_get(r->end, "state"));
    const char *reason = json_string_value(json_object_get(r->end, "reason"));
    enum job_state final = job_state_parse(state);
    bool stopped = state && strcmp(state, "stopped") == 0;
    outcome->full = state && strcmp(state, "full") == 0;
    outcome->locked = false;
    if (final < JOB_STATE_COUNT && job_state_is_final(final)) {
        say(outcome, final, "%s", reason ? reason : "");
    } else if (r->cancel_reason) {
        outcome->seal = true;
        say(outcome, JOB_CANCELLED, "%s", r->cancel_reason);
    } else if (r->pause_reason) {
        say(outcome, JOB_PAUSED, "%s", r->pause_reason);
    } else if (outcome->full) {
        say(outcome, JOB_PAUSED, "no space left on the disk at step %lld; it goes on when there is space again (%s)",
            r->step, reason ? reason : "");
    } else if (state && strcmp(state, "busy") == 0) {
        outcome->locked = true;
        say(outcome, JOB_QUEUED, "%s; it goes on when that has ended", reason ? reason : "the run is being written");
    } else if (r->unstarted) {
        say(outcome, JOB_QUEUED, "no worker could be started: %s; it is tried again", r->fault);
    } else if (r->told || (stopped && has_got_on(r, row))) {
        decide_stopped(outcome, s->stopping);
    } else {
        decide_crash(outcome, stopped, row->crashes);
    }
}

/* An attempt that never started knows nothing of the job: what earlier ones came to stays. */
static enum status store_end(struct scheduler *s, const struct running *r, struct error *err)
{
    const json_t *final = json_object_get(r->end, "results");
    if (json_object_size(r->progress) == 0)
        return STATUS_OK;
    return store_job_progress(s->db, r->job, r->progress, json_object_size(final) > 0 ? final : r->results, err);
}

static enum status change_end(struct scheduler *s, void *context, struct error *err)
{
    struct outcome *outcome = context;
    struct running *r = outcome->running;
    struct job_row row;
    enum status status = store_job_row(s->db, r->job, &row, err);
    if (status != STATUS_OK)
        return status;
    decide(s, outcome, &row);
    job_row_clear(&row);
    status = store_end(s, r, err);
    const struct job_change change = {.to = outcome->to,
                                      .reason = *outcome->reason ? outcome->reason : NULL,
                                      .crashed = outcome->crashed,
                                      .for_space = outcome->full && outcome->to == JOB_PAUSED && !r->pause_reason};
    if (status == STATUS_OK)
        status = store_job_seconds(s->db, r->job, r->earlier + r->ended_at - r->began, err);
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
        if (!seal_ended(r) && r->job != 0 && s->seal_at == 0)
            s->seal_at = clock_seconds() + SEAL_AGAIN_SECONDS;
        return true;
    }
    struct outcome outcome = {.running = r};
    struct error err;
    finish_progress(r);
    enum status status = hard_change(s, change_end, &outcome, &err);
    if (status == STATUS_NO_SPACE) {
        space_release(s);
        status = hard_change(s, change_end, &outcome, &err);
    }
    if (outcome.full)
        space_lost(s, outcome.reason);
    if (status != STATUS_OK) {
        fprintf(stderr, "plumbline: the end of job %" PRId64 " cannot be recorded yet: %s\n", r->job, err.text);
        r->retry_at = clock_seconds() + RETRY_SECONDS;
        return false;
    }
    s->busy--;
    if (job_state_is_final(outcome.to))
        s->space.again = false;
    if (outcome.locked)
        locked_add(s, r->job);
    if (outcome.seal || (job_state_is_final(outcome.to) && !run_is_sealed(s, r->job)))
        seal_run(s, r->job, outcome.to, outcome.reason);
    return true;
}

void record_ends(struct scheduler *s)
{
    double now = clock_seconds();
    for (struct running **at = &s->running; *at;) {
        struct running *r = *at;
        if (!r->ended || now < r->retry_at || !record_end(s, r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        running_free(r);
    }
}

static enum status recover_job(struct scheduler *s, int64_t job, struct error *err)
{
    struct job_row row;
    char reason[128];
    enum status status = store_job_row(s->db, job, &row, err);
    if (status != STATUS_OK)
        return status;
    snprintf(reason, sizeof reason, "interrupted by an unexpected end of the server at step %" PRId64, row.step);
    struct job_change change = {.to = JOB_QUEUED, .reason = reason};
    if (row.pause_reason)
        change = (struct job_change){.to = JOB_PAUSED, .reason = row.pause_reason};
    if (row.cancel_reason)
        change = (struct job_change){.to = JOB_CANCELLED, .reason = row.cancel_reason};
    status = store_job_change(s->db, job, &change, err);
    job_row_clear(&row);
    return status == STATUS_OK ? append_state(s, job, err) : status;
}

enum status recover_jobs(struct scheduler *s, void *context, struct error *err)
{
    (void)context;
    for (;;) {
        int64_t job = 0;
        enum status status = store_first_running(s->db, &job, err);
        if (status == STATUS_OK && job != 0)
            status = recover_job(s, job, err);
        if (status != STATUS_OK || job == 0)
            return status;
    }
}
