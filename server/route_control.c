/* What can be done to jobs: one, or many by their ids or by a filter; and what a person may change of one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/filter_lexer.h"
#include "server/json_util.h"
#include "server/problem.h"
#include "server/retention.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/store.h"

enum { MOST_AT_ONCE = 10000 };

const struct option delete_parameters[] = {
    {.name = "purge",
     .kind = OPTION_BOOLEAN,
     .fallback = "false",
     .help = "for good, instead of into the trash: the run file is unlinked"},
    OPTION_END,
};

/* "…/jobs/7/pause", "…/jobs:pause": the word at the end. */
static enum job_action action_of(const struct request *request)
{
    const char *slash = strrchr(request->path, '/'), *colon = strrchr(request->path, ':');
    return job_action_parse((colon > slash ? colon : slash) + 1);
}

enum status handle_job_action(struct request *request, struct answer *answer, struct error *err)
{
    struct scheduler *scheduler = request->service->scheduler;
    enum job_action action = action_of(request);
    struct job_outcome outcome = {0};
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = scheduler_act(scheduler, action, id, NULL, &outcome, err);
    if (status != STATUS_OK)
        return status;
    if (action == ACTION_RETRY) {
        answer->http = 201;
        answer_header(answer, "Location", "/api/v1/jobs/%" PRId64, outcome.made);
        id = outcome.made;
    }
    return answer_job(request, id, answer, err);
}

enum status handle_job_delete(struct request *request, struct answer *answer, struct error *err)
{
    struct scheduler *scheduler = request->service->scheduler;
    bool purge = option_boolean(request->parameters, "purge");
    struct job_outcome outcome = {0};
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = scheduler_act(scheduler, purge ? ACTION_PURGE : ACTION_TRASH, id, NULL, &outcome, err);
    if (status != STATUS_OK)
        return status;
    if (!purge)
        return answer_job(request, id, answer, err);
    return answer_json(answer, json_pack("{s:I, s:I}", "id", (json_int_t)id, "bytes", (json_int_t)outcome.bytes), err);
}

/* --- many ---------------------------------------------------------------------------------------------------- */

static const struct option many_body[] = {
    {.name = "ids",
     .kind = OPTION_INTEGERS,
     .fallback = "[]",
     .minimum = 1,
     .maximum = 0x1p53,
     .most = MOST_AT_ONCE,
     .help = "these jobs"},
    {.name = "filter",
     .kind = OPTION_STRING,
     .fallback = "null",
     .nullable = true,
     .help = "or all that a filter wants; those in the trash only where they are restored or purged"},
    {.name = "reason", .kind = OPTION_STRING, .fallback = "null", .nullable = true, .help = "is kept with the change"},
    OPTION_END,
};

static enum status read_ids(struct request *request, const json_t *body, int64_t **ret_ids, size_t *ret_count,
                            struct answer *answer, struct error *err)
{
    const json_t *given = json_object_get(body, "ids");
    const char *filter = option_string(body, "filter");
    size_t count = json_array_size(given);
    if ((count > 0) == (filter != NULL)) {
        error_set(err, STATUS_INVALID, "give either ids or a filter");
        return answer_refuse(answer, 422, "invalid_body", STATUS_INVALID);
    }
    if (filter && text_is_blank(filter)) {
        problem_add(&request->problems, "/filter", "Is blank, which would be every job: say so by id > 0.");
        error_set(err, STATUS_INVALID, "the filter is blank");
        return answer_refuse(answer, 422, "invalid_body", STATUS_INVALID);
    }
    if (filter) {
        enum job_action action = action_of(request);
        enum status status =
            scheduler_job_ids(request->service->scheduler, filter, action == ACTION_RESTORE || action == ACTION_PURGE,
                              MOST_AT_ONCE, ret_ids, ret_count, err);
        if (status != STATUS_INVALID)
            return status;
        problem_add(&request->problems, "/filter", "%s", err->text);
        return answer_refuse(answer, 422, "invalid_body", status);
    }
    int64_t *ids = calloc(count, sizeof *ids);
    if (!ids)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        ids[i] = json_integer_value(json_array_get(given, i));
    *ret_ids = ids;
    *ret_count = count;
    return STATUS_OK;
}

static json_t *outcome_json(const struct job_outcome *outcome)
{
    bool good = outcome->status == STATUS_OK;
    json_t *json =
        json_pack("{s:I, s:b, s:s?, s:s?}", "id", (json_int_t)outcome->id, "done", good, "code",
                  good ? NULL : problem_of_status(outcome->status).code, "detail", good ? NULL : outcome->detail);
    if (json && outcome->made > 0)
        json_object_set_new(json, "made", json_integer(outcome->made));
    if (json && outcome->bytes > 0)
        json_object_set_new(json, "bytes", json_integer(outcome->bytes));
    return json;
}

