/* Series of scalars, thinned for plots: the lowest and highest of each stretch stay, and one that is not finite. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/array.h"
#include "server/run_reader.h"
#include "server/thin.h"

struct series {
    struct point {
        int64_t step;
        double value;
    } * points;
    size_t count, capacity;
    bool nonfinite; /* one of the values is */
};

static void series_clear(struct series *series)
{
    free(series->points);
    *series = (struct series){0};
}

static enum status series_add(struct series *series, int64_t step, double value, struct error *err)
{
    struct point *points = array_room(series->points, series->count, &series->capacity, sizeof *points);
    if (!points)
        return error_no_memory(err);
    series->points = points;
    points[series->count++] = (struct point){step, value};
    series->nonfinite |= !isfinite(value);
    return STATUS_OK;
}

/* The columns value and nonfinite. */
static double scalar_at(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? nonfinite_value((const char *)sqlite3_column_text(statement, column + 1))
               : sqlite3_column_double(statement, column);
}

static enum status series_read(sqlite3_stmt *statement, const char *key, struct series *series, struct error *err)
{
    db_bind_text(statement, 1, key);
    enum status status = STATUS_OK;
    for (bool row = true; row && status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = series_add(series, sqlite3_column_int64(statement, 0), scalar_at(statement, 1), err);
    }
    sqlite3_reset(statement);
    return status;
}

static void series_thin(const struct series *series, size_t max_points, bool *keep)
{
    const size_t stride = sizeof *series->points / sizeof(double);
    const struct thin_key value = {.values = &series->points->value,
                                   .stride = stride,
                                   .lowest = true,
                                   .highest = true,
                                   .nonfinite = series->nonfinite};
    const struct thin_steps over = {.values = &series->points->step, .stride = stride};
    thin(&value, 1, &over, series->count, max_points, keep);
}

static enum status series_json(const struct series *series, const char *key, size_t max_points, json_t **ret_json,
                               struct error *err)
{
    attribute_cleanup(cleanup_free) bool *keep = calloc(series->count + 1, sizeof *keep);
    if (!keep)
        return error_no_memory(err);
    if (series->count > 0)
        series_thin(series, max_points, keep);
    json_t *steps = json_array(), *values = json_array();
    enum status status = steps && values ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; i < series->count && status == STATUS_OK; i++) {
        if (!keep[i])
            continue;
        status = json_add(steps, json_integer(series->points[i].step), err);
        if (status == STATUS_OK)
            status = json_add(values, json_number_or_word(series->points[i].value), err);
    }
    size_t shown = json_array_size(steps);
    json_t *json = json_pack("{s:s, s:I, s:I, s:o, s:o}", "key", key, "shown", (json_int_t)shown, "of",
                             (json_int_t)series->count, "steps", steps, "values", values);
    if (status == STATUS_OK && !json)
        status = error_no_memory(err);
    if (status != STATUS_OK) {
        json_decref(json);
        return status;
    }
    *ret_json = json;
    return STATUS_OK;
}

static enum status add_series(sqlite3_stmt *statement, const char *key, size_t max_points, json_t *list,
                              struct error *err)
{
    struct series series = {0};
    json_t *json = NULL;
    enum status status = series_read(statement, key, &series, err);
    if (status == STATUS_OK)
        status = series_json(&series, key, max_points, &json, err);
    if (status == STATUS_OK)
        status = json_add(list, json, err);
    series_clear(&series);
    return status;
}

/* The distinct keys, each found by one seek past the one before: a DISTINCT would read every row. */
#define KEYS_SQL                                                                                                       \
    "WITH RECURSIVE k (key) AS (SELECT min(key) FROM scalars UNION ALL "                                               \
    "SELECT (SELECT min(key) FROM scalars WHERE key > k.key) FROM k WHERE k.key IS NOT NULL) "                         \
    "SELECT key FROM k WHERE key IS NOT NULL"

static enum status add_all_series(struct run_reader *reader, sqlite3_stmt *statement, size_t max_points, json_t *list,
                                  struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *keys = NULL;
    enum status status = db_prepare(reader->db, KEYS_SQL, &keys, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(keys, &row, err);
        if (status != STATUS_OK || !row)
            break;
        const char *key = (const char *)sqlite3_column_text(keys, 0);
        status = key ? add_series(statement, key, max_points, list, err) : error_no_memory(err);
    }
    return status;
}

enum status run_reader_metrics(struct run_reader *reader, const char *const *keys, size_t max_points, json_t **ret_json,
                               struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    status =
        db_prepare(reading, "SELECT step, value, nonfinite FROM scalars WHERE key = ? ORDER BY step", &statement, err);
    if (status != STATUS_OK)
        return status;
    json_t *list = json_array();
    json_t *json = json_pack("{s:o}", "series", list);
    if (!json)
        return error_no_memory(err);
    if (!keys)
        status = add_all_series(reader, statement, max_points, list, err);
    for (size_t i = 0; keys && keys[i] && status == STATUS_OK; i++)
        status = add_series(statement, keys[i], max_points, list, err);
    if (status != STATUS_OK) {
        json_decref(json);
        return status;
    }
    *ret_json = json;
    return STATUS_OK;
}

enum status run_reader_values(struct run_reader *reader, const char *key, const int64_t *steps, size_t count,
                              json_t *values, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(reader->db, "SELECT value, nonfinite FROM scalars WHERE key = ?1 AND step = ?2", &statement, err);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        bool row = false;
        db_bind_text(statement, 1, key);
        sqlite3_bind_int64(statement, 2, steps[i]);
        status = db_row(statement, &row, err);
        if (status == STATUS_OK)
            status = json_add(values, row ? json_number_or_word(scalar_at(statement, 0)) : json_null(), err);
        sqlite3_reset(statement);
    }
    return status;
}
