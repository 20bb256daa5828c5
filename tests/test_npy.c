/* The npy data set: NumPy's own files, every refusal, damaged files, scaling by feature and by channel. */
#include "tests/dataset_support.h"

#define FIXTURES "tests/fixtures/npy"

static const struct dataset_folders fixtures = {.paths = (const char *const[]){FIXTURES, NULL}};

static struct dataset_spec npy(const char *path, enum scaling scaling)
{
    return (struct dataset_spec){
        .name = "npy", .path = path, .train_limit = SIZE_MAX, .test_limit = SIZE_MAX, .scaling = scaling};
}

static struct dataset *load(const char *path, enum scaling scaling)
{
    struct dataset_spec spec = npy(path, scaling);
    struct dataset *dataset = NULL;
    struct error err;
    assert_ok(dataset_load(&spec, &fixtures, &dataset, &err));
    return dataset;
}

/* Sample `n` and its label. */
static uint32_t gather(const struct dataset *dataset, enum split split, uint32_t n, real *ret_values)
{
    uint32_t label;
    dataset_gather(dataset, split, &n, 1, ret_values, &label);
    return label;
}

/* ------------------------------------------------------------------ NumPy's files */

static void check_floats(const struct dataset *dataset, enum split split, uint32_t count)
{
    real values[8];
    size_t size = shape_size(&dataset_info(dataset)->shape);
    for (uint32_t n = 0; n < count; n++) {
        assert_int_equal(gather(dataset, split, n, values), n * 2 % 5);
        for (size_t i = 0; i < size; i++)
            assert_true(values[i] == (real)(10 * n + i) + (real)0.25);
    }
}

static void test_vectors(void **state)
{
    (void)state;
    struct dataset *dataset = load("vectors", SCALING_NONE);
    const struct dataset_info *info = dataset_info(dataset);
    assert_int_equal(info->shape.rank, 1);
    assert_int_equal(info->shape.dims[0], 3);
    assert_int_equal(info->classes, 5); /* labels 0 2 4 1 3 */
    assert_int_equal(info->train_count, 5);
    assert_int_equal(info->test_count, 2);
    check_floats(dataset, SPLIT_TRAIN, 5);
    check_floats(dataset, SPLIT_TEST, 2);
    dataset_free(dataset);
}

static void test_tokens_without_a_test_set(void **state)
{
    (void)state;
    struct dataset *dataset = load("tokens", SCALING_NONE);
    const struct dataset_info *info = dataset_info(dataset);
    assert_int_equal(info->shape.rank, 2);
    assert_int_equal(info->shape.dims[0], 2);
    assert_int_equal(info->shape.dims[1], 3);
    assert_int_equal(info->test_count, 0);
    check_floats(dataset, SPLIT_TRAIN, 4);
    dataset_free(dataset);
}

static void test_images_of_bytes(void **state)
{
    (void)state;
    struct dataset *dataset = load("images", SCALING_UNIT);
    assert_int_equal(dataset_info(dataset)->shape.rank, 3);
    real values[12];
    for (uint32_t n = 0; n < 4; n++) {
        gather(dataset, SPLIT_TRAIN, n, values);
        for (size_t i = 0; i < 12; i++)
            assert_true(fabs((double)values[i] - (50 * n + i) % 256 / 255.0) < 1e-7);
    }
    dataset_free(dataset);
}

static void test_label_types_and_versions(void **state)
{
    (void)state;
    static const char *const folders[] = {"labels-i1", "labels-u2", "labels-i4", "labels-u4", "labels-u8", "version-2"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct dataset *dataset = load(folders[i], SCALING_NONE);
        assert_int_equal(dataset_info(dataset)->classes, 5);
        check_floats(dataset, SPLIT_TRAIN, 5);
        dataset_free(dataset);
    }
}

