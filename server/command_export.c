/* `plumbline export`: what jobs of a server have measured, to a file or to standard output. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/client.h"
#include "server/commands.h"
#include "server/export.h"
#include "server/json_util.h"
#include "server/terminal.h"
#include "server/worker.h"

struct export_options {
    struct client_options client;
    const char *what, *format, *out, *filter;
    bool overwrite, json;
};

static const char *const whats[] = {"divergence", "metrics", "summary", "batch", "run", "weights", NULL};

static const struct argument arguments[] = {
    {"what", ARGUMENT_CHOICE, offsetof(struct export_options, what), .value = "WHAT",
     .help = "which rows: divergence (each sample's), metrics (scalars by step), summary, batch; or run (the run file "
             "of one "
             "job) or weights (its final weights as safetensors)",
     .fallback = "divergence", .choices = whats},
    {"format", ARGUMENT_CHOICE, offsetof(struct export_options, format), .value = "FORMAT",
     .help = "how rows are written: csv, ndjson, npz, tfevents", .fallback = "csv", .choices = export_format_names},
    {"out", ARGUMENT_TEXT, offsetof(struct export_options, out), .value = "FILE", .help = "where to",
     .fallback = "standard output"},
    {"overwrite", ARGUMENT_SWITCH, offsetof(struct export_options, overwrite), .help = "replace FILE if it is there"},
    {"filter", ARGUMENT_TEXT, offsetof(struct export_options, filter), .value = "FILTER",
     .help = "all jobs that it wants, in place of numbers: \"state = 'finished'\""},
    {"json", ARGUMENT_SWITCH, offsetof(struct export_options, json),
     .help = "with --out: print one line of JSON: file, bytes"},
    CLIENT_ARGUMENTS(struct export_options, client),
    {0},
};

/* --- what is asked for ------------------------------------------------------------------------------------------- */

/* "id IN (7, 8)" */
static char *ids_filter(const json_t *ids)
{
    size_t i;
    const json_t *id;
    char *filter = strdup("id IN (");
    json_array_foreach(ids, i, id)
    {
        attribute_cleanup(cleanup_free) char *before = filter;
        filter =
            before ? text_format("%s%s%" JSON_INTEGER_FORMAT, before, i ? ", " : "", json_integer_value(id)) : NULL;
    }
    attribute_cleanup(cleanup_free) char *before = filter;
    return before ? text_format("%s)", before) : NULL;
}

static bool is_file(const struct export_options *o)
{
    return o->what && (strcmp(o->what, "run") == 0 || strcmp(o->what, "weights") == 0);
}

/* The path of the API; NULL when memory runs out. */
static char *export_path(const struct export_options *o, const json_t *ids)
{
    int64_t first = json_integer_value(json_array_get(ids, 0));
    bool one = json_array_size(ids) == 1;
    if (is_file(o))
        return text_format("/jobs/%" PRId64 "/%s", first,
                           strcmp(o->what, "run") == 0 ? "run.sqlite" : "weights.safetensors");
    attribute_cleanup(cleanup_free) char *listed = one || o->filter ? NULL : ids_filter(ids);
    attribute_cleanup(cleanup_free) char *place =
        one ? text_format("/jobs/%" PRId64 "/export", first) : strdup("/export");
    const char *const query[] = {"what", o->what, "format", o->format, "filter", o->filter ? o->filter : listed, NULL};
    return place && (one || o->filter || listed) ? client_path(place, query) : NULL;
}

/* --- where it goes ----------------------------------------------------------------------------------------------- */

struct output {
    const char *path; /* NULL is standard output */
    char *part;       /* what is written until it is whole */
    int file;
    double bytes;
    struct progress progress;
};

static void output_clear(struct output *output)
{
    progress_clear(&output->progress);
    if (output->part) {
        if (output->file >= 0)
            close(output->file);
        unlink(output->part); /* there is none where it was whole */
    }
    free(output->part);
}

static enum status write_failed(const struct output *output, struct error *err)
{
    return error_set(err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot write %s: %s",
                     output->path ? output->path : "to standard output", strerror(errno));
}

static enum status write_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
    struct output *output = context;
    const char *from = bytes;
    output->bytes += (double)size;
    while (size > 0) {
        ssize_t count = write(output->file, from, size);
        if (count < 0 && errno != EINTR)
            return write_failed(output, err);
        from += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return STATUS_OK;
}

