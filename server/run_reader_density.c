/*
 * 2-D counts of one column against another, merged over steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/run_reader.h"

static enum status find_pair(const char *x, const char *y, enum density_pair *ret_pair, struct error *err)
{
    char known[256] = "";
    for (int i = 0; i < DENSITY_COUNT; i++) {
        const struct density_info *info = &density_pairs[i];
        if (x && y && strcmp(info->x, x) == 0 && strcmp(info->y, y) == 0) {
            *ret_pair = (enum density_pair)i;
            return STATUS_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%sx=%s&y=%s", i ? ", " : "", info->x, info->y);
    }
    return error_set(err, STATUS_INVALID, "no 2-D counts of x=%s against y=%s are kept; there are %s", x ? x : "",
                     y ? y : "", known);
}

/* Adds a stored record list to BIN_COUNT × BIN_COUNT counts, x first. */
static enum status density_merge(const uint8_t *bytes, size_t size, uint64_t *counts, struct error *err)
{
    if (size % 8 != 0)
        return error_set(err, STATUS_CORRUPT, "2-D counts of %zu bytes: not a multiple of 8", size);
    for (const uint8_t *at = bytes; at < bytes + size; at += 8) {
        unsigned x = at[0] | (unsigned)at[1] << 8, y = at[2] | (unsigned)at[3] << 8;
        uint32_t count = at[4] | (uint32_t)at[5] << 8 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 24;
        if (x >= BIN_COUNT || y >= BIN_COUNT)
            return error_set(err, STATUS_CORRUPT, "2-D counts with bin %u, %u: the last is %d", x, y, BIN_UNDEFINED);
        counts[x * BIN_COUNT + y] += count;
    }
    return STATUS_OK;
}

static enum status read_density(struct run_reader *reader, const struct range *range, enum density_pair pair,
                                uint64_t *counts, json_t *steps, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(
        reader->db,
        "SELECT step, counts FROM density WHERE site = ? AND pair = ? AND step BETWEEN ? AND ? ORDER BY step",
        &statement, err);
    if (status != STATUS_OK)
        return status;
    char name[64];
    snprintf(name, sizeof name, "%s,%s", density_pairs[pair].x, density_pairs[pair].y);
    sqlite3_bind_int64(statement, 1, range->site_from);
    db_bind_text(statement, 2, name);
    sqlite3_bind_int64(statement, 3, range->step_from);
    sqlite3_bind_int64(statement, 4, range->step_to);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = json_add(steps, json_integer(sqlite3_column_int64(statement, 0)), err);
        const uint8_t *bytes = sqlite3_column_blob(statement, 1);
        if (status == STATUS_OK && bytes)
            status = density_merge(bytes, (size_t)sqlite3_column_bytes(statement, 1), counts, err);
    }
    return status;
}

struct density_totals {
    json_int_t count, undefined, nonpositive;
};

static enum status collect_cells(const uint64_t *counts, json_t *cells, struct density_totals *totals,
                                 struct error *err)
{
    for (unsigned x = 0; x < BIN_COUNT; x++) {
        for (unsigned y = 0; y < BIN_COUNT; y++) {
            json_int_t count = (json_int_t)counts[x * BIN_COUNT + y];
            if (count == 0)
                continue;
            if (x == BIN_UNDEFINED || y == BIN_UNDEFINED) {
                totals->undefined += count;
                continue;
            }
            totals->count += count;
            totals->nonpositive += y <= BIN_ZERO ? count : 0;
            enum status status = json_add(cells, json_pack("[i, i, I]", (int)x, (int)y, count), err);
            if (status != STATUS_OK)
                return status;
        }
    }
    return STATUS_OK;
}

static json_t *bins_json(void)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "per_decade", BIN_PER_DECADE, "first_decade", -6,
                     "positive_first", BIN_POSITIVE_FIRST, "negative_under", BIN_NEGATIVE_UNDER, "zero", BIN_ZERO,
                     "undefined", BIN_UNDEFINED, "count", BIN_COUNT);
}

/* The x axis: cosine has equal bins, all else those of bins_json. */
static json_t *x_bins_json(enum density_pair pair)
{
    if (pair == DENSITY_COSINE_INTERFERENCE)
        return json_pack("{s:s, s:i, s:i, s:i}", "kind", "linear", "minimum", -1, "maximum", 1, "count", 100);
    return json_pack("{s:s}", "kind", "signed_log");
}

static enum status collect(struct run_reader *reader, const struct divergence_query *query, enum density_pair pair,
                           json_t *steps, json_t *cells, struct density_totals *totals, struct error *err)
{
    struct range range;
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    (void)reading;
    status = query_resolve(reader, query, 'd', &range, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) uint64_t *counts = calloc((size_t)BIN_COUNT * BIN_COUNT, sizeof *counts);
    if (!counts)
        return error_no_memory(err);
    status = read_density(reader, &range, pair, counts, steps, err);
    return status == STATUS_OK ? collect_cells(counts, cells, totals, err) : status;
}

enum status run_reader_density(struct run_reader *reader, const struct divergence_query *query, const char *x,
                               const char *y, json_t **ret_json, struct error *err)
{
    enum density_pair pair = DENSITY_SELF_SCALE;
    attribute_cleanup(cleanup_json) json_t *steps = json_array();
    attribute_cleanup(cleanup_json) json_t *cells = json_array();
    struct density_totals totals = {0};
    enum status status = steps && cells ? find_pair(x, y, &pair, err) : error_no_memory(err);
    if (status == STATUS_OK && !query->site)
        status = error_set(err, STATUS_INVALID, "2-D counts are of one site: name it with site=");
    if (status == STATUS_OK && reader)
        status = collect(reader, query, pair, steps, cells, &totals, err);
    if (status != STATUS_OK)
        return status;
    json_t *json = json_pack("{s:s, s:s, s:s, s:O, s:I, s:I, s:I, s:O, s:o, s:o}", "site", query->site, "x", x, "y", y,
                             "steps", steps, "count", totals.count, "undefined", totals.undefined, "y_nonpositive",
                             totals.nonpositive, "cells", cells, "bins", bins_json(), "x_bins", x_bins_json(pair));
    if (!json)
        return error_no_memory(err);
    *ret_json = json;
    return STATUS_OK;
}