static void test_classes_and_limits(void **state)
{
    (void)state;
    struct dataset_spec spec = npy("vectors", SCALING_NONE);
    struct dataset_info info;
    struct error err;
    spec.classes = 9;
    spec.train_limit = 2;
    spec.test_limit = 1;
    assert_ok(dataset_inspect(&spec, &fixtures, &info, &err));
    assert_int_equal(info.classes, 9);
    assert_int_equal(info.train_count, 2);
    assert_int_equal(info.test_count, 1);
    /* without a number of classes, labels that a limit leaves out count */
    spec.classes = 0;
    assert_ok(dataset_inspect(&spec, &fixtures, &info, &err));
    assert_int_equal(info.classes, 5);
    struct dataset *dataset = NULL;
    spec.classes = 4;
    assert_int_equal(dataset_load(&spec, &fixtures, &dataset, &err), STATUS_CORRUPT);
    assert_non_null(strstr(err.text, "has label 4 at index 2, labels are 0 to 3"));
}

static void test_description(void **state)
{
    (void)state;
    json_t *list = datasets_describe(&fixtures);
    size_t index, found = 0;
    json_t *item;
    const char *before = "";
    json_array_foreach(list, index, item)
    {
        const char *path = json_string_value(json_object_get(item, "path"));
        if (!path)
            continue;
        found++;
        assert_true(json_is_true(json_object_get(item, "found")));
        assert_true(strcmp(before, path) < 0);
        before = path;
    }
    assert_int_equal(found, 9);
    json_decref(list);
}

/* ------------------------------------------------------------------ scaling */

/* One figure for vectors; over all values of the training samples, which are symmetric about their mean. */
static void test_standard_of_vectors(void **state)
{
    (void)state;
    struct dataset *dataset = load("vectors", SCALING_STANDARD);
    real values[3];
    double mean = 0, squares = 0;
    for (int n = 0; n < 5; n++)
        for (int i = 0; i < 3; i++)
            mean += (10 * n + i + 0.25) / 15;
    for (int n = 0; n < 5; n++)
        for (int i = 0; i < 3; i++)
            squares += pow(10 * n + i + 0.25 - mean, 2) / 15;
    for (uint32_t n = 0; n < 5; n++) {
        gather(dataset, SPLIT_TRAIN, n, values);
        for (uint32_t i = 0; i < 3; i++)
            assert_true(fabs((double)values[i] - (10.0 * n + i + 0.25 - mean) / sqrt(squares)) < 1e-6);
    }
    dataset_free(dataset);
}

/* By feature over tokens: feature i of token t is 10n + 3t + i + 0.25, whose deviation is the same for all i. */
static void test_standard_of_tokens(void **state)
{
    (void)state;
    struct dataset *dataset = load("tokens", SCALING_STANDARD);
    double mean[3] = {0}, squares[3] = {0};
    for (int n = 0; n < 4; n++)
        for (int j = 0; j < 6; j++)
            mean[j % 3] += (10 * n + j + 0.25) / 8;
    for (int n = 0; n < 4; n++)
        for (int j = 0; j < 6; j++)
            squares[j % 3] += pow(10 * n + j + 0.25 - mean[j % 3], 2) / 8;
    real values[6];
    for (uint32_t n = 0; n < 4; n++) {
        gather(dataset, SPLIT_TRAIN, n, values);
        for (uint32_t j = 0; j < 6; j++)
            assert_true(fabs((double)values[j] - (10.0 * n + j + 0.25 - mean[j % 3]) / sqrt(squares[j % 3])) < 1e-6);
    }
    dataset_free(dataset);
}

/* By channel: planes of 3 × 2. */
static void test_standard_of_images(void **state)
{
    (void)state;
    struct dataset *dataset = load("images", SCALING_STANDARD);
    double mean[2] = {0}, squares[2] = {0};
    for (int n = 0; n < 4; n++)
        for (int i = 0; i < 12; i++)
            mean[i / 6] += (50 * n + i) % 256 / 24.0;
    for (int n = 0; n < 4; n++)
        for (int i = 0; i < 12; i++)
            squares[i / 6] += pow((50 * n + i) % 256 - mean[i / 6], 2) / 24;
    real values[12];
    for (uint32_t n = 0; n < 4; n++) {
        gather(dataset, SPLIT_TRAIN, n, values);
        for (uint32_t i = 0; i < 12; i++)
            assert_true(fabs((double)values[i] - ((50 * n + i) % 256 - mean[i / 6]) / sqrt(squares[i / 6])) < 1e-6);
    }
    dataset_free(dataset);
}

