/*
 * The IDX format of MNIST and its kin: two zero bytes, the element's type, the rank, the dims as big-endian 32-bit
 * numbers, then the elements in C order. Each file may be plain or gzipped.
 *
 * A header's counts are compared with the file's size before anything is allocated by them. A gzipped file tells its
 * size only at its end: the header is held against the most that deflate can unpack from that many bytes, and the rest
 * is read to its end, so that a broken or cut stream is refused even where a limit takes the first samples only.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"

#define IDX_BYTES 0x08 /* the element type of unsigned bytes */
#define IDX_MAX_RANK 3
#define IDX_CHUNK (1U << 20)

/* Deflate packs at most 1032 to 1. */
#define DEFLATE_MOST 1032

struct idx_file {
    char *path;
    gzFile stream; /* reads plain files as they are */
    int rank;
    size_t dims[IDX_MAX_RANK];
    size_t item; /* bytes of one item: the product of the dims after the first */
};

static void cleanup_idx(struct idx_file *file)
{
    if (file->stream)
        gzclose_r(file->stream);
    free(file->path);
}

/* Reads exactly `size` bytes. */
static enum status idx_read(const struct idx_file *file, void *ret_bytes, size_t size, struct error *err)
{
    for (size_t done = 0; done < size;) {
        size_t left = size - done;
        int got = gzread(file->stream, (char *)ret_bytes + done, left < IDX_CHUNK ? (unsigned)left : IDX_CHUNK);
        int code = Z_OK;
        const char *reason = gzerror(file->stream, &code);
        if (got < 0 && code == Z_ERRNO)
            return error_set(err, STATUS_IO, "%s cannot be read: %s", file->path, strerror(errno));
        if (got < 0 || (got == 0 && code == Z_BUF_ERROR))
            return error_set(err, STATUS_CORRUPT, "%s is not whole gzip data: %s", file->path, reason);
        if (got == 0)
            return error_set(err, STATUS_CORRUPT, "%s ends %zu bytes too early for the sizes in its header", file->path,
                             left);
        done += (size_t)got;
    }
    return STATUS_OK;
}

/* Nothing may follow the items; for gzip this also checks the sum at its end. */
static enum status idx_expect_end(const struct idx_file *file, struct error *err)
{
    char byte;
    int got = gzread(file->stream, &byte, 1), code = Z_OK;
    const char *reason = gzerror(file->stream, &code);
    if (got == 0 && (code == Z_OK || code == Z_STREAM_END))
        return STATUS_OK;
    if (got > 0)
        return error_set(err, STATUS_CORRUPT, "%s goes on after the %zu items that its header says", file->path,
                         file->dims[0]);
    return error_set(err, STATUS_CORRUPT, "%s is not whole gzip data: %s", file->path, reason);
}

static enum status idx_parse(struct idx_file *file, int rank, const unsigned char *header, struct error *err)
{
    if (header[0] != 0 || header[1] != 0)
        return error_set(err, STATUS_CORRUPT, "%s begins with %02x%02x%02x%02x, an IDX file of bytes with 000008%02x",
                         file->path, header[0], header[1], header[2], header[3], rank);
    if (header[2] != IDX_BYTES)
        return error_set(err, STATUS_CORRUPT, "%s holds elements of type %02x, unsigned bytes (08) are expected",
                         file->path, header[2]);
    if (header[3] != rank)
        return error_set(err, STATUS_CORRUPT, "%s has %d dimensions, %d are expected", file->path, header[3], rank);
    file->rank = rank;
    file->item = 1;
    for (int i = 0; i < rank; i++) {
        const unsigned char *at = header + 4 + 4 * i;
        file->dims[i] = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        if (file->dims[i] == 0)
            return error_set(err, STATUS_CORRUPT, "%s has a dimension of 0, at least 1 is expected", file->path);
        if (i > 0 && !size_multiply(file->item, file->dims[i], &file->item))
            return error_set(err, STATUS_CORRUPT, "%s has items of more bytes than any file holds", file->path);
    }
    return STATUS_OK;
}

