/*
 * CIFAR-10 and CIFAR-100 in their published binary version: files of records without a header, each a label (CIFAR-100:
 * the coarse one, then the fine one, which is used) and 3072 bytes, 3 channels × 32 rows × 32 columns.
 *
 * A file's size is all that tells whether it is whole, so it must be that of the published number of records. Training
 * files may be missing as a whole: those that are there are used, and a remark says how many.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"

#define CIFAR_PIXELS ((size_t)3 * 32 * 32)
#define CIFAR_MAX_FILES 5
#define CIFAR_PIECE 512 /* records read at a time */

struct cifar {
    const char *train_files[CIFAR_MAX_FILES + 1]; /* ended by a NULL */
    const char *test_file;
    size_t train_records, test_records; /* of one file */
    size_t label_bytes;                 /* of a record; the last of them is the label that is used */
    size_t classes, coarse_classes;     /* of that label, and of the one before it */
};

static const struct cifar cifar_10 = {
    .train_files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
    .test_file = "test_batch.bin",
    .train_records = 10000,
    .test_records = 10000,
    .label_bytes = 1,
    .classes = 10,
};

static const struct cifar cifar_100 = {
    .train_files = {"train.bin"},
    .test_file = "test.bin",
    .train_records = 50000,
    .test_records = 10000,
    .label_bytes = 2,
    .classes = 100,
    .coarse_classes = 20,
};

static const struct cifar *format_of(const struct dataset_spec *spec)
{
    return strcmp(spec->name, "cifar-100") == 0 ? &cifar_100 : &cifar_10;
}

/* An open file of whole records. */
struct cifar_file {
    char *path;
    int descriptor;
    size_t records;
};

#define CIFAR_CLOSED                                                                                                   \
    {                                                                                                                  \
        .descriptor = -1                                                                                               \
    }

static void cleanup_cifar(struct cifar_file *file)
{
    cleanup_descriptor(&file->descriptor);
    free(file->path);
}

static enum status cifar_open(const struct cifar *format, const char *folder, const char *name, size_t records,
                              struct cifar_file *file, struct error *err)
{
    size_t size = 0, record = format->label_bytes + CIFAR_PIXELS, expected = records * record;
    file->path = text_format("%s/%s", folder, name);
    if (!file->path)
        return error_no_memory(err);
    enum status status = file_open(file->path, &file->descriptor, &size, err);
    if (status == STATUS_NOT_FOUND)
        return error_set(err, status, "%s has no %s", folder, name);
    if (status == STATUS_OK && size != expected)
        return error_set(err, STATUS_CORRUPT, "%s has %zu bytes, %zu are expected for %zu records of %zu bytes",
                         file->path, size, expected, records, record);
    file->records = records;
    return status;
}

/* ------------------------------------------------------------------ what is there */

static enum status count_train_files(const struct cifar *format, const char *folder, size_t *ret_found, size_t *ret_all,
                                     struct error *err)
{
    size_t found = 0, all = 0;
    for (; format->train_files[all]; all++) {
        attribute_cleanup(cleanup_cifar) struct cifar_file file = CIFAR_CLOSED;
        enum status status = cifar_open(format, folder, format->train_files[all], format->train_records, &file, err);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
        found += status == STATUS_OK;
    }
    *ret_found = found;
    *ret_all = all;
    return STATUS_OK;
}

