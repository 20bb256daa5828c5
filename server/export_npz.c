/*
 * NPZ: a zip archive with a .npy member for each column.
 *
 * The columns are written one after the other, each by a pass over the rows of all runs, which are held in their read
 * transactions from the first count to the end: no memory grows with the rows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/export_internal.h"
#include "server/zip_writer.h"

/* Characters of one value of a text column; longer ones (there are none) are cut. */
enum { MOST_WIDTH = 1024 };

struct npz {
    const struct export_request *request;
    struct run_reader **readers; /* NULL where a run has no rows yet */
    int64_t *counts;
    int64_t rows; /* of all */
    struct zip_writer *zip;
};

static void npz_clear(struct npz *npz)
{
    for (size_t i = 0; npz->readers && i < npz->request->run_count; i++)
        export_close(&npz->readers[i]);
    free(npz->readers);
    free(npz->counts);
    zip_free(npz->zip);
}

static enum status open_runs(struct npz *npz, struct error *err)
{
    const struct export_request *request = npz->request;
    if (request->run_count > EXPORT_MOST_NPZ_RUNS)
        return error_set(err, STATUS_INVALID,
                         "an NPZ takes at most %d runs, these are %zu: narrow the filter, or ask for csv or ndjson",
                         EXPORT_MOST_NPZ_RUNS, request->run_count);
    npz->readers = calloc(request->run_count + 1, sizeof(struct run_reader *));
    npz->counts = calloc(request->run_count + 1, sizeof *npz->counts);
    if (!npz->readers || !npz->counts)
        return error_no_memory(err);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < request->run_count && status == STATUS_OK; i++) {
        status = export_open(request, i, &npz->readers[i], err);
        if (status == STATUS_OK && npz->readers[i])
            status = db_integer(npz->readers[i]->db, request->table->count_sql, &npz->counts[i], err);
        npz->rows += npz->counts[i];
    }
    return status;
}

/* Begins a member with the header of an array of `rows` elements; `descr` is NumPy's name of their type. */
static enum status begin_array(struct npz *npz, const char *name, const char *descr, bool compress, struct error *err)
{
    char member[64], text[256], header[10 + sizeof text];
    snprintf(member, sizeof member, "%s.npy", name);
    int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld,), }", descr,
                          (long long)npz->rows);
    size_t size = (10 + (size_t)length + 1 + 63) / 64 * 64; /* the data begin at a multiple of 64 */
    memset(header, ' ', size);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(size - 10);
    header[9] = 0;
    memcpy(header + 10, text, (size_t)length);
    header[size - 1] = '\n';
    enum status status = zip_begin(npz->zip, member, compress, err);
    return status == STATUS_OK ? zip_write(npz->zip, header, size, err) : status;
}

static enum status write_jobs(struct npz *npz, struct error *err)
{
    enum status status = begin_array(npz, "job", "<i8", true, err);
    for (size_t i = 0; i < npz->request->run_count; i++)
        for (int64_t row = 0; row < npz->counts[i] && status == STATUS_OK; row++)
            status = zip_write(npz->zip, &npz->request->runs[i].job, sizeof(int64_t), err);
    return status == STATUS_OK ? zip_end(npz->zip, err) : status;
}

/* ------------------------------------------------------------------ elements */

/* Text as NumPy has it: 32-bit characters, padded with zeros to the width. Text in a database is UTF-8; a byte that is
 * none becomes U+FFFD. */
static size_t text_element(const char *text, size_t width, uint32_t *ret_characters)
{
    size_t count = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at && count < width) {
        int more = *at < 0x80 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : -1;
        uint32_t character = more <= 0 ? *at : *at & (0x3fU >> more);
        if (more < 0)
            character = 0xfffd;
        for (at++; more > 0 && (*at & 0xc0) == 0x80; more--)
            character = character << 6 | (*at++ & 0x3fU);
        ret_characters[count++] = more > 0 ? 0xfffd : character;
    }
    memset(ret_characters + count, 0, (width - count) * sizeof *ret_characters);
    return width * sizeof *ret_characters;
}