/* Holds the size in the header against the file's. */
static enum status idx_check_size(const struct idx_file *file, size_t file_size, struct error *err)
{
    size_t header = 4 + 4 * (size_t)file->rank, data, expected;
    if (!size_multiply(file->dims[0], file->item, &data) || __builtin_add_overflow(data, header, &expected))
        return error_set(err, STATUS_CORRUPT, "%s says it holds more bytes than any file does", file->path);
    if (gzdirect(file->stream) && file_size != expected)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes, %zu are expected for %zu items of %zu bytes",
                         file->path, file_size, expected, file->dims[0], file->item);
    if (!gzdirect(file->stream) && expected / DEFLATE_MOST > file_size)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes of gzip, too few for the %zu items in its header",
                         file->path, file_size, file->dims[0]);
    return STATUS_OK;
}

/* Opens folder/name, or folder/name.gz, and reads and checks its header. */
static enum status idx_open(const char *folder, const char *name, int rank, struct idx_file *file, struct error *err)
{
    attribute_cleanup(cleanup_descriptor) int descriptor = -1;
    size_t size = 0;
    file->path = text_format("%s/%s", folder, name);
    if (file->path && !file_exists(file->path)) {
        free(file->path);
        file->path = text_format("%s/%s.gz", folder, name);
    }
    if (!file->path)
        return error_no_memory(err);
    enum status status = file_open(file->path, &descriptor, &size, err);
    if (status == STATUS_NOT_FOUND)
        return error_set(err, status, "%s has neither %s nor %s.gz", folder, name, name);
    if (status != STATUS_OK)
        return status;
    file->stream = gzdopen(descriptor, "rb");
    if (!file->stream)
        return error_no_memory(err);
    descriptor = -1; /* the stream's now */
    gzbuffer(file->stream, 1U << 17);
    unsigned char header[4 + 4 * IDX_MAX_RANK];
    status = idx_read(file, header, 4 + 4 * (size_t)rank, err);
    if (status == STATUS_OK)
        status = idx_parse(file, rank, header, err);
    if (status == STATUS_OK)
        status = idx_check_size(file, size, err);
    return status;
}

/* ------------------------------------------------------------------ a split: images and labels */

struct idx_split {
    struct idx_file images, labels;
};

static void cleanup_idx_split(struct idx_split *split)
{
    cleanup_idx(&split->images);
    cleanup_idx(&split->labels);
}

static enum status open_split(const char *folder, enum split which, struct idx_split *split, struct error *err)
{
    static const char *const names[2][2] = {
        [SPLIT_TRAIN] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
        [SPLIT_TEST] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
    };
    enum status status = idx_open(folder, names[which][0], 3, &split->images, err);
    if (status == STATUS_OK)
        status = idx_open(folder, names[which][1], 1, &split->labels, err);
    if (status == STATUS_OK && split->images.dims[0] != split->labels.dims[0])
        return error_set(err, STATUS_CORRUPT, "%s has %zu labels for the %zu images of %s", split->labels.path,
                         split->labels.dims[0], split->images.dims[0], split->images.path);
    return status;
}

static enum status check_same_size(const struct idx_file *train, const struct idx_file *test, struct error *err)
{
    if (train->dims[1] == test->dims[1] && train->dims[2] == test->dims[2])
        return STATUS_OK;
    return error_set(err, STATUS_CORRUPT, "%s has images of %zu×%zu, those of %s are %zu×%zu", test->path,
                     test->dims[1], test->dims[2], train->path, train->dims[1], train->dims[2]);
}

/* Reads all labels in pieces, keeps the first of them, and checks every one. */
static enum status read_labels(const struct idx_file *file, size_t classes, struct dataset_split *split,
                               struct error *err)
{
    unsigned char piece[4096];
    for (size_t done = 0; done < file->dims[0];) {
        size_t left = file->dims[0] - done, size = left < sizeof piece ? left : sizeof piece;
        enum status status = idx_read(file, piece, size, err);
        if (status != STATUS_OK)
            return status;
        for (size_t i = 0; i < size; i++) {
            if (piece[i] >= classes)
                return error_set(err, STATUS_CORRUPT, "%s has label %u at index %zu, labels are 0 to %zu", file->path,
                                 piece[i], done + i, classes - 1);
            if (done + i < split->count)
                split->labels[done + i] = piece[i];
        }
        done += size;
    }
    return idx_expect_end(file, err);
}

