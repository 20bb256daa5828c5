/*
 * An export as a stream that is read: export_write pushes, an answer pulls, and a pipe with a thread stands between.
 */
#ifndef PLUMBLINE_SERVER_EXPORT_STREAM_H
#define PLUMBLINE_SERVER_EXPORT_STREAM_H

#include <sys/types.h>

#include "server/export.h"

struct export_stream; /* opaque */

/*
 * Begins to write. `request` and its runs are copied. Returns once the first bytes are there, so that what cannot be
 * opened is told as a status and not as an answer that breaks off.
 */
enum status export_stream_open(const struct export_request *request, struct export_stream **ret_stream,
                               struct error *err);

/* The next bytes: how many, −1 at the end, −2 where the export failed on its way. May block. Fits answer_reader. */
ssize_t export_stream_read(void *stream, char *buffer, size_t size);

/* Ends it, finished or not. */
void export_stream_close(void *stream);

#endif