static double real_element(sqlite3_stmt *statement)
{
    if (sqlite3_column_type(statement, 0) == SQLITE_FLOAT || sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        return sqlite3_column_double(statement, 0);
    return nonfinite_value((const char *)sqlite3_column_text(statement, 0));
}

/* A column of the table as it is written. */
struct array {
    const struct export_column *column;
    size_t width; /* of text */
};

static enum status write_element(struct npz *npz, const struct array *array, sqlite3_stmt *statement, struct error *err)
{
    uint32_t characters[MOST_WIDTH];
    switch (array->column->type) {
    case EXPORT_INTEGER: {
        bool is_missing = sqlite3_column_type(statement, 0) == SQLITE_NULL;
        int64_t value = is_missing ? -1 : sqlite3_column_int64(statement, 0);
        return zip_write(npz->zip, &value, sizeof value, err);
    }
    case EXPORT_REAL: {
        double value = real_element(statement);
        return zip_write(npz->zip, &value, sizeof value, err);
    }
    default: {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        size_t size = text_element(text ? text : "", array->width, characters);
        return zip_write(npz->zip, characters, size, err);
    }
    }
}

static enum status write_elements(struct npz *npz, const struct export_columns *columns, const struct array *array,
                                  size_t run, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    size_t index = (size_t)(array->column - columns->items);
    int64_t written = 0;
    bool row = true;
    enum status status =
        export_prepare(npz->readers[run], npz->request->table, columns, index, index + 1, &statement, err);
    while (status == STATUS_OK) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = write_element(npz, array, statement, err);
        written++;
    }
    if (status == STATUS_OK && written != npz->counts[run])
        return error_set(err, STATUS_CORRUPT, "run file %s has %lld rows, of which %lld could be read",
                         npz->request->runs[run].path, (long long)npz->counts[run], (long long)written);
    return status;
}

/* The most characters of a text column over all runs, at least 1. */
static enum status find_width(const struct npz *npz, const struct export_column *column, size_t *ret_width,
                              struct error *err)
{
    int64_t width = 1;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < npz->request->run_count && status == STATUS_OK; i++) {
        int64_t here = 0;
        if (npz->readers[i])
            status = db_integer(npz->readers[i]->db, column->width_sql, &here, err);
        width = here > width ? here : width;
    }
    if (status == STATUS_OK)
        *ret_width = width < MOST_WIDTH ? (size_t)width : MOST_WIDTH;
    return status;
}

static enum status write_column(struct npz *npz, const struct export_columns *columns, size_t index, struct error *err)
{
    struct array array = {.column = &columns->items[index]};
    char descr[16];
    enum status status = STATUS_OK;
    if (array.column->type == EXPORT_TEXT)
        status = find_width(npz, array.column, &array.width, err);
    if (array.column->type == EXPORT_TEXT)
        snprintf(descr, sizeof descr, "<U%zu", array.width);
    else
        snprintf(descr, sizeof descr, "%s", array.column->type == EXPORT_INTEGER ? "<i8" : "<f8");
    if (status == STATUS_OK) /* measured numbers hardly compress */
        status = begin_array(npz, array.column->name, descr, array.column->type != EXPORT_REAL, err);
    for (size_t run = 0; run < npz->request->run_count && status == STATUS_OK; run++)
        if (npz->readers[run])
            status = write_elements(npz, columns, &array, run, err);
    return status == STATUS_OK ? zip_end(npz->zip, err) : status;
}

enum status export_write_npz(const struct export_request *request, struct sink_buffer *out, struct error *err)
{
    attribute_cleanup(npz_clear) struct npz npz = {.request = request};
    struct export_columns columns;
    request->table->columns(&columns);
    enum status status = open_runs(&npz, err);
    if (status == STATUS_OK)
        status = zip_create(out, &npz.zip, err);
    if (status == STATUS_OK && request->with_job)
        status = write_jobs(&npz, err);
    for (size_t i = 0; i < columns.count && status == STATUS_OK; i++)
        status = write_column(&npz, &columns, i, err);
    return status == STATUS_OK ? zip_finish(npz.zip, err) : status;
}
