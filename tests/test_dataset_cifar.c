/* CIFAR-10 and CIFAR-100: what the published files hold, folders with some of them, and every refusal. */
#include "tests/dataset_support.h"

#include <fcntl.h>

enum { PIXELS = 3 * 32 * 32 };

/* One of the two formats, told anew. */
struct format {
    const char *name, *folder, *files[7]; /* the test file last */
    size_t records, test_records, labels; /* of a training file, of the test file; label bytes of a record */
    unsigned classes;
};

static const struct format cifar_10 = {
    .name = "cifar-10",
    .folder = "cifar-10-batches-bin",
    .files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
              "test_batch.bin", NULL},
    .records = 10000,
    .test_records = 10000,
    .labels = 1,
    .classes = 10,
};
static const struct format cifar_100 = {
    .name = "cifar-100",
    .folder = "cifar-100-binary",
    .files = {"train.bin", "test.bin", NULL},
    .records = 50000,
    .test_records = 10000,
    .labels = 2,
    .classes = 100,
};

struct place {
    const struct format *format;
    char root[TEST_PATH_SIZE], folder[TEST_PATH_SIZE + 32];
    const char *paths[2];
    struct dataset_folders folders;
};

static bool is_test(const char *name)
{
    return strncmp(name, "test", 4) == 0;
}

