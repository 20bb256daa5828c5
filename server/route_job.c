/* Jobs: submitted, listed, shown, cancelled. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/file_util.h"
#include "core/spec.h"
#include "server/filter.h"
#include "server/job_tag.h"
#include "server/json_util.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/store.h"
#include "server/text_stream.h"

const struct option submit_parameters[] = {
    {.name = "validate_only",
     .kind = OPTION_BOOLEAN,
     .fallback = "false",
     .help = "check the spec and say what it would cost; nothing is started"},
    OPTION_END,
};

const struct option list_parameters[] = {
    {.name = "state",
     .kind = OPTION_STRINGS,
     .fallback = "[]",
     .distinct = true,
     .choices = job_state_names,
     .help = "only jobs in these states, by commas, of those that the filter wants; in any where none is named"},
    LIST_PARAMETERS("\"created_at desc\""),
    {.name = "trashed",
     .kind = OPTION_BOOLEAN,
     .fallback = "false",
     .help = "those in the trash in place of the others"},
    OPTION_END,
};

/* The spec of a body, checked with its data set; its faults go to the request's problems. */
static enum status read_spec(struct request *request, struct answer *answer, struct spec **ret_spec, json_t **ret_cost,
                             struct error *err)
{
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    enum status status = spec_parse_given(request->body, &request->service->folders, &spec, &request->problems, err);
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
    struct request_key key;
    int64_t id = 0;
    bool again = false;
    status = request_key(request, spec->expanded, &key, err); /* the spec's hash leaves out its name */
    if (status == STATUS_OK)
        status = scheduler_submit(request->service->scheduler, spec, key.given, &id, &again, err);
    if (status != STATUS_OK)
        return status == STATUS_CONFLICT ? answer_refuse(answer, 409, "key_used_otherwise", status) : status;
    answer->http = again ? 200 : 201;
    answer_header(answer, "Location", "/api/v1/jobs/%" PRId64, id);
    return answer_job(request, id, answer, err);
}

/* "state IN ('failed', 'diverged')"; the caller frees, NULL without memory. */
static char *in_states(const json_t *states)
{
    struct text_stream stream;
    size_t i;
    const json_t *state;
    if (!text_stream_open(&stream))
        return NULL;
    fputs("state IN (", stream.out);
    json_array_foreach((json_t *)states, i, state)
    {
        fprintf(stream.out, "%s'%s'", i > 0 ? ", " : "", json_string_value(state));
    }
    fputc(')', stream.out);
    return text_stream_close(&stream, NULL);
}

/* The filter, which is looked at alone first so that its faults lie where they were written, and the states besides. */
static enum status with_states(const char *filter, const json_t *states, char **ret_filter, struct error *err)
{
    attribute_cleanup(cleanup_filter) struct filter *parsed = NULL;
    attribute_cleanup(cleanup_free) char *among = NULL;
    enum status status = filter_parse(filter, job_fields, &parsed, err);
    if (status != STATUS_OK)
        return status;
    among = in_states(states);
    if (among)
        *ret_filter = text_is_blank(filter) ? text_format("%s", among) : text_format("%s AND (%s)", among, filter);
    return *ret_filter ? STATUS_OK : error_no_memory(err);
}

enum status handle_jobs_list(struct request *request, struct answer *answer, struct error *err)
{
    const json_t *states = json_object_get(request->parameters, "state");
    bool trashed = option_boolean(request->parameters, "trashed");
    attribute_cleanup(cleanup_free) char *filter = NULL;
    if (json_array_size(states) > 0) {
        enum status status = with_states(option_string(request->parameters, "filter"), states, &filter, err);
        if (status != STATUS_OK)
            return status == STATUS_INVALID ? answer_refuse(answer, 400, "invalid_parameter", status) : status;
    }
    return answer_list(request, trashed ? &trash_list : &job_list, filter, answer, err);
}

enum status answer_job(struct request *request, int64_t id, struct answer *answer, struct error *err)
{
    json_t *job = NULL;
    char tag[JOB_TAG_SIZE];
    enum status status = scheduler_job(request->service->scheduler, id, &job, err);
    if (status == STATUS_OK)
        status = answer_json(answer, job, err);
    if (status == STATUS_OK)
        status = job_tag(job, tag, err);
    if (status == STATUS_OK)
        answer_header(answer, "ETag", "%s", tag);
    return status;
}

enum status handle_job(struct request *request, struct answer *answer, struct error *err)
{
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    return status == STATUS_OK ? answer_job(request, id, answer, err) : status;
}
