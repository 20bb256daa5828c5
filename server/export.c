/*
 * What can be exported and how: the tables of columns and of formats, and the runs opened one by one.
 */
#include "server/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/export_internal.h"

/* ------------------------------------------------------------------ tables */

static void add(struct export_columns *columns, const char *name, const char *sql, enum column_type type)
{
    static const struct {
        const char *name, *sql;
    } widths[] = {{"site", "SELECT max(length(name)) FROM sites"},
                  {"column", "SELECT max(length(\"column\")) FROM divergence_summary"},
                  {"key", "SELECT max(length(key)) FROM scalars"}};
    struct export_column *column = &columns->items[columns->count++];
    *column = (struct export_column){.name = name, .type = type};
    snprintf(column->sql, sizeof column->sql, "%s", sql);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (type == EXPORT_TEXT && strcmp(name, widths[i].name) == 0)
            column->width_sql = widths[i].sql;
}

/* Columns of the table `x` under their own names; `names` ends with NULL. */
static void add_all(struct export_columns *columns, const char *const *names, enum column_type type)
{
    for (; *names; names++) {
        char sql[64];
        snprintf(sql, sizeof sql, "x.\"%s\"", *names);
        add(columns, *names, sql, type);
    }
}

static void divergence_list(struct export_columns *ret_columns)
{
    *ret_columns = (struct export_columns){.count = 0};
    add(ret_columns, "site", "sites.name", EXPORT_TEXT);
    add_all(ret_columns, (const char *const[]){"step", "sample", NULL}, EXPORT_INTEGER);
    add(ret_columns, "in_batch", "t.in_batch", EXPORT_INTEGER);
    add(ret_columns, "loss", "t.loss", EXPORT_REAL);
    add(ret_columns, "label", "t.label", EXPORT_INTEGER);
    add(ret_columns, "predicted", "t.predicted", EXPORT_INTEGER);
    for (int i = 0; i < COLUMN_COUNT; i++)
        add_all(ret_columns, (const char *const[]){divergence_columns[i].name, NULL}, EXPORT_REAL);
}

static void metrics_list(struct export_columns *ret_columns)
{
    *ret_columns = (struct export_columns){.count = 0};
    add(ret_columns, "key", "x.key", EXPORT_TEXT);
    add(ret_columns, "step", "x.step", EXPORT_INTEGER);
    add(ret_columns, "value", "coalesce(x.value, x.nonfinite)", EXPORT_REAL);
}

static void summary_list(struct export_columns *ret_columns)
{
    *ret_columns = (struct export_columns){.count = 0};
    add(ret_columns, "site", "sites.name", EXPORT_TEXT);
    add(ret_columns, "step", "x.step", EXPORT_INTEGER);
    add(ret_columns, "column", "x.\"column\"", EXPORT_TEXT);
    add_all(ret_columns, (const char *const[]){"count", "undefined", "nonpositive", NULL}, EXPORT_INTEGER);
    add_all(ret_columns,
            (const char *const[]){"mean", "sd", "minimum", "maximum", "q01", "q05", "q25", "q50", "q75", "q95", "q99",
                                  NULL},
            EXPORT_REAL);
}

static void batch_list(struct export_columns *ret_columns)
{
    *ret_columns = (struct export_columns){.count = 0};
    add(ret_columns, "site", "sites.name", EXPORT_TEXT);
    add(ret_columns, "step", "x.step", EXPORT_INTEGER);
    add_all(ret_columns, (const char *const[]){"batch_scale", "batch_cosine", "predicted_decrease", "own_share", NULL},
            EXPORT_REAL);
    add_all(ret_columns, (const char *const[]){"rows", "batch_size", NULL}, EXPORT_INTEGER);
}

/* Left joins: where no column is taken of a joined table, SQLite leaves it out. All orders are those of the keys. */
#define WITH_SITES " AS x LEFT JOIN sites ON sites.site = x.site "

