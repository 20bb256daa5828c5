/*
 * `plumbline work`: one attempt at one job, in a process of its own.
 *
 * It ends with the daemon: the parent-death signal is SIGKILL, which reaches a stopped process too, and a line that
 * cannot be written (the daemon's end of the pipe is gone) ends it as well. Killing it at any moment is safe: the next
 * attempt goes on from the last checkpoint.
 */
#include "server/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/option.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/memory_limit.h"
#include "server/run_file.h"
#include "server/run_job.h"
#include "server/run_migrate.h"
#include "server/worker_lines.h"

enum { NICENESS = 5 }; /* the server answers before its jobs train on */

static const double SEAL_WAIT = 10; /* how long the last attempt at a run, or its readers, are given to end */

struct work_options {
    const char *run, *data, *state, *reason;
    struct text_list datasets;
    const char *seconds;
    long long job, attempt;
    bool seal, migrate;
};

static const struct argument arguments[] = {
    {"run", ARGUMENT_TEXT, offsetof(struct work_options, run), .value = "RUN.db", .help = "the run file to write"},
    {"job", ARGUMENT_COUNT, offsetof(struct work_options, job), .value = "ID",
     .help = "the job's number, for messages"},
    {"attempt", ARGUMENT_COUNT, offsetof(struct work_options, attempt), .value = "N",
     .help = "the number of this attempt, from 1"},
    {"seconds", ARGUMENT_TEXT, offsetof(struct work_options, seconds), .value = "N",
     .help = "how long earlier attempts ran: they count for the spec's time_limit"},
    {"data", ARGUMENT_TEXT, offsetof(struct work_options, data), .value = "DIR",
     .help = "the data directory: data sets are below datasets/, initial weights below weights/"},
    DATASETS_ARGUMENT(struct work_options, datasets),
    {"seal", ARGUMENT_SWITCH, offsetof(struct work_options, seal),
     .help = "give the run file of a worker that is gone its final state, and close it for good"},
    {"state", ARGUMENT_TEXT, offsetof(struct work_options, state), .value = "STATE",
     .help = "with --seal: the final state"},
    {"reason", ARGUMENT_TEXT, offsetof(struct work_options, reason), .value = "TEXT", .help = "with --seal: why"},
    {"migrate", ARGUMENT_SWITCH, offsetof(struct work_options, migrate),
     .help = "bring the run files of older versions to this one's schema"},
    {0},
};

/* --- the spec -------------------------------------------------------------------------------------------------- */

static bool asked_to_stop(void *context)
{
    (void)context;
    return stop_signals_seen();
}

static enum status parse_spec(const json_t *json, struct spec **ret_spec, struct error *err)
{
    struct problem_list problems;
    enum status status = problem_list_init(&problems, err);
    if (status != STATUS_OK)
        return status;
    status = spec_parse(json, ret_spec, &problems, err);
    if (status != STATUS_OK && problem_list_count(&problems) > 0) {
        const json_t *first = json_array_get(problems.items, 0);
        error_set(err, status, "spec %s: %s", json_string_value(json_object_get(first, "pointer")),
                  json_string_value(json_object_get(first, "detail")));
    }
    problem_list_clear(&problems);
    return status;
}

static enum status read_spec(struct spec **ret_spec, struct error *err)
{
    json_error_t fault;
    attribute_cleanup(cleanup_json) json_t *json = json_loadf(stdin, JSON_REJECT_DUPLICATES, &fault);
    if (!json && fault.line < 0)
        return error_no_memory(err);
    if (!json)
        return error_set(err, STATUS_INVALID, "the spec on standard input, line %d column %d: %s", fault.line,
                         fault.column, fault.text);
    return parse_spec(json, ret_spec, err);
}

/* --- the command ----------------------------------------------------------------------------------------------- */

static json_t *failed_line(const struct error *err)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:{}}", "event", "end", "state", "failed", "reason", err->text, "step", 0,
                     "results");
}

