/* One sample over all steps and sites, and who moved it. */
#include <inttypes.h>
#include <string.h>

#include "server/run_reader.h"

static enum status select_of_sample(struct run_reader *reader, const char *sql, int64_t sample, json_t **ret_items,
                                    struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(reader->db, sql, &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, sample);
    return rows_to_json(statement, ret_items, err);
}

static uint32_t little_endian(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The blob of sample_steps.likeliest as [[class, probability], …]; of a run from before it there are none. */
static enum status put_likeliest(sqlite3_stmt *statement, int column, json_t *item, struct error *err)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    if (size % LIKELIEST_BYTES != 0)
        return error_set(err, STATUS_CORRUPT, "table sample_steps: likeliest of %zu bytes", size);
    json_t *likeliest = json_array();
    enum status status = json_put(item, "likeliest", likeliest, err);
    for (size_t at = 0; at < size && status == STATUS_OK; at += LIKELIEST_BYTES) {
        uint32_t bits = little_endian(bytes + at + 4);
        float probability;
        memcpy(&probability, &bits, sizeof probability);
        status = json_add(
            likeliest,
            json_pack("[I, o]", (json_int_t)little_endian(bytes + at), json_number_or_null((double)probability)), err);
    }
    return status;
}

/* The steps at which the sample was measured. */
static enum status sample_steps(struct run_reader *reader, int64_t sample, json_t *steps, struct error *err)
{
    enum { LIKELIEST_AT = 5 };
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(reader->db,
                                    "SELECT step, loss, label, predicted, in_batch, likeliest FROM sample_steps WHERE "
                                    "sample = ?1 ORDER BY step",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, sample);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        json_t *item = json_object();
        status = json_add(steps, item, err);
        for (int i = 0; i < LIKELIEST_AT && status == STATUS_OK; i++)
            status = json_put(item, sqlite3_column_name(statement, i), db_json(statement, i), err);
        if (status == STATUS_OK)
            status = put_likeliest(statement, LIKELIEST_AT, item, err);
    }
    return status;
}

/* The rows' key begins with the site and the step, so each site and each step that had the sample is one seek. */
#define ROWS_SQL                                                                                                       \
    "SELECT d.step, sites.name AS site, d.ideal_norm, d.effective_norm, d.scale, d.cosine, d.divergence, "             \
    "d.self_factor, d.scale_within, d.scale_across, d.interference, d.interference_within, d.interference_across, "    \
    "d.input_norm, d.network_scale, d.network_cosine, d.network_divergence FROM sample_steps AS s CROSS JOIN sites "   \
    "CROSS JOIN divergence AS d ON d.site = sites.site AND d.step = s.step AND d.sample = s.sample WHERE s.sample = "  \
    "?1 ORDER BY d.step, d.site"

enum status run_reader_sample(struct run_reader *reader, int64_t sample, json_t **ret_json, struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    attribute_cleanup(cleanup_json) json_t *steps = json_array(), *rows = NULL;
    (void)reading;
    status = steps ? sample_steps(reader, sample, steps, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = select_of_sample(reader, ROWS_SQL, sample, &rows, err);
    if (status != STATUS_OK)
        return status;
    json_t *json = json_pack("{s:I, s:O, s:O}", "sample", (json_int_t)sample, "steps", steps, "rows", rows);
    if (!json)
        return error_no_memory(err);
    *ret_json = json;
    return STATUS_OK;
}

/* The step asked for, or the last at which the site has contributors of the sample; 0 where there is none. */
static enum status contributor_step(struct run_reader *reader, int64_t site, int64_t step, int64_t sample,
                                    int64_t *ret_step, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(reader->db,
                                    "SELECT coalesce(max(step), 0) FROM contributors WHERE site = ?1 AND sample = ?2 "
                                    "AND (?3 = 0 OR step = ?3)",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, site);
    sqlite3_bind_int64(statement, 2, sample);
    sqlite3_bind_int64(statement, 3, step);
    status = db_row(statement, &row, err);
    if (status == STATUS_OK)
        *ret_step = sqlite3_column_int64(statement, 0);
    return status;
}

static enum status contributor_rows(struct run_reader *reader, int64_t site, int64_t step, int64_t sample, bool rest,
                                    json_t **ret_items, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(reader->db,
                   rest ? "SELECT part FROM contributors WHERE site = ?1 AND step = ?2 AND sample = ?3 "
                          "AND other = -1"
                        : "SELECT c.other AS sample, c.part, s.label FROM contributors AS c LEFT JOIN "
                          "sample_steps AS s ON s.step = c.step AND s.sample = c.other WHERE c.site = "
                          "?1 AND c.step = ?2 AND c.sample = ?3 AND c.other >= 0 ORDER BY "
                          "abs(c.part) DESC, c.other",
                   &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, site);
    sqlite3_bind_int64(statement, 2, step);
    sqlite3_bind_int64(statement, 3, sample);
    return rows_to_json(statement, ret_items, err);
}

enum status run_reader_contributors(struct run_reader *reader, const char *site, int64_t step, int64_t sample,
                                    json_t **ret_json, struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    attribute_cleanup(cleanup_json) json_t *items = NULL, *rest = NULL;
    int64_t number = 0, at = 0;
    (void)reading;
    status = run_reader_site(reader, site, &number, err);
    if (status == STATUS_OK)
        status = contributor_step(reader, number, step, sample, &at, err);
    if (status == STATUS_OK && at == 0)
        return error_set(err, STATUS_NOT_FOUND,
                         "nothing is kept of who moved sample %" PRId64 " at %s: it was in no probed batch there, or "
                         "the spec's probe.contributors is 0",
                         sample, site);
    if (status == STATUS_OK)
        status = contributor_rows(reader, number, at, sample, false, &items, err);
    if (status == STATUS_OK)
        status = contributor_rows(reader, number, at, sample, true, &rest, err);
    if (status != STATUS_OK)
        return status;
    const json_t *first = json_array_get(rest, 0);
    json_t *json = json_pack("{s:s, s:I, s:I, s:O, s:O?}", "site", site, "step", (json_int_t)at, "sample",
                             (json_int_t)sample, "items", items, "rest", first);
    if (!json)
        return error_no_memory(err);
    *ret_json = json;
    return STATUS_OK;
}
