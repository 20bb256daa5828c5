/*
 * A stream that gathers a text in memory, for fprintf. It is what open_memstream is, but tells for sure when memory ran
 * out: glibc's (2.36) then leaves out what did not fit, goes on, and neither ferror nor fclose says so, which would
 * drop a NOT of a filter.
 */
#ifndef PLUMBLINE_SERVER_TEXT_STREAM_H
#define PLUMBLINE_SERVER_TEXT_STREAM_H

#include <stdbool.h>
#include <stdio.h>

#include "server/sink.h"

struct text_stream {
    FILE *out; /* to write to */
    struct sink_memory memory;
    bool failed;
};

/* False when memory runs out; the stream is then closed. It must stay where it is until it is closed. */
bool text_stream_open(struct text_stream *stream);

/* Closes it and gives its text, the caller's to free, or NULL where memory ran out, or it was not open. `ret_size` (may
 * be NULL) is the length. */
char *text_stream_close(struct text_stream *stream, size_t *ret_size);

#endif
