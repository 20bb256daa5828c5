/*
 * Where streamed bytes go, and a buffer in front of it.
 *
 * A sink takes bytes as they come; a status other than STATUS_OK ends what is being written (STATUS_STOPPED when the
 * reader has gone). The buffer keeps the first failure and then takes no more, so that a writer of many small pieces
 * asks once a row.
 */
#ifndef PLUMBLINE_SERVER_SINK_H
#define PLUMBLINE_SERVER_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct sink {
    enum status (*write)(void *context, const void *bytes, size_t size, struct error *err);
    void *context;
};

enum { SINK_BUFFER_BYTES = 1 << 16 };

struct sink_buffer {
    const struct sink *sink;
    enum status status; /* the first failure */
    struct error err;   /* its sentence */
    uint64_t total;     /* bytes put so far */
    size_t used;
    char bytes[SINK_BUFFER_BYTES];
};

/* A new buffer; the caller frees it by free(), after sink_flush. */
enum status sink_buffer_create(const struct sink *sink, struct sink_buffer **ret_buffer, struct error *err);

void sink_put(struct sink_buffer *buffer, const void *bytes, size_t size);
void sink_text(struct sink_buffer *buffer, const char *text);
void sink_integer(struct sink_buffer *buffer, int64_t value);

/* A finite number in digits that read back as the same number. */
void sink_number(struct sink_buffer *buffer, double value);

/* The low `size` bytes of a number, the lowest first. */
void sink_little(struct sink_buffer *buffer, uint64_t value, size_t size);

/* The first failure so far. */
enum status sink_status(const struct sink_buffer *buffer, struct error *err);

/* The text as a JSON string, in quotes. One that is not UTF-8 fails as STATUS_CORRUPT. */
void sink_json_string(struct sink_buffer *buffer, const char *text);

/* The text as a field of CSV (RFC 4180): in quotes where it must be. */
void sink_csv_text(struct sink_buffer *buffer, const char *text);

/* What the writer itself failed at, where nothing failed before. */
void sink_fail(struct sink_buffer *buffer, enum status status, const char *sentence);

/* Hands everything on. */
enum status sink_flush(struct sink_buffer *buffer, struct error *err);

/* --- in memory ----------------------------------------------------------------------------------------------- */

/* What was written to a sink of this; `bytes` is the caller's to free. All zero at first. */
struct sink_memory {
    char *bytes;
    size_t size, capacity;
};

/* A sink that gathers in `memory`, which must outlive it. */
struct sink sink_to_memory(struct sink_memory *memory);

#endif
