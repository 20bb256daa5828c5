/*
 * The scheduler's thread: it waits for children, commands and times, and is the only one that writes the catalog.
 */
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/json_util.h"
#include "server/scheduler_internal.h"
#include "server/sqlite_util.h"

static const double SOFT_SECONDS = 0.1; /* how long lines of progress are gathered */
static const double STOP_SECONDS = 3;   /* the longest grace when the daemon stops */

/* --- transactions ------------------------------------------------------------------------------------------------ */

enum status soft_begin(struct scheduler *s, struct error *err)
{
    if (s->open)
        return STATUS_OK;
    enum status status = db_begin(s->db, err);
    if (status == STATUS_OK) {
        s->open = true;
        s->opened_at = clock_seconds();
    }
    return status;
}

void soft_abandon(struct scheduler *s, const struct error *err)
{
    if (!s->space.full) /* where it is, that has been said */
        fprintf(stderr, "plumbline: some events are lost: %s\n", err->text);
    db_rollback(s->db);
    events_discard(s->events);
    s->open = false;
}

void soft_commit(struct scheduler *s)
{
    struct error err;
    if (!s->open)
        return;
    s->open = false;
    if (db_commit(s->db, &err) == STATUS_OK)
        events_publish(s->events);
    else
        soft_abandon(s, &err);
}

/* The event queue, where its counts are not those of the last one. */
static enum status append_queue(struct scheduler *s, struct error *err)
{
    int64_t counts[JOB_STATE_COUNT];
    enum status status = store_counts(s->db, counts, err);
    if (status != STATUS_OK || (counts[JOB_RUNNING] == s->queue_running && counts[JOB_QUEUED] == s->queue_queued))
        return status;
    attribute_cleanup(cleanup_json) json_t *data =
        json_pack("{s:I, s:I, s:i}", "running", (json_int_t)counts[JOB_RUNNING], "queued",
                  (json_int_t)counts[JOB_QUEUED], "workers", s->workers);
    status = data ? events_append(s->events, "queue", 0, data, err) : error_no_memory(err);
    if (status == STATUS_OK) {
        s->queue_running = counts[JOB_RUNNING];
        s->queue_queued = counts[JOB_QUEUED];
    }
    return status;
}

enum status hard_change(struct scheduler *s,
                        enum status (*change)(struct scheduler *s, void *context, struct error *err), void *context,
                        struct error *err)
{
    soft_commit(s);
    enum status status = db_begin(s->db, err);
    if (status != STATUS_OK)
        return status;
    status = change(s, context, err);
    if (status == STATUS_OK)
        status = append_queue(s, err);
    if (status == STATUS_OK)
        status = db_commit(s->db, err);
    if (status == STATUS_OK) {
        events_publish(s->events);
        return STATUS_OK;
    }
    db_rollback(s->db);
    events_discard(s->events);
    if (status == STATUS_NO_SPACE)
        space_lost(s, "a change of the catalog");
    s->queue_running = s->queue_queued = -1; /* unknown to the readers: told again next time */
    return status;
}

static enum status append_job(struct scheduler *s, int64_t id, bool purged, struct error *err)
{
    static const char *const keys[] = {"state", "reason", "attempt",  "results",  "name",
                                       "tags",  "note",   "priority", "retry_of", "trashed_at"};
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    char now[CLOCK_TEXT_SIZE];
    enum status status = store_job_json(s->db, id, &job, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_json) json_t *data = json_pack("{s:I, s:s}", "job", (json_int_t)id, "at", clock_now(now));
    for (size_t i = 0; i < sizeof keys / sizeof *keys && status == STATUS_OK; i++)
        status = json_put(data, keys[i], json_incref(json_object_get(job, keys[i])), err);
    if (status == STATUS_OK && purged)
        status = json_put(data, "purged", json_true(), err);
    return status == STATUS_OK ? events_append(s->events, "job.state", id, data, err) : status;
}

enum status append_state(struct scheduler *s, int64_t id, struct error *err)
{
    return append_job(s, id, false, err);
}

