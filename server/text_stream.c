#include "server/text_stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static ssize_t take(void *context, const char *bytes, size_t size)
{
    struct text_stream *stream = context;
    const struct sink sink = sink_to_memory(&stream->memory);
    if (!stream->failed && sink.write(sink.context, bytes, size, NULL) == STATUS_OK)
        return (ssize_t)size;
    stream->failed = true;
    return 0;
}

bool text_stream_open(struct text_stream *stream)
{
    *stream = (struct text_stream){0};
    stream->out = fopencookie(stream, "w", (cookie_io_functions_t){.write = take});
    return stream->out != NULL;
}

char *text_stream_close(struct text_stream *stream, size_t *ret_size)
{
    if (!stream->out)
        return NULL;
    bool good = putc('\0', stream->out) != EOF;
    good = fclose(stream->out) == 0 && good && !stream->failed;
    char *text = stream->memory.bytes;
    if (good && ret_size)
        *ret_size = stream->memory.size - 1;
    *stream = (struct text_stream){0};
    if (good)
        return text;
    free(text);
    return NULL;
}