static enum status act_on(struct request *request, const int64_t *ids, size_t count, const char *reason,
                          struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_free) struct job_outcome *outcomes = calloc(count + 1, sizeof *outcomes);
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    if (!outcomes || !items)
        return error_no_memory(err);
    enum status status =
        scheduler_act_many(request->service->scheduler, action_of(request), ids, count, reason, outcomes, err);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = json_add(items, outcome_json(&outcomes[i]), err);
    return status == STATUS_OK ? answer_json(answer, json_pack("{s:O}", "items", items), err) : status;
}

enum status handle_jobs_action(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body = options_expand(many_body, request->body, "", &request->problems);
    attribute_cleanup(cleanup_free) int64_t *ids = NULL;
    size_t count = 0;
    if (!body) {
        error_set(err, STATUS_INVALID, "the body does not say which jobs: {\"ids\": […]} or {\"filter\": \"…\"}");
        return answer_refuse(answer, 422, "invalid_body", STATUS_INVALID);
    }
    enum status status = read_ids(request, body, &ids, &count, answer, err);
    return status == STATUS_OK ? act_on(request, ids, count, option_string(body, "reason"), answer, err) : status;
}

/* --- changes ------------------------------------------------------------------------------------------------- */

static const struct option patch_body[] = {
    {.name = "name", .kind = OPTION_STRING, .fallback = "null", .nullable = true, .help = "what it is called"},
    {.name = "note", .kind = OPTION_STRING, .fallback = "null", .nullable = true, .help = "what is noted of it"},
    {.name = "tags", .kind = OPTION_STRINGS, .fallback = "null", .nullable = true, .help = "its tags"},
    {.name = "priority",
     .kind = OPTION_INTEGER,
     .fallback = "null",
     .nullable = true,
     .minimum = -1000000,
     .maximum = 1000000,
     .help = "higher goes first"},
    OPTION_END,
};

enum status handle_job_patch(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body = options_expand(patch_body, request->body, "", &request->problems);
    int64_t id = 0;
    enum status status = request_id(request, 0, &id, err);
    if (status != STATUS_OK)
        return status;
    if (!body) {
        error_set(err, STATUS_INVALID, "the body must be an object of what is to change: name, note, tags, priority");
        return answer_refuse(answer, 422, "invalid_body", STATUS_INVALID);
    }
    const json_t *given = json_object_get(body, "priority"), *tags = json_object_get(body, "tags");
    int priority = (int)json_integer_value(given);
    const struct job_patch patch = {.name = option_string(body, "name"),
                                    .note = option_string(body, "note"),
                                    .tags = json_is_array(tags) ? tags : NULL,
                                    .priority = json_is_integer(given) ? &priority : NULL,
                                    .if_match = request->if_match};
    status = scheduler_patch(request->service->scheduler, id, &patch, err);
    if (status == STATUS_CONFLICT)
        return answer_refuse(answer, 412, "changed_meanwhile", status);
    return status == STATUS_OK ? handle_job(request, answer, err) : status;
}

/* --- retention ------------------------------------------------------------------------------------------------ */

static const struct option retention_body[] = {
    {.name = "max_age_days", RETENTION_DAYS, .help = "since a job's end"},
    {.name = "max_count", RETENTION_COUNT, .help = "jobs that have ended"},
    {.name = "max_bytes", RETENTION_COUNT, .help = "of their run files"},
    {.name = "dry_run",
     .kind = OPTION_BOOLEAN,
     .fallback = "true",
     .help = "whether only to tell what would be purged"},
    OPTION_END,
};

enum status handle_jobs_retain(struct request *request, struct answer *answer, struct error *err)
{
    enum { DAY = 24 * 3600 };
    attribute_cleanup(cleanup_json) json_t *body =
        options_expand(retention_body, request->body, "", &request->problems);
    json_t *report = NULL;
    if (!body) {
        error_set(err, STATUS_INVALID, "the body must say what is kept: max_age_days, max_count or max_bytes");
        return answer_refuse(answer, 422, "invalid_body", STATUS_INVALID);
    }
    const struct retention retention = {.max_age_seconds =
                                            DAY * json_number_value(json_object_get(body, "max_age_days")),
                                        .max_count = json_integer_value(json_object_get(body, "max_count")),
                                        .max_bytes = json_integer_value(json_object_get(body, "max_bytes"))};
    enum status status =
        scheduler_retain(request->service->scheduler, &retention, option_boolean(body, "dry_run"), &report, err);
    return status == STATUS_OK ? answer_json(answer, report, err) : status;
}
