/*
 * Summaries of columns: step by step as they were stored, all or thinned for a plot, or pooled over steps.
 *
 * Pooled counts, extremes, mean and deviation are exact (moments are merged by the formula of Chan, Golub and LeVeque);
 * pooled quantiles come from the merged histograms.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/array.h"
#include "server/run_reader.h"
#include "server/thin.h"

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
    size_t limit;             /* 0: none */
    char token[TOKEN_SIZE];   /* of the last item */
    bool more;                /* the page is full and there is another item */
    bool cells;               /* items with their histograms */
    size_t max_points;        /* 0: all */
    bool even_steps;          /* thinned by the steps alone */
    json_t *series;           /* what was thinned, and of how many */
    bool log_steps;           /* stretches are equally long on a logarithmic axis */
    struct stretches windows; /* pooled: an item each; count 0: one item for all steps */
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
        .mean = db_number(statement, AT_MEAN),
        .deviation = db_number(statement, AT_SD),
        .minimum = db_number(statement, AT_MINIMUM),
        .maximum = db_number(statement, AT_MAXIMUM),
    };
    for (int q = 0; q < QUANTILE_COUNT; q++)
        ret_summary->quantiles[q] = db_number(statement, AT_QUANTILES + q);
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

/* The steps of a site and column while they are thinned. */
struct thinned {
    struct thinned_step {
        int64_t step;
        struct column_summary summary;
    } * steps;
    bool *keep;
    size_t count, capacity;
};

static void cleanup_thinned(struct thinned *all)
{
    free(all->steps);
    free(all->keep);
}

static enum status thinned_add(struct thinned *all, sqlite3_stmt *statement, struct error *err)
{
    struct thinned_step *steps = array_room(all->steps, all->count, &all->capacity, sizeof *steps);
    if (!steps)
        return error_no_memory(err);
    all->steps = steps;
    struct thinned_step *step = &all->steps[all->count++];
    step->step = sqlite3_column_int64(statement, AT_STEP);
    read_summary(statement, &step->summary);
    return STATUS_OK;
}

/* What a plot of quantiles over steps shows: the edges of its band, and the median. */
static enum status thinned_choose(struct thinned *all, const struct walk *walk, struct error *err)
{
    enum { Q05 = 1, Q50 = 3, Q95 = 5 };
    all->keep = calloc(all->count, sizeof *all->keep);
    if (!all->keep)
        return error_no_memory(err);
    const double *quantiles = all->steps->summary.quantiles;
    const size_t stride = sizeof *all->steps / sizeof *quantiles;
    const struct thin_key keys[] = {
        {.values = &quantiles[Q05], .stride = stride, .lowest = true},
        {.values = &quantiles[Q50], .stride = stride, .lowest = true, .highest = true},
        {.values = &quantiles[Q95], .stride = stride, .highest = true},
    };
    const struct thin_steps steps = {.values = &all->steps->step, .stride = stride, .log = walk->log_steps};
    thin(keys, walk->even_steps ? 0 : sizeof keys / sizeof *keys, &steps, all->count, walk->max_points, all->keep);
    return STATUS_OK;
}

static enum status thinned_json(struct walk *walk, const struct thinned *all, const char *name, int64_t site,
                                int column, struct error *err)
{
    size_t shown = 0, count = 0, undefined = 0, nonpositive = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < all->count && status == STATUS_OK; i++) {
        const struct thinned_step *step = &all->steps[i];
        count += step->summary.count;
        undefined += step->summary.undefined;
        nonpositive += step->summary.nonpositive;
        shown += all->keep[i];
        if (all->keep[i])
            status = walk_add(walk, summary_json(name, "step", json_integer(step->step), column, &step->summary), site,
                              step->step, column, err);
    }
    if (status != STATUS_OK)
        return status;
    return json_add(walk->series,
                    json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "site", name, "column",
                              divergence_columns[column].name, "shown", (json_int_t)shown, "of", (json_int_t)all->count,
                              "count", (json_int_t)count, "undefined", (json_int_t)undefined, "nonpositive",
                              (json_int_t)nonpositive),
                    err);
}

