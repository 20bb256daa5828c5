/* Studies: a grid of jobs, how far they are, and what they have given. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_util.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/store_study.h"
#include "server/study_statistics.h"
#include "server/study_table.h"

const struct option results_parameters[] = {
    {.name = "keys",
     .kind = OPTION_STRINGS,
     .fallback = "[\"test/accuracy\", \"test/loss\"]",
     .distinct = true,
     .help = "figures of results, by commas: test/accuracy, median_scale/1.dense"},
    {.name = "compare",
     .kind = OPTION_STRING,
     .fallback = "null",
     .nullable = true,
     .help = "a key of the grid whose values are compared seed by seed: /model/variant"},
    OPTION_END,
};

static const char *const what_choices[] = {"jobs", "divergence", "metrics", "summary", "batch", NULL};

const struct option study_export_parameters[] = {
    EXPORT_PARAMETERS("\"jobs\"", what_choices,
                      "a line for each job with its point of the grid and its results, as csv or ndjson; "
                      "or what the jobs have measured"),
    OPTION_END,
};

/* A grid is seldom larger than a page. */
const struct option study_jobs_parameters[] = {LIST_PARAMETERS_OF("null", "10000", 10000), OPTION_END};

enum status handle_studies(struct request *request, struct answer *answer, struct error *err)
{
    return answer_list(request, &study_list, NULL, answer, err);
}

/* --- one study ----------------------------------------------------------------------------------------------- */

struct study_read {
    int64_t id;
    json_t *json;
};

static enum status read_study(sqlite3 *db, void *context, struct error *err)
{
    struct study_read *read = context;
    return store_study_json(db, read->id, &read->json, err);
}

static enum status read_rows(sqlite3 *db, void *context, struct error *err)
{
    struct study_read *read = context;
    return store_study_rows(db, read->id, &read->json, err);
}

static enum status study_of(struct request *request, catalog_use *use, struct study_read *ret_read, struct error *err)
{
    *ret_read = (struct study_read){0};
    enum status status = request_id(request, 0, &ret_read->id, err);
    return status == STATUS_OK ? scheduler_read(request->service->scheduler, use, ret_read, err) : status;
}

enum status handle_study(struct request *request, struct answer *answer, struct error *err)
{
    struct study_read read;
    enum status status = study_of(request, read_study, &read, err);
    return status == STATUS_OK ? answer_json(answer, read.json, err) : status;
}

struct jobs_read {
    int64_t id;
    struct list_query query;
    json_t *page;
};

static enum status read_jobs(sqlite3 *db, void *context, struct error *err)
{
    struct jobs_read *read = context;
    return store_study_jobs(db, read->id, &read->query, &read->page, err);
}

enum status handle_study_jobs(struct request *request, struct answer *answer, struct error *err)
{
    struct jobs_read read = {.query = list_query(request->parameters)};
    enum status status = request_id(request, 0, &read.id, err);
    if (status == STATUS_OK)
        status = scheduler_read(request->service->scheduler, read_jobs, &read, err);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 400, "invalid_parameter", status);
    return status == STATUS_OK ? answer_json(answer, read.page, err) : status;
}

enum status handle_study_results(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_free) const char **keys = option_strings(request->parameters, "keys");
    if (!keys)
        return error_no_memory(err);
    struct study_read read;
    json_t *results = NULL;
    enum status status = study_of(request, read_rows, &read, err);
    attribute_cleanup(cleanup_json) json_t *rows = status == STATUS_OK ? read.json : NULL;
    if (status == STATUS_OK)
        status = study_results(rows, keys, option_string(request->parameters, "compare"), &results, err);
    return status == STATUS_OK ? answer_json(answer, results, err) : status;
}

/* The study's jobs; the caller frees. */
static enum status job_ids(const json_t *rows, int64_t **ret_ids, struct error *err)
{
    int64_t *ids = calloc(json_array_size(rows) + 1, sizeof *ids);
    if (!ids)
        return error_no_memory(err);
    for (size_t i = 0; i < json_array_size(rows); i++)
        ids[i] = json_integer_value(json_object_get(json_array_get(rows, i), "job"));
    *ret_ids = ids;
    return STATUS_OK;
}

/* The jobs as a table, which is small. */
static enum status answer_jobs(const struct request *request, const json_t *rows, const char *name,
                               struct answer *answer, struct error *err)
{
    const char *format = option_string(request->parameters, "format");
    bool csv = strcmp(format, "csv") == 0;
    if (!csv && strcmp(format, "ndjson") != 0) {
        error_set(err, STATUS_INVALID, "the jobs of a study are written as csv or ndjson, not as %s", format);
        return answer_refuse(answer, 400, "invalid_parameter", STATUS_INVALID);
    }
    char *text = NULL;
    size_t size = 0;
    enum status status = study_table(rows, csv, &text, &size, err);
    if (status != STATUS_OK)
        return status;
    answer->bytes = (uint8_t *)text;
    answer->size = size;
    answer->content_type = csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
    answer_header(answer, "Content-Disposition", "attachment; filename=\"%s-jobs.%s\"", name, format);
    return STATUS_OK;
}

enum status handle_study_export(struct request *request, struct answer *answer, struct error *err)
{
    struct study_read read;
    attribute_cleanup(cleanup_free) int64_t *ids = NULL;
    char name[32];
    enum status status = study_of(request, read_rows, &read, err);
    attribute_cleanup(cleanup_json) json_t *rows = status == STATUS_OK ? read.json : NULL;
    if (status == STATUS_OK)
        status = job_ids(rows, &ids, err);
    if (status != STATUS_OK)
        return status;
    snprintf(name, sizeof name, "study-%" PRId64, read.id);
    if (strcmp(option_string(request->parameters, "what"), "jobs") == 0)
        return answer_jobs(request, rows, name, answer, err);
    return answer_export(request, ids, json_array_size(rows), name, true, answer, err);
}