static void test_unit_of_floats(void **state)
{
    (void)state;
    struct dataset *dataset = load("vectors", SCALING_UNIT);
    real values[3];
    gather(dataset, SPLIT_TRAIN, 0, values);
    assert_true(values[0] == 0);
    gather(dataset, SPLIT_TRAIN, 4, values);
    assert_true(fabs((double)values[2] - 1) < 1e-7);
    dataset_free(dataset);
}

/* ------------------------------------------------------------------ files of one's own */

struct place {
    char root[TEST_PATH_SIZE], folder[TEST_PATH_SIZE + 16];
    const char *paths[2];
    struct dataset_folders folders;
};

static void begin(struct place *place)
{
    files_begin(place->root);
    snprintf(place->folder, sizeof place->folder, "%s/mine", place->root);
    assert_int_equal(mkdir(place->folder, 0700), 0);
    place->paths[0] = place->root;
    place->paths[1] = NULL;
    place->folders = (struct dataset_folders){.paths = place->paths};
}

/* Writes an npy file of version 1 with this header and these data. */
static void write_npy(const struct place *place, const char *name, const char *header, const void *data, size_t size)
{
    unsigned char bytes[512] = "\x93NUMPY\x01\x00";
    size_t length = strlen(header);
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10, header, length);
    memcpy(bytes + 10 + length, data, size);
    files_write(place->folder, name, bytes, 10 + length + size);
}

#define HEADER(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape ", }\n"

static const float good_x[4] = {1, 2, 3, 4};
static const uint8_t good_y[2] = {0, 1};

static void write_good(const struct place *place)
{
    write_npy(place, "train_x.npy", HEADER("<f4", "(2, 2)"), good_x, sizeof good_x);
    write_npy(place, "train_y.npy", HEADER("|u1", "(2,)"), good_y, sizeof good_y);
}

static void refuses(const struct place *place, enum status expected, const char *words)
{
    struct dataset_spec spec = npy("mine", SCALING_STANDARD);
    assert_refused(&spec, &place->folders, expected, words);
}

static void accepts(const struct place *place)
{
    struct dataset_spec spec = npy("mine", SCALING_NONE);
    struct dataset *dataset = NULL;
    struct error err = {""};
    real values[2];
    assert_ok(dataset_load(&spec, &place->folders, &dataset, &err));
    for (uint32_t n = 0; n < 2; n++) {
        assert_int_equal(gather(dataset, SPLIT_TRAIN, n, values), n);
        assert_true(values[0] == (real)(2 * n + 1) && values[1] == (real)(2 * n + 2));
    }
    dataset_free(dataset);
}

static void bad_x(const struct place *place, const char *header, size_t size, const char *words)
{
    unsigned char data[64] = {0};
    write_npy(place, "train_x.npy", header, data, size);
    refuses(place, STATUS_CORRUPT, words);
    write_good(place);
}

static void bad_y(const struct place *place, const char *header, const void *data, size_t size, const char *words)
{
    write_npy(place, "train_y.npy", header, data, size);
    refuses(place, STATUS_CORRUPT, words);
    write_good(place);
}

static void test_headers(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}",
        "{'shape':(2,2),'descr':\"<f4\",'fortran_order':False}",
        "{ 'fortran_order' : False , 'shape' : ( 2 , 2 , ) , 'descr' : '<f4' , }  \n",
    };
    static const char *const bad[] = {
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'shape': (2, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 2]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1, 1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 99999999999999999999)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '<f4 and a name that is far too long', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2) 'x'}",
    };
    struct place place;
    begin(&place);
    write_good(&place);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        write_npy(&place, "train_x.npy", good[i], good_x, sizeof good_x);
        accepts(&place);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bad_x(&place, bad[i], 16, "train_x.npy has a header that is not");
    files_end(place.root);
}

