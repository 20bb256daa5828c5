/*
 * Rows of single samples.
 *
 * As they stand, a site at a time, in depth order: the table is keyed by site first, so that each range of steps is one
 * seek, and a filter looks only at what lies in the ranges. In another order all rows within the ranges are sorted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/file_util.h"
#include "server/filter.h"
#include "server/list.h"
#include "server/run_reader.h"
#include "server/text_stream.h"

enum { DEFAULT_ROWS = 1000 };

#define NUMBER(name)                                                                                                   \
    {                                                                                                                  \
        name, "d." name, FIELD_INTEGER, false                                                                          \
    }

enum { ROW_KEYS = 3 }; /* fields that tell rows apart */

/* `depth` is the site's place in depth order. */
static const struct list_field row_fields[] = {
    {"depth", "d.site", FIELD_INTEGER, true},
    {"step", "d.step", FIELD_INTEGER, true},
    {"sample", "d.sample", FIELD_INTEGER, true},
    {"site", "s.name", FIELD_TEXT, false},
    NUMBER("ideal_norm"),
    NUMBER("effective_norm"),
    NUMBER("scale"),
    NUMBER("cosine"),
    NUMBER("divergence"),
    NUMBER("self_factor"),
    NUMBER("scale_within"),
    NUMBER("scale_across"),
    NUMBER("interference"),
    NUMBER("interference_within"),
    NUMBER("interference_across"),
    NUMBER("input_norm"),
    NUMBER("network_scale"),
    NUMBER("network_cosine"),
    NUMBER("network_divergence"),
    {"loss", "t.loss", FIELD_INTEGER, false},
    {"label", "t.label", FIELD_INTEGER, false},
    {"predicted", "t.predicted", FIELD_INTEGER, false},
    {NULL, NULL, FIELD_TEXT, false},
};

/* What is shown of a row: its place, the columns that are asked for, what the network made of the sample. The caller
 * frees; NULL without memory. */
static char *shown_columns(const json_t *wanted, int *ret_count)
{
    struct text_stream stream;
    int count = 6;
    if (!text_stream_open(&stream))
        return NULL;
    fputs("s.name AS site, d.step AS step, d.sample AS sample", stream.out);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        const char *name = divergence_columns[i].name;
        bool is_wanted = json_array_size(wanted) == 0;
        for (size_t k = 0; k < json_array_size(wanted); k++)
            is_wanted |= strcmp(json_string_value(json_array_get(wanted, k)), name) == 0;
        if (is_wanted)
            fprintf(stream.out, ", d.%s AS %s", name, name);
        count += is_wanted;
    }
    fputs(", t.loss AS loss, t.label AS label, t.predicted AS predicted", stream.out);
    *ret_count = count;
    return text_stream_close(&stream, NULL);
}

/* --- as they stand ------------------------------------------------------------------------------------------- */

/* Site by site, probed step by probed step, then the samples: every bound is a seek, with a page's start too. */
#define ROWS_SQL                                                                                                       \
    "SELECT %s, d.site FROM sites s "                                                                                  \
    "CROSS JOIN divergence_batch b ON b.site = s.site "                                                                \
    "AND b.step BETWEEN CASE WHEN s.site = ?5 THEN max(?6, ?3) ELSE ?3 END AND ?4 "                                    \
    "CROSS JOIN divergence d ON d.site = b.site AND d.step = +b.step "                                                 \
    "AND d.sample BETWEEN CASE WHEN s.site = ?5 AND b.step = ?6 THEN max(?7 + 1, ?8) ELSE ?8 END AND ?9 "              \
    "LEFT JOIN sample_steps t ON t.step = d.step AND t.sample = d.sample "                                             \
    "WHERE s.site BETWEEN max(?1, ?5) AND ?2 AND %s ORDER BY s.site, b.step, d.sample LIMIT :limit"
enum { AT_STEP = 1, AT_SAMPLE = 2 };

static void bind_rows(sqlite3_stmt *statement, const struct range *range, int64_t sample, size_t limit)
{
    const int64_t values[] = {range->site_from,   range->site_to,           range->step_from,
                              range->step_to,     range->after_site,        range->after_step,
                              range->after_third, sample >= 0 ? sample : 0, sample >= 0 ? sample : INT64_MAX};
    for (int i = 0; i < 9; i++)
        sqlite3_bind_int64(statement, i + 1, values[i]);
    sqlite3_bind_int64(statement, sqlite3_bind_parameter_index(statement, ":limit"), (sqlite3_int64)limit);
}

