/* Data sets: IDX files good and bad, limits, scaling, finding and describing. */
#include "tests/dataset_support.h"

#include <zlib.h>

#include "core/dataset.h"

#define ROWS 3
#define COLUMNS 2
#define PIXELS (ROWS * COLUMNS)
#define TRAIN 5
#define TEST 2

static const char *const file_names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                         "t10k-labels-idx1-ubyte"};

/* A data set folder in a temporary directory, searched second after one that does not exist. */
struct place {
    char root[TEST_PATH_SIZE], folder[TEST_PATH_SIZE + 16];
    const char *paths[3];
    struct dataset_folders folders;
};

struct bytes {
    unsigned char data[128];
    size_t size;
};

static unsigned char pixel(size_t split, size_t sample, size_t i)
{
    return (unsigned char)(split * 100 + sample * 17 + i * i);
}

static void put_number(struct bytes *bytes, size_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes->data[bytes->size++] = (unsigned char)(number >> shift);
}

/* File `which` of file_names as it should be. */
static struct bytes idx_file(int which)
{
    size_t split = (size_t)which / 2, count = split ? TEST : TRAIN;
    bool images = which % 2 == 0;
    struct bytes bytes = {.data = {0, 0, 8, images ? 3 : 1}, .size = 4};
    put_number(&bytes, count);
    if (images) {
        put_number(&bytes, ROWS);
        put_number(&bytes, COLUMNS);
    }
    for (size_t s = 0; s < count; s++) {
        if (!images)
            bytes.data[bytes.size++] = (unsigned char)((s * 3 + split) % 10);
        for (size_t i = 0; images && i < PIXELS; i++)
            bytes.data[bytes.size++] = pixel(split, s, i);
    }
    return bytes;
}

static void write_good(const struct place *place)
{
    for (int which = 0; which < 4; which++) {
        struct bytes bytes = idx_file(which);
        files_write(place->folder, file_names[which], bytes.data, bytes.size);
    }
}

static void begin(struct place *place)
{
    files_begin(place->root);
    snprintf(place->folder, sizeof place->folder, "%s/mnist", place->root);
    assert_int_equal(mkdir(place->folder, 0700), 0);
    place->paths[0] = "/nonexistent/plumbline";
    place->paths[1] = place->root;
    place->paths[2] = NULL;
    place->folders = (struct dataset_folders){.paths = place->paths};
    write_good(place);
}

static struct dataset_spec mnist(enum scaling scaling)
{
    return (struct dataset_spec){.name = "mnist", .train_limit = SIZE_MAX, .test_limit = SIZE_MAX, .scaling = scaling};
}

static void refuses(const struct place *place, enum status expected, const char *words)
{
    struct dataset_spec spec = mnist(SCALING_NONE);
    assert_refused(&spec, &place->folders, expected, words);
}

/* ------------------------------------------------------------------ IDX */

static void check_good(const struct place *place)
{
    struct dataset_spec spec = mnist(SCALING_NONE);
    struct dataset_info info;
    struct dataset *dataset = NULL;
    struct error err;
    assert_ok(dataset_inspect(&spec, &place->folders, &info, &err));
    assert_int_equal(info.shape.rank, 3);
    assert_int_equal(info.shape.dims[0], 1);
    assert_int_equal(info.shape.dims[1], ROWS);
    assert_int_equal(info.shape.dims[2], COLUMNS);
    assert_int_equal(info.classes, 10);
    assert_int_equal(info.train_count, TRAIN);
    assert_int_equal(info.test_count, TEST);
    assert_ok(dataset_load(&spec, &place->folders, &dataset, &err));
    assert_memory_equal(dataset_info(dataset), &info, sizeof info);
    assert_null(dataset_warning(dataset));
    real values[3 * PIXELS];
    uint32_t labels[3];
    dataset_gather(dataset, SPLIT_TRAIN, (const uint32_t[]){4, 0, 4}, 3, values, labels);
    static const size_t samples[] = {4, 0, 4};
    for (size_t s = 0; s < 3; s++) {
        assert_int_equal(labels[s], samples[s] * 3 % 10);
        for (size_t i = 0; i < PIXELS; i++)
            assert_true(values[s * PIXELS + i] == (real)pixel(0, samples[s], i));
    }
    dataset_gather(dataset, SPLIT_TEST, (const uint32_t[]){1}, 1, values, labels);
    assert_int_equal(labels[0], 4);
    assert_true(values[PIXELS - 1] == (real)pixel(1, 1, PIXELS - 1));
    dataset_free(dataset);
}

