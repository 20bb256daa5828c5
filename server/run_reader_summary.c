/*
 * Summaries of columns: step by step as they were stored, or pooled over steps.
 *
 * Pooled counts, extremes, mean and deviation are exact (moments are merged by the formula of Chan, Golub and LeVeque);
 * pooled quantiles come from the merged histograms.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/run_reader.h"

#define SUMMARY_SQL                                                                                                    \
    "SELECT step, count, undefined, nonpositive, mean, sd, minimum, maximum, q01, q05, q25, q50, q75, q95, q99, "      \
    "histogram FROM divergence_summary WHERE site = ? AND \"column\" = ? AND step BETWEEN ? AND ? ORDER BY step"
enum { AT_STEP, AT_COUNT, AT_UNDEFINED, AT_NONPOSITIVE, AT_MEAN, AT_SD, AT_MINIMUM, AT_MAXIMUM, AT_QUANTILES };
enum { AT_HISTOGRAM = AT_QUANTILES + QUANTILE_COUNT };

/* A walk over sites and columns that fills one page. */
struct walk {
    sqlite3_stmt *statement;
    const struct range *range;
    json_t *items;
    size_t limit;           /* 0: none */
    char token[TOKEN_SIZE]; /* of the last item */
    bool more;              /* the page is full and there is another item */
    bool cells;             /* items with their histograms */
};

static enum status walk_add(struct walk *walk, json_t *item, int64_t site, int64_t step, int column, struct error *err)
{
    if (walk->limit > 0 && json_array_size(walk->items) == walk->limit) {
        json_decref(item);
        walk->more = true;
        return STATUS_OK;
    }
    token_write(walk->range, site, step, column, walk->token);
    return json_add(walk->items, item, err);
}

static json_t *quantiles_json(const double quantiles[QUANTILE_COUNT])
{
    json_t *json = json_object();
    for (int q = 0; q < QUANTILE_COUNT && json; q++) {
        char percent[8];
        snprintf(percent, sizeof percent, "%d", quantile_percent[q]);
        if (json_object_set_new(json, percent, json_number_or_null(quantiles[q])) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static double number_at(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NAN : sqlite3_column_double(statement, column);
}

static json_t *summary_json(const char *site, const char *key, json_t *steps, int column,
                            const struct column_summary *summary)
{
    return json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "site", site, key, steps, "column",
                     divergence_columns[column].name, "count", (json_int_t)summary->count, "undefined",
                     (json_int_t)summary->undefined, "nonpositive", (json_int_t)summary->nonpositive, "mean",
                     json_number_or_null(summary->mean), "sd", json_number_or_null(summary->deviation), "minimum",
                     json_number_or_null(summary->minimum), "maximum", json_number_or_null(summary->maximum),
                     "quantiles", quantiles_json(summary->quantiles));
}

static void read_summary(sqlite3_stmt *statement, struct column_summary *ret_summary)
{
    *ret_summary = (struct column_summary){
        .count = (size_t)sqlite3_column_int64(statement, AT_COUNT),
        .undefined = (size_t)sqlite3_column_int64(statement, AT_UNDEFINED),
        .nonpositive = (size_t)sqlite3_column_int64(statement, AT_NONPOSITIVE),
        .mean = number_at(statement, AT_MEAN),
        .deviation = number_at(statement, AT_SD),
        .minimum = number_at(statement, AT_MINIMUM),
        .maximum = number_at(statement, AT_MAXIMUM),
    };
    for (int q = 0; q < QUANTILE_COUNT; q++)
        ret_summary->quantiles[q] = number_at(statement, AT_QUANTILES + q);
}

/* The bins that are not empty; takes nothing. */
static json_t *cells_json(const uint64_t counts[BIN_COUNT])
{
    json_t *cells = json_array();
    for (int bin = 0; cells && bin < BIN_COUNT; bin++)
        if (counts[bin] > 0 && json_array_append_new(cells, json_pack("[i, I]", bin, (json_int_t)counts[bin])) != 0) {
            json_decref(cells);
            return NULL;
        }
    return cells;
}

static enum status merge_histogram(sqlite3_stmt *statement, uint64_t counts[BIN_COUNT], struct error *err)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, AT_HISTOGRAM);
    return bytes ? histogram_merge(bytes, (size_t)sqlite3_column_bytes(statement, AT_HISTOGRAM), counts, err)
                 : STATUS_OK;
}

/* One item a step. */
static enum status walk_steps(struct walk *walk, const char *name, int64_t site, int column, struct error *err)
{
    sqlite3_stmt *statement = walk->statement;
    enum status status = STATUS_OK;
    for (bool row = true; status == STATUS_OK && !walk->more;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        struct column_summary summary;
        read_summary(statement, &summary);
        int64_t step = sqlite3_column_int64(statement, AT_STEP);
        json_t *item = summary_json(name, "step", json_integer(step), column, &summary);
        uint64_t counts[BIN_COUNT] = {0};
        if (walk->cells)
            status = merge_histogram(statement, counts, err);
        if (walk->cells && status == STATUS_OK)
            status = json_put(item, "cells", cells_json(counts), err);
        if (status != STATUS_OK)
            json_decref(item);
        else
            status = walk_add(walk, item, site, step, column, err);
    }
    return status;
}

struct pool {
    struct column_summary summary; /* deviation holds the sum of squared deviations while it grows */
    uint64_t counts[BIN_COUNT];
    json_t *steps;
};

