/*
 * The format is PKWARE's APPNOTE 6.3, sections 4.3 and 4.5.3 (zip64).
 */
#include "server/zip_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/array.h"

enum {
    VERSION_ZIP64 = 45,
    FLAG_SIZES_BEHIND = 1 << 3,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    DATE_1980 = 1 << 5 | 1, /* the first day that the format has */
    EXTRA_ZIP64 = 1,
};

struct member {
    char *name;
    int method;
    uint32_t crc;
    uint64_t size, packed, offset;
};

struct zip_writer {
    struct sink_buffer *out;
    struct member *members;
    size_t count, capacity;
    bool open;
    z_stream deflate;
    bool deflating;       /* the stream is to be ended */
    size_t gathered_size; /* small pieces are gathered before they are summed and packed */
    unsigned char gathered[1 << 14], packed[1 << 14];
};

enum status zip_create(struct sink_buffer *out, struct zip_writer **ret_zip, struct error *err)
{
    struct zip_writer *zip = calloc(1, sizeof *zip);
    if (!zip)
        return error_no_memory(err);
    zip->out = out;
    *ret_zip = zip;
    return STATUS_OK;
}

void zip_free(struct zip_writer *zip)
{
    if (!zip)
        return;
    if (zip->deflating)
        deflateEnd(&zip->deflate);
    for (size_t i = 0; i < zip->count; i++)
        free(zip->members[i].name);
    free(zip->members);
    free(zip);
}

/* What a member's two headers share: from the version to the length of the extra field. */
static void put_common(struct sink_buffer *out, const struct member *member, size_t extra)
{
    sink_little(out, VERSION_ZIP64, 2);
    sink_little(out, FLAG_SIZES_BEHIND, 2);
    sink_little(out, (uint64_t)member->method, 2);
    sink_little(out, 0, 2); /* time */
    sink_little(out, DATE_1980, 2);
    sink_little(out, member->crc, 4); /* 0 while it is not known */
    sink_little(out, UINT32_MAX, 4);  /* both sizes are in the extra field */
    sink_little(out, UINT32_MAX, 4);
    sink_little(out, strlen(member->name), 2);
    sink_little(out, extra, 2);
}

static enum status add_member(struct zip_writer *zip, const char *name, struct error *err)
{
    struct member *members = array_room(zip->members, zip->count, &zip->capacity, sizeof *members);
    if (!members)
        return error_no_memory(err);
    zip->members = members;
    struct member *member = &zip->members[zip->count];
    *member = (struct member){.name = strdup(name), .offset = zip->out->total};
    if (!member->name)
        return error_no_memory(err);
    zip->count++;
    return STATUS_OK;
}

