/*
 * CSV and NDJSON: one pass over each run's rows.
 */
#include <ctype.h>
#include <string.h>

#include "server/export_internal.h"

/* How a format writes what is not a number. */
struct text_format {
    void (*row_start)(struct sink_buffer *out);
    void (*before)(struct sink_buffer *out, const char *name, bool first); /* each value */
    void (*text)(struct sink_buffer *out, const char *text);
    const char *null;
    const char *row_end;
};

/* ------------------------------------------------------------------ CSV (RFC 4180, lines ended by a line feed) */

static void csv_start(struct sink_buffer *out)
{
    (void)out;
}

static void csv_before(struct sink_buffer *out, const char *name, bool first)
{
    (void)name;
    if (!first)
        sink_put(out, ",", 1);
}

static const struct text_format csv = {csv_start, csv_before, sink_csv_text, "", "\n"};

/* ------------------------------------------------------------------ NDJSON */

static void ndjson_start(struct sink_buffer *out)
{
    sink_put(out, "{", 1);
}

static void ndjson_before(struct sink_buffer *out, const char *name, bool first)
{
    sink_text(out, first ? "\"" : ",\"");
    sink_text(out, name);
    sink_text(out, "\":");
}

static const struct text_format ndjson = {ndjson_start, ndjson_before, sink_json_string, "null", "}\n"};

/* ------------------------------------------------------------------ rows */

static enum status write_value(const struct text_format *format, sqlite3_stmt *statement, int column,
                               struct sink_buffer *out, struct error *err)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        sink_integer(out, sqlite3_column_int64(statement, column));
        return STATUS_OK;
    case SQLITE_FLOAT: {
        double value = sqlite3_column_double(statement, column);
        const char *word = nonfinite_word(value);
        if (word)
            format->text(out, word);
        else
            sink_number(out, value);
        return STATUS_OK;
    }
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        if (!text)
            return error_no_memory(err);
        format->text(out, text);
        return STATUS_OK;
    }
    default:
        sink_text(out, format->null);
        return STATUS_OK;
    }
}

static enum status write_row(const struct export_request *request, const struct export_columns *columns, int64_t job,
                             const struct text_format *format, sqlite3_stmt *statement, struct sink_buffer *out,
                             struct error *err)
{
    format->row_start(out);
    if (request->with_job) {
        format->before(out, "job", true);
        sink_integer(out, job);
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < columns->count && status == STATUS_OK; i++) {
        format->before(out, columns->items[i].name, i == 0 && !request->with_job);
        status = write_value(format, statement, (int)i, out, err);
    }
    sink_text(out, format->row_end);
    return status == STATUS_OK ? sink_status(out, err) : status;
}

static enum status write_run(const struct export_request *request, const struct export_columns *columns, size_t run,
                             struct run_reader *reader, const struct text_format *format, struct sink_buffer *out,
                             struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = export_prepare(reader, request->table, columns, 0, columns->count, &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = write_row(request, columns, request->runs[run].job, format, statement, out, err);
    }
    return status;
}

static enum status write_runs(const struct export_request *request, const struct export_columns *columns,
                              const struct text_format *format, struct sink_buffer *out, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < request->run_count && status == STATUS_OK; i++) {
        attribute_cleanup(export_close) struct run_reader *reader = NULL;
        status = export_open(request, i, &reader, err);
        if (status == STATUS_OK && reader)
            status = write_run(request, columns, i, reader, format, out, err);
    }
    return status;
}

enum status export_write_csv(const struct export_request *request, struct sink_buffer *out, struct error *err)
{
    struct export_columns columns;
    request->table->columns(&columns);
    sink_text(out, request->with_job ? "job," : "");
    for (size_t i = 0; i < columns.count; i++) {
        csv_before(out, NULL, i == 0);
        sink_text(out, columns.items[i].name);
    }
    sink_text(out, csv.row_end);
    return write_runs(request, &columns, &csv, out, err);
}

enum status export_write_ndjson(const struct export_request *request, struct sink_buffer *out, struct error *err)
{
    struct export_columns columns;
    request->table->columns(&columns);
    return write_runs(request, &columns, &ndjson, out, err);
}
