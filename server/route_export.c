/* Runs taken away whole: as tables in several formats, as their database; and a run that comes from elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/export_stream.h"
#include "server/json_util.h"
#include "server/route.h"
#include "server/run_copy.h"
#include "server/run_file.h"
#include "server/scheduler.h"
#include "server/store_import.h"
#include "server/temporary.h"

static const char *const what_choices[] = {"divergence", "metrics", "summary", "batch", NULL};

const struct option export_parameters[] = {EXPORT_PARAMETERS("\"divergence\"", what_choices, "which rows"), OPTION_END};
const struct option export_many_parameters[] = {
    EXPORT_PARAMETERS("\"divergence\"", what_choices, "which rows"),
    {.name = "filter",
     .kind = OPTION_STRING,
     .fallback = NULL,
     .help = "which jobs: state = 'finished' AND id IN (1, 2)"},
    OPTION_END,
};

enum { MOST_RUNS = 10000 };

/* --- as tables ----------------------------------------------------------------------------------------------- */

static void free_runs(struct export_run *runs, size_t count)
{
    for (size_t i = 0; runs && i < count; i++)
        free((char *)(uintptr_t)runs[i].path);
    free(runs);
}

static enum status make_runs(struct request *request, const int64_t *ids, size_t count, struct export_run **ret_runs,
                             struct error *err)
{
    struct export_run *runs = calloc(count + 1, sizeof *runs);
    enum status status = runs ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        char *path = NULL;
        status = scheduler_run_path(request->service->scheduler, ids[i], &path, err);
        runs[i] = (struct export_run){ids[i], path};
    }
    if (status == STATUS_OK)
        *ret_runs = runs;
    else
        free_runs(runs, count);
    return status;
}

enum status answer_export(struct request *request, const int64_t *ids, size_t count, const char *name, bool several,
                          struct answer *answer, struct error *err)
{
    struct export_request wanted = {.run_count = count, .with_job = several};
    struct export_run *runs = NULL;
    struct export_stream *stream = NULL;
    enum status status = export_table_find(option_string(request->parameters, "what"), &wanted.table, err);
    if (status == STATUS_OK)
        status = export_format_find(option_string(request->parameters, "format"), &wanted.format, err);
    if (status == STATUS_OK)
        status = make_runs(request, ids, count, &runs, err);
    wanted.runs = runs;
    if (status == STATUS_OK)
        status = export_stream_open(&wanted, &stream, err);
    free_runs(runs, count);
    if (status != STATUS_OK)
        return status;
    answer->content_type = export_media_type(wanted.format);
    answer->text = export_is_text(wanted.format);
    answer->read = export_stream_read;
    answer->close = export_stream_close;
    answer->context = stream;
    answer_header(answer, "Content-Disposition", "attachment; filename=\"%s-%s.%s\"", name,
                  option_string(request->parameters, "what"), export_extension(wanted.format));
    return STATUS_OK;
}

/* The id at the first capture, of a job that there is. */
static enum status job_id(struct request *request, int64_t *ret_id, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    enum status status = request_id(request, 0, ret_id, err);
    return status == STATUS_OK ? scheduler_job(request->service->scheduler, *ret_id, &job, err) : status;
}

enum status handle_export(struct request *request, struct answer *answer, struct error *err)
{
    int64_t id = 0;
    char name[32];
    enum status status = job_id(request, &id, err);
    snprintf(name, sizeof name, "job-%" PRId64, id);
    return status == STATUS_OK ? answer_export(request, &id, 1, name, false, answer, err) : status;
}

enum status handle_export_many(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_free) int64_t *ids = NULL;
    size_t count = 0;
    enum status status = scheduler_job_ids(request->service->scheduler, option_string(request->parameters, "filter"),
                                           false, MOST_RUNS, &ids, &count, err);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 400, "invalid_parameter", status);
    return status == STATUS_OK ? answer_export(request, ids, count, "plumbline", true, answer, err) : status;
}

/* --- as a database ------------------------------------------------------------------------------------------- */

/* The file has no name any more: it goes when the answer has been sent. */
static enum status answer_file(struct answer *answer, const char *path, struct error *err)
{
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool good = file >= 0 && fstat(file, &info) == 0;
    int code = errno;
    unlink(path);
    if (!good) {
        if (file >= 0)
            close(file);
        return error_set(err, STATUS_IO, "cannot read the copy: %s", strerror(code));
    }
    answer->file = file + 1;
    answer->size = (size_t)info.st_size;
    answer->content_type = "application/vnd.sqlite3";
    return STATUS_OK;
}

enum status handle_run_sqlite(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_free) char *run = NULL, *copy = NULL;
    int64_t id = 0;
    enum status status = job_id(request, &id, err);
    if (status == STATUS_OK)
        status = scheduler_run_path(request->service->scheduler, id, &run, err);
    if (status == STATUS_OK)
        status = temporary_name(request->service->data, &copy, err);
    if (status == STATUS_OK)
        status = run_file_copy(run, copy, err);
    if (status == STATUS_OK)
        status = answer_file(answer, copy, err);
    if (status == STATUS_OK)
        answer_header(answer, "Content-Disposition", "attachment; filename=\"job-%" PRId64 ".db\"", id);
    return status;
}

/* --- from elsewhere ------------------------------------------------------------------------------------------ */

static enum status take_in(struct request *request, const char *path, struct answer *answer, struct error *err)
{
    struct run_import import = {0};
    int64_t id = 0;
    enum status status = run_import_check(path, &import, err);
    if (status == STATUS_CORRUPT || status == STATUS_INVALID || status == STATUS_CONFLICT)
        answer_refuse(answer, 422, status == STATUS_CONFLICT ? "newer_file" : "invalid_file", status);
    if (status == STATUS_OK)
        status = store_run_prepare(path, err);
    if (status == STATUS_OK)
        status = scheduler_import(request->service->scheduler, &import, path, &id, err);
    run_import_clear(&import);
    if (status != STATUS_OK)
        return status;
    answer->http = 201;
    answer_header(answer, "Location", "/api/v1/jobs/%" PRId64, id);
    return answer_job(request, id, answer, err);
}

enum status handle_import(struct request *request, struct answer *answer, struct error *err)
{
    if (!request->upload)
        return error_set(err, STATUS_INVALID, "send the run file as the body, as application/vnd.sqlite3");
    enum status status = take_in(request, request->upload, answer, err);
    unlink(request->upload); /* it is still there where it was not taken in */
    return status;
}
