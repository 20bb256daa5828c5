/*
 * Content codings: which one a request takes (RFC 9110, section 12.5.3), and gzip of bytes and of streams.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "server/http_internal.h"

enum {
    GZIP_WINDOW = 15 + 16, /* zlib's way to ask for gzip's frame */
    GZIP_LEVEL = 1,        /* the server's time counts more than a few per cent */
    GZIP_MEMORY = 8,
    PIECE = 1 << 15, /* bytes of a stream that are taken at once */
};

/* --- what is accepted -------------------------------------------------------------------------------------------- */

/* Weights in thousandths; ABSENT where the coding is not named. */
enum { ABSENT = -1, FULL = 1000 };

struct weights {
    int gzip, identity, any;
};

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

/* Behind "q=": "0.5", at most three digits. ABSENT for what is none. */
static int read_weight(const char *text, const char **ret_end)
{
    if (*text != '0' && *text != '1')
        return ABSENT;
    int weight = (*text++ - '0') * FULL;
    if (*text == '.') {
        text++;
        for (int unit = FULL / 10; unit > 0 && *text >= '0' && *text <= '9'; unit /= 10)
            weight += (*text++ - '0') * unit;
    }
    *ret_end = text;
    return weight <= FULL ? weight : ABSENT;
}

/* An item's weight, from behind its coding; ABSENT where it is malformed, and the item counts for nothing. */
static int item_weight(const char *text)
{
    int weight = FULL;
    text = skip_space(text);
    if (*text == ';') {
        text = skip_space(text + 1);
        if (strncasecmp(text, "q=", 2) != 0)
            return ABSENT;
        weight = read_weight(text + 2, &text);
        text = weight == ABSENT ? text : skip_space(text);
    }
    return *text == ',' || *text == '\0' ? weight : ABSENT;
}

static bool coding_is(const char *item, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(item, name, length) == 0;
}

/* The lines of a header that is sent in several are one list. */
static enum MHD_Result scan_codings(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct weights *weights = context;
    (void)kind;
    if (strcasecmp(name, "Accept-Encoding") != 0 || !value)
        return MHD_YES;
    for (const char *item = value; *item; item += strcspn(item, ","), item += *item == ',') {
        item = skip_space(item);
        size_t length = strcspn(item, " \t;,");
        int *weight = coding_is(item, length, "gzip") || coding_is(item, length, "x-gzip") ? &weights->gzip
                      : coding_is(item, length, "identity")                                ? &weights->identity
                      : coding_is(item, length, "*")                                       ? &weights->any
                                                                                           : NULL;
        int given = weight ? item_weight(item + length) : ABSENT;
        if (given != ABSENT)
            *weight = given;
    }
    return MHD_YES;
}

enum coding choose_coding(struct MHD_Connection *connection)
{
    struct weights weights = {ABSENT, ABSENT, ABSENT};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, scan_codings, &weights);
    int gzip = weights.gzip != ABSENT ? weights.gzip : weights.any;
    int identity = weights.identity != ABSENT ? weights.identity : weights.any == 0 ? 0 : ABSENT;
    if (gzip <= 0 || gzip < identity)
        return CODING_IDENTITY;
    return identity == 0 ? CODING_GZIP_ONLY : CODING_GZIP;
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static bool begin(z_stream *stream)
{
    return deflateInit2(stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
}

void *gzip_bytes(const void *bytes, size_t size, bool must, size_t *ret_size)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size};
    if (size > UINT32_MAX / 2 || !begin(&stream))
        return NULL;
    size_t room = must ? deflateBound(&stream, size) : size;
    Bytef *packed = malloc(room);
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    bool good = packed && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *ret_size = stream.total_out;
    deflateEnd(&stream);
    if (good)
        return packed;
    free(packed);
    return NULL;
}

/* --- streams ----------------------------------------------------------------------------------------------------- */

struct gzip_stream {
    struct answer inner; /* whose reader gives what is packed */
    z_stream zlib;
    bool read_all, done;
    Bytef piece[PIECE];
};

/* More of what is to be packed, where there is none left: false where it broke off. */
static bool refill(struct gzip_stream *stream)
{
    if (stream->zlib.avail_in > 0 || stream->read_all)
        return true;
    ssize_t count = stream->inner.read(stream->inner.context, (char *)stream->piece, sizeof stream->piece);
    stream->read_all = count == -1;
    stream->zlib.next_in = stream->piece;
    stream->zlib.avail_in = count > 0 ? (uInt)count : 0;
    return count >= -1;
}

static ssize_t gzip_read(void *context, char *buffer, size_t size)
{
    struct gzip_stream *stream = context;
    uInt room = size < UINT32_MAX ? (uInt)size : UINT32_MAX;
    stream->zlib.next_out = (Bytef *)buffer;
    stream->zlib.avail_out = room;
    while (!stream->done && stream->zlib.avail_out > 0) {
        if (!refill(stream))
            return -2;
        int code = deflate(&stream->zlib, stream->read_all ? Z_FINISH : Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return -2;
        stream->done = code == Z_STREAM_END;
    }
    ssize_t count = (ssize_t)(room - stream->zlib.avail_out);
    return count > 0 ? count : -1;
}

static void gzip_close(void *context)
{
    struct gzip_stream *stream = context;
    deflateEnd(&stream->zlib);
    answer_clear(&stream->inner);
    free(stream);
}

bool gzip_answer(struct answer *answer)
{
    struct gzip_stream *stream = calloc(1, sizeof *stream);
    if (!stream || !begin(&stream->zlib)) {
        free(stream);
        return false;
    }
    stream->inner = (struct answer){.read = answer->read, .close = answer->close, .context = answer->context};
    answer->read = gzip_read;
    answer->close = gzip_close;
    answer->context = stream;
    return true;
}
