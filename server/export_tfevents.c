/*
 * TensorBoard's event file: records of protocol buffers.
 *
 * A record is the length (8 bytes), its checksum, the data, their checksum; checksums are CRC-32C, rotated right by 15
 * bits and a constant added. The data are a message `Event`, of which these fields are written:
 *   Event          1 wall_time: double, 2 step: int64, 3 file_version: string, 5 summary: Summary
 *   Summary        1 value: repeated Value
 *   Value          1 tag: string, 2 simple_value: float, 5 histo: HistogramProto
 *   HistogramProto 1 min, 2 max, 3 num, 4 sum, 5 sum_squares: double, 6 bucket_limit, 7 bucket: repeated double, packed
 * A field is its number and wire type in one varint, then a varint, 4 or 8 bytes, or a length and so many bytes.
 */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/divergence_stats.h"
#include "server/export_internal.h"

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* Room for the largest message, a histogram of all bins with as many gaps between them. */
enum { MOST_TAG = 1024, MESSAGE_BYTES = 2 * 8 * 2 * (BIN_COUNT + 1) + 2 * MOST_TAG };

struct message {
    uint8_t bytes[MESSAGE_BYTES];
    size_t size;
};

struct tfevents {
    struct sink_buffer *out;
    uint32_t crc_table[256];
    double started; /* seconds since 1970 */
    struct message event, summary, value, histogram;
};

/* ------------------------------------------------------------------ messages */

static void put_bytes(struct message *message, const void *bytes, size_t size)
{
    assert(size <= sizeof message->bytes - message->size); /* tags are cut, and bins are few */
    memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

static void put_varint(struct message *message, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_bytes(message, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    put_bytes(message, &(uint8_t){(uint8_t)value}, 1);
}

static void put_key(struct message *message, unsigned field, enum wire wire)
{
    put_varint(message, (uint64_t)field << 3 | wire);
}

static void put_double(struct message *message, unsigned field, double value)
{
    put_key(message, field, WIRE_FIXED64);
    put_bytes(message, &value, sizeof value);
}

static void put_block(struct message *message, unsigned field, const void *bytes, size_t size)
{
    put_key(message, field, WIRE_BYTES);
    put_varint(message, size);
    put_bytes(message, bytes, size);
}

static void put_message(struct message *message, unsigned field, const struct message *inner)
{
    put_block(message, field, inner->bytes, inner->size);
}

/* ------------------------------------------------------------------ records */

static void make_crc_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
        table[i] = crc;
    }
}

static uint32_t masked_crc(const uint32_t table[256], const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++)
        crc = table[(crc ^ at[i]) & 0xff] ^ crc >> 8;
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

static enum status put_record(struct tfevents *events, struct error *err)
{
    uint64_t size = events->event.size;
    sink_little(events->out, size, 8);
    sink_little(events->out, masked_crc(events->crc_table, &size, sizeof size), 4);
    sink_put(events->out, events->event.bytes, size);
    sink_little(events->out, masked_crc(events->crc_table, events->event.bytes, size), 4);
    return sink_status(events->out, err);
}

static void begin_event(struct tfevents *events, int64_t step)
{
    events->event.size = 0;
    put_double(&events->event, 1, events->started);
    put_key(&events->event, 2, WIRE_VARINT);
    put_varint(&events->event, (uint64_t)step);
}

/* Writes the event of a step with the one value in events->value. */
static enum status put_value(struct tfevents *events, int64_t step, struct error *err)
{
    begin_event(events, step);
    events->summary.size = 0;
    put_message(&events->summary, 1, &events->value);
    put_message(&events->event, 5, &events->summary);
    return put_record(events, err);
}

static enum status put_version(struct tfevents *events, struct error *err)
{
    static const char version[] = "brain.Event:2";
    begin_event(events, 0);
    put_block(&events->event, 3, version, sizeof version - 1);
    return put_record(events, err);
}

/* ------------------------------------------------------------------ scalars */

static enum status put_scalar(struct tfevents *events, sqlite3_stmt *row, struct error *err)
{
    const char *key = (const char *)sqlite3_column_text(row, 0);
    double value = sqlite3_column_type(row, 2) == SQLITE_TEXT
                       ? nonfinite_value((const char *)sqlite3_column_text(row, 2))
                       : sqlite3_column_double(row, 2);
    float single = (float)value;
    if (!key)
        return error_no_memory(err);
    events->value.size = 0;
    put_block(&events->value, 1, key, strnlen(key, MOST_TAG));
    put_key(&events->value, 2, WIRE_FIXED32);
    put_bytes(&events->value, &single, sizeof single);
    return put_value(events, sqlite3_column_int64(row, 1), err);
}

/* ------------------------------------------------------------------ histograms */

/* The upper limit of a bin: each above the one before, also of the bin that holds 0 alone. */
static double upper_limit(unsigned bin)
{
    double low = 0, high = 0;
    histogram_bin_limits(bin, &low, &high);
    if (bin == BIN_NEGATIVE_UNDER)
        return -DBL_MIN;
    if (bin == BIN_ZERO)
        return DBL_MIN;
    return isfinite(high) ? high : DBL_MAX;
}

