#include "core/npy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are used as the file has them");

/* NumPy itself refuses headers above 10,000 bytes. */
#define HEADER_MOST 65536

static const struct {
    const char *descr, *name;
    size_t size;
} types[NPY_TYPE_COUNT] = {
    [NPY_INT8] = {"|i1", "int8", 1},       [NPY_INT16] = {"<i2", "int16", 2},   [NPY_INT32] = {"<i4", "int32", 4},
    [NPY_INT64] = {"<i8", "int64", 8},     [NPY_UINT8] = {"|u1", "uint8", 1},   [NPY_UINT16] = {"<u2", "uint16", 2},
    [NPY_UINT32] = {"<u4", "uint32", 4},   [NPY_UINT64] = {"<u8", "uint64", 8}, [NPY_FLOAT32] = {"<f4", "float32", 4},
    [NPY_FLOAT64] = {"<f8", "float64", 8},
};

const char *npy_type_name(enum npy_type type)
{
    return types[type].name;
}

size_t npy_type_size(enum npy_type type)
{
    return types[type].size;
}

/* ------------------------------------------------------------------ the header's text */

/*
 * The header is the text of a Python dictionary with exactly these keys, in any order:
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }
 */
struct header {
    char descr[16];
    bool fortran;
    int rank;
    size_t dims[NPY_MAX_RANK];
};

static void skip_spaces(const char **at)
{
    *at += strspn(*at, " \t\r\n");
}

/* Takes `token` where it is next. */
static bool take(const char **at, const char *token)
{
    skip_spaces(at);
    size_t length = strlen(token);
    if (strncmp(*at, token, length) != 0)
        return false;
    *at += length;
    return true;
}

static bool take_string(const char **at, char *ret_text, size_t size)
{
    skip_spaces(at);
    char quote = **at;
    if (quote != '\'' && quote != '"')
        return false;
    const char *start = *at + 1, *end = strchr(start, quote);
    if (!end || (size_t)(end - start) >= size)
        return false;
    memcpy(ret_text, start, (size_t)(end - start));
    ret_text[end - start] = '\0';
    *at = end + 1;
    return true;
}

static bool take_size(const char **at, size_t *ret_size)
{
    skip_spaces(at);
    if (**at < '0' || **at > '9')
        return false;
    size_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (!size_multiply(value, 10, &value) || __builtin_add_overflow(value, (size_t)(**at - '0'), &value))
            return false;
    *ret_size = value;
    return true;
}

/* "()", "(7,)", "(7, 3)": a tuple of at most NPY_MAX_RANK sizes. */
static bool take_shape(const char **at, struct header *header)
{
    header->rank = 0;
    if (!take(at, "("))
        return false;
    while (!take(at, ")")) {
        if (header->rank == NPY_MAX_RANK || !take_size(at, &header->dims[header->rank++]))
            return false;
        if (!take(at, ",")) /* of a tuple of one the comma is part: (7) would be a number */
            return header->rank > 1 && take(at, ")");
    }
    return true;
}

static bool take_entry(const char **at, struct header *header, bool seen[3])
{
    char key[16];
    if (!take_string(at, key, sizeof key) || !take(at, ":"))
        return false;
    static const char *const keys[] = {"descr", "shape", "fortran_order"};
    int which = 0;
    while (which < 3 && strcmp(key, keys[which]) != 0)
        which++;
    if (which == 3 || seen[which])
        return false;
    seen[which] = true;
    if (which == 0)
        return take_string(at, header->descr, sizeof header->descr);
    if (which == 1)
        return take_shape(at, header);
    header->fortran = take(at, "True");
    return header->fortran || take(at, "False");
}

static bool parse_header(const char *text, struct header *header)
{
    bool seen[3] = {false};
    if (!take(&text, "{"))
        return false;
    while (!take(&text, "}")) {
        if (!take_entry(&text, header, seen))
            return false;
        if (!take(&text, ",")) {
            if (!take(&text, "}"))
                return false;
            break;
        }
    }
    skip_spaces(&text);
    return *text == '\0' && seen[0] && seen[1] && seen[2];
}

/* ------------------------------------------------------------------ the file */