static void pool_moments(struct column_summary *all, const struct column_summary *one)
{
    all->undefined += one->undefined;
    all->nonpositive += one->nonpositive;
    if (one->count == 0)
        return;
    double squares = one->count > 1 ? one->deviation * one->deviation * (double)(one->count - 1) : 0;
    if (all->count == 0) {
        all->mean = one->mean;
        all->deviation = squares;
        all->minimum = one->minimum;
        all->maximum = one->maximum;
    } else {
        double n = (double)all->count, m = (double)one->count, gap = one->mean - all->mean;
        all->mean += gap * m / (n + m);
        all->deviation += squares + gap * gap * n * m / (n + m);
        all->minimum = fmin(all->minimum, one->minimum);
        all->maximum = fmax(all->maximum, one->maximum);
    }
    all->count += one->count;
}

static enum status pool_add(struct pool *pool, sqlite3_stmt *statement, struct error *err)
{
    struct column_summary one;
    read_summary(statement, &one);
    pool_moments(&pool->summary, &one);
    enum status status = merge_histogram(statement, pool->counts, err);
    if (status == STATUS_OK)
        status = json_add(pool->steps, json_integer(sqlite3_column_int64(statement, AT_STEP)), err);
    return status;
}

static void pool_finish(struct pool *pool)
{
    struct column_summary *all = &pool->summary;
    if (all->count == 0)
        all->mean = all->minimum = all->maximum = NAN;
    all->deviation = all->count > 1 ? sqrt(all->deviation / (double)(all->count - 1)) : NAN;
    for (int q = 0; q < QUANTILE_COUNT; q++)
        all->quantiles[q] = histogram_quantile(pool->counts, quantile_percent[q] / 100.0, all->minimum, all->maximum);
}

/* One item for all steps; none where nothing was measured. */
static enum status walk_pooled(struct walk *walk, const char *name, int64_t site, int column, struct error *err)
{
    attribute_cleanup(cleanup_free) struct pool *pool = calloc(1, sizeof *pool);
    attribute_cleanup(cleanup_json) json_t *steps = json_array();
    if (!pool || !steps)
        return error_no_memory(err);
    pool->steps = steps;
    enum status status = STATUS_OK;
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(walk->statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = pool_add(pool, walk->statement, err);
    }
    if (status != STATUS_OK || json_array_size(steps) == 0)
        return status;
    pool_finish(pool);
    json_t *item = summary_json(name, "steps", json_incref(steps), column, &pool->summary);
    if (walk->cells)
        status = json_put(item, "cells", cells_json(pool->counts), err);
    if (status != STATUS_OK) {
        json_decref(item);
        return status;
    }
    return walk_add(walk, item, site, 0, column, err);
}

static enum status walk_column(struct walk *walk, const char *name, int64_t site, int column, bool pooled,
                               struct error *err)
{
    const struct range *range = walk->range;
    bool begun = site == range->after_site && column == range->after_third;
    int64_t from = begun && range->after_step >= range->step_from ? range->after_step + 1 : range->step_from;
    sqlite3_bind_int64(walk->statement, 1, site);
    db_bind_text(walk->statement, 2, divergence_columns[column].name);
    sqlite3_bind_int64(walk->statement, 3, from);
    sqlite3_bind_int64(walk->statement, 4, range->step_to);
    enum status status = (pooled ? walk_pooled : walk_steps)(walk, name, site, column, err);
    sqlite3_reset(walk->statement);
    return status;
}

static enum status walk_site(struct walk *walk, const char *name, int64_t site, const struct divergence_query *query,
                             struct error *err)
{
    int first = 0, end = COLUMN_COUNT;
    if (query->column) {
        first = (int)divergence_column(query->column);
        end = first + 1;
    }
    if (site == walk->range->after_site && walk->range->after_third + query->pooled > first)
        first =
            (int)(walk->range->after_third < COLUMN_COUNT ? walk->range->after_third : COLUMN_COUNT) + query->pooled;
    enum status status = STATUS_OK;
    for (int column = first; column < end && status == STATUS_OK && !walk->more; column++)
        status = walk_column(walk, name, site, column, query->pooled, err);
    return status;
}

static enum status walk_sites(struct walk *walk, struct run_reader *reader, const struct divergence_query *query,
                              struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *sites = NULL;
    const struct range *range = walk->range;
    enum status status = db_prepare(
        reader->db, "SELECT site, name FROM sites WHERE site BETWEEN max(?, ?) AND ? ORDER BY site", &sites, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(sites, 1, range->site_from);
    sqlite3_bind_int64(sites, 2, range->after_site);
    sqlite3_bind_int64(sites, 3, range->site_to);
    for (bool row = true; status == STATUS_OK && !walk->more;) {
        status = db_row(sites, &row, err);
        if (status != STATUS_OK || !row)
            break;
        const char *name = (const char *)sqlite3_column_text(sites, 1);
        status = name ? walk_site(walk, name, sqlite3_column_int64(sites, 0), query, err) : error_no_memory(err);
    }
    return status;
}

enum status run_reader_summaries(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                                 struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    struct range range;
    status = items ? query_resolve(reader, query, 's', &range, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = db_prepare(reading, SUMMARY_SQL, &statement, err);
    if (status != STATUS_OK)
        return status;
    struct walk walk = {
        .statement = statement, .range = &range, .items = items, .limit = query->max_results, .cells = query->cells};
    status = walk_sites(&walk, reader, query, err);
    if (status != STATUS_OK)
        return status;
    return page_json(json_incref(items), walk.more ? walk.token : NULL, ret_json, err);
}
