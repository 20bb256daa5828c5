/*
 * A row of the catalog as the API shows it: an object of its columns, under their names.
 *
 * What a column holds as JSON text goes into the text of an answer as it stands, without being parsed and written
 * again: it was written by this program. A list and the answer for one of its items are made by the same function.
 */
#ifndef PLUMBLINE_SERVER_ROW_JSON_H
#define PLUMBLINE_SERVER_ROW_JSON_H

#include <jansson.h>
#include <sqlite3.h>

#include "core/status.h"
#include "server/sink.h"

struct row_shape {
    int count;               /* the columns that are shown, the statement's first */
    const char *const *json; /* the names of those that hold JSON text; NULL-terminated, or NULL for none */
};

/* The present row. STATUS_CORRUPT for what is no JSON by its first and last character, or no UTF-8. */
enum status row_write(sqlite3_stmt *statement, const struct row_shape *shape, struct sink_buffer *out,
                      struct error *err);

/* The same, parsed: STATUS_CORRUPT for all that is no JSON. */
enum status row_json(sqlite3_stmt *statement, const struct row_shape *shape, json_t **ret_row, struct error *err);

#endif
