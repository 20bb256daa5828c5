#include "server/job_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/file_util.h"
#include "server/clock.h"
#include "server/command.h"
#include "server/job.h"
#include "server/json_util.h"
#include "server/run_report.h"
#include "server/site_table.h"
#include "server/terminal.h"
#include "server/worker.h"

static const double LOOK_SECONDS = 0.5;  /* between looks at what is watched */
static const double GONE_SECONDS = 60.0; /* so long a server may be away (it is started anew, for instance) */

/* --- a job ------------------------------------------------------------------------------------------------------- */

static enum status get_pooled(struct client *client, int64_t id, const char *column, json_t *measures,
                              struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *page = NULL;
    char path[160];
    snprintf(path, sizeof path, "/jobs/%" PRId64 "/divergence/summary?column=%s&pooled=true&max_results=10000&last=%d",
             id, column, SITE_TABLE_STEPS);
    enum status status = client_get(client, path, &page, err);
    return status == STATUS_OK ? json_put(measures, column, json_incref(json_object_get(page, "items")), err) : status;
}

enum status job_measures(struct client *client, int64_t id, json_t **ret_measures, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *measures = json_object();
    json_t *sites = NULL;
    char path[80];
    snprintf(path, sizeof path, "/jobs/%" PRId64 "/divergence/sites", id);
    enum status status = measures ? client_get(client, path, &sites, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = json_put(measures, "sites", sites, err);
    if (status == STATUS_OK)
        status = get_pooled(client, id, "self_factor", measures, err);
    if (status == STATUS_OK)
        status = get_pooled(client, id, "scale", measures, err);
    if (status == STATUS_OK) {
        *ret_measures = measures;
        measures = NULL;
    }
    return status;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static long long integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_line(const char *label, const char *text)
{
    if (!text || !*text)
        return;
    printf("%-10s ", label);
    print_text(stdout, text, 0);
    putchar('\n');
}

static void print_tags(const json_t *tags)
{
    size_t i;
    const json_t *tag;
    if (json_array_size(tags) > 0)
        printf("%-10s ", "tags");
    json_array_foreach(tags, i, tag)
    {
        fputs(i ? ", " : "", stdout);
        print_text(stdout, json_string_value(tag), 0);
    }
    if (json_array_size(tags) > 0)
        putchar('\n');
}

void job_print(const json_t *job, const json_t *measures)
{
    const json_t *progress = json_object_get(job, "progress");
    printf("job %lld  ", integer_of(job, "id"));
    print_state(stdout, text_of(job, "state"), 0);
    const char *name = text_of(job, "name");
    fputs("  ", stdout);
    print_text(stdout, name && *name ? name : "(no name)", 0);
    putchar('\n');
    print_line("reason", text_of(job, "reason"));
    if (integer_of(progress, "steps") == 0) /* they are counted as it starts */
        printf("%-10s no step yet, attempt %lld\n", "progress", integer_of(job, "attempt"));
    else
        printf("%-10s step %lld of %lld, epoch %lld of %lld, attempt %lld\n", "progress", integer_of(progress, "step"),
               integer_of(progress, "steps"), integer_of(progress, "epoch"), integer_of(progress, "epochs"),
               integer_of(job, "attempt"));
    print_line("created", text_of(job, "created_at"));
    print_line("started", text_of(job, "started_at"));
    print_line("ended", text_of(job, "ended_at"));
    print_tags(json_object_get(job, "tags"));
    print_line("note", text_of(job, "note"));
    print_line("spec hash", text_of(job, "spec_hash"));
    site_table_print(json_object_get(measures, "sites"), json_object_get(measures, "self_factor"),
                     json_object_get(measures, "scale"));
    accuracy_print(json_object_get(job, "results"));
}

/* --- while they run ---------------------------------------------------------------------------------------------- */

/* Something of the server that is looked at until it has ended. */
struct watched {
    const char *what; /* "job", "study" */
    int64_t id;
    bool (*has_ended)(const json_t *item);
    void (*show)(struct run_report *report, const json_t *item);
};

/* Asks for it; a server that was there is waited for when it goes away for a while. */
static enum status look(struct client *client, const char *path, struct run_report *report, bool seen,
                        json_t **ret_item, struct error *err)
{
    double start = clock_seconds();
    bool told = false;
    for (;;) {
        enum status status = client_get(client, path, ret_item, err);
        if (!seen || (status != STATUS_IO && status != STATUS_BUSY) || clock_seconds() - start > GONE_SECONDS ||
            stop_signals_seen())
            return status;
        if (!told && !report->progress.quiet) {
            run_report_clear(report);
            fprintf(stderr, "%s; waiting for it\n", err->text);
        }
        told = true;
        clock_pause(LOOK_SECONDS);
    }
}

static enum status watch(struct client *client, const struct watched *watched, bool quiet, json_t **ret_item,
                         struct error *err)
{
    struct run_report report;
    char path[80];
    enum status status = STATUS_OK;
    attribute_cleanup(cleanup_json) json_t *item = NULL;
    snprintf(path, sizeof path, "/%s/%" PRId64, strcmp(watched->what, "job") == 0 ? "jobs" : "studies", watched->id);
    stop_signals_install();
    run_report_begin(&report, quiet);
    while (status == STATUS_OK) {
        json_t *newest = NULL;
        status = look(client, path, &report, item != NULL, &newest, err);
        if (status != STATUS_OK)
            break;
        json_decref(item);
        item = newest;
        watched->show(&report, item);
        if (watched->has_ended(item))
            break;
        clock_pause(LOOK_SECONDS);
        if (stop_signals_seen())
            status =
                error_set(err, STATUS_STOPPED, "no longer watched; %s %" PRId64 " goes on", watched->what, watched->id);
    }
    run_report_clear(&report);
    if (status == STATUS_OK) {
        *ret_item = item;
        item = NULL;
    }
    return status;
}

static bool job_has_ended(const json_t *job)
{
    enum job_state state = job_state_parse(text_of(job, "state"));
    return state != JOB_STATE_COUNT && job_state_is_final(state);
}

/* A job that has made no step says its state; what one has done is shown as `plumbline run` shows it. */
static void show_job(struct run_report *report, const json_t *job)
{
    const char *state = text_of(job, "state"), *reason = text_of(job, "reason");
    bool counted = integer_of(json_object_get(job, "progress"), "steps") > 0;
    if (counted && state && (strcmp(state, "running") == 0 || job_has_ended(job))) {
        run_report_job(report, job);
    } else if (progress_is_due(&report->progress, false)) {
        attribute_cleanup(cleanup_free) char *text =
            text_format("%s%s%s", state ? state : "", reason ? ": " : "", reason ? reason : "");
        progress_show(&report->progress, -1, text ? text : "");
    }
}

int job_watch(struct client *client, const char *command, int64_t id, bool json)
{
    const struct watched watched = {"job", id, job_has_ended, show_job};
    struct error err = {""};
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    attribute_cleanup(cleanup_json) json_t *measures = NULL;
    enum status status = watch(client, &watched, json, &job, &err);
    if (status == STATUS_OK && !json)
        status = job_measures(client, id, &measures, &err);
    if (status != STATUS_OK)
        return client_complain(client, command, NULL, &err);
    if (!json)
        job_print(job, measures);
    int code = json ? command_json(job) : command_flush();
    const char *state = text_of(job, "state");
    return code == 0 && state && strcmp(state, "finished") == 0 ? 0 : 1;
}

/* --- a study ----------------------------------------------------------------------------------------------------- */

/* How many of its jobs are in a final state. */
static long long count_ended(const json_t *study)
{
    long long count = 0;
    const char *state;
    json_t *jobs;
    json_object_foreach(json_object_get(study, "states"), state, jobs)
    {
        enum job_state known = job_state_parse(state);
        count += known != JOB_STATE_COUNT && job_state_is_final(known) ? json_integer_value(jobs) : 0;
    }
    return count;
}

static bool study_has_ended(const json_t *study)
{
    return count_ended(study) >= integer_of(study, "jobs");
}

/* "4 of 30 jobs have ended: 4 finished, 2 running, 24 queued" */
static void states_text(const json_t *study, char *text, size_t size)
{
    int used = snprintf(text, size, "%lld of %lld jobs have ended", count_ended(study), integer_of(study, "jobs"));
    const char *state, *before = ": ";
    json_t *jobs;
    json_object_foreach(json_object_get(study, "states"), state, jobs)
    {
        if (json_integer_value(jobs) == 0 || used < 0 || (size_t)used >= size)
            continue;
        used +=
            snprintf(text + used, size - (size_t)used, "%s%lld %s", before, (long long)json_integer_value(jobs), state);
        before = ", ";
    }
}

static void show_study(struct run_report *report, const json_t *study)
{
    char text[256];
    if (!progress_is_due(&report->progress, study_has_ended(study)))
        return;
    states_text(study, text, sizeof text);
    long long jobs = integer_of(study, "jobs");
    progress_show(&report->progress, jobs > 0 ? (double)count_ended(study) / (double)jobs : 0, text);
}

int study_watch(struct client *client, const char *command, int64_t id, bool json)
{
    const struct watched watched = {"study", id, study_has_ended, show_study};
    struct error err = {""};
    char text[256];
    attribute_cleanup(cleanup_json) json_t *study = NULL;
    if (watch(client, &watched, json, &study, &err) != STATUS_OK)
        return client_complain(client, command, NULL, &err);
    states_text(study, text, sizeof text);
    if (!json)
        printf("study %" PRId64 ": %s\n", id, text);
    int code = json ? command_json(study) : command_flush();
    bool good = integer_of(json_object_get(study, "states"), "finished") == integer_of(study, "jobs");
    return code == 0 && good ? 0 : 1;
}
