/* What was measured: rows, summaries, counts, figures of the batch, and the sites. */
#include <string.h>

#include "core/divergence.h"
#include "server/json_util.h"
#include "server/route.h"
#include "server/run_access.h"

#define STEP_LIMIT 0x1p53

/* The parameters that several queries share. */
#define SITE_PARAMETER                                                                                                 \
    {                                                                                                                  \
        .name = "site", .kind = OPTION_STRING, .fallback = "null", .nullable = true, .help = "only this site, by name" \
    }
#define STEP_PARAMETER(its_name, its_help)                                                                             \
    {                                                                                                                  \
        .name = its_name, .kind = OPTION_INTEGER, .fallback = "null", .nullable = true, .minimum = 1,                  \
        .maximum = STEP_LIMIT, .help = its_help                                                                        \
    }
#define STEP_PARAMETERS                                                                                                \
    STEP_PARAMETER("step", "only this step"), STEP_PARAMETER("step_from", "from this step on"),                        \
        STEP_PARAMETER("step_to", "up to this step"), STEP_PARAMETER("last", "only the last so many probed steps")
#define PAGE_PARAMETERS                                                                                                \
    {.name = "max_results",                                                                                            \
     .kind = OPTION_INTEGER,                                                                                           \
     .fallback = "1000",                                                                                               \
     .minimum = 1,                                                                                                     \
     .maximum = 10000,                                                                                                 \
     .help = "items of a page"},                                                                                       \
    {                                                                                                                  \
        .name = "page_token", .kind = OPTION_STRING, .fallback = "null", .nullable = true,                             \
        .help = "next_page_token of the page before"                                                                   \
    }

const struct option rows_parameters[] = {
    LIST_PARAMETERS_OF("null", "1000", 10000),
    {.name = "column",
     .kind = OPTION_STRINGS,
     .fallback = "[]",
     .distinct = true,
     .help = "only these columns, by commas; all where none is named"},
    SITE_PARAMETER,
    STEP_PARAMETERS,
    {.name = "sample",
     .kind = OPTION_INTEGER,
     .fallback = "null",
     .nullable = true,
     .minimum = 0,
     .maximum = STEP_LIMIT,
     .help = "only this sample, by its index in the training set"},
    OPTION_END,
};

/* How a series over the steps is thinned: `what` of each stretch is kept. */
#define THIN_PARAMETERS(what)                                                                                          \
    {.name = "max_points",                                                                                             \
     .kind = OPTION_INTEGER,                                                                                           \
     .fallback = "null",                                                                                               \
     .nullable = true,                                                                                                 \
     .minimum = 6,                                                                                                     \
     .maximum = 1e9,                                                                                                   \
     .help = "at most so many steps; of each stretch are kept " what},                                                 \
    {                                                                                                                  \
        .name = "even_steps", .kind = OPTION_BOOLEAN, .fallback = "false",                                             \
        .help = "with max_points: the last step of each stretch is kept in their place, so that runs that were "       \
                "measured at the same steps keep the same"                                                             \
    }
#define LOG_STEPS_PARAMETER                                                                                            \
    {                                                                                                                  \
        .name = "log_steps", .kind = OPTION_BOOLEAN, .fallback = "false",                                              \
        .help = "stretches of steps are equally long on a logarithmic axis; else they hold equally many"               \
    }
#define SUMMARY_PARAMETERS                                                                                             \
    SITE_PARAMETER,                                                                                                    \
        {.name = "column", .kind = OPTION_STRING, .fallback = "null", .nullable = true, .help = "only this column"},   \
        STEP_PARAMETERS,                                                                                               \
        {.name = "pooled",                                                                                             \
         .kind = OPTION_BOOLEAN,                                                                                       \
         .fallback = "false",                                                                                          \
         .help = "one item a site and column, its steps' histograms merged"},                                          \
        {.name = "windows",                                                                                            \
         .kind = OPTION_INTEGER,                                                                                       \
         .fallback = "null",                                                                                           \
         .nullable = true,                                                                                             \
         .minimum = 1,                                                                                                 \
         .maximum = 10000,                                                                                             \
         .help = "with pooled: the probed steps in at most so many stretches, an item each, all on one page"},         \
        LOG_STEPS_PARAMETER, PAGE_PARAMETERS

const struct option histograms_parameters[] = {SUMMARY_PARAMETERS, OPTION_END};

