/* What the formats of an export share. Users include server/export.h. */
#ifndef PLUMBLINE_SERVER_EXPORT_INTERNAL_H
#define PLUMBLINE_SERVER_EXPORT_INTERNAL_H

#include <sqlite3.h>

#include "core/divergence.h"
#include "server/export.h"
#include "server/run_reader.h"

enum column_type { EXPORT_INTEGER, EXPORT_REAL, EXPORT_TEXT };

struct export_column {
    const char *name;
    char sql[64]; /* an expression over the table's `from` */
    enum column_type type;
    const char *width_sql; /* of text: a query for the most characters of one value */
};

enum { EXPORT_MOST_COLUMNS = 8 + COLUMN_COUNT };

/* The columns of a table, in order, without `job`. */
struct export_columns {
    struct export_column items[EXPORT_MOST_COLUMNS];
    size_t count;
};

struct export_table {
    const char *name;
    const char *from;      /* of all columns, with its ORDER BY */
    const char *count_sql; /* a query for the number of rows */
    void (*columns)(struct export_columns *ret_columns);
};

struct export_format {
    const char *name, *media_type, *extension;
    bool text;
    enum status (*write)(const struct export_request *request, struct sink_buffer *out, struct error *err);
};

/*
 * Opens a run in a read transaction. STATUS_OK with *ret_reader NULL for a run of several that has not begun to write.
 * Close by export_close.
 */
enum status export_open(const struct export_request *request, size_t run, struct run_reader **ret_reader,
                        struct error *err);
void export_close(struct run_reader **reader);

/* "SELECT <columns first … end − 1> FROM …", prepared. */
enum status export_prepare(struct run_reader *reader, const struct export_table *table,
                           const struct export_columns *columns, size_t first, size_t end, sqlite3_stmt **ret_statement,
                           struct error *err);

enum status export_write_csv(const struct export_request *request, struct sink_buffer *out, struct error *err);
enum status export_write_ndjson(const struct export_request *request, struct sink_buffer *out, struct error *err);
enum status export_write_npz(const struct export_request *request, struct sink_buffer *out, struct error *err);
enum status export_write_tfevents(const struct export_request *request, struct sink_buffer *out, struct error *err);

#endif