static void test_refusals_of_samples(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    write_good(&place);
    bad_x(&place, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16, "is in Fortran order");
    bad_x(&place, HEADER(">f4", "(2, 2)"), 16, "is big-endian (>f4)");
    bad_x(&place, HEADER("<f2", "(2, 2)"), 8, "has elements of type <f2");
    bad_x(&place, HEADER("<i4", "(2, 2)"), 16, "is of type int32; float32, float64 or uint8 is expected");
    bad_x(&place, HEADER("<f4", "(4,)"), 16, "has one dimension");
    bad_x(&place, HEADER("<f4", "()"), 4, "holds a single number");
    bad_x(&place, HEADER("<f4", "(2, 0)"), 0, "has a dimension of 0");
    bad_x(&place, HEADER("<f4", "(2, 3)"), 16, "has 16 bytes of data, 24 are expected");
    bad_x(&place, HEADER("<f4", "(2, 2)"), 17, "has 17 bytes of data, 16 are expected");
    bad_x(&place, HEADER("<f4", "(4294967296, 4294967296, 4)"), 16, "than any file does");
    bad_x(&place, HEADER("<f4", "(3, 1)"), 12, "has 2 labels for the 3 samples");
    static const float infinite[4] = {1, 2, INFINITY, 4};
    write_npy(&place, "train_x.npy", HEADER("<f4", "(2, 2)"), infinite, sizeof infinite);
    refuses(&place, STATUS_CORRUPT, "has the value inf in sample 1");
    static const double large[4] = {1, 1e300, 3, 4};
    write_npy(&place, "train_x.npy", HEADER("<f8", "(2, 2)"), large, sizeof large);
    refuses(&place, STATUS_CORRUPT, "has the value 1e+300 in sample 0");
    write_good(&place);
    accepts(&place);
    files_end(place.root);
}

static void test_refusals_of_labels(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    write_good(&place);
    bad_y(&place, HEADER("|u1", "(2, 1)"), good_y, 2, "has 2 dimensions; one label a sample is expected");
    bad_y(&place, HEADER("<f4", "(2,)"), good_x, 8, "is of type float32; whole numbers are expected");
    bad_y(&place, HEADER("|b1", "(2,)"), good_y, 2, "has elements of type |b1");
    bad_y(&place, HEADER("|i1", "(2,)"), (const int8_t[]){0, -1}, 2, "has label -1 at index 1");
    bad_y(&place, HEADER("<i2", "(2,)"), (const int16_t[]){-300, 0}, 4, "has label -300 at index 0");
    bad_y(&place, HEADER("<i4", "(2,)"), (const int32_t[]){-7, 0}, 8, "has label -7 at index 0");
    bad_y(&place, HEADER("<i8", "(2,)"), (const int64_t[]){0, INT64_MIN}, 16, "has label -9223372036854775808");
    bad_y(&place, HEADER("<u8", "(2,)"), (const uint64_t[]){0, UINT64_MAX}, 16, "has label 18446744073709551615");
    bad_y(&place, HEADER("<i4", "(2,)"), (const int32_t[]){0, 1048576}, 8, "labels are 0 to 1048575");
    bad_y(&place, HEADER("|u1", "(2,)"), (const uint8_t[]){0, 0}, 2, "has the label 0 only");
    accepts(&place);
    files_end(place.root);
}

