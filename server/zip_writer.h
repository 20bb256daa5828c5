/*
 * A zip archive, streamed: members of any size, one after the other, nothing gone back to.
 *
 * Every member has its sizes behind it and in the directory at the end, as 64-bit numbers (zip64), so that none need be
 * known when it begins.
 */
#ifndef PLUMBLINE_SERVER_ZIP_WRITER_H
#define PLUMBLINE_SERVER_ZIP_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "server/sink.h"

struct zip_writer; /* opaque */

/* Writes to `out`, which must outlive the writer. The archive begins where `out` is empty. */
enum status zip_create(struct sink_buffer *out, struct zip_writer **ret_zip, struct error *err);
void zip_free(struct zip_writer *zip); /* nothing for NULL */

/* Begins a member, compressed or as it is. Names are ASCII. */
enum status zip_begin(struct zip_writer *zip, const char *name, bool compress, struct error *err);
enum status zip_write(struct zip_writer *zip, const void *bytes, size_t size, struct error *err);
enum status zip_end(struct zip_writer *zip, struct error *err);

/* Writes the directory. No member is open. */
enum status zip_finish(struct zip_writer *zip, struct error *err);

#endif