static const struct export_table tables[] = {
    {"divergence",
     "divergence" WITH_SITES
     "LEFT JOIN sample_steps AS t ON t.step = x.step AND t.sample = x.sample ORDER BY x.site, x.step, x.sample",
     "SELECT count(*) FROM divergence", divergence_list},
    {"metrics", "scalars AS x ORDER BY x.key, x.step", "SELECT count(*) FROM scalars", metrics_list},
    {"summary", "divergence_summary" WITH_SITES "ORDER BY x.site, x.\"column\", x.step",
     "SELECT count(*) FROM divergence_summary", summary_list},
    {"batch", "divergence_batch" WITH_SITES "ORDER BY x.site, x.step", "SELECT count(*) FROM divergence_batch",
     batch_list},
};

enum status export_table_find(const char *name, const struct export_table **ret_table, struct error *err)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (strcmp(name, tables[i].name) == 0) {
            *ret_table = &tables[i];
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_INVALID, "what must be divergence, metrics, summary or batch; found %.40s", name);
}

/* ------------------------------------------------------------------ formats */

const char *const export_format_names[] = {"csv", "ndjson", "npz", "tfevents", NULL};

static const struct export_format formats[] = {
    {"csv", "text/csv; charset=utf-8", "csv", true, export_write_csv},
    {"ndjson", "application/x-ndjson", "ndjson", true, export_write_ndjson},
    {"npz", "application/zip", "npz", false, export_write_npz},
    {"tfevents", "application/octet-stream", "tfevents", false, export_write_tfevents},
};

enum status export_format_find(const char *name, const struct export_format **ret_format, struct error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(name, formats[i].name) == 0) {
            *ret_format = &formats[i];
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_INVALID, "format must be csv, ndjson, npz or tfevents; found %.40s", name);
}

const char *export_media_type(const struct export_format *format)
{
    return format->media_type;
}

bool export_is_text(const struct export_format *format)
{
    return format->text;
}

const char *export_extension(const struct export_format *format)
{
    return format->extension;
}

/* ------------------------------------------------------------------ runs */

void export_close(struct run_reader **reader)
{
    if (*reader)
        db_rollback((*reader)->db);
    cleanup_run_reader(reader);
}

enum status export_open(const struct export_request *request, size_t run, struct run_reader **ret_reader,
                        struct error *err)
{
    attribute_cleanup(export_close) struct run_reader *reader = NULL;
    enum status status = run_reader_open(request->runs[run].path, &reader, err);
    if (status == STATUS_NOT_FOUND && request->with_job) {
        *ret_reader = NULL;
        return STATUS_OK;
    }
    /* Rows are read once and in order: a large cache would only hold memory. */
    if (status == STATUS_OK)
        status = db_execute(reader->db, "PRAGMA cache_size = -256", err);
    if (status == STATUS_OK)
        status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    *ret_reader = reader;
    reader = NULL;
    return STATUS_OK;
}

enum status export_prepare(struct run_reader *reader, const struct export_table *table,
                           const struct export_columns *columns, size_t first, size_t end, sqlite3_stmt **ret_statement,
                           struct error *err)
{
    char sql[EXPORT_MOST_COLUMNS * 70 + 512];
    size_t used = (size_t)snprintf(sql, sizeof sql, "SELECT ");
    for (size_t i = first; i < end; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, "%s%s", i > first ? ", " : "", columns->items[i].sql);
    snprintf(sql + used, sizeof sql - used, " FROM %s", table->from);
    return db_prepare(reader->db, sql, ret_statement, err);
}

enum status export_write(const struct export_request *request, const struct sink *sink, struct error *err)
{
    attribute_cleanup(cleanup_free) struct sink_buffer *out = NULL;
    enum status status = sink_buffer_create(sink, &out, err);
    if (status == STATUS_OK)
        status = request->format->write(request, out, err);
    return status == STATUS_OK ? sink_flush(out, err) : status;
}
