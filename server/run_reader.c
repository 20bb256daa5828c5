/*
 * The reading side of a run's database: what is not divergence (see run_reader_divergence.c).
 */
#include "server/run_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/migrate.h"

static enum status open_checked(const char *path, enum db_mode mode, sqlite3 **ret_db, struct error *err)
{
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    int version;
    enum status status = db_open(path, mode, &db, err);
    if (status == STATUS_OK)
        status = migrate_check(db, &run_schema, &version, err);
    if (status != STATUS_OK)
        return status;
    if (version == 0)
        return error_set(err, STATUS_NOT_FOUND, "the run has not begun to write");
    if (version < (int)run_schema.count)
        return error_set(err, STATUS_BUSY,
                         "it has schema version %d and must first be migrated to %zu, which a server does when it "
                         "starts, as does `plumbline migrate`",
                         version, run_schema.count);
    *ret_db = db;
    db = NULL;
    return STATUS_OK;
}

enum status run_reader_open(const char *path, struct run_reader **ret_reader, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "run file %s: %s", path, strerror(errno));
    struct run_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return error_no_memory(err);
    enum status status = open_checked(path, DB_READ, &reader->db, err);
    /* In a folder that one may not write, and on a full disk, a sealed file can be read without locks. */
    if (status == STATUS_IO && run_file_is_sealed(path))
        status = open_checked(path, DB_IMMUTABLE, &reader->db, err);
    if (status != STATUS_OK) {
        free(reader);
        return error_prefix(err, status, "run file %s: ", path);
    }
    *ret_reader = reader;
    return STATUS_OK;
}

void run_reader_close(struct run_reader *reader)
{
    if (reader)
        cleanup_db(&reader->db);
    free(reader);
}

void cleanup_run_reader(struct run_reader **reader)
{
    run_reader_close(*reader);
    *reader = NULL;
}

enum status row_to_json(sqlite3_stmt *statement, int columns, json_t *items, struct error *err)
{
    json_t *item = json_object();
    enum status status = json_add(items, item, err);
    for (int i = 0; i < columns && status == STATUS_OK; i++)
        status = json_put(item, sqlite3_column_name(statement, i), db_json(statement, i), err);
    return status;
}

enum status rows_to_json(sqlite3_stmt *statement, json_t **ret_items, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    if (!items)
        return error_no_memory(err);
    for (;;) {
        bool row = false;
        enum status status = db_row(statement, &row, err);
        if (status != STATUS_OK)
            return status;
        if (!row)
            break;
        status = row_to_json(statement, sqlite3_column_count(statement), items, err);
        if (status != STATUS_OK)
            return status;
    }
    *ret_items = items;
    items = NULL;
    return STATUS_OK;
}

static enum status select_json(struct run_reader *reader, const char *sql, json_t **ret_items, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(reader->db, sql, &statement, err);
    return status == STATUS_OK ? rows_to_json(statement, ret_items, err) : status;
}

enum status run_reader_run(struct run_reader *reader, json_t **ret_json, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *items = NULL;
    enum status status = select_json(reader,
                                     "SELECT name, spec_hash, version, build, blas, blas_kernel, threads, attempt, "
                                     "state, reason, started_at, ended_at, steps, steps_per_epoch, epochs, "
                                     "probed_steps, parameters FROM run",
                                     &items, err);
    if (status != STATUS_OK)
        return status;
    if (json_array_size(items) == 0)
        return error_set(err, STATUS_NOT_FOUND, "the run has not begun");
    *ret_json = json_incref(json_array_get(items, 0));
    return STATUS_OK;
}

