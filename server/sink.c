#include "server/sink.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"

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
    char text[REAL_TEXT_SIZE];
    sink_text(buffer, real_text(value, text));
}

void sink_little(struct sink_buffer *buffer, uint64_t value, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    sink_put(buffer, bytes, size);
}

/* Whether it is a JSON string when quotes are put around it. */
static bool is_plain(const char *text)
{
    while (*text >= ' ' && *text <= '~' && *text != '"' && *text != '\\')
        text++;
    return *text == '\0';
}

void sink_json_string(struct sink_buffer *buffer, const char *text)
{
    if (is_plain(text)) {
        sink_put(buffer, "\"", 1);
        sink_text(buffer, text);
        sink_put(buffer, "\"", 1);
        return;
    }
    json_t *json = json_string_nocheck(text);
    bool writable = json && json_dumpb(json, NULL, 0, JSON_ENCODE_ANY) > 0;
    char *quoted = writable ? json_text(json, JSON_ENCODE_ANY) : NULL;
    if (quoted)
        sink_text(buffer, quoted);
    else if (buffer->status == STATUS_OK)
        buffer->status = json && !writable ? error_set(&buffer->err, STATUS_CORRUPT, "a stored text is not UTF-8")
                                           : error_no_memory(&buffer->err);
    json_decref(json);
    free(quoted);
}

void sink_csv_text(struct sink_buffer *buffer, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        sink_text(buffer, text);
        return;
    }
    sink_put(buffer, "\"", 1);
    for (; *text; text++) {
        sink_put(buffer, text, 1);
        if (*text == '"') /* doubled */
            sink_put(buffer, text, 1);
    }
    sink_put(buffer, "\"", 1);
}

void sink_fail(struct sink_buffer *buffer, enum status status, const char *sentence)
{
    if (buffer->status == STATUS_OK)
        buffer->status = error_set(&buffer->err, status, "%s", sentence);
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

/* --- in memory ----------------------------------------------------------------------------------------------- */

static enum status gather(void *context, const void *bytes, size_t size, struct error *err)
{
    struct sink_memory *memory = context;
    if (memory->capacity - memory->size < size) {
        size_t capacity = 2 * (memory->size + size);
        char *larger = realloc(memory->bytes, capacity);
        if (!larger)
            return error_no_memory(err);
        memory->bytes = larger;
        memory->capacity = capacity;
    }
    memcpy(memory->bytes + memory->size, bytes, size);
    memory->size += size;
    return STATUS_OK;
}

struct sink sink_to_memory(struct sink_memory *memory)
{
    return (struct sink){.write = gather, .context = memory};
}