struct buckets {
    double limits[2 * BIN_COUNT], counts[2 * BIN_COUNT];
    size_t count;
};

/* The bins that hold something; an empty one before each that has an empty neighbour below, for a bucket reaches from
 * the limit of the one before. */
static void fill_buckets(const uint64_t counts[BIN_COUNT], struct buckets *ret_buckets)
{
    ret_buckets->count = 0;
    for (unsigned bin = 0; bin < BIN_UNDEFINED; bin++) {
        if (counts[bin] == 0)
            continue;
        if (bin > 0 && counts[bin - 1] == 0) {
            ret_buckets->limits[ret_buckets->count] = upper_limit(bin - 1);
            ret_buckets->counts[ret_buckets->count++] = 0;
        }
        ret_buckets->limits[ret_buckets->count] = upper_limit(bin);
        ret_buckets->counts[ret_buckets->count++] = (double)counts[bin];
    }
}

enum { AT_SITE, AT_STEP, AT_COUNT, AT_MEAN, AT_SD, AT_MINIMUM, AT_MAXIMUM, AT_HISTOGRAM };
#define HISTOGRAM_SQL                                                                                                  \
    "SELECT s.name, x.step, x.count, x.mean, x.sd, x.minimum, x.maximum, x.histogram FROM sites s "                    \
    "CROSS JOIN divergence_summary x ON x.site = s.site AND x.\"column\" = 'scale' ORDER BY s.site, x.step"

static enum status put_histogram(struct tfevents *events, sqlite3_stmt *row, struct error *err)
{
    const uint8_t *blob = sqlite3_column_blob(row, AT_HISTOGRAM);
    const char *site = (const char *)sqlite3_column_text(row, AT_SITE);
    double count = sqlite3_column_double(row, AT_COUNT), mean = sqlite3_column_double(row, AT_MEAN);
    double sd = sqlite3_column_double(row, AT_SD); /* NULL, of one value, reads as 0 */
    uint64_t counts[BIN_COUNT] = {0};
    struct buckets buckets;
    char tag[MOST_TAG];
    if (!site)
        return error_no_memory(err);
    enum status status =
        blob ? histogram_merge(blob, (size_t)sqlite3_column_bytes(row, AT_HISTOGRAM), counts, err) : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    fill_buckets(counts, &buckets);
    struct message *histogram = &events->histogram;
    histogram->size = 0;
    put_double(histogram, 1, sqlite3_column_double(row, AT_MINIMUM));
    put_double(histogram, 2, sqlite3_column_double(row, AT_MAXIMUM));
    put_double(histogram, 3, count);
    put_double(histogram, 4, mean * count);
    put_double(histogram, 5, sd * sd * fmax(count - 1, 0) + mean * mean * count);
    put_block(histogram, 6, buckets.limits, buckets.count * sizeof *buckets.limits);
    put_block(histogram, 7, buckets.counts, buckets.count * sizeof *buckets.counts);
    snprintf(tag, sizeof tag, "scale/%s", site);
    events->value.size = 0;
    put_block(&events->value, 1, tag, strlen(tag));
    put_message(&events->value, 5, histogram);
    return put_value(events, sqlite3_column_int64(row, AT_STEP), err);
}

/* ------------------------------------------------------------------ the file */

static enum status put_rows(struct tfevents *events, sqlite3 *db, const char *sql,
                            enum status (*put)(struct tfevents *events, sqlite3_stmt *row, struct error *err),
                            struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, sql, &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = put(events, statement, err);
    }
    return status;
}

/* When the run began, in seconds since 1970. */
static enum status started_at(sqlite3 *db, double *ret_seconds, struct error *err)
{
    int64_t milliseconds = 0;
    enum status status = db_integer(
        db, "SELECT CAST(round(unixepoch(started_at) * 1000.0 + substr(started_at, 21, 3)) AS INTEGER) FROM run",
        &milliseconds, err);
    if (status == STATUS_OK)
        *ret_seconds = (double)milliseconds / 1000;
    return status;
}

enum status export_write_tfevents(const struct export_request *request, struct sink_buffer *out, struct error *err)
{
    if (request->run_count != 1)
        return error_set(err, STATUS_INVALID,
                         "an event file of TensorBoard holds one run, these are %zu: export each into a folder of its "
                         "own",
                         request->run_count);
    attribute_cleanup(export_close) struct run_reader *reader = NULL;
    attribute_cleanup(cleanup_free) struct tfevents *events = calloc(1, sizeof *events);
    enum status status = events ? export_open(request, 0, &reader, err) : error_no_memory(err);
    if (status == STATUS_OK && !reader)
        return error_set(err, STATUS_NOT_FOUND, "the run has not begun to write");
    if (status == STATUS_OK)
        status = started_at(reader->db, &events->started, err);
    if (status != STATUS_OK)
        return status;
    events->out = out;
    make_crc_table(events->crc_table);
    status = put_version(events, err);
    if (status == STATUS_OK)
        status =
            put_rows(events, reader->db, "SELECT key, step, coalesce(value, nonfinite) FROM scalars ORDER BY key, step",
                     put_scalar, err);
    if (status == STATUS_OK)
        status = put_rows(events, reader->db, HISTOGRAM_SQL, put_histogram, err);
    return status;
}