enum status run_reader_site(struct run_reader *reader, const char *name, int64_t *ret_site, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(reader->db, "SELECT site, name FROM sites ORDER BY site", &statement, err);
    if (status != STATUS_OK)
        return status;
    char known[512] = "";
    for (;;) {
        bool row = false;
        status = db_row(statement, &row, err);
        if (status != STATUS_OK)
            return status;
        if (!row)
            break;
        const char *site = (const char *)sqlite3_column_text(statement, 1);
        if (!site)
            return error_no_memory(err);
        if (strcmp(site, name) == 0) {
            *ret_site = sqlite3_column_int64(statement, 0);
            return STATUS_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", site);
    }
    return error_set(err, STATUS_NOT_FOUND, "no site \"%s\" was measured; this run has %s", name,
                     *known ? known : "no measured sites yet");
}

/* Shapes are stored as JSON text; null and text otherwise stay as they are. */
static enum status parse_shapes(json_t *sites, struct error *err)
{
    size_t i;
    json_t *site;
    json_array_foreach(sites, i, site)
    {
        static const char *const keys[] = {"input", "output"};
        for (int k = 0; k < 2; k++) {
            const char *text = json_string_value(json_object_get(site, keys[k]));
            json_t *shape = text ? json_loads(text, 0, NULL) : NULL;
            if (!shape)
                return error_set(err, STATUS_CORRUPT, "table sites: %s is not a shape", keys[k]);
            enum status status = json_put(site, keys[k], shape, err);
            if (status != STATUS_OK)
                return status;
        }
    }
    return STATUS_OK;
}

static enum status probed_steps(struct run_reader *reader, json_t **ret_steps, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_json) json_t *steps = json_array();
    enum status status = db_prepare(
        reader->db, "SELECT step FROM divergence_batch WHERE site = (SELECT min(site) FROM sites) ORDER BY step",
        &statement, err);
    bool row = steps != NULL;
    while (status == STATUS_OK && row) {
        status = db_row(statement, &row, err);
        if (status == STATUS_OK && row)
            status = json_add(steps, json_integer(sqlite3_column_int64(statement, 0)), err);
    }
    if (status != STATUS_OK || !steps)
        return steps ? status : error_no_memory(err);
    *ret_steps = steps;
    steps = NULL;
    return STATUS_OK;
}

static json_t *columns_json(void)
{
    json_t *columns = json_array();
    for (int i = 0; i < COLUMN_COUNT && columns; i++) {
        const struct column_info *column = &divergence_columns[i];
        json_array_append_new(columns, json_pack("{s:s, s:s, s:s}", "name", column->name, "definition",
                                                 column->definition, "unit", column->unit));
    }
    return columns;
}

static enum status read_sites(struct run_reader *reader, json_t **ret_sites, json_t **ret_steps, int64_t *ret_rows,
                              struct error *err)
{
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    status = select_json(reader,
                         "SELECT site AS \"index\", name, type, part, variant, parameters, input, output FROM sites "
                         "ORDER BY site",
                         ret_sites, err);
    if (status == STATUS_OK)
        status = parse_shapes(*ret_sites, err);
    if (status == STATUS_OK)
        status = probed_steps(reader, ret_steps, err);
    if (status == STATUS_OK)
        status =
            db_integer(reading, "SELECT coalesce(max(rows), 0) FROM divergence_batch WHERE site = 0", ret_rows, err);
    return status;
}

enum status run_reader_sites(struct run_reader *reader, json_t **ret_json, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *sites = NULL;
    attribute_cleanup(cleanup_json) json_t *steps = NULL;
    int64_t rows = 0;
    enum status status = reader ? read_sites(reader, &sites, &steps, &rows, err) : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    json_t *json =
        json_pack("{s:o, s:o, s:I, s:o}", "sites", sites ? json_incref(sites) : json_array(), "steps",
                  steps ? json_incref(steps) : json_array(), "samples", (json_int_t)rows, "columns", columns_json());
    if (!json)
        return error_no_memory(err);
    *ret_json = json;
    return STATUS_OK;
}

enum status run_reader_log(struct run_reader *reader, const struct list_query *query, json_t **ret_json,
                           struct error *err)
{
    static const struct list_field fields[] = {
        {"id", "log.id", FIELD_INTEGER, true},     {"at", "log.at", FIELD_TIME, true},
        {"level", "log.level", FIELD_TEXT, false}, {"text", "log.text", FIELD_TEXT, false},
        {NULL, NULL, FIELD_TEXT, false},
    };
    static const struct list list = {.name = "log",
                                     .from = "log",
                                     .columns = "log.at AS at, log.level AS level, log.text AS text",
                                     .condition = "1",
                                     .fields = fields,
                                     .order_by = "id",
                                     .shape = {.count = 3}};
    return list_page(reader->db, &list, query, ret_json, err);
}

enum status run_reader_weights(struct run_reader *reader, uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(reader->db, "SELECT safetensors FROM weights", &statement, err);
    if (status == STATUS_OK)
        status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    if (!row)
        return error_set(err, STATUS_NOT_FOUND, "the run has no final weights: they are written when it finishes");
    const void *blob = sqlite3_column_blob(statement, 0);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    uint8_t *bytes = malloc(size + 1);
    if (!bytes || (!blob && size > 0)) {
        free(bytes);
        return error_no_memory(err);
    }
    if (size > 0)
        memcpy(bytes, blob, size);
    *ret_bytes = bytes;
    *ret_size = size;
    return STATUS_OK;
}