enum status append_purged(struct scheduler *s, int64_t id, struct error *err)
{
    return append_job(s, id, true, err);
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

static void answer(struct scheduler *s, struct command *command, enum status status)
{
    pthread_mutex_lock(&s->mutex);
    command->status = status;
    command->done = true;
    pthread_cond_broadcast(&s->answered);
    pthread_mutex_unlock(&s->mutex);
}

/* Empties the mailbox. */
static void take_commands(struct scheduler *s)
{
    uint64_t count;
    if (read(s->wake, &count, sizeof count) < 0) {
        /* nothing was posted since: it does not block */
    }
    pthread_mutex_lock(&s->mutex);
    struct command *command = s->commands;
    s->commands = NULL;
    s->last_command = &s->commands;
    bool stop = s->stop_asked;
    pthread_mutex_unlock(&s->mutex);
    while (command) {
        struct command *next = command->next; /* an answered command is gone */
        answer(s, command, command->run(s, command->argument, command->err));
        command = next;
    }
    if (!stop || s->stopping)
        return;
    s->stopping = true;
    for (struct running *r = s->running; r; r = r->next)
        tell_to_stop(r, fmin(s->grace_seconds, STOP_SECONDS));
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

enum { FDS_PER_CHILD = 3 };

static size_t children(const struct scheduler *s)
{
    size_t count = 0;
    for (const struct running *r = s->running; r; r = r->next)
        count++;
    return count;
}

/* The next time that something is due without anyone asking. */
static double next_time(const struct scheduler *s)
{
    double next = INFINITY;
    if (s->open)
        next = fmin(next, s->opened_at + SOFT_SECONDS);
    if (s->start_at > 0 && !s->stopping)
        next = fmin(next, s->start_at);
    if (s->space.full && !s->stopping)
        next = fmin(next, s->space.look_at);
    if (s->locked.count > 0 && !s->stopping)
        next = fmin(next, s->locked.look_at);
    if (s->retain_at > 0 && !s->stopping)
        next = fmin(next, s->retain_at);
    if (s->seal_at > 0 && !s->stopping)
        next = fmin(next, s->seal_at);
    for (const struct running *r = s->running; r; r = r->next)
        next = fmin(next, r->ended ? r->retry_at : fmin(silent_at(s, r), r->told ? r->kill_at : INFINITY));
    return next;
}

static int timeout_ms(const struct scheduler *s)
{
    double next = next_time(s);
    if (!isfinite(next))
        return -1;
    double wait = (next - clock_seconds()) * 1000;
    return wait <= 0 ? 0 : wait > 60000 ? 60000 : (int)wait + 1;
}

/* Waits, then serves who is ready. */
static void wait_and_serve(struct scheduler *s)
{
    size_t count = children(s);
    struct pollfd *fds = calloc(1 + count * FDS_PER_CHILD, sizeof *fds);
    if (!fds) {
        clock_pause(0.1); /* memory may come back; the children wait in their pipes */
        return;
    }
    fds[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
    struct pollfd *at = fds + 1;
    for (struct running *r = s->running; r; r = r->next, at += FDS_PER_CHILD) {
        at[0] = (struct pollfd){.fd = r->process.lines, .events = POLLIN}; /* poll passes over −1 */
        at[1] = (struct pollfd){.fd = r->process.errors, .events = POLLIN};
        at[2] = (struct pollfd){.fd = r->process.pidfd, .events = POLLIN};
    }
    if (poll(fds, 1 + count * FDS_PER_CHILD, timeout_ms(s)) > 0) {
        at = fds + 1;
        for (struct running *r = s->running; r; r = r->next, at += FDS_PER_CHILD)
            serve_running(s, r, at[0].revents != 0, at[1].revents != 0, at[2].revents != 0);
    }
    free(fds);
}

/* Whether there is nothing left to do before the end. What cannot be recorded after a while is found at the next
 * start: the job is still `running` there. */
static bool is_over(const struct scheduler *s, double since)
{
    if (!s->stopping)
        return false;
    for (const struct running *r = s->running; r; r = r->next)
        if (!r->ended || clock_seconds() - since < STOP_SECONDS)
            return false;
    return !s->seals || clock_seconds() - since >= STOP_SECONDS;
}

/* From here on no command is taken; those that wait are told. */
static void close_mailbox(struct scheduler *s)
{
    pthread_mutex_lock(&s->mutex);
    s->closed = true;
    for (struct command *command = s->commands; command; command = command->next) {
        command->status = error_set(command->err, STATUS_STOPPED, "the server is stopping");
        command->done = true;
    }
    s->commands = NULL;
    pthread_cond_broadcast(&s->answered);
    pthread_mutex_unlock(&s->mutex);
}

void *scheduler_thread(void *context)
{
    struct scheduler *s = context;
    double stopping_since = 0;
    tidy_runs(s);
    while (!is_over(s, stopping_since)) {
        retain_when_due(s);
        locked_look(s);
        seal_when_due(s);
        start_jobs(s);
        start_seals(s);
        wait_and_serve(s);
        kill_silent(s); /* before what may take long: no worker is silent because it was not listened to */
        take_commands(s);
        if (s->stopping && stopping_since == 0)
            stopping_since = clock_seconds();
        kill_late(s);
        record_ends(s);
        space_look(s);
        if (s->open && clock_seconds() - s->opened_at >= SOFT_SECONDS)
            soft_commit(s);
    }
    soft_commit(s);
    close_mailbox(s);
    return NULL;
}