static void gzip(const struct place *place, int which, struct bytes bytes)
{
    char path[2 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s.gz", place->folder, file_names[which]);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes.data, (unsigned)bytes.size), (int)bytes.size);
    assert_int_equal(gzclose(file), Z_OK);
}

static void test_idx(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    check_good(&place);
    /* one by one from plain to gzip */
    for (int which = 0; which < 4; which++) {
        gzip(&place, which, idx_file(which));
        files_delete(place.folder, file_names[which]);
        check_good(&place);
    }
    files_end(place.root);
}

static void test_limits(void **state)
{
    (void)state;
    struct place place;
    struct dataset_spec spec = mnist(SCALING_NONE);
    struct dataset *dataset = NULL;
    struct error err;
    begin(&place);
    spec.train_limit = 2;
    spec.test_limit = 0;
    assert_ok(dataset_load(&spec, &place.folders, &dataset, &err));
    assert_int_equal(dataset_info(dataset)->train_count, 2);
    assert_int_equal(dataset_info(dataset)->test_count, 0);
    real values[PIXELS];
    uint32_t label;
    dataset_gather(dataset, SPLIT_TRAIN, (const uint32_t[]){1}, 1, values, &label);
    assert_true(values[3] == (real)pixel(0, 1, 3));
    dataset_free(dataset);
    dataset = NULL;
    spec.train_limit = spec.test_limit = 1000;
    assert_ok(dataset_load(&spec, &place.folders, &dataset, &err));
    assert_int_equal(dataset_info(dataset)->train_count, TRAIN);
    assert_int_equal(dataset_info(dataset)->test_count, TEST);
    dataset_free(dataset);
    /* what a limit leaves out is checked all the same */
    dataset = NULL;
    spec.train_limit = 1;
    struct bytes labels = idx_file(1);
    labels.data[labels.size - 1] = 10;
    files_write(place.folder, file_names[1], labels.data, labels.size);
    assert_int_equal(dataset_load(&spec, &place.folders, &dataset, &err), STATUS_CORRUPT);
    files_end(place.root);
}

static void change(const struct place *place, int which, size_t at, unsigned char value, const char *words)
{
    struct bytes bytes = idx_file(which);
    bytes.data[at] = value;
    files_write(place->folder, file_names[which], bytes.data, bytes.size);
    refuses(place, STATUS_CORRUPT, words);
    refuses(place, STATUS_CORRUPT, file_names[which]);
    bytes = idx_file(which);
    files_write(place->folder, file_names[which], bytes.data, bytes.size);
}

static void test_bad_idx(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    change(&place, 0, 0, 1, "begins with 01000803, an IDX file of bytes with 00000803");
    change(&place, 0, 2, 0x0d, "holds elements of type 0d, unsigned bytes (08) are expected");
    change(&place, 0, 3, 1, "has 1 dimensions, 3 are expected");
    change(&place, 1, 3, 3, "has 3 dimensions, 1 are expected");
    change(&place, 0, 7, 0, "has a dimension of 0");
    change(&place, 0, 7, TRAIN + 1, "has 46 bytes, 52 are expected for 6 items of 6 bytes");
    change(&place, 0, 4, 0xff, "are expected for");
    change(&place, 1, 7, TRAIN + 1, "has 13 bytes, 14 are expected");
    change(&place, 1, 8, 10, "has label 10 at index 0, labels are 0 to 9");
    change(&place, 3, 9, 255, "has label 255 at index 1, labels are 0 to 9");
    struct bytes bytes = idx_file(0);
    memset(bytes.data + 4, 0xff, 12);
    files_write(place.folder, file_names[0], bytes.data, bytes.size);
    refuses(&place, STATUS_CORRUPT, "than any file does");
    write_good(&place);
    /* labels of another number than images, each file right by itself */
    bytes = idx_file(1);
    bytes.data[7]--;
    files_write(place.folder, file_names[1], bytes.data, bytes.size - 1);
    refuses(&place, STATUS_CORRUPT, "has 4 labels for the 5 images of");
    write_good(&place);
    /* test images of another size, likewise */
    bytes = idx_file(2);
    bytes.data[11] = COLUMNS;
    bytes.data[15] = ROWS;
    files_write(place.folder, file_names[2], bytes.data, bytes.size);
    refuses(&place, STATUS_CORRUPT, "has images of 2×3, those of");
    write_good(&place);
    check_good(&place);
    files_end(place.root);
}

/* Every cut, and every other value of each byte of a header, is refused or is a data set that can be read whole. */
static void test_damaged_idx(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    for (int which = 0; which < 4; which++) {
        struct bytes good = idx_file(which);
        for (size_t size = 0; size < good.size; size++) {
            files_write(place.folder, file_names[which], good.data, size);
            refuses(&place, STATUS_CORRUPT, file_names[which]);
        }
        good.data[good.size] = 0;
        files_write(place.folder, file_names[which], good.data, good.size + 1);
        refuses(&place, STATUS_CORRUPT, "bytes");
        size_t header = which % 2 ? 8 : 16;
        for (size_t at = 0; at < header * 8; at++) {
            struct bytes bad = idx_file(which);
            bad.data[at / 8] ^= (unsigned char)(1U << at % 8);
            files_write(place.folder, file_names[which], bad.data, bad.size);
            refuses(&place, STATUS_CORRUPT, place.folder);
        }
        good = idx_file(which);
        files_write(place.folder, file_names[which], good.data, good.size);
    }
    check_good(&place);
    files_end(place.root);
}

static size_t read_back(const struct place *place, const char *name, unsigned char *data, size_t size)
{
    char path[2 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", place->folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t got = fread(data, 1, size, file);
    fclose(file);
    return got;
}

static void test_damaged_gzip(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    for (int which = 0; which < 4; which++) {
        char name[64];
        unsigned char data[256], bad[256];
        gzip(&place, which, idx_file(which));
        files_delete(place.folder, file_names[which]);
        snprintf(name, sizeof name, "%s.gz", file_names[which]);
        size_t size = read_back(&place, name, data, sizeof data);
        for (size_t cut = 0; cut < size; cut++) {
            files_write(place.folder, name, data, cut);
            refuses(&place, STATUS_CORRUPT, name);
        }
        size_t refused = 0;
        for (size_t at = 0; at < size * 8; at++) {
            struct dataset_spec spec = mnist(SCALING_NONE);
            struct dataset *dataset = NULL;
            memcpy(bad, data, size);
            bad[at / 8] ^= (unsigned char)(1U << at % 8);
            files_write(place.folder, name, bad, size);
            /* a bit that means nothing, as those of a time stamp or of padding, changes nothing */
            bool accepted = dataset_load(&spec, &place.folders, &dataset, NULL) == STATUS_OK;
            dataset_free(dataset);
            if (accepted)
                check_good(&place);
            refused += !accepted;
        }
        assert_true(refused > size * 4);
        files_write(place.folder, name, data, size);
    }
    check_good(&place);
    /* whole gzip, but the items end early, or go on */
    struct bytes bytes = idx_file(0);
    bytes.size--;
    gzip(&place, 0, bytes);
    refuses(&place, STATUS_CORRUPT, "ends 1 bytes too early");
    bytes.size += 2;
    gzip(&place, 0, bytes);
    refuses(&place, STATUS_CORRUPT, "goes on after the 5 items");
    /* a header that promises more than deflate can unpack from so few bytes is refused before anything is allocated */
    bytes = idx_file(0);
    bytes.data[9] = 0x10;
    gzip(&place, 0, bytes);
    struct dataset_spec spec = mnist(SCALING_NONE);
    struct dataset_info info;
    struct error err;
    assert_int_equal(dataset_inspect(&spec, &place.folders, &info, &err), STATUS_CORRUPT);
    assert_non_null(strstr(err.text, "too few for"));
    files_end(place.root);
}

/* ------------------------------------------------------------------ finding */

static void test_finding(void **state)
{
    (void)state;
    struct place place;
    struct dataset_spec spec = mnist(SCALING_NONE);
    struct dataset_info info;
    struct error err;
    begin(&place);
    files_delete(place.folder, file_names[3]);
    refuses(&place, STATUS_NOT_FOUND, "is not complete: ");
    refuses(&place, STATUS_NOT_FOUND, "has neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz");
    spec.name = "fashion-mnist";
    assert_int_equal(dataset_inspect(&spec, &place.folders, &info, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err.text, place.root));
    assert_non_null(strstr(err.text, "/nonexistent/plumbline"));
    assert_non_null(strstr(err.text, "Debian's package dataset-fashion-mnist"));
    spec.name = "unheard-of";
    assert_int_equal(dataset_inspect(&spec, &place.folders, &info, &err), STATUS_INVALID);
    /* a folder that is not complete does not hide a good one behind it */
    struct place other;
    begin(&other);
    place.paths[0] = place.root;
    place.paths[1] = other.root;
    check_good(&place);
    /* nor does a pipe in a file's place hang the reader */
    char path[2 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", other.folder, file_names[3]);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuses(&other, STATUS_IO, "is not a regular file");
    files_end(other.root);
    files_end(place.root);
}

static const json_t *described(const json_t *list, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
            return item;
    }
    fail_msg("%s is not described", name);
    return NULL;
}

static void test_description(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    json_t *list = datasets_describe(&place.folders);
    const json_t *item = described(list, "mnist");
    assert_true(json_is_true(json_object_get(item, "found")));
    assert_string_equal(json_string_value(json_object_get(item, "folder")), place.folder);
    assert_int_equal(json_array_size(json_object_get(item, "shape")), 3);
    assert_int_equal(json_integer_value(json_object_get(item, "train")), TRAIN);
    assert_true(json_is_null(json_object_get(item, "detail")));
    item = described(list, "fashion-mnist");
    assert_true(json_is_false(json_object_get(item, "found")));
    assert_non_null(strstr(json_string_value(json_object_get(item, "detail")), "dataset-fashion-mnist"));
    item = described(list, "synthetic");
    assert_true(json_is_true(json_object_get(item, "found")));
    assert_int_equal(json_integer_value(json_object_get(item, "classes")), 10);
    assert_int_equal(json_array_size(json_object_get(item, "options")), 10);
    item = described(list, "npy");
    assert_true(json_is_false(json_object_get(item, "found")));
    size_t count = 0;
    for (const char *const *name = dataset_names(); *name; name++, count++)
        described(list, *name);
    assert_int_equal(json_array_size(list), count);
    json_decref(list);
    files_end(place.root);
}

/* ------------------------------------------------------------------ scaling */

static void test_scaling_of_images(void **state)
{
    (void)state;
    struct place place;
    struct dataset *dataset = NULL;
    struct error err;
    real values[TRAIN * PIXELS];
    uint32_t labels[TRAIN];
    static const uint32_t all[TRAIN] = {0, 1, 2, 3, 4};
    begin(&place);
    struct dataset_spec spec = mnist(SCALING_UNIT);
    assert_ok(dataset_load(&spec, &place.folders, &dataset, &err));
    dataset_gather(dataset, SPLIT_TRAIN, all, TRAIN, values, labels);
    for (size_t i = 0; i < (size_t)TRAIN * PIXELS; i++)
        assert_true(fabs((double)values[i] - pixel(0, i / PIXELS, i % PIXELS) / 255.0) < 1e-7);
    dataset_free(dataset);
    /* of the first four only: the statistics are of the samples that are used */
    dataset = NULL;
    spec = mnist(SCALING_STANDARD);
    spec.train_limit = 4;
    double sum = 0, squares = 0, count = 4.0 * PIXELS;
    for (size_t i = 0; i < (size_t)4 * PIXELS; i++)
        sum += pixel(0, i / PIXELS, i % PIXELS);
    for (size_t i = 0; i < (size_t)4 * PIXELS; i++)
        squares += pow(pixel(0, i / PIXELS, i % PIXELS) - sum / count, 2);
    assert_ok(dataset_load(&spec, &place.folders, &dataset, &err));
    dataset_gather(dataset, SPLIT_TRAIN, all, 4, values, labels);
    for (size_t i = 0; i < (size_t)4 * PIXELS; i++) {
        double expected = (pixel(0, i / PIXELS, i % PIXELS) - sum / count) / sqrt(squares / count);
        assert_true(fabs((double)values[i] - expected) < 1e-6);
    }
    dataset_gather(dataset, SPLIT_TEST, all, 1, values, labels);
    assert_true(fabs((double)values[2] - (pixel(1, 0, 2) - sum / count) / sqrt(squares / count)) < 1e-6);
    dataset_free(dataset);
    files_end(place.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bad_idx),      cmocka_unit_test(test_damaged_idx),
        cmocka_unit_test(test_damaged_gzip), cmocka_unit_test(test_finding),
        cmocka_unit_test(test_description),  cmocka_unit_test(test_scaling_of_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
