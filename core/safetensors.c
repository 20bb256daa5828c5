/*
 * A safetensors file: 8 bytes with the header's length (little-endian), the header, the data.
 *   {"__metadata__": {…}, "NAME": {"dtype": "F32", "shape": [128, 784], "data_offsets": [0, 401408]}, …}
 * The offsets are in the data; together the tensors fill it without holes or overlaps, in any order.
 */
#include "core/safetensors.h"

#include <assert.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "core/json_text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are used as the file has them");

/* The bound that the format's own library has. */
#define HEADER_MOST 100000000

#define METADATA "__metadata__"

/* ------------------------------------------------------------------ lists */

void tensor_list_clear(struct tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].values);
    }
    free(list->items);
    *list = (struct tensor_list){0};
}

const struct named_tensor *tensor_list_find(const struct tensor_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

/* ------------------------------------------------------------------ the header */

/* Where a tensor's data are, for reading them and for finding holes. */
struct extent {
    size_t begin, end;
    const char *name;
};

struct reader {
    const char *path;
    int descriptor;
    size_t data_offset, data_size; /* of the data in the file */
    json_t *header;
    struct tensor_list tensors;
    struct extent *extents;
};

static void cleanup_reader(struct reader *reader)
{
    cleanup_descriptor(&reader->descriptor);
    json_decref(reader->header);
    tensor_list_clear(&reader->tensors);
    free(reader->extents);
}

static enum status read_header(struct reader *reader, size_t file_size, struct error *err)
{
    unsigned char start[8];
    uint64_t length = 0;
    if (file_size < sizeof start)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes, too few for a safetensors header", reader->path,
                         file_size);
    enum status status = file_read_at(reader->descriptor, reader->path, 0, start, sizeof start, err);
    if (status != STATUS_OK)
        return status;
    memcpy(&length, start, sizeof length);
    if (length > HEADER_MOST || length > file_size - sizeof start)
        return error_set(err, STATUS_CORRUPT, "%s has a header of %llu bytes, at most %zu are possible", reader->path,
                         (unsigned long long)length,
                         file_size - sizeof start < HEADER_MOST ? file_size - sizeof start : (size_t)HEADER_MOST);
    attribute_cleanup(cleanup_free) char *text = malloc((size_t)length + 1);
    if (!text)
        return error_no_memory(err);
    status = file_read_at(reader->descriptor, reader->path, sizeof start, text, (size_t)length, err);
    if (status != STATUS_OK)
        return status;
    json_error_t where;
    reader->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(reader->header))
        return error_set(err, STATUS_CORRUPT, "%s has a header that is not a JSON object: %s", reader->path,
                         reader->header ? "it is another value" : where.text);
    reader->data_offset = sizeof start + (size_t)length;
    reader->data_size = file_size - reader->data_offset;
    return STATUS_OK;
}

static bool is_size(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* Sets rank, dims and size; false where the shape is none or its product does not fit. */
static bool read_shape(const json_t *shape, struct named_tensor *tensor)
{
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_MAX_RANK)
        return false;
    tensor->rank = (int)json_array_size(shape);
    tensor->size = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!is_size(dim))
            return false;
        tensor->dims[i] = (size_t)json_integer_value(dim);
        if (!size_multiply(tensor->size, tensor->dims[i], &tensor->size))
            return false;
    }
    return true;
}

/* Bytes of one element of a type that is read; 0 for all others. */
static size_t dtype_size(const char *dtype)
{
    if (dtype && strcmp(dtype, "F32") == 0)
        return sizeof(float);
    return dtype && strcmp(dtype, "F64") == 0 ? sizeof(double) : 0;
}

