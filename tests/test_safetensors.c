/* Safetensors: files made byte by byte here, what is written, every refusal, damaged files. */
#include "tests/files.h"

#include "core/safetensors.h"

struct place {
    char folder[TEST_PATH_SIZE], path[TEST_PATH_SIZE + 16];
};

static void begin(struct place *place)
{
    files_begin(place->folder);
    snprintf(place->path, sizeof place->path, "%s/file", place->folder);
}

/* Length, header, data: the file as its description has it. */
static void write_file(const struct place *place, const char *header, const void *data, size_t size)
{
    unsigned char bytes[2048] = {0};
    size_t length = strlen(header);
    assert_true(8 + length + size <= sizeof bytes);
    bytes[0] = (unsigned char)length;
    bytes[1] = (unsigned char)(length >> 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, size);
    files_write(place->folder, "file", bytes, 8 + length + size);
}

static void refuses(const struct place *place, const char *header, size_t size, const char *words)
{
    static const unsigned char data[256];
    struct tensor_list list = {0};
    struct error err = {""};
    write_file(place, header, data, size);
    enum status status = safetensors_read(place->path, &list, &err);
    if (status != STATUS_CORRUPT || !strstr(err.text, words) || !strstr(err.text, place->path))
        fail_msg("%s: \"%s\" (%s) in place of \"%s\"", header, err.text, status_name(status), words);
    assert_null(list.items);
}

/* ------------------------------------------------------------------ reading */

static const char good_header[] =
    "{\"__metadata__\": {\"format\": \"pt\"},"
    " \"layers.0.weight\": {\"dtype\": \"F32\", \"shape\": [2, 3], \"data_offsets\": [8, 32]},"
    " \"scale\": {\"dtype\": \"F64\", \"shape\": [], \"data_offsets\": [0, 8]},"
    " \"layers.0.bias\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [32, 40]},"
    " \"none\": {\"dtype\": \"F32\", \"shape\": [0, 7], \"data_offsets\": [40, 40]}}   ";

static size_t good_data(unsigned char *data)
{
    double scale = -0.125;
    float values[8] = {1, 2, 3, 4, 5, 6, -7, 0.5F};
    memcpy(data, &scale, sizeof scale);
    memcpy(data + sizeof scale, values, sizeof values);
    return sizeof scale + sizeof values;
}

static void check_good(const struct tensor_list *list)
{
    const struct named_tensor *weight = tensor_list_find(list, "layers.0.weight");
    assert_int_equal(list->count, 4);
    assert_int_equal(weight->rank, 2);
    assert_int_equal(weight->dims[0], 2);
    assert_int_equal(weight->dims[1], 3);
    assert_int_equal(weight->size, 6);
    for (int i = 0; i < 6; i++)
        assert_true(weight->values[i] == (real)(i + 1));
    assert_int_equal(tensor_list_find(list, "scale")->rank, 0);
    assert_int_equal(tensor_list_find(list, "scale")->size, 1);
    assert_true(tensor_list_find(list, "scale")->values[0] == (real)-0.125);
    assert_true(tensor_list_find(list, "layers.0.bias")->values[0] == -7);
    assert_int_equal(tensor_list_find(list, "none")->size, 0);
    assert_null(tensor_list_find(list, "__metadata__"));
    assert_null(tensor_list_find(list, "layers.0"));
}

static void test_reading(void **state)
{
    (void)state;
    struct place place;
    struct tensor_list list = {0};
    struct error err;
    unsigned char data[64];
    begin(&place);
    write_file(&place, good_header, data, good_data(data));
    assert_ok(safetensors_read(place.path, &list, &err));
    check_good(&list);
    tensor_list_clear(&list);
    write_file(&place, "{}", data, 0);
    assert_ok(safetensors_read(place.path, &list, &err));
    assert_int_equal(list.count, 0);
    tensor_list_clear(&list);
    files_delete(place.folder, "file");
    assert_int_equal(safetensors_read(place.path, &list, &err), STATUS_NOT_FOUND);
    assert_int_equal(safetensors_read(place.folder, &list, &err), STATUS_IO);
    files_end(place.folder);
}