const struct option summaries_parameters[] = {
    SUMMARY_PARAMETERS,
    THIN_PARAMETERS("those of the lowest 5 % quantile, the lowest and highest median and the highest 95 % quantile, by "
                    "site and column, all on one page"),
    OPTION_END,
};

const struct option density_parameters[] = {
    {.name = "site", .kind = OPTION_STRING, .fallback = NULL, .help = "the site, by name"},
    {.name = "x", .kind = OPTION_STRING, .fallback = "\"self_factor\"", .help = "the column across"},
    {.name = "y", .kind = OPTION_STRING, .fallback = "\"scale\"", .help = "the column up"},
    STEP_PARAMETERS,
    OPTION_END,
};

const struct option batch_parameters[] = {
    SITE_PARAMETER,
    STEP_PARAMETERS,
    THIN_PARAMETERS(
        "those that predict the least and the most of all sites together, and whose loss fell the least and "
        "the most"),
    LOG_STEPS_PARAMETER,
    OPTION_END,
};

static int64_t integer(const json_t *parameters, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(parameters, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static struct divergence_query read_query(const json_t *given)
{
    return (struct divergence_query){.site = json_string_value(json_object_get(given, "site")),
                                     .column = json_string_value(json_object_get(given, "column")),
                                     .columns = json_object_get(given, "column"),
                                     .filter = json_string_value(json_object_get(given, "filter")),
                                     .order_by = json_string_value(json_object_get(given, "order_by")),
                                     .step = integer(given, "step", 0),
                                     .step_from = integer(given, "step_from", 0),
                                     .step_to = integer(given, "step_to", 0),
                                     .last = (size_t)integer(given, "last", 0),
                                     .sample = integer(given, "sample", -1),
                                     .max_results = (size_t)integer(given, "max_results", 0),
                                     .max_points = (size_t)integer(given, "max_points", 0),
                                     .windows = (size_t)integer(given, "windows", 0),
                                     .even_steps = json_is_true(json_object_get(given, "even_steps")),
                                     .log_steps = json_is_true(json_object_get(given, "log_steps")),
                                     .page_token = json_string_value(json_object_get(given, "page_token")),
                                     .pooled = json_is_true(json_object_get(given, "pooled"))};
}

typedef enum status run_query(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                              struct error *err);

/* Asks the request's run; `nothing` is the answer of a job that has not begun (taken). */
static enum status ask(struct request *request, struct answer *answer, run_query *query, json_t *nothing,
                       struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *empty = nothing;
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    const struct divergence_query asked = read_query(request->parameters);
    json_t *json = NULL;
    enum status status = run_access(request, &reader, err);
    if (status == STATUS_OK && !reader)
        return answer_json(answer, json_incref(empty), err);
    if (status == STATUS_OK)
        status = query(reader, &asked, &json, err);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}

static json_t *empty_page(void)
{
    return json_pack("{s:[], s:n}", "items", "next_page_token");
}

enum status handle_rows(struct request *request, struct answer *answer, struct error *err)
{
    return ask(request, answer, run_reader_rows, empty_page(), err);
}

enum status handle_summaries(struct request *request, struct answer *answer, struct error *err)
{
    return ask(request, answer, run_reader_summaries, empty_page(), err);
}

static enum status histograms(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                              struct error *err)
{
    struct divergence_query with = *query;
    with.cells = true;
    return run_reader_summaries(reader, &with, ret_json, err);
}

enum status handle_histograms(struct request *request, struct answer *answer, struct error *err)
{
    return ask(request, answer, histograms, empty_page(), err);
}

enum status handle_batch(struct request *request, struct answer *answer, struct error *err)
{
    json_t *empty = json_pack("{s:[], s:[], s:n, s:i, s:i, s:i, s:i, s:i}", "items", "steps", "next_page_token",
                              "shown", 0, "of", 0, "measured", 0, "kept", 0, "rose", 0);
    return ask(request, answer, run_reader_batch, empty, err);
}

enum status handle_sites(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    json_t *json = NULL;
    enum status status = run_access(request, &reader, err);
    if (status == STATUS_OK)
        status = run_reader_sites(reader, &json, err);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}

enum status handle_density(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    const json_t *given = request->parameters;
    const char *x = option_string(given, "x"), *y = option_string(given, "y");
    const struct divergence_query asked = read_query(given);
    json_t *json = NULL;
    enum status status = run_access(request, &reader, err);
    if (status == STATUS_OK)
        status = run_reader_density(reader, &asked, x, y, &json, err);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}
