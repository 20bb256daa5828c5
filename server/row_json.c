#include "server/row_json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_util.h"

static bool holds_json(const struct row_shape *shape, const char *name)
{
    for (const char *const *known = shape->json; known && *known; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

/* The catalog's JSON texts are all objects and arrays. */
static bool looks_like_json(const char *text, size_t size)
{
    return size >= 2 && ((text[0] == '{' && text[size - 1] == '}') || (text[0] == '[' && text[size - 1] == ']'));
}

static enum status write_value(sqlite3_stmt *statement, int column, bool is_json, struct sink_buffer *out,
                               struct error *err)
{
    const char *text;
    if (is_json) {
        text = (const char *)sqlite3_column_text(statement, column);
        size_t size = (size_t)sqlite3_column_bytes(statement, column);
        if (!text || !looks_like_json(text, size))
            return error_set(err, STATUS_CORRUPT, "column %s holds no JSON", sqlite3_column_name(statement, column));
        sink_put(out, text, size);
        return STATUS_OK;
    }
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        sink_integer(out, sqlite3_column_int64(statement, column));
        return STATUS_OK;
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(statement, column);
        if (!text)
            return error_no_memory(err);
        sink_json_string(out, text);
        return STATUS_OK;
    case SQLITE_FLOAT: /* SQLite has no NaN; an infinite one is null */
        if (nonfinite_word(sqlite3_column_double(statement, column)) == NULL) {
            sink_number(out, sqlite3_column_double(statement, column));
            return STATUS_OK;
        }
        __attribute__((fallthrough));
    default:
        sink_text(out, "null");
        return STATUS_OK;
    }
}

enum status row_write(sqlite3_stmt *statement, const struct row_shape *shape, struct sink_buffer *out,
                      struct error *err)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < shape->count && status == STATUS_OK; i++) {
        const char *name = sqlite3_column_name(statement, i);
        if (!name)
            return error_no_memory(err);
        sink_text(out, i == 0 ? "{" : ",");
        sink_json_string(out, name);
        sink_text(out, ":");
        status = write_value(statement, i, holds_json(shape, name), out, err);
    }
    sink_text(out, "}");
    return status == STATUS_OK ? sink_status(out, err) : status;
}

enum status row_json(sqlite3_stmt *statement, const struct row_shape *shape, json_t **ret_row, struct error *err)
{
    struct sink_memory memory = {0};
    const struct sink sink = sink_to_memory(&memory);
    attribute_cleanup(cleanup_free) struct sink_buffer *out = NULL;
    enum status status = sink_buffer_create(&sink, &out, err);
    if (status == STATUS_OK)
        status = row_write(statement, shape, out, err);
    if (status == STATUS_OK)
        status = sink_flush(out, err);
    if (status == STATUS_OK)
        status = json_of_text(memory.bytes, memory.size, ret_row, err);
    free(memory.bytes);
    return status;
}