static enum status inspect(const struct dataset_spec *spec, const char *folder, struct dataset_info *ret_info,
                           struct error *err)
{
    const struct cifar *format = format_of(spec);
    attribute_cleanup(cleanup_cifar) struct cifar_file test = CIFAR_CLOSED;
    size_t found = 0, all = 0;
    enum status status = count_train_files(format, folder, &found, &all, err);
    if (status == STATUS_OK && found == 0)
        status = error_set(err, STATUS_NOT_FOUND, "%s has no %s", folder, format->train_files[0]);
    if (status == STATUS_OK)
        status = cifar_open(format, folder, format->test_file, format->test_records, &test, err);
    if (status != STATUS_OK)
        return status;
    *ret_info = (struct dataset_info){
        .shape = {3, {3, 32, 32}},
        .classes = format->classes,
        .train_count = found * format->train_records,
        .test_count = format->test_records,
        .sample_bytes = CIFAR_PIXELS,
    };
    if (found < all)
        snprintf(ret_info->remark, sizeof ret_info->remark,
                 "%zu of %zu data_batch files found: %zu of %zu training images", found, all, ret_info->train_count,
                 all * format->train_records);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ reading */

static enum status check_labels(const struct cifar *format, const struct cifar_file *file, size_t index,
                                const unsigned char *record, struct error *err)
{
    if (format->label_bytes > 1 && record[0] >= format->coarse_classes)
        return error_set(err, STATUS_CORRUPT, "%s has coarse label %u at index %zu, coarse labels are 0 to %zu",
                         file->path, record[0], index, format->coarse_classes - 1);
    unsigned label = record[format->label_bytes - 1];
    if (label >= format->classes)
        return error_set(err, STATUS_CORRUPT, "%s has label %u at index %zu, labels are 0 to %zu", file->path, label,
                         index, format->classes - 1);
    return STATUS_OK;
}

/* Reads all records and checks them; those that still have room in `split`, from *filled on, are kept. */
static enum status read_records(const struct cifar *format, const struct cifar_file *file, struct dataset_split *split,
                                size_t *filled, struct error *err)
{
    size_t record = format->label_bytes + CIFAR_PIXELS;
    attribute_cleanup(cleanup_free) unsigned char *piece = malloc(CIFAR_PIECE * record);
    if (!piece)
        return error_no_memory(err);
    for (size_t done = 0; done < file->records;) {
        size_t left = file->records - done, count = left < CIFAR_PIECE ? left : CIFAR_PIECE;
        enum status status = file_read_at(file->descriptor, file->path, done * record, piece, count * record, err);
        for (size_t i = 0; status == STATUS_OK && i < count; i++) {
            const unsigned char *at = piece + i * record;
            status = check_labels(format, file, done + i, at, err);
            if (status != STATUS_OK || *filled == split->count)
                continue;
            split->labels[*filled] = at[format->label_bytes - 1];
            memcpy((unsigned char *)split->values + *filled * CIFAR_PIXELS, at + format->label_bytes, CIFAR_PIXELS);
            ++*filled;
        }
        if (status != STATUS_OK)
            return status;
        done += count;
    }
    return STATUS_OK;
}

/* Reads those of the files that are there into one split. */
static enum status load_split(const struct cifar *format, const char *folder, const char *const *names, size_t records,
                              size_t count, struct dataset_split *split, struct error *err)
{
    size_t filled = 0;
    enum status status = dataset_split_allocate(split, count, CIFAR_PIXELS, err);
    for (; status == STATUS_OK && *names; names++) {
        attribute_cleanup(cleanup_cifar) struct cifar_file file = CIFAR_CLOSED;
        status = cifar_open(format, folder, *names, records, &file, err);
        if (status == STATUS_OK)
            status = read_records(format, &file, split, &filled, err);
        else if (status == STATUS_NOT_FOUND)
            status = STATUS_OK;
    }
    if (status == STATUS_OK && filled < count)
        return error_set(err, STATUS_CORRUPT, "%s changed while it was read", folder);
    return status;
}

static enum status load(const struct dataset_spec *spec, const char *folder, struct dataset *dataset, struct error *err)
{
    const struct cifar *format = format_of(spec);
    const char *const test_files[] = {format->test_file, NULL};
    dataset->element = ELEMENT_BYTE;
    enum status status = load_split(format, folder, format->train_files, format->train_records,
                                    dataset->info.train_count, &dataset->splits[SPLIT_TRAIN], err);
    if (status == STATUS_OK)
        status = load_split(format, folder, test_files, format->test_records, dataset->info.test_count,
                            &dataset->splits[SPLIT_TEST], err);
    return status;
}

static const struct option options[] = {DATASET_COMMON_OPTIONS, OPTION_END};

const struct dataset_loader dataset_cifar_10 = {
    .name = "cifar-10",
    .folder = "cifar-10-batches-bin",
    .options = options,
    .classes = 10,
    .remedy =
        "unpack the published binary version (cifar-10-binary.tar.gz), whose folder is cifar-10-batches-bin, there",
    .on_disk = true,
    .inspect = inspect,
    .load = load,
};

const struct dataset_loader dataset_cifar_100 = {
    .name = "cifar-100",
    .folder = "cifar-100-binary",
    .options = options,
    .classes = 100,
    .remedy = "unpack the published binary version (cifar-100-binary.tar.gz), whose folder is cifar-100-binary, there",
    .on_disk = true,
    .inspect = inspect,
    .load = load,
};