#define TENSOR(dtype, shape, offsets)                                                                                  \
    "{\"t\": {\"dtype\": " dtype ", \"shape\": " shape ", \"data_offsets\": " offsets "}}"

static void test_refusals(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    refuses(&place, "", 0, "a header that is not a JSON object");
    refuses(&place, "[]", 0, "a header that is not a JSON object");
    refuses(&place, "{\"a\": {}, \"a\": {}}", 0, "duplicate");
    refuses(&place, "{\"t\": 1}", 0, "t is of type none");
    refuses(&place, TENSOR("\"F16\"", "[1]", "[0, 2]"), 2, "t is of type F16, F32 or F64 is expected");
    refuses(&place, TENSOR("4", "[1]", "[0, 4]"), 4, "t is of type none");
    refuses(&place, TENSOR("\"F32\"", "1", "[0, 4]"), 4, "t has no shape");
    refuses(&place, TENSOR("\"F32\"", "[-1]", "[0, 4]"), 4, "t has no shape");
    refuses(&place, TENSOR("\"F32\"", "[1.0]", "[0, 4]"), 4, "t has no shape");
    refuses(&place, TENSOR("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0, 4]"), 4, "t has no shape of at most 8 sizes");
    refuses(&place, TENSOR("\"F32\"", "[4294967296, 4294967296]", "[0, 4]"), 4, "t has no shape");
    refuses(&place, TENSOR("\"F32\"", "[4611686018427387904]", "[0, 0]"), 0, "t has no shape");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[0]"), 4, "t has no data_offsets");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[0, 4, 4]"), 4, "t has no data_offsets");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[-4, 0]"), 4, "t has no data_offsets");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[4, 0]"), 4, "t lies at 4 to 0, the data have 4 bytes");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[0, 4]"), 3, "t lies at 0 to 4, the data have 3 bytes");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[0, 8]"), 8, "t has 8 bytes, its shape needs 4");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[4, 8]"), 8, "has 4 bytes before t that no tensor names");
    refuses(&place, TENSOR("\"F32\"", "[1]", "[0, 4]"), 5, "has 5 bytes of data, its tensors fill 4");
    refuses(&place,
            "{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}, \"b\": {\"dtype\": \"F32\", "
            "\"shape\": [2], \"data_offsets\": [4, 12]}}",
            12, "b begins at 4, inside the tensor before it");
    files_end(place.folder);
}

#ifndef PLUMBLINE_DOUBLE
static void test_what_single_precision_cannot_hold(void **state)
{
    (void)state;
    struct place place;
    struct tensor_list list = {0};
    struct error err;
    begin(&place);
    write_file(&place, TENSOR("\"F64\"", "[2]", "[0, 16]"), (const double[]){1, 1e300}, 16);
    assert_int_equal(safetensors_read(place.path, &list, &err), STATUS_CORRUPT);
    assert_non_null(strstr(err.text, "t holds 1e+300"));
    /* what is not finite is what it is: weights of a run that diverged can be looked at */
    write_file(&place, TENSOR("\"F64\"", "[2]", "[0, 16]"), (const double[]){NAN, -INFINITY}, 16);
    assert_ok(safetensors_read(place.path, &list, &err));
    assert_true(isnan(list.items[0].values[0]) && isinf(list.items[0].values[1]));
    tensor_list_clear(&list);
    files_end(place.folder);
}
#endif

/* ------------------------------------------------------------------ writing */