enum status zip_begin(struct zip_writer *zip, const char *name, bool compress, struct error *err)
{
    assert(!zip->open);
    enum status status = add_member(zip, name, err);
    if (status != STATUS_OK)
        return status;
    struct member *member = &zip->members[zip->count - 1];
    member->method = compress ? METHOD_DEFLATED : METHOD_STORED;
    /* Speed: what compresses at all (names, numbers that repeat) does so at the first level. */
    if (compress && deflateInit2(&zip->deflate, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return error_no_memory(err);
    zip->deflating = compress;
    zip->open = true;
    sink_little(zip->out, 0x04034b50, 4);
    put_common(zip->out, member, 20);
    sink_text(zip->out, name);
    sink_little(zip->out, EXTRA_ZIP64, 2);
    sink_little(zip->out, 16, 2);
    sink_little(zip->out, 0, 8); /* both sizes: behind the data */
    sink_little(zip->out, 0, 8);
    return sink_status(zip->out, err);
}

/* Packs what is in the stream's input. */
static void pack(struct zip_writer *zip, struct member *member, int flush)
{
    do {
        zip->deflate.next_out = zip->packed;
        zip->deflate.avail_out = sizeof zip->packed;
        deflate(&zip->deflate, flush); /* fails only for a stream that is no stream */
        size_t size = sizeof zip->packed - zip->deflate.avail_out;
        sink_put(zip->out, zip->packed, size);
        member->packed += size;
    } while (zip->deflate.avail_out == 0);
}

/* Sums, packs and hands on. */
static void put_piece(struct zip_writer *zip, const void *bytes, size_t size)
{
    struct member *member = &zip->members[zip->count - 1];
    member->crc = (uint32_t)crc32(member->crc, bytes, (uInt)size);
    member->size += size;
    if (zip->deflating) {
        zip->deflate.next_in = (z_const Bytef *)bytes;
        zip->deflate.avail_in = (uInt)size;
        pack(zip, member, Z_NO_FLUSH);
    } else {
        sink_put(zip->out, bytes, size);
        member->packed += size;
    }
}

static void put_gathered(struct zip_writer *zip)
{
    put_piece(zip, zip->gathered, zip->gathered_size);
    zip->gathered_size = 0;
}

enum status zip_write(struct zip_writer *zip, const void *bytes, size_t size, struct error *err)
{
    assert(zip->open && size <= UINT32_MAX);
    if (size > sizeof zip->gathered - zip->gathered_size)
        put_gathered(zip);
    if (size > sizeof zip->gathered) {
        put_piece(zip, bytes, size);
    } else {
        memcpy(zip->gathered + zip->gathered_size, bytes, size);
        zip->gathered_size += size;
    }
    return sink_status(zip->out, err);
}

enum status zip_end(struct zip_writer *zip, struct error *err)
{
    assert(zip->open);
    struct member *member = &zip->members[zip->count - 1];
    put_gathered(zip);
    if (zip->deflating) {
        zip->deflate.avail_in = 0;
        pack(zip, member, Z_FINISH);
        deflateEnd(&zip->deflate);
        zip->deflating = false;
    }
    zip->open = false;
    sink_little(zip->out, 0x08074b50, 4);
    sink_little(zip->out, member->crc, 4);
    sink_little(zip->out, member->packed, 8);
    sink_little(zip->out, member->size, 8);
    return sink_status(zip->out, err);
}

static void put_directory_entry(struct sink_buffer *out, const struct member *member)
{
    sink_little(out, 0x02014b50, 4);
    sink_little(out, VERSION_ZIP64, 2); /* made by */
    put_common(out, member, 28);
    sink_little(out, 0, 2); /* comment */
    sink_little(out, 0, 2); /* disk */
    sink_little(out, 0, 2); /* attributes */
    sink_little(out, 0, 4);
    sink_little(out, UINT32_MAX, 4); /* the offset is in the extra field */
    sink_text(out, member->name);
    sink_little(out, EXTRA_ZIP64, 2);
    sink_little(out, 24, 2);
    sink_little(out, member->size, 8);
    sink_little(out, member->packed, 8);
    sink_little(out, member->offset, 8);
}

enum status zip_finish(struct zip_writer *zip, struct error *err)
{
    assert(!zip->open);
    struct sink_buffer *out = zip->out;
    uint64_t start = out->total;
    for (size_t i = 0; i < zip->count; i++)
        put_directory_entry(out, &zip->members[i]);
    uint64_t end = out->total;
    sink_little(out, 0x06064b50, 4);
    sink_little(out, 44, 8); /* bytes of this record that follow */
    sink_little(out, VERSION_ZIP64, 2);
    sink_little(out, VERSION_ZIP64, 2);
    sink_little(out, 0, 4);
    sink_little(out, 0, 4);
    sink_little(out, zip->count, 8);
    sink_little(out, zip->count, 8);
    sink_little(out, end - start, 8);
    sink_little(out, start, 8);
    sink_little(out, 0x07064b50, 4);
    sink_little(out, 0, 4);
    sink_little(out, end, 8);
    sink_little(out, 1, 4);
    sink_little(out, 0x06054b50, 4);
    sink_little(out, 0, 4);
    sink_little(out, UINT16_MAX, 2); /* both counts, size and offset are in the records above */
    sink_little(out, UINT16_MAX, 2);
    sink_little(out, UINT32_MAX, 4);
    sink_little(out, UINT32_MAX, 4);
    sink_little(out, 0, 2);
    return sink_status(out, err);
}
