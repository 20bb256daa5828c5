/*
 * What workers tell, as events and as the catalog's progress; and those that tell nothing any more.
 */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/clock.h"
#include "server/json_util.h"
#include "server/results.h"
#include "server/scheduler_internal.h"

static const double WRITE_SECONDS = 1;                           /* between writes of a job's progress and results */
static const double LONGEST_SEAL = 60, LONGEST_MIGRATION = 3600; /* of what puts run files in order */

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
    r->first_step = r->step = json_integer_value(json_object_get(line, "step"));
    json_t *results = json_object_get(line, "results");
    json_t *progress =
        json_pack("{s:I, s:I, s:o, s:I, s:n}", "step", (json_int_t)r->step, "steps", (json_int_t)r->steps, "epoch",
                  borrow(line, "epoch"), "epochs", (json_int_t)r->epochs, "eta_seconds");
    if (!progress)
        return error_no_memory(err);
    if (json_is_object(results)) { /* what the rows up to the checkpoint make of it */
        json_decref(r->results);
        r->results = json_incref(results);
    }
    json_decref(r->progress);
    r->progress = progress;
    r->dirty = true;
    r->written = 0; /* what an earlier attempt left is replaced at once */
    return STATUS_OK;
}

/* A worker counts from the beginning of its attempt. */
static void count_work(struct listener *l, long long step, long long rows)
{
    struct running *r = l->running;
    __atomic_add_fetch(&l->s->work.steps, step > r->step ? step - r->step : 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&l->s->work.rows, rows > r->rows ? rows - r->rows : 0, __ATOMIC_RELAXED);
    r->step = step;
    r->rows = rows;
}

static enum status on_progress(struct listener *l, const json_t *line, struct error *err)
{
    struct running *r = l->running;
    count_work(l, json_integer_value(json_object_get(line, "step")), json_integer_value(json_object_get(line, "rows")));
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

/* Keeps the end of what was logged, for the reason of a job that crashes. */
static void keep_log(struct running *r, const char *text)
{
    size_t used = strlen(r->last_log), size = text ? strlen(text) : 0, room = sizeof r->last_log - 1;
    if (size == 0)
        return;
    if (size > room) {
        text += size - room;
        size = room;
    }
    if (used + size + 3 > room) {
        size_t drop = used + size + 3 - room < used ? used + size + 3 - room : used;
        memmove(r->last_log, r->last_log + drop, used - drop + 1);
        used -= drop;
    }
    snprintf(r->last_log + used, sizeof r->last_log - used, "%s%s", used ? " | " : "", text);
}

static enum status on_log(struct listener *l, const json_t *line, struct error *err)
{
    keep_log(l->running, json_string_value(json_object_get(line, "text")));
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
    bool writes; /* events: it is lost where these cannot be written */
} line_handlers[] = {
    {"started", on_started, false},      {"progress", on_progress, true}, {"metric", on_metric, true},
    {"divergence", on_divergence, true}, {"log", on_log, true},           {"end", on_end, false},
};

static void write_progress(struct listener *l, struct error *err)
{
    struct running *r = l->running;
    double now = clock_seconds();
    if (!r->dirty || now - r->written < WRITE_SECONDS)
        return;
    if (store_job_progress(l->s->db, r->job, r->progress, r->results, err) != STATUS_OK ||
        store_job_seconds(l->s->db, r->job, r->earlier + now - r->began, err) != STATUS_OK) {
        soft_abandon(l->s, err);
        return;
    }
    r->dirty = false;
    r->written = now;
}

/* The longest time between two signs of work says what to expect of the next. */
static void note_step(struct running *r)
{
    double now = clock_seconds();
    r->longest_step = fmax(r->longest_step, now - r->stepped);
    r->stepped = now;
}

/* Only what breaks the protocol is an error to the caller; what cannot be stored is lost with its transaction. */
static enum status handle_line(void *context, const json_t *line, struct error *err)
{
    struct listener *l = context;
    struct error failure;
    const char *event = json_string_value(json_object_get(line, "event"));
    size_t count = sizeof line_handlers / sizeof *line_handlers, i = 0;
    if (event && strcmp(event, "alive") == 0)
        return STATUS_OK;
    note_step(l->running);
    while (i < count && (!event || strcmp(line_handlers[i].event, event) != 0))
        i++;
    if (i == count || l->running->sealing)
        return error_set(err, STATUS_CORRUPT, "the worker sent a line of an unknown kind");
    enum status begun = soft_begin(l->s, &failure), status = begun;
    if (begun == STATUS_OK || !line_handlers[i].writes)
        status = line_handlers[i].handle(l, line, &failure);
    if (status != STATUS_OK)
        soft_abandon(l->s, &failure);
    else if (begun == STATUS_OK)
        write_progress(l, &failure);
    return STATUS_OK;
}

void read_lines(struct scheduler *s, struct running *r)
{
    struct error err;
    struct listener listener = {s, r};
    r->heard = clock_seconds();
    if (*r->fault || worker_read_lines(&r->process, handle_line, &listener, &err) == STATUS_OK)
        return;
    snprintf(r->fault, sizeof r->fault, "%.250s", err.text);
    worker_signal(&r->process, SIGKILL);
}

/* --- silence ----------------------------------------------------------------------------------------------------- */

enum { PATIENCE = 20 }; /* times its longest step so far, a worker may take for the next */

/* How long it may make no step. */
static double hang_limit(const struct scheduler *s, const struct running *r)
{
    return fmax(s->hang_seconds, PATIENCE * r->longest_step);
}

double silent_at(const struct scheduler *s, const struct running *r)
{
    if (r->sealing) /* it has no heartbeat, and little to do */
        return r->began + (r->job != 0 ? LONGEST_SEAL : LONGEST_MIGRATION);
    return fmin(r->heard + s->heartbeat_seconds, r->stepped + hang_limit(s, r));
}

void kill_silent(struct scheduler *s)
{
    double now = clock_seconds();
    for (struct running *r = s->running; r; r = r->next) {
        if (r->ended || *r->fault || now < silent_at(s, r))
            continue;
        bool silent = now >= r->heard + s->heartbeat_seconds && !r->sealing;
        snprintf(r->fault, sizeof r->fault,
                 silent ? "it gave no sign of life for %.0f s" : "it made no step for %.0f s",
                 silent ? now - r->heard : now - r->stepped);
        worker_signal(&r->process, SIGKILL);
    }
}