/* Reads the images that are kept, and the others only to check them. */
static enum status read_images(const struct idx_file *file, struct dataset_split *split, struct error *err)
{
    size_t kept = split->count * file->item, rest = (file->dims[0] - split->count) * file->item;
    enum status status = idx_read(file, split->values, kept, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *piece = malloc(IDX_CHUNK);
    if (!piece)
        return error_no_memory(err);
    while (rest > 0) {
        size_t size = rest < IDX_CHUNK ? rest : IDX_CHUNK;
        status = idx_read(file, piece, size, err);
        if (status != STATUS_OK)
            return status;
        rest -= size;
    }
    return idx_expect_end(file, err);
}

/* ------------------------------------------------------------------ the loaders */

#define IDX_CLASSES 10

static enum status idx_inspect(const struct dataset_spec *spec, const char *folder, struct dataset_info *ret_info,
                               struct error *err)
{
    (void)spec;
    attribute_cleanup(cleanup_idx_split) struct idx_split train = {0}, test = {0};
    enum status status = open_split(folder, SPLIT_TRAIN, &train, err);
    if (status == STATUS_OK)
        status = open_split(folder, SPLIT_TEST, &test, err);
    if (status == STATUS_OK)
        status = check_same_size(&train.images, &test.images, err);
    if (status != STATUS_OK)
        return status;
    *ret_info = (struct dataset_info){
        .shape = {3, {1, train.images.dims[1], train.images.dims[2]}},
        .classes = IDX_CLASSES,
        .train_count = train.images.dims[0],
        .test_count = test.images.dims[0],
        .sample_bytes = train.images.item,
    };
    return STATUS_OK;
}

static enum status load_split(const char *folder, enum split which, size_t count, struct dataset *dataset,
                              struct error *err)
{
    struct dataset_split *split = &dataset->splits[which];
    attribute_cleanup(cleanup_idx_split) struct idx_split files = {0};
    enum status status = open_split(folder, which, &files, err);
    if (status != STATUS_OK)
        return status;
    if (files.images.item != shape_size(&dataset->info.shape) || files.images.dims[0] < count)
        return error_set(err, STATUS_CORRUPT, "%s changed while it was read", files.images.path);
    status = dataset_split_allocate(split, count, files.images.item, err);
    if (status == STATUS_OK)
        status = read_images(&files.images, split, err);
    if (status == STATUS_OK)
        status = read_labels(&files.labels, dataset->info.classes, split, err);
    return status;
}

static enum status idx_load(const struct dataset_spec *spec, const char *folder, struct dataset *dataset,
                            struct error *err)
{
    (void)spec;
    dataset->element = ELEMENT_BYTE;
    enum status status = load_split(folder, SPLIT_TRAIN, dataset->info.train_count, dataset, err);
    if (status == STATUS_OK)
        status = load_split(folder, SPLIT_TEST, dataset->info.test_count, dataset, err);
    return status;
}

static const struct option options[] = {DATASET_COMMON_OPTIONS, OPTION_END};

const struct dataset_loader dataset_fashion_mnist = {
    .name = "fashion-mnist",
    .folder = "fashion-mnist",
    .options = options,
    .classes = IDX_CLASSES,
    .remedy = "install Debian's package dataset-fashion-mnist, or put its four IDX files, plain or .gz, into a folder "
              "fashion-mnist there",
    .on_disk = true,
    .inspect = idx_inspect,
    .load = idx_load,
};

const struct dataset_loader dataset_mnist = {
    .name = "mnist",
    .folder = "mnist",
    .options = options,
    .classes = IDX_CLASSES,
    .remedy = "put its four IDX files (train-images-idx3-ubyte and so on, plain or .gz) into a folder mnist there",
    .on_disk = true,
    .inspect = idx_inspect,
    .load = idx_load,
};