static int open_file(const struct place *place, const char *name)
{
    char path[3 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", place->folder, name);
    int descriptor = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(descriptor >= 0);
    return descriptor;
}

static void set_size(const struct place *place, const char *name, size_t size)
{
    int descriptor = open_file(place, name);
    assert_int_equal(ftruncate(descriptor, (off_t)size), 0);
    close(descriptor);
}

static void set_byte(const struct place *place, const char *name, size_t at, unsigned char value)
{
    int descriptor = open_file(place, name);
    assert_int_equal(pwrite(descriptor, &value, 1, (off_t)at), 1);
    close(descriptor);
}

static size_t whole_size(const struct format *format, const char *name)
{
    return (format->labels + PIXELS) * (is_test(name) ? format->test_records : format->records);
}

/* Where byte `at` of record `record` is. */
static size_t byte_of(const struct format *format, size_t record, size_t at)
{
    return record * (format->labels + PIXELS) + at;
}

/* All files, of zeros but for a few figures: holes take no room on the disk. */
static void begin(struct place *place, const struct format *format)
{
    *place = (struct place){.format = format};
    files_begin(place->root);
    snprintf(place->folder, sizeof place->folder, "%s/%s", place->root, format->folder);
    assert_int_equal(mkdir(place->folder, 0700), 0);
    place->paths[0] = place->root;
    place->folders = (struct dataset_folders){.paths = place->paths};
    for (size_t f = 0; format->files[f]; f++) {
        set_size(place, format->files[f], whole_size(format, format->files[f]));
        set_byte(place, format->files[f], byte_of(format, 1, format->labels - 1), (unsigned char)(f + 1));
        set_byte(place, format->files[f], byte_of(format, 1, format->labels), (unsigned char)(200 + f));
        set_byte(place, format->files[f], byte_of(format, 2, format->labels + PIXELS - 1), (unsigned char)(100 + f));
    }
}

static struct dataset_spec spec_of(const struct place *place)
{
    return (struct dataset_spec){.name = place->format->name, .train_limit = SIZE_MAX, .test_limit = SIZE_MAX};
}

static struct dataset *load(const struct place *place, const struct dataset_spec *spec)
{
    struct dataset *dataset = NULL;
    struct error err;
    assert_ok(dataset_load(spec, &place->folders, &dataset, &err));
    return dataset;
}

static void refuses(const struct place *place, enum status expected, const char *words)
{
    struct dataset_spec spec = spec_of(place);
    assert_refused(&spec, &place->folders, expected, words);
}

/* Sample `index` is record 1 of the file that was made as number `file`. */
static void expect_sample(const struct dataset *dataset, enum split split, uint32_t index, size_t file)
{
    real values[2 * PIXELS];
    uint32_t labels[2], indices[] = {index, index + 1};
    dataset_gather(dataset, split, indices, 2, values, labels);
    assert_int_equal(labels[0], file + 1);
    assert_int_equal(labels[1], 0);
    assert_true(values[0] == (real)(200 + file) && values[1] == 0);
    assert_true(values[2 * PIXELS - 1] == (real)(100 + file) && values[2 * PIXELS - 2] == 0);
}

static void test_cifar_10(void **state)
{
    (void)state;
    struct place place;
    begin(&place, &cifar_10);
    struct dataset_spec spec = spec_of(&place);
    struct dataset *dataset = load(&place, &spec);
    const struct dataset_info *info = dataset_info(dataset);
    assert_int_equal(info->shape.rank, 3);
    assert_int_equal(info->shape.dims[0], 3);
    assert_int_equal(info->shape.dims[1], 32);
    assert_int_equal(info->shape.dims[2], 32);
    assert_int_equal(info->classes, 10);
    assert_int_equal(info->train_count, 50000);
    assert_int_equal(info->test_count, 10000);
    assert_null(dataset_warning(dataset));
    for (uint32_t f = 0; f < 5; f++)
        expect_sample(dataset, SPLIT_TRAIN, f * 10000 + 1, f);
    expect_sample(dataset, SPLIT_TEST, 1, 5);
    dataset_free(dataset);
    files_end(place.root);
}

static void test_cifar_100(void **state)
{
    (void)state;
    struct place place;
    begin(&place, &cifar_100);
    set_byte(&place, "train.bin", 0, 19); /* coarse labels do not count */
    struct dataset_spec spec = spec_of(&place);
    struct dataset *dataset = load(&place, &spec);
    assert_int_equal(dataset_info(dataset)->classes, 100);
    assert_int_equal(dataset_info(dataset)->train_count, 50000);
    assert_int_equal(dataset_info(dataset)->test_count, 10000);
    assert_null(dataset_warning(dataset));
    expect_sample(dataset, SPLIT_TRAIN, 1, 0);
    expect_sample(dataset, SPLIT_TEST, 1, 1);
    dataset_free(dataset);
    set_byte(&place, "train.bin", 0, 20);
    refuses(&place, STATUS_CORRUPT, "train.bin has coarse label 20 at index 0, coarse labels are 0 to 19");
    files_end(place.root);
}

static void test_some_files(void **state)
{
    (void)state;
    struct place place;
    begin(&place, &cifar_10);
    files_delete(place.folder, "data_batch_1.bin");
    files_delete(place.folder, "data_batch_4.bin");
    files_delete(place.folder, "data_batch_5.bin");
    struct dataset_spec spec = spec_of(&place);
    struct dataset *dataset = load(&place, &spec);
    assert_int_equal(dataset_info(dataset)->train_count, 20000);
    assert_string_equal(dataset_warning(dataset), "2 of 5 data_batch files found: 20000 of 50000 training images");
    expect_sample(dataset, SPLIT_TRAIN, 1, 1);
    expect_sample(dataset, SPLIT_TRAIN, 10001, 2);
    dataset_free(dataset);
    spec.train_limit = 10002;
    spec.test_limit = 0;
    dataset = load(&place, &spec);
    assert_int_equal(dataset_info(dataset)->train_count, 10002);
    assert_int_equal(dataset_info(dataset)->test_count, 0);
    expect_sample(dataset, SPLIT_TRAIN, 1, 1);
    dataset_free(dataset);
    json_t *list = datasets_describe(&place.folders), *item;
    size_t index, described = 0;
    json_array_foreach(list, index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), "cifar-10") != 0)
            continue;
        described++;
        assert_true(json_is_true(json_object_get(item, "found")));
        assert_non_null(strstr(json_string_value(json_object_get(item, "detail")), "2 of 5"));
    }
    assert_int_equal(described, 1);
    json_decref(list);
    files_delete(place.folder, "data_batch_2.bin");
    files_delete(place.folder, "data_batch_3.bin");
    refuses(&place, STATUS_NOT_FOUND, "has no data_batch_1.bin");
    files_end(place.root);
    begin(&place, &cifar_10);
    files_delete(place.folder, "test_batch.bin");
    refuses(&place, STATUS_NOT_FOUND, "has no test_batch.bin");
    files_end(place.root);
}

