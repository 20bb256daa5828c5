#include "server/run_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/json_util.h"
#include "server/run_file.h"
#include "server/site_table.h"

void run_report_begin(struct run_report *report, bool quiet)
{
    *report = (struct run_report){.loss = NAN, .accuracy = NAN};
    progress_begin(&report->progress, quiet);
}

void run_report_clear(struct run_report *report)
{
    progress_clear(&report->progress);
}

static long long integer_at(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static void format_progress(const struct run_report *r, const json_t *line, char *text, size_t size)
{
    long long step = integer_at(line, "step");
    double speed = json_to_number(json_object_get(line, "steps_per_second"));
    char left[32];
    int used = snprintf(text, size, "step %lld of %lld, epoch %lld of %lld", step, r->steps, integer_at(line, "epoch"),
                        r->epochs);
    if (speed > 0)
        used += snprintf(text + used, size - (size_t)used, ", %.4g steps/s, %s left", speed,
                         format_seconds((double)(r->steps - step) / speed, left));
    if (!isnan(r->loss))
        used += snprintf(text + used, size - (size_t)used, ", loss %.4g", r->loss);
    if (!isnan(r->accuracy))
        snprintf(text + used, size - (size_t)used, ", test accuracy %.4f", r->accuracy);
}

static void on_started(struct run_report *r, const json_t *line)
{
    r->steps = integer_at(line, "steps");
    r->epochs = integer_at(line, "epochs");
}

static void on_progress(struct run_report *r, const json_t *line)
{
    char text[256];
    long long step = integer_at(line, "step");
    if (!progress_is_due(&r->progress, step >= r->steps))
        return;
    format_progress(r, line, text, sizeof text);
    progress_show(&r->progress, r->steps > 0 ? (double)step / (double)r->steps : 0, text);
}

static void on_metric(struct run_report *r, const json_t *line)
{
    const json_t *values = json_object_get(line, "values");
    double loss = json_to_number(json_object_get(values, "train/loss"));
    double accuracy = json_to_number(json_object_get(values, "test/accuracy"));
    r->loss = isnan(loss) ? r->loss : loss;
    r->accuracy = isnan(accuracy) ? r->accuracy : accuracy;
}

void run_report_job(struct run_report *report, const json_t *job)
{
    const json_t *progress = json_object_get(job, "progress"), *results = json_object_get(job, "results");
    on_started(report, progress);
    report->loss = json_to_number(json_object_get(results, "train/loss"));
    report->accuracy = json_to_number(json_object_get(results, "test/accuracy"));
    on_progress(report, progress);
}

static void on_log(struct run_report *r, const json_t *line)
{
    const char *level = json_string_value(json_object_get(line, "level"));
    const char *text = json_string_value(json_object_get(line, "text"));
    bool plain = level && strcmp(level, "info") == 0;
    if (r->progress.quiet && plain)
        return;
    run_report_clear(r);
    fprintf(stderr, "%s%s%s\n", plain || !level ? "" : level, plain ? "" : ": ", text ? text : "");
}

enum status run_report_line(void *context, const json_t *line, struct error *err)
{
    static const struct {
        const char *event;
        void (*handle)(struct run_report *report, const json_t *line);
    } handlers[] = {{"started", on_started}, {"progress", on_progress}, {"metric", on_metric}, {"log", on_log}};
    const char *event = json_string_value(json_object_get(line, "event"));
    (void)err;
    for (size_t i = 0; event && i < sizeof handlers / sizeof *handlers; i++)
        if (strcmp(handlers[i].event, event) == 0)
            handlers[i].handle(context, line);
    return STATUS_OK;
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static enum status read_pooled(struct run_reader *reader, const char *column, json_t **ret_page, struct error *err)
{
    const struct divergence_query query = {.column = column, .last = SITE_TABLE_STEPS, .sample = -1, .pooled = true};
    return run_reader_summaries(reader, &query, ret_page, err);
}

static enum status print_sites(const char *run_file, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    attribute_cleanup(cleanup_json) json_t *sites = NULL;
    attribute_cleanup(cleanup_json) json_t *factors = NULL;
    attribute_cleanup(cleanup_json) json_t *scales = NULL;
    enum status status = run_reader_open(run_file, &reader, err);
    if (status == STATUS_OK)
        status = run_reader_sites(reader, &sites, err);
    if (status == STATUS_OK)
        status = read_pooled(reader, "self_factor", &factors, err);
    if (status == STATUS_OK)
        status = read_pooled(reader, "scale", &scales, err);
    if (status != STATUS_OK)
        return status;
    site_table_print(sites, json_object_get(factors, "items"), json_object_get(scales, "items"));
    return STATUS_OK;
}

static void print_end(const json_t *end)
{
    const char *state = json_string_value(json_object_get(end, "state"));
    const char *reason = json_string_value(json_object_get(end, "reason"));
    const json_t *results = json_object_get(end, "results");
    char time[32];
    printf("%s after %lld steps in %s%s%s\n", state, integer_at(end, "step"),
           format_seconds(json_number_value(json_object_get(results, "seconds")), time), reason ? ": " : "",
           reason ? reason : "");
}

static void print_accuracy(const json_t *end)
{
    const json_t *results = json_object_get(end, "results");
    const json_t *accuracy = json_object_get(results, "test/accuracy");
    const json_t *best = json_object_get(results, "best/test/accuracy");
    if (json_is_number(accuracy))
        printf("\ntest accuracy %.4f (best %.4f)\n", json_number_value(accuracy), json_number_value(best));
}

enum status run_report_end(const json_t *end, const char *run_file, struct error *err)
{
    print_end(end);
    enum status status = print_sites(run_file, err);
    if (status == STATUS_OK)
        print_accuracy(end);
    else if (status != STATUS_NOT_FOUND) /* a run that failed before its file was made */
        fprintf(stderr, "plumbline run: %s\n", err->text);
    printf("run file %s\n", run_file);
    return fflush(stdout) == 0 ? STATUS_OK : error_set(err, STATUS_IO, "cannot write to standard output");
}