static void test_refusals_of_the_folder(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    refuses(&place, STATUS_NOT_FOUND, "is not complete: ");
    write_good(&place);
    files_write(place.folder, "train_x.npy", "PK\3\4 an archive", 15);
    refuses(&place, STATUS_CORRUPT, "begins with 504b03042061, an npy file with 934e554d5059");
    write_good(&place);
    write_npy(&place, "test_x.npy", HEADER("<f4", "(1, 2)"), good_x, 8);
    refuses(&place, STATUS_CORRUPT, "test_y.npy does not exist");
    write_npy(&place, "test_y.npy", HEADER("|u1", "(1,)"), good_y, 1);
    accepts(&place);
    write_npy(&place, "test_x.npy", HEADER("<f4", "(1, 3)"), good_x, 12);
    refuses(&place, STATUS_CORRUPT, "has samples of 3, those of");
    write_npy(&place, "test_x.npy", HEADER("<f4", "(1, 2, 1)"), good_x, 8);
    refuses(&place, STATUS_CORRUPT, "has samples of 2×1, those of");
    write_npy(&place, "test_x.npy", HEADER("|u1", "(1, 2)"), good_y, 2);
    refuses(&place, STATUS_CORRUPT, "let both be the same");
    files_delete(place.folder, "test_x.npy");
    refuses(&place, STATUS_CORRUPT, "test_x.npy does not exist");
    static const char *const outside[] = {"../mine", "/etc", "mine/..", ""};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        struct dataset_spec spec = npy(outside[i], SCALING_NONE);
        struct dataset_info info;
        assert_int_equal(dataset_inspect(&spec, &place.folders, &info, NULL), STATUS_INVALID);
    }
    files_end(place.root);
}

/* ------------------------------------------------------------------ damage */

static size_t copy_fixture(const struct place *place, const char *from, const char *name, unsigned char *data,
                           size_t size)
{
    char path[2 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, FIXTURES "/%s/%s", from, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t got = fread(data, 1, size, file);
    assert_true(got > 0 && got < size);
    fclose(file);
    files_write(place->folder, name, data, got);
    return got;
}

/* Loads what may be damaged. What is accepted is gathered, so that the sanitizers see a size that is wrong. */
static bool try_load(const struct place *place)
{
    struct dataset_spec spec = npy("mine", SCALING_STANDARD);
    struct dataset *dataset = NULL;
    if (dataset_load(&spec, &place->folders, &dataset, NULL) != STATUS_OK)
        return false;
    const struct dataset_info *info = dataset_info(dataset);
    real *values = malloc(shape_size(&info->shape) * sizeof *values);
    for (uint32_t n = 0; n < info->train_count; n++)
        assert_true(gather(dataset, SPLIT_TRAIN, n, values) < info->classes);
    for (uint32_t n = 0; n < info->test_count; n++)
        assert_true(gather(dataset, SPLIT_TEST, n, values) < info->classes);
    free(values);
    dataset_free(dataset);
    return true;
}

static void test_damage(void **state)
{
    (void)state;
    static const char *const names[] = {"train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy"};
    struct place place;
    unsigned char data[512], bad[512];
    begin(&place);
    for (int i = 0; i < 4; i++)
        copy_fixture(&place, "vectors", names[i], data, sizeof data);
    assert_true(try_load(&place));
    for (int i = 0; i < 4; i++) {
        size_t size = copy_fixture(&place, "vectors", names[i], data, sizeof data), refused = 0;
        for (size_t cut = 0; cut < size; cut++) {
            files_write(place.folder, names[i], data, cut);
            assert_false(try_load(&place));
        }
        memcpy(bad, data, size);
        bad[size] = 0;
        files_write(place.folder, names[i], bad, size + 1);
        assert_false(try_load(&place));
        for (size_t at = 0; at < 128 * 8; at++) {
            memcpy(bad, data, size);
            bad[at / 8] ^= (unsigned char)(1U << at % 8);
            files_write(place.folder, names[i], bad, size);
            refused += !try_load(&place);
        }
        assert_true(refused > 100 * 8); /* a changed byte of padding may be another space */
        files_write(place.folder, names[i], data, size);
    }
    assert_true(try_load(&place));
    files_end(place.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_tokens_without_a_test_set),
        cmocka_unit_test(test_images_of_bytes),
        cmocka_unit_test(test_label_types_and_versions),
        cmocka_unit_test(test_classes_and_limits),
        cmocka_unit_test(test_description),
        cmocka_unit_test(test_standard_of_vectors),
        cmocka_unit_test(test_standard_of_tokens),
        cmocka_unit_test(test_standard_of_images),
        cmocka_unit_test(test_unit_of_floats),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_refusals_of_samples),
        cmocka_unit_test(test_refusals_of_labels),
        cmocka_unit_test(test_refusals_of_the_folder),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
