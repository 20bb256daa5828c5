/* Jobs: submitted, listed, shown, cancelled. */
#include <inttypes.h>
#include <string.h>

#include "core/spec.h"
#include "server/json_util.h"
#include "server/route.h"
#include "server/scheduler.h"

static const char *const state_choices[] = {"queued", "running",  "paused",    "finished",
                                            "failed", "diverged", "cancelled", NULL};
static const char *const order_choices[] = {"created_at desc", "created_at asc", NULL};

const struct option submit_parameters[] = {
    {.name = "validate_only",
     .kind = OPTION_BOOLEAN,
     .fallback = "false",
     .help = "check the spec and say what it would cost; nothing is started"},
    OPTION_END,
};

const struct option list_parameters[] = {
    {.name = "state",
     .kind = OPTION_CHOICE,
     .fallback = "null",
     .nullable = true,
     .choices = state_choices,
     .help = "only jobs in this state"},
    {.name = "order_by",
     .kind = OPTION_CHOICE,
     .fallback = "\"created_at desc\"",
     .choices = order_choices,
     .help = "newest or oldest first"},
    {.name = "max_results",
     .kind = OPTION_INTEGER,
     .fallback = "100",
     .minimum = 1,
     .maximum = 1000,
     .help = "items of a page"},
    {.name = "page_token",
     .kind = OPTION_STRING,
     .fallback = "null",
     .nullable = true,
     .help = "next_page_token of the page before"},
    OPTION_END,
};

/* The spec of a body, checked with its data set; its faults go to the request's problems. */
static enum status read_spec(struct request *request, struct answer *answer, struct spec **ret_spec, json_t **ret_cost,
                             struct error *err)
{
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    enum status status = spec_parse(request->body, &spec, &request->problems, err);
    if (status == STATUS_OK)
        status = spec_check(spec, &request->service->folders, ret_cost, &request->problems, err);
    if (status == STATUS_NOT_FOUND)
        answer_refuse(answer, 422, "dataset_not_found", status);
    if (status == STATUS_CORRUPT)
        answer_refuse(answer, 422, "dataset_damaged", status);
    if (status == STATUS_INVALID)
        answer_refuse(answer, 422, "invalid_spec", status);
    if (status == STATUS_OK) {
        *ret_spec = spec;
        spec = NULL;
    }
    return status;
}

enum status handle_jobs_submit(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    attribute_cleanup(cleanup_json) json_t *cost = NULL;
    enum status status = read_spec(request, answer, &spec, &cost, err);
    if (status != STATUS_OK)
        return status;
    if (option_boolean(request->parameters, "validate_only"))
        return answer_json(answer,
                           json_pack("{s:b, s:O, s:s, s:O}", "valid", 1, "spec", spec->expanded, "spec_hash",
                                     spec->hash, "cost", cost),
                           err);
    int64_t id = 0;
    json_t *job = NULL;
    status = scheduler_submit(request->service->scheduler, spec, &id, err);
    if (status == STATUS_OK)
        status = scheduler_job(request->service->scheduler, id, &job, err);
    if (status != STATUS_OK)
        return status;
    answer->http = 201;
    answer_header(answer, "Location", "/api/v1/jobs/%" PRId64, id);
    return answer_json(answer, job, err);
}

enum status handle_jobs_list(struct request *request, struct answer *answer, struct error *err)
{
    const json_t *given = request->parameters;
    bool ascending = strcmp(option_string(given, "order_by"), "created_at asc") == 0;
    const struct job_query query = {.state = option_string(given, "state"),
                                    .max_results = (size_t)option_integer(given, "max_results"),
                                    .page_token = option_string(given, "page_token"),
                                    .ascending = ascending};
    json_t *page = NULL;
    enum status status = scheduler_jobs(request->service->scheduler, &query, &page, err);
    return status == STATUS_OK ? answer_json(answer, page, err) : status;
}

static enum status answer_job(struct request *request, int64_t id, struct answer *answer, struct error *err)
{
    json_t *job = NULL;
    enum status status = scheduler_job(request->service->scheduler, id, &job, err);
    return status == STATUS_OK ? answer_json(answer, job, err) : status;
}

enum status handle_job(struct request *request, struct answer *answer, struct error *err)
{
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    return status == STATUS_OK ? answer_job(request, id, answer, err) : status;
}

enum status handle_job_cancel(struct request *request, struct answer *answer, struct error *err)
{
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = scheduler_cancel(request->service->scheduler, id, NULL, err);
    return status == STATUS_OK ? answer_job(request, id, answer, err) : status;
}
