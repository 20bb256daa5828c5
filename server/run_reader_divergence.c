/*
 * Rows of single samples.
 *
 * A site at a time, in depth order: the tables are keyed by site first, so that each range of steps is one seek.
 */
#include <string.h>

#include "server/run_reader.h"

enum { DEFAULT_ROWS = 1000 };

/* Site by site, probed step by probed step, then the samples: every bound is a seek, with a page's start too. */
#define ROWS_SQL                                                                                                       \
    "SELECT s.site, b.step, d.sample, s.name, t.loss, t.label, t.predicted, d.* FROM sites s "                         \
    "CROSS JOIN divergence_batch b ON b.site = s.site "                                                                \
    "AND b.step BETWEEN CASE WHEN s.site = ?5 THEN max(?6, ?3) ELSE ?3 END AND ?4 "                                    \
    "CROSS JOIN divergence d ON d.site = b.site AND d.step = b.step "                                                  \
    "AND d.sample BETWEEN CASE WHEN s.site = ?5 AND b.step = ?6 THEN max(?7 + 1, ?8) ELSE ?8 END AND ?9 "              \
    "LEFT JOIN sample_steps t ON t.step = d.step AND t.sample = d.sample "                                             \
    "WHERE s.site BETWEEN max(?1, ?5) AND ?2 ORDER BY s.site, b.step, d.sample LIMIT ?10"
enum { ROWS_NAME = 3, ROWS_LOSS = 4, ROWS_LABEL = 5, ROWS_PREDICTED = 6, ROWS_VALUES = 10 };

static void bind_rows(sqlite3_stmt *statement, const struct range *range, int64_t sample, size_t limit)
{
    const int64_t values[] = {range->site_from,   range->site_to,           range->step_from,
                              range->step_to,     range->after_site,        range->after_step,
                              range->after_third, sample >= 0 ? sample : 0, sample >= 0 ? sample : INT64_MAX,
                              (int64_t)limit};
    for (int i = 0; i < 10; i++)
        sqlite3_bind_int64(statement, i + 1, values[i]);
}

static enum status row_json(sqlite3_stmt *statement, const char *column, json_t *items, struct error *err)
{
    json_t *item = json_pack("{s:o, s:I, s:I}", "site", db_json(statement, ROWS_NAME), "step",
                             (json_int_t)sqlite3_column_int64(statement, 1), "sample",
                             (json_int_t)sqlite3_column_int64(statement, 2));
    enum status status = json_add(items, item, err);
    for (int i = 0; i < COLUMN_COUNT && status == STATUS_OK; i++)
        if (!column || strcmp(column, divergence_columns[i].name) == 0)
            status = json_put(item, divergence_columns[i].name, db_json(statement, ROWS_VALUES + i), err);
    if (status == STATUS_OK)
        status = json_put(item, "loss", db_json(statement, ROWS_LOSS), err);
    if (status == STATUS_OK)
        status = json_put(item, "label", db_json(statement, ROWS_LABEL), err);
    if (status == STATUS_OK)
        status = json_put(item, "predicted", db_json(statement, ROWS_PREDICTED), err);
    return status;
}

enum status run_reader_rows(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                            struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    struct range range;
    status = query_resolve(reader, query, 'r', &range, err);
    if (status == STATUS_OK)
        status = db_prepare(reading, ROWS_SQL, &statement, err);
    if (status != STATUS_OK)
        return status;
    size_t limit = query->max_results ? query->max_results : DEFAULT_ROWS;
    bind_rows(statement, &range, query->sample, limit + 1);
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    if (!items)
        return error_no_memory(err);
    char token[TOKEN_SIZE] = "";
    for (bool row = true;;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK)
            return status;
        if (!row || json_array_size(items) == limit)
            return page_json(json_incref(items), row ? token : NULL, ret_json, err);
        status = row_json(statement, query->column, items, err);
        if (status != STATUS_OK)
            return status;
        token_write(&range, sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                    sqlite3_column_int64(statement, 2), token);
    }
}
