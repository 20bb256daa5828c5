/*
 * A data set of one's own: a folder with train_x.npy, train_y.npy and, if there is a test set, test_x.npy, test_y.npy.
 * Samples are float32, float64 or uint8 of rank 1 to 3, labels whole numbers from 0.
 */
#include <assert.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"
#include "core/npy.h"

/* Entries of a label file read at a time. */
#define PIECE 4096

struct npy_split {
    struct npy_file x, y;
    bool present;
};

#define NPY_SPLIT_CLOSED                                                                                               \
    {                                                                                                                  \
        .x = NPY_CLOSED, .y = NPY_CLOSED                                                                               \
    }

static void cleanup_npy_split(struct npy_split *split)
{
    npy_close(&split->x);
    npy_close(&split->y);
}

/* How samples of a file are kept; its type is one of check_split's. */
static enum element element_of(const struct npy_file *x)
{
    return x->type == NPY_UINT8 ? ELEMENT_BYTE : x->type == NPY_FLOAT32 ? ELEMENT_FLOAT : ELEMENT_DOUBLE;
}

static enum status check_split(const struct npy_file *x, const struct npy_file *y, struct error *err)
{
    if (x->type != NPY_UINT8 && x->type != NPY_FLOAT32 && x->type != NPY_FLOAT64)
        return error_set(err, STATUS_CORRUPT, "%s is of type %s; float32, float64 or uint8 is expected", x->path,
                         npy_type_name(x->type));
    if (x->rank < 2)
        return error_set(err, STATUS_CORRUPT, "%s has one dimension; samples × features, or more, is expected",
                         x->path);
    if (y->type == NPY_FLOAT32 || y->type == NPY_FLOAT64)
        return error_set(err, STATUS_CORRUPT, "%s is of type %s; whole numbers are expected", y->path,
                         npy_type_name(y->type));
    if (y->rank != 1)
        return error_set(err, STATUS_CORRUPT, "%s has %d dimensions; one label a sample is expected", y->path, y->rank);
    if (x->dims[0] != y->dims[0])
        return error_set(err, STATUS_CORRUPT, "%s has %zu labels for the %zu samples of %s", y->path, y->dims[0],
                         x->dims[0], x->path);
    if (x->dims[0] > UINT32_MAX)
        return error_set(err, STATUS_CORRUPT, "%s has %zu samples, at most %u can be numbered", x->path, x->dims[0],
                         UINT32_MAX);
    return STATUS_OK;
}

static enum status open_train(const char *folder, struct npy_split *split, struct error *err)
{
    enum status status = npy_open(folder, "train_x.npy", &split->x, err);
    if (status == STATUS_OK)
        status = npy_open(folder, "train_y.npy", &split->y, err);
    split->present = status == STATUS_OK;
    return status == STATUS_OK ? check_split(&split->x, &split->y, err) : status;
}