static void test_writing(void **state)
{
    (void)state;
    real weight[6] = {1, 2, 3, 4, 5, 6}, bias[1] = {-7};
    struct named_tensor items[] = {
        {.name = (char[]){"layers.1.weight"}, .rank = 2, .dims = {2, 3}, .size = 6, .values = weight},
        {.name = (char[]){"layers.1.bias"}, .rank = 1, .dims = {1}, .size = 1, .values = bias},
        {.name = (char[]){"scalar"}, .rank = 0, .size = 1, .values = weight + 5},
    };
    static const char header[] = "{\"layers.1.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                 "\"layers.1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[24,28]},"
                                 "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[28,32]}}";
    static const float values[8] = {1, 2, 3, 4, 5, 6, -7, 6};
    struct tensor_list list = {items, 3}, back = {0};
    uint8_t *bytes = NULL;
    size_t size = 0, length = 0;
    struct place place;
    struct error err;
    assert_ok(safetensors_encode(&list, &bytes, &size, &err));
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    assert_int_equal(length % 8, 0);
    assert_int_equal(size, 8 + length + sizeof values);
    assert_memory_equal(bytes + 8, header, strlen(header));
    for (size_t i = 8 + strlen(header); i < 8 + length; i++)
        assert_int_equal(bytes[i], ' ');
    assert_memory_equal(bytes + 8 + length, values, sizeof values);
    begin(&place);
    files_write(place.folder, "file", bytes, size);
    assert_ok(safetensors_read(place.path, &back, &err));
    assert_int_equal(back.count, 3);
    assert_string_equal(back.items[1].name, "layers.1.bias");
    assert_memory_equal(back.items[0].values, weight, sizeof weight);
    tensor_list_clear(&back);
    free(bytes);
    files_end(place.folder);
    /* two of a name cannot be told apart; the metadata's name is taken */
    bytes = NULL;
    items[1].name = items[0].name;
    assert_int_equal(safetensors_encode(&list, &bytes, &size, &err), STATUS_INVALID);
    items[1].name = (char[]){"__metadata__"};
    assert_int_equal(safetensors_encode(&list, &bytes, &size, &err), STATUS_INVALID);
    assert_null(bytes);
}

/* ------------------------------------------------------------------ damage */

static void test_damage(void **state)
{
    (void)state;
    struct place place;
    unsigned char data[64], file[1024], bad[1024] = {0};
    begin(&place);
    write_file(&place, good_header, data, good_data(data));
    FILE *stream = fopen(place.path, "rb");
    assert_non_null(stream);
    size_t size = fread(file, 1, sizeof file, stream), refused = 0;
    fclose(stream);
    for (size_t cut = 0; cut < size; cut++) {
        struct tensor_list list = {0};
        files_write(place.folder, "file", file, cut);
        assert_int_equal(safetensors_read(place.path, &list, NULL), STATUS_CORRUPT);
    }
    for (size_t at = 0; at < (8 + sizeof good_header - 1) * 8; at++) {
        struct tensor_list list = {0};
        memcpy(bad, file, size);
        bad[at / 8] ^= (unsigned char)(1U << at % 8);
        files_write(place.folder, "file", bad, size);
        /* a bit of a name gives another name; whatever is accepted fits the file */
        if (safetensors_read(place.path, &list, NULL) != STATUS_OK) {
            refused++;
            continue;
        }
        double sum = 0;
        for (size_t i = 0; i < list.count; i++)
            for (size_t j = 0; j < list.items[i].size; j++)
                sum += (double)list.items[i].values[j];
        assert_true(fabs(sum - (1 + 2 + 3 + 4 + 5 + 6 - 7 + 0.5 - 0.125)) < 1e-6);
        tensor_list_clear(&list);
    }
    assert_true(refused > sizeof good_header * 4);
    /* a length that points far outside */
    memset(file, 0xff, 8);
    files_write(place.folder, "file", file, size);
    struct tensor_list list = {0};
    struct error err;
    assert_int_equal(safetensors_read(place.path, &list, &err), STATUS_CORRUPT);
    assert_non_null(strstr(err.text, "a header of 18446744073709551615 bytes"));
    files_end(place.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_refusals),
#ifndef PLUMBLINE_DOUBLE
        cmocka_unit_test(test_what_single_precision_cannot_hold),
#endif
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