/* Reads the header's text, ended by a NUL; the caller frees. Sets file->data_offset. */
static enum status read_header(struct npy_file *file, size_t file_size, char **ret_text, struct error *err)
{
    unsigned char start[12];
    if (file_size < sizeof start)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes, too few for an npy header", file->path, file_size);
    enum status status = file_read_at(file->descriptor, file->path, 0, start, sizeof start, err);
    if (status != STATUS_OK)
        return status;
    if (memcmp(start, "\x93NUMPY", 6) != 0)
        return error_set(err, STATUS_CORRUPT, "%s begins with %02x%02x%02x%02x%02x%02x, an npy file with 934e554d5059",
                         file->path, start[0], start[1], start[2], start[3], start[4], start[5]);
    if (start[6] < 1 || start[6] > 3)
        return error_set(err, STATUS_CORRUPT, "%s is of npy version %d, versions 1 to 3 are known", file->path,
                         start[6]);
    size_t length = (size_t)start[8] | (size_t)start[9] << 8, offset = 10;
    if (start[6] > 1) {
        length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
        offset = 12;
    }
    if (length > HEADER_MOST || length > file_size - offset)
        return error_set(err, STATUS_CORRUPT, "%s has a header of %zu bytes, at most %zu are possible", file->path,
                         length, file_size - offset < HEADER_MOST ? file_size - offset : HEADER_MOST);
    char *text = calloc(1, length + 1);
    if (!text)
        return error_no_memory(err);
    status = file_read_at(file->descriptor, file->path, offset, text, length, err);
    if (status == STATUS_OK && strlen(text) != length)
        status = error_set(err, STATUS_CORRUPT, "%s has a NUL in its header", file->path);
    if (status != STATUS_OK) {
        free(text);
        return status;
    }
    file->data_offset = offset + length;
    *ret_text = text;
    return STATUS_OK;
}

static enum status set_type(struct npy_file *file, const struct header *header, struct error *err)
{
    if (header->fortran)
        return error_set(err, STATUS_CORRUPT, "%s is in Fortran order, C order is expected: save np.ascontiguousarray",
                         file->path);
    for (int i = 0; i < NPY_TYPE_COUNT; i++) {
        if (strcmp(types[i].descr, header->descr) == 0) {
            file->type = (enum npy_type)i;
            return STATUS_OK;
        }
    }
    if (header->descr[0] == '>')
        return error_set(err, STATUS_CORRUPT, "%s is big-endian (%s), little-endian is expected", file->path,
                         header->descr);
    return error_set(err, STATUS_CORRUPT, "%s has elements of type %s; float32, float64 and integers are read",
                     file->path, header->descr);
}

/* Sets the dims and holds their product against the file's size. */
static enum status set_shape(struct npy_file *file, const struct header *header, size_t file_size, struct error *err)
{
    size_t bytes = types[file->type].size, data = file_size - file->data_offset;
    if (header->rank == 0)
        return error_set(err, STATUS_CORRUPT, "%s holds a single number, an array is expected", file->path);
    file->rank = header->rank;
    for (int i = header->rank - 1; i >= 0; i--) {
        file->dims[i] = header->dims[i];
        if (i == 0)
            file->item_bytes = bytes;
        if (header->dims[i] == 0)
            return error_set(err, STATUS_CORRUPT, "%s has a dimension of 0, at least 1 is expected", file->path);
        if (!size_multiply(bytes, header->dims[i], &bytes))
            return error_set(err, STATUS_CORRUPT, "%s says it holds more bytes than any file does", file->path);
    }
    if (bytes != data)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes of data, %zu are expected by its header", file->path,
                         data, bytes);
    return STATUS_OK;
}

enum status npy_open(const char *folder, const char *name, struct npy_file *file, struct error *err)
{
    attribute_cleanup(cleanup_free) char *text = NULL;
    struct header header = {0};
    size_t size = 0;
    file->path = text_format("%s/%s", folder, name);
    if (!file->path)
        return error_no_memory(err);
    enum status status = file_open(file->path, &file->descriptor, &size, err);
    if (status == STATUS_OK)
        status = read_header(file, size, &text, err);
    if (status == STATUS_OK && !parse_header(text, &header))
        status = error_set(err, STATUS_CORRUPT,
                           "%s has a header that is not {'descr', 'fortran_order', 'shape'} with a plain type and at "
                           "most %d dimensions",
                           file->path, NPY_MAX_RANK);
    if (status == STATUS_OK)
        status = set_type(file, &header, err);
    if (status == STATUS_OK)
        status = set_shape(file, &header, size, err);
    return status;
}

void npy_close(struct npy_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    *file = (struct npy_file)NPY_CLOSED;
}

enum status npy_read(const struct npy_file *file, size_t first, size_t count, void *ret_bytes, struct error *err)
{
    return file_read_at(file->descriptor, file->path, file->data_offset + first * file->item_bytes, ret_bytes,
                        count * file->item_bytes, err);
}
