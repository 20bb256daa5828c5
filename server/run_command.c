/*
 * `plumbline run`: a job without a daemon. Progress on the terminal, results in a run file, a table at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/command.h"
#include "server/commands.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/memory_limit.h"
#include "server/run_file.h"
#include "server/run_job.h"
#include "server/run_migrate.h"
#include "server/run_report.h"
#include "server/spec_load.h"
#include "server/worker.h"

struct run_options {
    const char *spec, *out, *data;
    struct text_list datasets;
    bool json, overwrite;
};

static const struct argument arguments[] = {
    {"out", ARGUMENT_TEXT, offsetof(struct run_options, out), .value = "RUN.db", .help = "the run file",
     .fallback =
         "the spec's name (or \"run\") with .db, in the current folder, with a number where such a file is there "
         "already"},
    DATA_ARGUMENT(struct run_options, data),
    DATASETS_ARGUMENT(struct run_options, datasets),
    {"json", ARGUMENT_SWITCH, offsetof(struct run_options, json),
     .help = "print only one line of JSON at the end: state, reason, step, results, run file"},
    {"overwrite", ARGUMENT_SWITCH, offsetof(struct run_options, overwrite), .help = "replace a run in RUN.db"},
    {0},
};

/* --- the run file ---------------------------------------------------------------------------------------------- */

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

/* "<name>.db" in the current folder, with a number where that is taken. */
static char *default_out(const char *name)
{
    char stem[128], *path;
    size_t length = 0;
    for (const char *from = name && *name ? name : "run"; *from && length + 1 < sizeof stem; from++)
        stem[length++] = (unsigned char)*from < ' ' || strchr("/ \\:", *from) ? '-' : *from;
    stem[length] = '\0';
    if (stem[0] == '.')
        stem[0] = '_';
    for (int number = 1; number < 100000; number++) {
        if ((number == 1 ? asprintf(&path, "%s.db", stem) : asprintf(&path, "%s-%d.db", stem, number)) < 0)
            return NULL;
        if (!exists(path))
            return path;
        free(path);
    }
    return NULL;
}

/* A finished run is not written over unless that is asked for; one that was interrupted goes on. */
static enum status check_out(const char *path, bool overwrite, struct error *err)
{
    if (overwrite || !exists(path))
        return STATUS_OK;
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    attribute_cleanup(cleanup_json) json_t *run = NULL;
    struct migration_report migration = {0};
    run_file_bring_up(path, &migration);
    enum status status = run_reader_open(path, &reader, err);
    if (status == STATUS_NOT_FOUND) /* an empty file, or one whose first attempt got no further */
        return STATUS_OK;
    if (status == STATUS_OK)
        status = run_reader_run(reader, &run, err);
    if (status != STATUS_OK)
        return status;
    const char *state = json_string_value(json_object_get(run, "state"));
    if (!state || strcmp(state, "running") == 0)
        return STATUS_OK;
    return error_set(err, STATUS_CONFLICT,
                     "%s holds a run already (%s at %s); name another file with --out, or replace it with --overwrite",
                     path, state, json_string_value(json_object_get(run, "ended_at")));
}

/* --- the command ----------------------------------------------------------------------------------------------- */

static bool asked_to_stop(void *context)
{
    (void)context;
    return stop_signals_seen();
}

static int end_code(const json_t *end)
{
    const char *state = json_string_value(json_object_get(end, "state"));
    return state && strcmp(state, "finished") == 0 ? 0 : 1;
}

static enum status train(const struct run_options *o, const struct spec *spec, const char *out, char *const *folders,
                         json_t **ret_end, struct error *err)
{
    struct run_report report;
    run_report_begin(&report, o->json);
    stop_signals_install();
    const struct run_job job = {.spec = spec,
                                .path = out,
                                .anew = o->overwrite,
                                .attempt = 1,
                                .data = o->data,
                                .folders = {.paths = (const char *const *)folders},
                                .seal_stopped = true,
                                .context = &report,
                                .tell = run_report_line,
                                .stop = asked_to_stop};
    enum status status = run_job(&job, ret_end, err);
    run_report_clear(&report);
    return status;
}

static int print_json(json_t *end, const char *out)
{
    bool good = json_object_set_new(end, "run", json_string(out)) == 0;
    json_object_del(end, "event");
    good = good && command_json(end) == 0;
    if (!good)
        fprintf(stderr, "plumbline run: cannot write the end to standard output\n");
    return good ? end_code(end) : 1;
}

static int run(const struct run_options *o)
{
    struct error err = {""};
    attribute_cleanup(cleanup_string_list) char **folders = NULL;
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    attribute_cleanup(cleanup_free) char *out = NULL;
    attribute_cleanup(cleanup_json) json_t *end = NULL;
    attribute_cleanup(cleanup_free) char *weights = path_join(o->data, "weights");
    enum status status =
        weights ? dataset_search_list(o->datasets.items, o->data, &folders, &err) : error_no_memory(&err);
    const struct dataset_folders searched = {(const char *const *)folders, weights};
    if (status == STATUS_OK && spec_load("run", o->spec, &searched, &spec, NULL, NULL) != STATUS_OK)
        return 1;
    if (status == STATUS_OK) {
        out = o->out ? strdup(o->out) : default_out(spec->name);
        status = out ? check_out(out, o->overwrite, &err) : error_no_memory(&err);
    }
    if (status == STATUS_OK)
        status = memory_limit_apply(spec, &err);
    if (status == STATUS_OK)
        status = train(o, spec, out, folders, &end, &err);
    if (status != STATUS_OK) {
        fprintf(stderr, "plumbline run: %s\n", err.text);
        return 1;
    }
    if (o->json)
        return print_json(end, out);
    return run_report_end(end, out, &err) == STATUS_OK ? end_code(end) : 1;
}

static int run_with_data(const void *options, const struct text_list *operands)
{
    struct run_options o = *(const struct run_options *)options;
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    struct error err = {""};
    o.spec = operands->items[0];
    if (!o.data && data_default(&fallback, &err) != STATUS_OK) {
        fprintf(stderr, "plumbline run: %s\n", err.text);
        return 1;
    }
    if (!o.data)
        o.data = fallback;
    return run(&o);
}

const struct command run_command = {
    .name = "run",
    .operands = "SPEC.json",
    .summary = "train and measure one spec here, without a server",
    .description =
        "Trains and measures one network as SPEC.json says, without a server. The results are in the run file, an "
        "SQLite database; what stands out is printed at the end.\n\n"
        "A run that was killed goes on from its last checkpoint when the same command is given again. An interrupt "
        "(Ctrl-C) ends the run after the present step and keeps what was measured; a second one at once.",
    .failure = "failed, diverged or stopped",
    .arguments = arguments,
    .options_size = sizeof(struct run_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_FILE,
    .run = run_with_data,
};