/* A test set is optional, but whole: one file without the other is refused. */
static enum status open_test(const char *folder, struct npy_split *split, struct error *err)
{
    struct error x_error, y_error;
    enum status x = npy_open(folder, "test_x.npy", &split->x, &x_error);
    enum status y = npy_open(folder, "test_y.npy", &split->y, &y_error);
    if (x == STATUS_NOT_FOUND && y == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (x != STATUS_OK)
        return error_set(err, x == STATUS_NOT_FOUND ? STATUS_CORRUPT : x, "%s", x_error.text);
    if (y != STATUS_OK)
        return error_set(err, y == STATUS_NOT_FOUND ? STATUS_CORRUPT : y, "%s", y_error.text);
    split->present = true;
    return check_split(&split->x, &split->y, err);
}

static struct shape sample_shape(const struct npy_file *x)
{
    struct shape shape = {.rank = x->rank - 1};
    for (int i = 1; i < x->rank; i++)
        shape.dims[i - 1] = x->dims[i];
    return shape;
}

static enum status check_same_samples(const struct npy_file *train, const struct npy_file *test, struct error *err)
{
    struct shape expected = sample_shape(train), found = sample_shape(test);
    char want[SHAPE_TEXT_SIZE], got[SHAPE_TEXT_SIZE];
    if (!shape_equal(&expected, &found))
        return error_set(err, STATUS_CORRUPT, "%s has samples of %s, those of %s are %s", test->path,
                         shape_format(&found, got), train->path, shape_format(&expected, want));
    if (train->type != test->type)
        return error_set(err, STATUS_CORRUPT, "%s is of type %s, %s is %s: let both be the same", test->path,
                         npy_type_name(test->type), train->path, npy_type_name(train->type));
    return STATUS_OK;
}

static enum status open_splits(const char *folder, struct npy_split *train, struct npy_split *test, struct error *err)
{
    enum status status = open_train(folder, train, err);
    if (status == STATUS_OK)
        status = open_test(folder, test, err);
    if (status == STATUS_OK && test->present)
        status = check_same_samples(&train->x, &test->x, err);
    return status;
}

/* ------------------------------------------------------------------ labels */

/* Label `i` of a piece as it is stored; a negative one comes out above every class. */
static uint64_t label_at(enum npy_type type, const unsigned char *piece, size_t i)
{
    size_t width = npy_type_size(type);
    uint64_t label = 0;
    memcpy(&label, piece + i * width, width); /* little-endian */
    bool is_signed = type <= NPY_INT64, negative = piece[(i + 1) * width - 1] & 0x80;
    if (is_signed && negative && width < sizeof label)
        label |= UINT64_MAX << (8 * width);
    return label;
}

/*
 * Reads and checks all labels (below `classes`), keeps the first `kept` in ret_labels, and gives the largest.
 */
static enum status read_labels(const struct npy_file *y, size_t classes, uint32_t *ret_labels, size_t kept,
                               uint64_t *ret_largest, struct error *err)
{
    unsigned char piece[PIECE * sizeof(uint64_t)];
    uint64_t largest = 0;
    for (size_t done = 0; done < y->dims[0];) {
        size_t left = y->dims[0] - done, count = left < PIECE ? left : PIECE;
        enum status status = npy_read(y, done, count, piece, err);
        if (status != STATUS_OK)
            return status;
        for (size_t i = 0; i < count; i++) {
            uint64_t label = label_at(y->type, piece, i);
            if (label >= classes && y->type <= NPY_INT64)
                return error_set(err, STATUS_CORRUPT, "%s has label %lld at index %zu, labels are 0 to %zu", y->path,
                                 (long long)label, done + i, classes - 1);
            if (label >= classes)
                return error_set(err, STATUS_CORRUPT, "%s has label %llu at index %zu, labels are 0 to %zu", y->path,
                                 (unsigned long long)label, done + i, classes - 1);
            largest = label > largest ? label : largest;
            if (done + i < kept)
                ret_labels[done + i] = (uint32_t)label;
        }
        done += count;
    }
    *ret_largest = largest;
    return STATUS_OK;
}

/* The number of classes: as the spec says, or one more than the largest label of both splits. */
static enum status count_classes(const struct dataset_spec *spec, const struct npy_split *train,
                                 const struct npy_split *test, size_t *ret_classes, struct error *err)
{
    if (spec->classes) {
        *ret_classes = spec->classes;
        return STATUS_OK;
    }
    uint64_t largest = 0, of_test = 0;
    enum status status = read_labels(&train->y, DATASET_MAX_CLASSES, NULL, 0, &largest, err);
    if (status == STATUS_OK && test->present)
        status = read_labels(&test->y, DATASET_MAX_CLASSES, NULL, 0, &of_test, err);
    if (status != STATUS_OK)
        return status;
    largest = of_test > largest ? of_test : largest;
    if (largest == 0)
        return error_set(err, STATUS_CORRUPT, "%s has the label 0 only, at least two classes are expected",
                         train->y.path);
    *ret_classes = (size_t)largest + 1;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ samples */

/* Values that are not finite, or too large for single precision, would only show as a loss that is not finite. */
static enum status check_finite(const struct npy_file *x, const struct dataset_split *split, struct error *err)
{
    size_t width = npy_type_size(x->type), size = x->item_bytes / width;
    for (size_t i = 0; x->type != NPY_UINT8 && i < split->count * size; i++) {
        double value =
            x->type == NPY_FLOAT32 ? (double)((const float *)split->values)[i] : ((const double *)split->values)[i];
        if (!(fabs(value) <= (double)FLT_MAX))
            return error_set(err, STATUS_CORRUPT,
                             "%s has the value %g in sample %zu, finite single-precision numbers are expected", x->path,
                             value, i / size);
    }
    return STATUS_OK;
}

static enum status load_split(const struct npy_split *files, size_t count, size_t classes, struct dataset_split *split,
                              struct error *err)
{
    uint64_t largest;
    if (files->x.dims[0] < count)
        return error_set(err, STATUS_CORRUPT, "%s changed while it was read", files->x.path);
    enum status status = dataset_split_allocate(split, count, files->x.item_bytes, err);
    if (status == STATUS_OK)
        status = npy_read(&files->x, 0, count, split->values, err);
    if (status == STATUS_OK)
        status = check_finite(&files->x, split, err);
    if (status == STATUS_OK)
        status = read_labels(&files->y, classes, split->labels, count, &largest, err);
    return status;
}

/* ------------------------------------------------------------------ the loader */

static enum status npy_inspect(const struct dataset_spec *spec, const char *folder, struct dataset_info *ret_info,
                               struct error *err)
{
    attribute_cleanup(cleanup_npy_split) struct npy_split train = NPY_SPLIT_CLOSED, test = NPY_SPLIT_CLOSED;
    size_t classes = 0;
    enum status status = open_splits(folder, &train, &test, err);
    if (status == STATUS_OK)
        status = count_classes(spec, &train, &test, &classes, err);
    if (status != STATUS_OK)
        return status;
    *ret_info = (struct dataset_info){
        .shape = sample_shape(&train.x),
        .classes = classes,
        .train_count = train.x.dims[0],
        .test_count = test.present ? test.x.dims[0] : 0,
    };
    ret_info->sample_bytes = shape_size(&ret_info->shape) * element_size(element_of(&train.x));
    return STATUS_OK;
}

static enum status npy_load(const struct dataset_spec *spec, const char *folder, struct dataset *dataset,
                            struct error *err)
{
    (void)spec;
    attribute_cleanup(cleanup_npy_split) struct npy_split train = NPY_SPLIT_CLOSED, test = NPY_SPLIT_CLOSED;
    enum status status = open_splits(folder, &train, &test, err);
    if (status != STATUS_OK)
        return status;
    struct shape shape = sample_shape(&train.x);
    if (!shape_equal(&shape, &dataset->info.shape))
        return error_set(err, STATUS_CORRUPT, "%s changed while it was read", train.x.path);
    dataset->element = element_of(&train.x);
    size_t classes = dataset->info.classes;
    status = load_split(&train, dataset->info.train_count, classes, &dataset->splits[SPLIT_TRAIN], err);
    if (status == STATUS_OK && test.present)
        status = load_split(&test, dataset->info.test_count, classes, &dataset->splits[SPLIT_TEST], err);
    return status;
}

static const struct option options[] = {
    DATASET_COMMON_OPTIONS,
    {"path", OPTION_STRING, NULL, .help = "the folder below datasets/ that holds train_x.npy and train_y.npy"},
    {"classes", OPTION_INTEGER, "null", 2, DATASET_MAX_CLASSES, .nullable = true,
     .help = "number of classes; null is one more than the largest label"},
    OPTION_END,
};

const struct dataset_loader dataset_npy = {
    .name = "npy",
    .options = options,
    .remedy = "put train_x.npy and train_y.npy into that folder below one of these",
    .on_disk = true,
    .inspect = npy_inspect,
    .load = npy_load,
};