/* One item a step that stays; nothing where nothing was measured. */
static enum status walk_thinned(struct walk *walk, const char *name, int64_t site, int column, struct error *err)
{
    attribute_cleanup(cleanup_thinned) struct thinned all = {0};
    enum status status = STATUS_OK;
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(walk->statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = thinned_add(&all, walk->statement, err);
    }
    if (status != STATUS_OK || all.count == 0)
        return status;
    status = thinned_choose(&all, walk, err);
    return status == STATUS_OK ? thinned_json(walk, &all, name, site, column, err) : status;
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
    if (!pool->steps)
        pool->steps = json_array();
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

/* The item of what is pooled; the pool is empty again. */
static enum status pool_end(struct walk *walk, struct pool *pool, const char *name, int64_t site, int column,
                            struct error *err)
{
    pool_finish(pool);
    json_t *item = summary_json(name, "steps", pool->steps, column, &pool->summary);
    pool->steps = NULL;
    enum status status = item ? STATUS_OK : error_no_memory(err);
    if (walk->cells && item)
        status = json_put(item, "cells", cells_json(pool->counts), err);
    *pool = (struct pool){0};
    if (status != STATUS_OK) {
        json_decref(item);
        return status;
    }
    return walk_add(walk, item, site, 0, column, err);
}

static void cleanup_pool(struct pool **pool)
{
    if (*pool)
        json_decref((*pool)->steps);
    free(*pool);
}

/* One item for all steps, or for each window of them; none where nothing was measured. */
static enum status walk_pooled(struct walk *walk, const char *name, int64_t site, int column, struct error *err)
{
    attribute_cleanup(cleanup_pool) struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return error_no_memory(err);
    enum status status = STATUS_OK;
    size_t index = 0, window = 0;
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(walk->statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        size_t next = walk->windows.count == 0
                          ? 0
                          : stretch_of(&walk->windows, index++, sqlite3_column_int64(walk->statement, AT_STEP));
        if (next != window && pool->steps)
            status = pool_end(walk, pool, name, site, column, err);
        window = next;
        if (status == STATUS_OK)
            status = pool_add(pool, walk->statement, err);
    }
    if (status != STATUS_OK || !pool->steps)
        return status;
    return pool_end(walk, pool, name, site, column, err);
}

static enum status walk_column(struct walk *walk, const char *name, int64_t site, int column, bool pooled,
                               struct error *err)
{
    typedef enum status walker(struct walk *, const char *, int64_t, int, struct error *);
    walker *over = pooled ? walk_pooled : walk->max_points > 0 ? walk_thinned : walk_steps;
    const struct range *range = walk->range;
    bool begun = site == range->after_site && column == range->after_third;
    int64_t from = begun && range->after_step >= range->step_from ? range->after_step + 1 : range->step_from;
    sqlite3_bind_int64(walk->statement, 1, site);
    db_bind_text(walk->statement, 2, divergence_columns[column].name);
    sqlite3_bind_int64(walk->statement, 3, from);
    sqlite3_bind_int64(walk->statement, 4, range->step_to);
    enum status status = over(walk, name, site, column, err);
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

/* The probed steps in the range, which are those of every site. */
static enum status find_steps(sqlite3 *db, const struct range *range, struct stretches *all, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(db,
                                    "SELECT count(*), min(step), max(step) FROM divergence_batch WHERE site = (SELECT "
                                    "min(site) FROM sites) AND step BETWEEN ? AND ?",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, range->step_from);
    sqlite3_bind_int64(statement, 2, range->step_to);
    status = db_row(statement, &row, err);
    if (status == STATUS_OK && row) {
        all->points = (size_t)sqlite3_column_int64(statement, 0);
        all->first = sqlite3_column_int64(statement, 1);
        all->last = sqlite3_column_int64(statement, 2);
    }
    return status;
}

/* A plot's answer is one page: it is thinned or pooled so that it needs no other. */
static enum status check_summaries(const struct divergence_query *query, struct error *err)
{
    if (query->max_points > 0 && query->pooled)
        return error_set(err, STATUS_INVALID, "max_points thins the steps and pooled merges them: give one of both");
    if (query->windows > 0 && !query->pooled)
        return error_set(err, STATUS_INVALID,
                         "windows says into how many items the steps are merged: give pooled=true with it");
    if ((query->max_points > 0 || query->windows > 0) && query->page_token)
        return error_set(err, STATUS_INVALID,
                         "with max_points or windows the answer is one page: leave out page_token");
    return STATUS_OK;
}

enum status run_reader_summaries(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                                 struct error *err)
{
    enum status status = check_summaries(query, err);
    if (status == STATUS_OK)
        status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_json) json_t *items = json_array(), *series = json_array(), *json = NULL;
    struct range range;
    status = items && series ? query_resolve(reader, query, 's', &range, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = db_prepare(reading, SUMMARY_SQL, &statement, err);
    if (status != STATUS_OK)
        return status;
    bool one_page = query->max_points > 0 || query->windows > 0;
    struct walk walk = {.statement = statement,
                        .range = &range,
                        .items = items,
                        .limit = one_page ? 0 : query->max_results,
                        .cells = query->cells,
                        .max_points = query->max_points,
                        .even_steps = query->even_steps,
                        .series = series,
                        .log_steps = query->log_steps,
                        .windows = {.count = query->windows, .log = query->log_steps}};
    if (query->windows > 0)
        status = find_steps(reading, &range, &walk.windows, err);
    if (status == STATUS_OK)
        status = walk_sites(&walk, reader, query, err);
    if (status == STATUS_OK)
        status = page_json(json_incref(items), walk.more ? walk.token : NULL, &json, err);
    if (status == STATUS_OK && query->max_points > 0)
        status = json_put(json, "series", json_incref(series), err);
    if (status != STATUS_OK)
        return status;
    *ret_json = json_incref(json);
    return STATUS_OK;
}
