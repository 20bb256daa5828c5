#include "server/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status sink_buffer_create(const struct sink *sink, struct sink_buffer **ret_buffer, struct error *err)
{
    struct sink_buffer *buffer = malloc(sizeof *buffer);
    if (!buffer)
        return error_no_memory(err);
    buffer->sink = sink;
    buffer->status = STATUS_OK;
    buffer->err.text[0] = '\0';
    buffer->total = 0;
    buffer->used = 0;
    *ret_buffer = buffer;
    return STATUS_OK;
}

static void hand_on(struct sink_buffer *buffer)
{
    if (buffer->status == STATUS_OK && buffer->used > 0)
        buffer->status = buffer->sink->write(buffer->sink->context, buffer->bytes, buffer->used, &buffer->err);
    buffer->used = 0;
}

void sink_put(struct sink_buffer *buffer, const void *bytes, size_t size)
{
    const char *from = bytes;
    buffer->total += size;
    while (size > 0) {
        size_t room = sizeof buffer->bytes - buffer->used, part = size < room ? size : room;
        memcpy(buffer->bytes + buffer->used, from, part);
        buffer->used += part;
        from += part;
        size -= part;
        if (buffer->used == sizeof buffer->bytes)
            hand_on(buffer);
    }
}

void sink_text(struct sink_buffer *buffer, const char *text)
{
    sink_put(buffer, text, strlen(text));
}

void sink_integer(struct sink_buffer *buffer, int64_t value)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRId64, value);
    sink_put(buffer, text, (size_t)length);
}

void sink_number(struct sink_buffer *buffer, double value)
{
    char text[40];
    int length = snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        length = snprintf(text, sizeof text, "%.17g", value);
    sink_put(buffer, text, (size_t)length);
}

void sink_little(struct sink_buffer *buffer, uint64_t value, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    sink_put(buffer, bytes, size);
}

enum status sink_status(const struct sink_buffer *buffer, struct error *err)
{
    if (buffer->status != STATUS_OK && err)
        *err = buffer->err;
    return buffer->status;
}

enum status sink_flush(struct sink_buffer *buffer, struct error *err)
{
    hand_on(buffer);
    return sink_status(buffer, err);
}