enum status handle_study_cancel(struct request *request, struct answer *answer, struct error *err)
{
    struct study_read read;
    enum status status = study_of(request, read_rows, &read, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_json) json_t *rows = read.json;
    size_t count = json_array_size(rows);
    attribute_cleanup(cleanup_free) int64_t *ids = NULL;
    attribute_cleanup(cleanup_free) struct job_outcome *outcomes = calloc(count + 1, sizeof *outcomes);
    status = outcomes ? job_ids(rows, &ids, err) : error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    status = scheduler_act_many(request->service->scheduler, ACTION_CANCEL, ids, count, "the study was cancelled",
                                outcomes, err);
    return status == STATUS_OK ? handle_study(request, answer, err) : status;
}

static enum status delete_study(sqlite3 *db, void *context, struct error *err)
{
    return store_study_delete(db, *(const int64_t *)context, err);
}

enum status handle_study_delete(struct request *request, struct answer *answer, struct error *err)
{
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = scheduler_write(request->service->scheduler, delete_study, &id, err);
    return status == STATUS_OK ? answer_json(answer, json_pack("{s:I}", "id", (json_int_t)id), err) : status;
}

/* --- submission ---------------------------------------------------------------------------------------------- */

static void free_specs(struct spec **specs, size_t count)
{
    for (size_t i = 0; specs && i < count; i++)
        spec_free(specs[i]);
    free((void *)specs);
}

/* The specs of all points, which study_check has found right. */
static enum status make_specs(const struct study *study, const struct dataset_folders *folders,
                              struct problem_list *problems, struct spec ***ret_specs, struct error *err)
{
    struct spec **specs = (struct spec **)calloc(study->job_count + 1, sizeof *specs);
    enum status status = specs ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; i < study->job_count && status == STATUS_OK; i++)
        status = study_spec(study, i, folders, &specs[i], problems, err);
    if (status == STATUS_OK)
        *ret_specs = specs;
    else
        free_specs(specs, study->job_count);
    return status;
}

struct rate_read {
    const struct dataset_folders *folders;
    double flops_per_second;
};

static enum status read_rate(sqlite3 *db, void *context, struct error *err)
{
    struct rate_read *read = context;
    return store_recent_rate(db, read->folders, &read->flops_per_second, err);
}

/* What it would cost, and about how long it would take by what jobs did lately; null where none has finished. */
static enum status answer_estimate(struct request *request, struct answer *answer,
                                   const struct study_estimate *estimate, struct error *err)
{
    struct rate_read rate = {.folders = &request->service->folders};
    attribute_cleanup(cleanup_json) json_t *queue = NULL;
    enum status status = scheduler_read(request->service->scheduler, read_rate, &rate, err);
    if (status == STATUS_OK)
        status = scheduler_queue(request->service->scheduler, &queue, err);
    if (status != STATUS_OK)
        return status;
    double workers = (double)json_integer_value(json_object_get(queue, "workers"));
    double at_once = workers < (double)estimate->jobs ? workers : (double)estimate->jobs;
    json_t *seconds = rate.flops_per_second > 0 && at_once > 0
                          ? json_real(estimate->flops / rate.flops_per_second / at_once)
                          : json_null();
    return answer_json(answer,
                       json_pack("{s:b, s:I, s:f, s:f, s:f, s:o}", "valid", 1, "jobs", (json_int_t)estimate->jobs,
                                 "steps", estimate->steps, "flops", estimate->flops, "probe_rows", estimate->probe_rows,
                                 "seconds", seconds),
                       err);
}

static enum status submit_study(struct request *request, const struct study *study, struct answer *answer,
                                struct error *err)
{
    struct spec **specs = NULL;
    struct study_read read = {0};
    struct request_key key = {0};
    bool again = false;
    struct scheduler *scheduler = request->service->scheduler;
    enum status status = request_key(request, study->whole, &key, err);
    if (status == STATUS_OK)
        status = make_specs(study, &request->service->folders, &request->problems, &specs, err);
    if (status == STATUS_OK)
        status = scheduler_submit_study(scheduler, study, specs, key.given, &read.id, &again, err);
    if (specs)
        free_specs(specs, study->job_count);
    if (status == STATUS_CONFLICT)
        return answer_refuse(answer, 409, "key_used_otherwise", status);
    if (status == STATUS_OK)
        status = scheduler_read(scheduler, read_study, &read, err);
    if (status != STATUS_OK)
        return status;
    answer->http = again ? 200 : 201;
    answer_header(answer, "Location", "/api/v1/studies/%" PRId64, read.id);
    return answer_json(answer, read.json, err);
}

enum status handle_studies_submit(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_study) struct study *study = NULL;
    struct study_estimate estimate = {0};
    enum status status = study_parse(request->body, &study, &request->problems, err);
    if (status == STATUS_OK)
        status = study_check(study, &request->service->folders, &estimate, &request->problems, err);
    if (status == STATUS_NOT_FOUND)
        return answer_refuse(answer, 422, "dataset_not_found", status);
    if (status == STATUS_CORRUPT)
        return answer_refuse(answer, 422, "dataset_damaged", status);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 422, "invalid_study", status);
    if (status == STATUS_OK && option_boolean(request->parameters, "validate_only"))
        return answer_estimate(request, answer, &estimate, err);
    return status == STATUS_OK ? submit_study(request, study, answer, err) : status;
}