/* Checks one entry of the header against the file's size. */
static enum status read_entry(const struct reader *reader, const char *name, const json_t *entry,
                              struct named_tensor *tensor, struct extent *extent, struct error *err)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    size_t bytes = 0, width = dtype_size(dtype);
    if (width == 0)
        return error_set(err, STATUS_CORRUPT, "%s: %.100s is of type %.20s, F32 or F64 is expected", reader->path, name,
                         dtype ? dtype : "none");
    if (!read_shape(json_object_get(entry, "shape"), tensor) || !size_multiply(tensor->size, width, &bytes))
        return error_set(err, STATUS_CORRUPT, "%s: %.100s has no shape of at most %d sizes that any file could hold",
                         reader->path, name, TENSOR_MAX_RANK);
    if (json_array_size(offsets) != 2 || !is_size(begin) || !is_size(end))
        return error_set(err, STATUS_CORRUPT, "%s: %.100s has no data_offsets of a begin and an end", reader->path,
                         name);
    *extent = (struct extent){(size_t)json_integer_value(begin), (size_t)json_integer_value(end), name};
    if (extent->begin > extent->end || extent->end > reader->data_size)
        return error_set(err, STATUS_CORRUPT, "%s: %.100s lies at %zu to %zu, the data have %zu bytes", reader->path,
                         name, extent->begin, extent->end, reader->data_size);
    if (extent->end - extent->begin != bytes)
        return error_set(err, STATUS_CORRUPT, "%s: %.100s has %zu bytes, its shape needs %zu", reader->path, name,
                         extent->end - extent->begin, bytes);
    return STATUS_OK;
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Each byte of the data belongs to one tensor. */
static enum status check_extents(const struct reader *reader, size_t count, struct error *err)
{
    attribute_cleanup(cleanup_free) struct extent *sorted = malloc((count + 1) * sizeof *sorted);
    size_t at = 0;
    if (!sorted)
        return error_no_memory(err);
    if (count > 0)
        memcpy(sorted, reader->extents, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_extents);
    for (size_t i = 0; i < count; i++) {
        if (sorted[i].begin < at)
            return error_set(err, STATUS_CORRUPT, "%s: %.100s begins at %zu, inside the tensor before it", reader->path,
                             sorted[i].name, sorted[i].begin);
        if (sorted[i].begin > at)
            return error_set(err, STATUS_CORRUPT, "%s has %zu bytes before %.100s that no tensor names", reader->path,
                             sorted[i].begin - at, sorted[i].name);
        at = sorted[i].end;
    }
    if (at != reader->data_size)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes of data, its tensors fill %zu", reader->path,
                         reader->data_size, at);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ the data */

/* Reads an F64 tensor in pieces, or an F32 one in place where `real` is that. */
static enum status read_values(const struct reader *reader, const struct extent *extent, struct named_tensor *tensor,
                               struct error *err)
{
    enum { PIECE = 4096 };
    unsigned char piece[PIECE * sizeof(double)];
    size_t width = tensor->size ? (extent->end - extent->begin) / tensor->size : sizeof(real);
    tensor->values = malloc((tensor->size ? tensor->size : 1) * sizeof *tensor->values);
    if (!tensor->values)
        return error_no_memory(err);
    for (size_t done = 0; done < tensor->size;) {
        size_t left = tensor->size - done, count = left < PIECE ? left : PIECE;
        enum status status =
            file_read_at(reader->descriptor, reader->path, reader->data_offset + extent->begin + done * width, piece,
                         count * width, err);
        if (status != STATUS_OK)
            return status;
        for (size_t i = 0; i < count; i++) {
            float single = 0;
            double value = 0;
            if (width == sizeof single) {
                memcpy(&single, piece + i * width, width);
                value = (double)single;
            } else {
                memcpy(&value, piece + i * width, width);
            }
            tensor->values[done + i] = (real)value;
            if (isfinite(value) && !isfinite(tensor->values[done + i]))
                return error_set(err, STATUS_CORRUPT, "%s: %.100s holds %g, which single precision does not",
                                 reader->path, tensor->name, value);
        }
        done += count;
    }
    return STATUS_OK;
}

static enum status read_entries(struct reader *reader, struct error *err)
{
    size_t entries = json_object_size(reader->header), count = 0;
    const char *name;
    json_t *entry;
    reader->tensors.items = calloc(entries + 1, sizeof *reader->tensors.items);
    reader->extents = calloc(entries + 1, sizeof *reader->extents);
    if (!reader->tensors.items || !reader->extents)
        return error_no_memory(err);
    json_object_foreach(reader->header, name, entry)
    {
        if (strcmp(name, METADATA) == 0)
            continue;
        struct named_tensor *tensor = &reader->tensors.items[count];
        enum status status = read_entry(reader, name, entry, tensor, &reader->extents[count], err);
        if (status != STATUS_OK)
            return status;
        tensor->name = strdup(name);
        reader->tensors.count = ++count;
        if (!tensor->name)
            return error_no_memory(err);
    }
    return check_extents(reader, count, err);
}