static bool on_progress(void *context, double done, double of)
{
    struct output *output = context;
    char text[2][32], line[96];
    if (output->path && output->progress.terminal) {
        snprintf(line, sizeof line, "%s%s%s", format_bytes(done, text[0]), of > 0 ? " of " : "",
                 of > 0 ? format_bytes(of, text[1]) : "");
        progress_show(&output->progress, of > 0 ? done / of : -1, line);
    }
    return !stop_signals_seen();
}

/* A file is begun beside its place, under another name. */
static enum status output_open(const struct export_options *o, struct output *output, struct error *err)
{
    output->file = STDOUT_FILENO;
    if (!o->out)
        return STATUS_OK;
    if (!o->overwrite && file_exists(o->out))
        return error_set(err, STATUS_CONFLICT, "%s is there already: name another with --out, or give --overwrite",
                         o->out);
    output->path = o->out;
    output->part = text_format("%s.part-%ld", o->out, (long)getpid());
    if (!output->part)
        return error_no_memory(err);
    output->file = open(output->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->file >= 0)
        return STATUS_OK;
    enum status status = write_failed(output, err);
    free(output->part); /* someone else's, if it is there */
    output->part = NULL;
    return status;
}

/* What is whole gets its name. */
static enum status output_keep(struct output *output, struct error *err)
{
    if (!output->path)
        return STATUS_OK;
    int closed = close(output->file);
    output->file = -1;
    if (closed != 0 || rename(output->part, output->path) != 0)
        return write_failed(output, err);
    return STATUS_OK;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static enum status export_to(const struct export_options *o, struct client *client, const char *path,
                             struct output *output, struct error *err)
{
    const struct sink sink = {write_bytes, output};
    const struct client_watch watch = {on_progress, output};
    enum status status = output_open(o, output, err);
    if (status == STATUS_OK)
        status = client_download(client, path, &sink, &watch, err);
    return status == STATUS_OK ? output_keep(output, err) : status;
}

static int export(const struct export_options *o, const json_t *ids)
{
    struct error err = {""};
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    attribute_cleanup(cleanup_free) char *path = export_path(o, ids);
    attribute_cleanup(output_clear) struct output output = {.file = -1};
    progress_begin(&output.progress, o->json);
    if (o->out) /* else an interrupt just ends it */
        stop_signals_install();
    enum status status = path ? client_open(&o->client, &client, &err) : error_no_memory(&err);
    if (status == STATUS_OK)
        status = export_to(o, client, path, &output, &err);
    progress_clear(&output.progress);
    if (status != STATUS_OK)
        return client_complain(client, "export", NULL, &err);
    if (!o->json)
        return 0;
    attribute_cleanup(cleanup_json) json_t *told =
        json_pack("{s:s, s:I}", "file", o->out, "bytes", (json_int_t)output.bytes);
    return command_json(told);
}

static bool is_binary(const struct export_options *o)
{
    return is_file(o) || (o->format && (strcmp(o->format, "npz") == 0 || strcmp(o->format, "tfevents") == 0));
}

static int run(const void *options, const struct text_list *operands)
{
    const struct export_options *o = options;
    attribute_cleanup(cleanup_json) json_t *ids = command_ids(&export_command, operands);
    if (!ids)
        return 2;
    if ((operands->count > 0) == (o->filter != NULL))
        return command_misused(&export_command, "give either numbers of jobs or --filter");
    if (is_file(o) && (operands->count != 1 || o->format))
        return command_misused(&export_command, "--what %s is a file of one job; it takes no --format", o->what);
    if (o->json && !o->out)
        return command_misused(&export_command, "--json goes with --out");
    if (!o->out && is_binary(o) && isatty(STDOUT_FILENO) == 1)
        return command_misused(&export_command, "that is no text for a terminal: name a file with --out");
    return export(o, ids);
}

const struct command export_command = {
    .name = "export",
    .operands = "ID...",
    .summary = "write what jobs have measured as CSV, NDJSON, NPZ or for TensorBoard",
    .description =
        "Writes what jobs of a server have measured, whole and as it comes, to a file or to standard output. Rows of "
        "several jobs begin with the column \"job\". A file has its name only when it is whole: where the server "
        "breaks "
        "off, or an interrupt comes, none is left.",
    .failure = "it could not be written whole",
    .arguments = arguments,
    .options_size = sizeof(struct export_options),
    .most = SIZE_MAX,
    .operand_kind = OPERAND_JOB,
    .run = run,
};
