/*
 * What is kept of jobs that have ended, by age, count or bytes.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/json_util.h"
#include "server/scheduler_internal.h"

static const double RETAIN_SECONDS = 3600;

/* The jobs that are left as the plan is made, and which of them go. */
struct plan {
    const struct retention *retention;
    json_t *jobs, *items;
    int64_t count, bytes, freed;
};

static enum status measure(const struct scheduler *s, struct plan *plan, struct error *err)
{
    size_t i;
    json_t *job;
    enum status status = STATUS_OK;
    json_array_foreach(plan->jobs, i, job)
    {
        int64_t bytes = run_bytes(s, json_integer_value(json_object_get(job, "id")));
        if (status == STATUS_OK)
            status = json_put(job, "bytes", json_integer(bytes), err);
        plan->count++;
        plan->bytes += bytes;
    }
    return status;
}

/* Why a job goes; NULL for one that stays. */
static const char *reason_of(const struct plan *plan, const json_t *job)
{
    const struct retention *retention = plan->retention;
    char cutoff[CLOCK_TEXT_SIZE];
    const char *ended = json_string_value(json_object_get(job, "ended_at"));
    if (retention->max_age_seconds > 0 && ended &&
        strcmp(ended, clock_ago((int64_t)fmin(retention->max_age_seconds, 1e11), cutoff)) < 0)
        return "age";
    if (retention->max_count > 0 && plan->count > retention->max_count)
        return "count";
    if (retention->max_bytes > 0 && plan->bytes > retention->max_bytes)
        return "bytes";
    return NULL;
}

/* Goes through the jobs that are in the trash, or through those that are not, oldest first. */
static enum status choose(struct plan *plan, bool trashed, struct error *err)
{
    size_t i;
    json_t *job;
    json_array_foreach(plan->jobs, i, job)
    {
        const char *why = json_is_string(json_object_get(job, "trashed_at")) == trashed ? reason_of(plan, job) : NULL;
        if (!why)
            continue;
        int64_t bytes = json_integer_value(json_object_get(job, "bytes"));
        enum status status = json_put(job, "why", json_string(why), err);
        if (status == STATUS_OK)
            status = json_add(plan->items, json_incref(job), err);
        if (status != STATUS_OK)
            return status;
        plan->count--;
        plan->bytes -= bytes;
        plan->freed += bytes;
    }
    return STATUS_OK;
}

/* The jobs that the retention does not keep, in `plan`. */
static enum status make_plan(const struct scheduler *s, struct plan *plan, struct error *err)
{
    plan->items = json_array();
    enum status status = plan->items ? store_ended_jobs(s->db, &plan->jobs, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = measure(s, plan, err);
    if (status == STATUS_OK)
        status = choose(plan, true, err);
    return status == STATUS_OK ? choose(plan, false, err) : status;
}

/* Takes out of the plan what was refused just now (it is being sealed): it stays till the next time. */
static void drop_refused(struct plan *plan, const struct job_outcome *outcomes, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        if (outcomes[i].status == STATUS_OK)
            continue;
        int64_t bytes = json_integer_value(json_object_get(json_array_get(plan->items, i), "bytes"));
        json_array_remove(plan->items, i);
        plan->count++;
        plan->bytes += bytes;
        plan->freed -= bytes;
    }
}

/* Purges what is planned; afterwards the plan is what was done. */
static enum status purge(struct scheduler *s, struct plan *plan, struct error *err)
{
    size_t count = json_array_size(plan->items);
    attribute_cleanup(cleanup_free) struct job_outcome *outcomes = calloc(count + 1, sizeof *outcomes);
    attribute_cleanup(cleanup_free) char **texts = (char **)calloc(count + 1, sizeof *texts);
    if (!outcomes || !texts)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        outcomes[i].id = json_integer_value(json_object_get(json_array_get(plan->items, i), "id"));
    struct acts acts = {.action = ACTION_PURGE,
                        .reason = "purged by the retention",
                        .outcomes = outcomes,
                        .count = count,
                        .many = true,
                        .texts = texts};
    enum status status = count > 0 ? command_act(s, &acts, err) : STATUS_OK;
    if (status == STATUS_OK)
        drop_refused(plan, outcomes, count);
    return status;
}

enum status command_retain(struct scheduler *s, void *argument, struct error *err)
{
    struct retain_command *command = argument;
    struct plan plan = {.retention = command->retention};
    enum status status = make_plan(s, &plan, err);
    if (status == STATUS_OK && !command->dry_run)
        status = purge(s, &plan, err);
    if (status == STATUS_OK) {
        command->report =
            json_pack("{s:b, s:O, s:I, s:I, s:I}", "dry_run", (int)command->dry_run, "items", plan.items, "bytes",
                      (json_int_t)plan.freed, "kept", (json_int_t)plan.count, "kept_bytes", (json_int_t)plan.bytes);
        status = command->report ? STATUS_OK : error_no_memory(err);
    }
    json_decref(plan.jobs);
    json_decref(plan.items);
    return status;
}

void retain_when_due(struct scheduler *s)
{
    const struct retention *r = &s->retention;
    if (s->stopping || (!(r->max_age_seconds > 0) && r->max_count <= 0 && r->max_bytes <= 0))
        return;
    double now = clock_seconds();
    if (s->retain_at > now)
        return;
    s->retain_at = now + RETAIN_SECONDS;
    struct retain_command command = {.retention = r};
    struct error err;
    if (command_retain(s, &command, &err) != STATUS_OK) {
        fprintf(stderr, "plumbline: what the retention does not keep is not purged: %s\n", err.text);
        return;
    }
    size_t count = json_array_size(json_object_get(command.report, "items"));
    if (count > 0)
        fprintf(stderr, "plumbline: the retention purged %zu jobs of %lld bytes\n", count,
                (long long)json_integer_value(json_object_get(command.report, "bytes")));
    json_decref(command.report);
}
