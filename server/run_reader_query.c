/*
 * What queries of divergence data have in common: names looked up, ranges of steps closed, pages.
 *
 * A page ends with a token that holds the key of its last item, and a checksum of the query that it belongs to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/run_reader.h"

/* Of a number in a token: leaves room to add to it. */
static const uint64_t LARGEST = UINT64_C(1) << 62;

static uint32_t mix(uint32_t sum, unsigned char byte)
{
    return (sum ^ byte) * 16777619U; /* FNV-1a */
}

static uint32_t mix_text(uint32_t sum, const char *text)
{
    if (!text)
        return mix(sum, '*');
    for (; *text; text++)
        sum = mix(sum, (unsigned char)*text);
    return mix(sum, 0);
}

static uint32_t query_checksum(const struct divergence_query *query, char kind)
{
    const int64_t numbers[] = {kind,          query->step,  query->step_from, query->step_to, (int64_t)query->last,
                               query->sample, query->pooled};
    uint32_t sum = 2166136261U;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int shift = 0; shift < 64; shift += 8)
            sum = mix(sum, (unsigned char)((uint64_t)numbers[i] >> shift));
    return mix_text(mix_text(mix_text(sum, query->site), query->column), query->filter);
}

void token_write(const struct range *range, int64_t site, int64_t step, int64_t third, char token[TOKEN_SIZE])
{
    snprintf(token, TOKEN_SIZE, "%08" PRIx32 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64, range->checksum, (uint64_t)site,
             (uint64_t)step, (uint64_t)third);
}

static enum status token_read(const char *token, struct range *range, struct error *err)
{
    uint32_t checksum = 0;
    uint64_t site = 0, step = 0, third = 0;
    char again[TOKEN_SIZE] = "";
    if (strlen(token) < TOKEN_SIZE &&
        sscanf(token, "%8" SCNx32 "-%16" SCNx64 "-%16" SCNx64 "-%16" SCNx64, &checksum, &site, &step, &third) == 4 &&
        checksum == range->checksum && site < LARGEST && step < LARGEST && third < LARGEST)
        token_write(range, (int64_t)site, (int64_t)step, (int64_t)third, again);
    if (strcmp(token, again) != 0 || *token == '\0')
        return error_set(err, STATUS_INVALID,
                         "page_token is not one that this query gave: pass next_page_token as it came, with the same "
                         "parameters");
    range->after_site = (int64_t)site;
    range->after_step = (int64_t)step;
    range->after_third = (int64_t)third;
    return STATUS_OK;
}

/* The first of the last `count` probed steps up to `step_to`. */
static enum status first_of_last(struct run_reader *reader, size_t count, int64_t step_to, int64_t *ret_step,
                                 struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(reader->db,
                                    "SELECT min(step) FROM (SELECT step FROM divergence_batch WHERE site = (SELECT "
                                    "min(site) FROM sites) AND step <= ? ORDER BY step DESC LIMIT ?)",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, step_to);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)(count > INT64_MAX ? INT64_MAX : count));
    status = db_row(statement, &row, err);
    if (status == STATUS_OK)
        *ret_step = row ? sqlite3_column_int64(statement, 0) : 0;
    return status;
}

static enum status check_column(const char *name, struct error *err)
{
    if (!name || divergence_column(name) != COLUMN_COUNT)
        return STATUS_OK;
    char known[512] = "";
    for (int i = 0; i < COLUMN_COUNT; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", divergence_columns[i].name);
    }
    return error_set(err, STATUS_INVALID, "no column \"%s\"; there are %s", name, known);
}

enum status query_resolve(struct run_reader *reader, const struct divergence_query *query, char kind,
                          struct range *ret_range, struct error *err)
{
    struct range range = {.site_to = INT64_MAX,
                          .step_from = query->step_from,
                          .step_to = query->step_to > 0 ? query->step_to : INT64_MAX,
                          .after_site = -1,
                          .after_step = -1,
                          .after_third = -1,
                          .checksum = query_checksum(query, kind)};
    if (query->step > 0)
        range.step_from = range.step_to = query->step;
    enum status status = check_column(query->column, err);
    for (size_t i = 0; i < json_array_size(query->columns) && status == STATUS_OK; i++)
        status = check_column(json_string_value(json_array_get(query->columns, i)), err);
    if (status == STATUS_OK && query->site) {
        status = run_reader_site(reader, query->site, &range.site_from, err);
        range.site_to = range.site_from;
    }
    if (status == STATUS_OK && query->last > 0) {
        int64_t first;
        status = first_of_last(reader, query->last, range.step_to, &first, err);
        if (status == STATUS_OK && first > range.step_from)
            range.step_from = first;
    }
    if (status == STATUS_OK && query->page_token)
        status = token_read(query->page_token, &range, err);
    if (status == STATUS_OK)
        *ret_range = range;
    return status;
}

enum status page_json(json_t *items, const char *token, json_t **ret_json, struct error *err)
{
    json_t *json = json_pack("{s:o, s:s?}", "items", items, "next_page_token", token);
    if (!json)
        return error_no_memory(err);
    *ret_json = json;
    return STATUS_OK;
}
