/* What a run left besides its divergence: scalars, log, weights. */
#include "server/json_util.h"
#include "server/route.h"
#include "server/run_access.h"

const struct option metrics_parameters[] = {
    {.name = "keys",
     .kind = OPTION_STRINGS,
     .fallback = "[]",
     .most = 100,
     .distinct = true,
     .help = "only these, by commas; all where none is named"},
    {.name = "max_points",
     .kind = OPTION_INTEGER,
     .fallback = "null",
     .nullable = true,
     .minimum = 4,
     .maximum = 1e9,
     .help = "at most so many points a series: the lowest and highest of each stretch are kept"},
    OPTION_END,
};

const struct option log_parameters[] = {LIST_PARAMETERS("null"), OPTION_END};

enum status handle_metrics(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    const json_t *limit = json_object_get(request->parameters, "max_points");
    attribute_cleanup(cleanup_free) const char **keys = option_strings(request->parameters, "keys");
    if (!keys)
        return error_no_memory(err);
    json_t *json = NULL;
    enum status status = run_access(request, &reader, err);
    if (status == STATUS_OK && !reader)
        return answer_json(answer, json_pack("{s:[]}", "series"), err);
    if (status == STATUS_OK)
        status = run_reader_metrics(reader, *keys ? keys : NULL, (size_t)json_integer_value(limit), &json, err);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}

enum status handle_log(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    json_t *json = NULL;
    enum status status = run_access(request, &reader, err);
    if (status == STATUS_OK && !reader)
        return answer_json(answer, json_pack("{s:[], s:n}", "items", "next_page_token"), err);
    const struct list_query query = list_query(request->parameters);
    if (status == STATUS_OK)
        status = run_reader_log(reader, &query, &json, err);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 400, "invalid_parameter", status);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}

enum status handle_weights(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum status status = run_access(request, &reader, err);
    if (status == STATUS_OK && !reader)
        status = error_set(err, STATUS_NOT_FOUND, "the job has not begun: it has no weights yet");
    if (status == STATUS_OK)
        status = run_reader_weights(reader, &bytes, &size, err);
    if (status != STATUS_OK)
        return status;
    answer->bytes = bytes;
    answer->size = size;
    answer->content_type = "application/octet-stream";
    answer_header(answer, "Content-Disposition", "attachment; filename=\"job-%s.safetensors\"", request->captures[0]);
    return STATUS_OK;
}