static enum status read_file(const char *path, bool values, struct tensor_list *ret_list, struct error *err)
{
    attribute_cleanup(cleanup_reader) struct reader reader = {.path = path, .descriptor = -1};
    size_t size = 0;
    enum status status = file_open(path, &reader.descriptor, &size, err);
    if (status == STATUS_OK)
        status = read_header(&reader, size, err);
    if (status == STATUS_OK)
        status = read_entries(&reader, err);
    for (size_t i = 0; values && status == STATUS_OK && i < reader.tensors.count; i++)
        status = read_values(&reader, &reader.extents[i], &reader.tensors.items[i], err);
    if (status != STATUS_OK)
        return status;
    *ret_list = reader.tensors;
    reader.tensors = (struct tensor_list){0};
    return STATUS_OK;
}

enum status safetensors_inspect(const char *path, struct tensor_list *ret_list, struct error *err)
{
    return read_file(path, false, ret_list, err);
}

enum status safetensors_read(const char *path, struct tensor_list *ret_list, struct error *err)
{
    return read_file(path, true, ret_list, err);
}

/* ------------------------------------------------------------------ writing */

static json_t *encode_entry(const struct named_tensor *tensor, size_t begin, size_t end)
{
    json_t *shape = json_array();
    bool whole = shape;
    for (int i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->dims[i])) != 0)
            whole = false;
    if (whole)
        return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)begin,
                         (json_int_t)end);
    json_decref(shape);
    return NULL;
}

/* The header's text, padded so that the data behind it are aligned. The caller frees. */
static enum status encode_header(const struct tensor_list *list, char **ret_text, size_t *ret_data, struct error *err)
{
    json_t *header = json_object();
    enum status status = header ? STATUS_OK : error_no_memory(err);
    size_t at = 0;
    for (size_t i = 0; status == STATUS_OK && i < list->count; i++) {
        const struct named_tensor *tensor = &list->items[i];
        size_t end;
        if (!size_multiply(tensor->size, sizeof(float), &end) || __builtin_add_overflow(end, at, &end))
            status = error_set(err, STATUS_INVALID, "the tensors are larger than any file");
        else if (strcmp(tensor->name, METADATA) == 0 || json_object_get(header, tensor->name))
            status = error_set(err, STATUS_INVALID, "no two tensors can be named %.100s in one file", tensor->name);
        else if (json_object_set_new(header, tensor->name, encode_entry(tensor, at, end)) != 0)
            status = error_no_memory(err);
        else
            at = end;
    }
    char *text = status == STATUS_OK ? json_text(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (status != STATUS_OK)
        return status;
    if (!text)
        return error_no_memory(err);
    *ret_text = text;
    *ret_data = at;
    return STATUS_OK;
}

enum status safetensors_encode(const struct tensor_list *list, uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
    attribute_cleanup(cleanup_free) char *text = NULL;
    size_t data = 0, total;
    enum status status = encode_header(list, &text, &data, err);
    if (status != STATUS_OK)
        return status;
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    uint64_t stored = padded;
    if (__builtin_add_overflow(sizeof stored + padded, data, &total))
        return error_no_memory(err);
    uint8_t *bytes = malloc(total);
    if (!bytes)
        return error_no_memory(err);
    memcpy(bytes, &stored, sizeof stored);
    memcpy(bytes + sizeof stored, text, length);
    memset(bytes + sizeof stored + length, ' ', padded - length);
    uint8_t *at = bytes + sizeof stored + padded;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < list->items[i].size; j++, at += sizeof(float)) {
            float value = (float)list->items[i].values[j];
            memcpy(at, &value, sizeof value);
        }
    }
    assert(at == bytes + total);
    *ret_bytes = bytes;
    *ret_size = total;
    return STATUS_OK;
}