static enum status rows_as_they_stand(sqlite3 *db, const struct divergence_query *query, const struct range *range,
                                      const char *columns, const struct row_shape *shape, json_t **ret_json,
                                      struct error *err)
{
    attribute_cleanup(cleanup_filter) struct filter *filter = NULL;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *sql = NULL;
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    enum status status = items ? filter_parse(query->filter, row_fields, &filter, err) : error_no_memory(err);
    if (status == STATUS_OK) {
        sql = text_format(ROWS_SQL, columns, filter_sql(filter));
        status = sql ? db_prepare(db, sql, &statement, err) : error_no_memory(err);
    }
    if (status == STATUS_OK)
        status = filter_bind(filter, statement, err);
    if (status != STATUS_OK)
        return status;
    size_t limit = query->max_results ? query->max_results : DEFAULT_ROWS;
    bind_rows(statement, range, query->sample, limit + 1);
    char token[TOKEN_SIZE] = "";
    for (bool row = true;;) {
        status = db_row(statement, &row, err);
        if (status == STATUS_OK && (!row || json_array_size(items) == limit))
            return page_json(json_incref(items), row ? token : NULL, ret_json, err);
        if (status == STATUS_OK)
            status = row_to_json(statement, shape->count, items, err);
        if (status != STATUS_OK)
            return status;
        token_write(range, sqlite3_column_int64(statement, shape->count), sqlite3_column_int64(statement, AT_STEP),
                    sqlite3_column_int64(statement, AT_SAMPLE), token);
    }
}

/* --- in another order ---------------------------------------------------------------------------------------- */

static enum status rows_in_order(sqlite3 *db, const struct divergence_query *query, const struct range *range,
                                 const char *columns, const struct row_shape *shape, json_t **ret_json,
                                 struct error *err)
{
    attribute_cleanup(cleanup_free) char *within =
        text_format("d.site BETWEEN %" PRId64 " AND %" PRId64 " AND d.step BETWEEN %" PRId64 " AND %" PRId64
                    " AND d.sample BETWEEN %" PRId64 " AND %" PRId64,
                    range->site_from, range->site_to, range->step_from, range->step_to,
                    query->sample >= 0 ? query->sample : 0, query->sample >= 0 ? query->sample : INT64_MAX);
    attribute_cleanup(cleanup_free) char *asked =
        text_format("rows %s %" PRId64 " %" PRId64 " %" PRId64 " %zu %" PRId64, query->site ? query->site : "*",
                    query->step, query->step_from, query->step_to, query->last, query->sample);
    if (!asked || !within)
        return error_no_memory(err);
    const struct list list = {.name = asked,
                              .from = "divergence AS d JOIN sites AS s ON s.site = d.site "
                                      "LEFT JOIN sample_steps AS t ON t.step = d.step AND t.sample = d.sample",
                              .columns = columns,
                              .condition = within,
                              .fields = row_fields,
                              .keys = ROW_KEYS,
                              .shape = *shape};
    const struct list_query page = {.filter = query->filter,
                                    .order_by = query->order_by,
                                    .page_token = query->page_token,
                                    .max_results = query->max_results ? query->max_results : DEFAULT_ROWS};
    return list_page(db, &list, &page, ret_json, err);
}

enum status run_reader_rows(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                            struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    struct row_shape shape = {0};
    attribute_cleanup(cleanup_free) char *columns = shown_columns(query->columns, &shape.count);
    struct divergence_query ranges = *query;
    struct range range;
    if (!columns)
        return error_no_memory(err);
    bool ordered = !text_is_blank(query->order_by);
    if (ordered)
        ranges.page_token = NULL; /* is the list's */
    status = query_resolve(reader, &ranges, 'r', &range, err);
    if (status != STATUS_OK)
        return status;
    return ordered ? rows_in_order(reading, query, &range, columns, &shape, ret_json, err)
                   : rows_as_they_stand(reading, query, &range, columns, &shape, ret_json, err);
}