/* Any size but the published one is refused by what was found and what was expected, before anything is read. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct format *const formats[] = {&cifar_10, &cifar_100};
    for (size_t i = 0; i < 2; i++) {
        const struct format *format = formats[i];
        struct place place;
        struct rng rng;
        begin(&place, format);
        rng_seed(&rng, 5, i);
        for (size_t f = 0; format->files[f]; f++) {
            const char *name = format->files[f];
            size_t whole = whole_size(format, name), record = format->labels + PIXELS;
            size_t sizes[40] = {0,
                                1,
                                record - 1,
                                record,
                                whole / 2,
                                whole - record,
                                whole - 1,
                                whole + 1,
                                whole + record,
                                2 * whole,
                                whole / (PIXELS + 1) * PIXELS};
            for (size_t s = 11; s < 40; s++)
                sizes[s] = rng_below(&rng, whole);
            for (size_t s = 0; s < 40; s++) {
                char words[160];
                set_size(&place, name, sizes[s]);
                snprintf(words, sizeof words, "%s has %zu bytes, %zu are expected", name, sizes[s], whole);
                refuses(&place, STATUS_CORRUPT, words);
            }
            set_size(&place, name, whole);
        }
        files_end(place.root);
    }
}

/* A label that is none is found wherever it stands, also past the limits. */
static void test_labels(void **state)
{
    (void)state;
    static const struct format *const formats[] = {&cifar_10, &cifar_100};
    for (size_t i = 0; i < 2; i++) {
        const struct format *format = formats[i];
        struct place place;
        struct rng rng;
        struct error err;
        begin(&place, format);
        rng_seed(&rng, 6, i);
        for (size_t f = 0; format->files[f]; f++) {
            const char *name = format->files[f];
            size_t records = is_test(name) ? format->test_records : format->records;
            size_t at[] = {0, records - 1, rng_below(&rng, records)};
            for (size_t k = 0; k < 3; k++) {
                unsigned char bad = (unsigned char)(format->classes + rng_below(&rng, 256 - format->classes));
                char words[160];
                struct dataset_spec spec = spec_of(&place);
                struct dataset *dataset = NULL;
                set_byte(&place, name, byte_of(format, at[k], format->labels - 1), bad);
                snprintf(words, sizeof words, "%s has label %u at index %zu, labels are 0 to %u", name, bad, at[k],
                         format->classes - 1);
                spec.train_limit = spec.test_limit = 1;
                assert_int_equal(dataset_load(&spec, &place.folders, &dataset, &err), STATUS_CORRUPT);
                assert_non_null(strstr(err.text, words));
                set_byte(&place, name, byte_of(format, at[k], format->labels - 1),
                         (unsigned char)(format->classes - 1));
            }
        }
        struct dataset_spec spec = spec_of(&place);
        dataset_free(load(&place, &spec));
        files_end(place.root);
    }
}

static void test_other_kinds_of_files(void **state)
{
    (void)state;
    struct place place;
    char path[3 * TEST_PATH_SIZE];
    begin(&place, &cifar_10);
    files_delete(place.folder, "data_batch_3.bin");
    snprintf(path, sizeof path, "%s/data_batch_3.bin", place.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuses(&place, STATUS_IO, "is not a regular file");
    files_end(place.root);
    place.paths[0] = "/nonexistent";
    refuses(&place, STATUS_NOT_FOUND, "cifar-10-binary.tar.gz");
}

/* The real images, where they are: every class is there, and their bytes have the mean that photographs have. */
static void test_real_images(void **state)
{
    (void)state;
    static const char *const paths[] = {"../shared/datasets", NULL};
    const struct dataset_folders folders = {.paths = paths};
    struct dataset_spec spec = {
        .name = "cifar-10", .train_limit = 2000, .test_limit = 500, .scaling = SCALING_STANDARD};
    struct dataset *dataset = NULL;
    struct error err;
    enum status status = dataset_load(&spec, &folders, &dataset, &err);
    if (status == STATUS_NOT_FOUND) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    assert_int_equal(status, STATUS_OK);
    size_t counts[10] = {0};
    double sum[3] = {0}, squares[3] = {0};
    for (uint32_t i = 0; i < 2000; i++) {
        real values[PIXELS];
        uint32_t label;
        dataset_gather(dataset, SPLIT_TRAIN, &i, 1, values, &label);
        counts[label]++;
        for (size_t k = 0; k < PIXELS; k++) {
            sum[k / 1024] += (double)values[k];
            squares[k / 1024] += (double)values[k] * (double)values[k];
        }
    }
    for (int c = 0; c < 10; c++)
        assert_in_range(counts[c], 100, 400);
    for (int c = 0; c < 3; c++) { /* standard scaling is by channel over the images used */
        assert_true(fabs(sum[c] / (2000.0 * 1024)) < 1e-4);
        assert_true(fabs(squares[c] / (2000.0 * 1024) - 1) < 1e-4);
    }
    dataset_free(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cifar_10),    cmocka_unit_test(test_cifar_100),
        cmocka_unit_test(test_some_files),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_labels),      cmocka_unit_test(test_other_kinds_of_files),
        cmocka_unit_test(test_real_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
