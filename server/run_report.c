#include "server/run_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/json_util.h"
#include "server/run_file.h"

enum { BAR_CELLS = 24, POOLED_STEPS = 8 };
static const double PLAIN_SECONDS = 5; /* between progress lines where there is no terminal */

void run_report_begin(struct run_report *report, bool quiet)
{
    *report = (struct run_report){
        .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1, .loss = NAN, .accuracy = NAN, .shown = clock_seconds()};
}

void run_report_clear(struct run_report *report)
{
    if (report->bar_shown)
        fputs("\r\033[K", stderr);
    report->bar_shown = false;
    fflush(stderr);
}

/* "1:02:03", "4:05" */
static const char *format_seconds(double seconds, char text[32])
{
    long long s = seconds > 0 && seconds < 1e9 ? (long long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(text, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%lld:%02lld", s / 60, s % 60);
    return text;
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

static int terminal_columns(void)
{
    struct winsize window;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

static void show_bar(struct run_report *r, const char *text, long long step)
{
    char bar[BAR_CELLS * 3 + 1];
    int full = r->steps > 0 ? (int)(step * BAR_CELLS / r->steps) : 0, used = 0;
    for (int i = 0; i < BAR_CELLS; i++)
        used += snprintf(bar + used, sizeof bar - (size_t)used, "%s", i < full ? "━" : "─");
    int room = terminal_columns() - BAR_CELLS - 2;
    fprintf(stderr, "\r\033[K%s %.*s", bar, room > 0 ? room : 0, text);
    fflush(stderr);
    r->bar_shown = true;
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
    double now = clock_seconds();
    if (r->quiet || (!r->terminal && now - r->shown < PLAIN_SECONDS && step < r->steps))
        return;
    r->shown = now;
    format_progress(r, line, text, sizeof text);
    if (r->terminal)
        show_bar(r, text, step);
    else
        fprintf(stderr, "%s\n", text);
}

static void on_metric(struct run_report *r, const json_t *line)
{
    const json_t *values = json_object_get(line, "values");
    double loss = json_to_number(json_object_get(values, "train/loss"));
    double accuracy = json_to_number(json_object_get(values, "test/accuracy"));
    r->loss = isnan(loss) ? r->loss : loss;
    r->accuracy = isnan(accuracy) ? r->accuracy : accuracy;
}

static void on_log(struct run_report *r, const json_t *line)
{
    const char *level = json_string_value(json_object_get(line, "level"));
    const char *text = json_string_value(json_object_get(line, "text"));
    bool plain = level && strcmp(level, "info") == 0;
    if (r->quiet && plain)
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

/* A figure in ten columns; a dash where it is undefined. */
static const char *figure(const json_t *value, char text[32])
{
    if (json_is_number(value))
        snprintf(text, 32, "%10.4g", json_number_value(value));
    else
        snprintf(text, 32, "%10s", "-");
    return text;
}

/* The pooled summary of a site and column, or NULL. */
static const json_t *find_item(const json_t *page, const char *site)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "site")), site) == 0)
            return item;
    }
    return NULL;
}

static const json_t *quantile(const json_t *item, const char *percent)
{
    return json_object_get(json_object_get(item, "quantiles"), percent);
}

static void print_site(const json_t *site, const json_t *factors, const json_t *scales)
{
    const char *name = json_string_value(json_object_get(site, "name"));
    const char *variant = json_string_value(json_object_get(site, "variant"));
    const json_t *scale = find_item(scales, name);
    char text[4][32];
    printf("%-18s %-14s %s  %s %s %s\n", name, variant ? variant : "-",
           figure(quantile(find_item(factors, name), "50"), text[0]), figure(quantile(scale, "5"), text[1]),
           figure(quantile(scale, "50"), text[2]), figure(quantile(scale, "95"), text[3]));
}

static enum status read_pooled(struct run_reader *reader, const char *column, json_t **ret_page, struct error *err)
{
    const struct divergence_query query = {.column = column, .last = POOLED_STEPS, .sample = -1, .pooled = true};
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
    size_t steps = json_array_size(json_object_get(sites, "steps")), i;
    json_t *site;
    if (steps == 0)
        return STATUS_OK;
    printf("\n%-18s %-14s %10s  %s\n", "", "", "self", "scale (1 is ideal), over the samples of the");
    printf("%-18s %-14s %10s  last %zu measured step%s: 5 %%, 50 %%, 95 %%\n", "site", "variant", "factor",
           steps < POOLED_STEPS ? steps : POOLED_STEPS, steps == 1 ? "" : "s");
    json_array_foreach(json_object_get(sites, "sites"), i, site)
    {
        print_site(site, factors, scales);
    }
    return STATUS_OK;
}

static void print_state(const json_t *end)
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
    print_state(end);
    enum status status = print_sites(run_file, err);
    if (status == STATUS_OK)
        print_accuracy(end);
    else if (status != STATUS_NOT_FOUND) /* a run that failed before its file was made */
        fprintf(stderr, "plumbline run: %s\n", err->text);
    printf("run file %s\n", run_file);
    return fflush(stdout) == 0 ? STATUS_OK : error_set(err, STATUS_IO, "cannot write to standard output");
}