static enum status work(const struct work_options *o, json_t **ret_end, struct error *err)
{
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    attribute_cleanup(cleanup_string_list) char **folders = NULL;
    enum status status = read_spec(&spec, err);
    if (status == STATUS_OK)
        status = dataset_search_list(o->datasets.items, o->data, &folders, err);
    if (status == STATUS_OK)
        status = memory_limit_apply(spec, err);
    if (status != STATUS_OK) {
        *ret_end = failed_line(err);
        return *ret_end ? STATUS_OK : error_no_memory(err);
    }
    const struct run_job job = {.spec = spec,
                                .path = o->run,
                                .own_file = true,
                                .attempt = (int)o->attempt,
                                .seconds = o->seconds ? strtod(o->seconds, NULL) : 0,
                                .data = o->data,
                                .folders = {.paths = (const char *const *)folders},
                                .tell = worker_line_write,
                                .stop = asked_to_stop};
    return run_job(&job, ret_end, err);
}

static int run_work(const struct work_options *o)
{
    if (fcntl(WORKER_LINES_FD, F_GETFD) < 0) {
        fprintf(stderr, "plumbline work: descriptor %d is not open; to run a job by hand use `plumbline run`\n",
                WORKER_LINES_FD);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, NICENESS); /* refused where it is lower already */
    signal(SIGPIPE, SIG_IGN);               /* a server that is gone shows as EPIPE */
    stop_signals_install();
    struct error err;
    attribute_cleanup(cleanup_json) json_t *end = NULL;
    enum status status = worker_lines_begin(&err);
    if (status == STATUS_OK)
        status = work(o, &end, &err);
    if (status == STATUS_OK)
        status = worker_line_write(NULL, end, &err);
    worker_lines_end();
    if (status == STATUS_OK)
        return 0;
    fprintf(stderr, "plumbline work: job %lld: %s\n", o->job, err.text);
    return 1;
}

/* A worker whose server died may be ending just now, and so may who reads the run: it is waited for. */
static int run_seal(const struct work_options *o)
{
    struct error err;
    const char *reason = o->reason && *o->reason ? o->reason : NULL;
    enum status status;
    double start = clock_seconds();
    while ((status = run_file_seal(o->run, o->state, reason, &err)) == STATUS_BUSY &&
           clock_seconds() - start < SEAL_WAIT)
        clock_pause(0.1);
    if (status == STATUS_OK)
        return 0;
    fprintf(stderr, "plumbline work --seal: %s\n", err.text);
    return 1;
}

static int run_migrate(const struct work_options *o)
{
    struct error err;
    struct migration_report report = {0};
    if (run_files_migrate(o->data, &report, &err) == STATUS_OK)
        return report.failed > 0;
    fprintf(stderr, "plumbline work --migrate: %s\n", err.text);
    return 1;
}

static int dispatch(const void *options, const struct text_list *operands)
{
    const struct work_options *o = options;
    bool complete = o->seal      ? o->run && o->state
                    : o->migrate ? o->data != NULL
                                 : o->run && o->data && o->job && o->attempt;
    (void)operands;
    if (!complete)
        return command_misused(&work_command, "an option is missing");
    return o->seal ? run_seal(o) : o->migrate ? run_migrate(o) : run_work(o);
}

const struct command work_command = {
    .name = "work",
    .summary = "run one job for the server (the server starts these itself)",
    .description =
        "What `plumbline serve` starts for each running job: reads the expanded spec from standard input and writes "
        "progress as lines of JSON to descriptor 3; --run, --job, --attempt and --data must be given. To run a job by "
        "hand, use `plumbline run SPEC.json`.",
    .failure = "no end was written",
    .arguments = arguments,
    .options_size = sizeof(struct work_options),
    .run = dispatch,
};

int command_work(int argc, char **argv)
{
    return command_run(&work_command, argc, argv);
}
