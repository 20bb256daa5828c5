/* Pictures of samples: decoded again, every pixel is the value it stands for. */
#include "server/picture.h"
#include "tests/files.h"
#include "tests/specs.h"

#include <png.h>
#include <pthread.h>

enum { SAMPLES = 4 };

struct place {
    char root[TEST_PATH_SIZE];
    const char *paths[2];
    struct dataset_folders folders;
    struct picture_cache *cache;
};

static void begin(struct place *place)
{
    struct error err;
    files_begin(place->root);
    place->paths[0] = place->root;
    place->paths[1] = NULL;
    place->folders = (struct dataset_folders){.paths = place->paths};
    assert_ok(picture_cache_create(&place->cache, &err));
}

static void end(struct place *place)
{
    picture_cache_free(place->cache);
    files_end(place->root);
}

/* Writes ROOT/<name>/<file> as npy with the data. */
static void write_npy(const struct place *place, const char *name, const char *file, const char *descr,
                      const char *shape, const void *data, size_t size)
{
    char folder[TEST_PATH_SIZE + 16], *bytes = calloc(1, 128 + size);
    snprintf(folder, sizeof folder, "%s/%s", place->root, name);
    mkdir(folder, 0700);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    int length = snprintf(bytes + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
    memset(bytes + 10 + length, ' ', (size_t)(118 - length));
    bytes[127] = '\n';
    memcpy(bytes + 128, data, size);
    files_write(folder, file, bytes, 128 + size);
    free(bytes);
}

/* An npy data set of bytes, (SAMPLES, <shape>), whose values are (sample · 31 + i · 7) mod 256. */
static uint8_t pixel_of(size_t sample, size_t i)
{
    return (uint8_t)(sample * 31 + i * 7);
}

static void write_bytes(const struct place *place, const char *name, const char *shape, size_t size)
{
    uint8_t *data = calloc(SAMPLES, size);
    uint8_t labels[SAMPLES] = {0, 1, 0, 1};
    char whole[64];
    for (size_t i = 0; i < SAMPLES * size; i++)
        data[i] = pixel_of(i / size, i % size);
    snprintf(whole, sizeof whole, "%d, %s", SAMPLES, shape);
    write_npy(place, name, "train_x.npy", "|u1", whole, data, SAMPLES * size);
    write_npy(place, name, "train_y.npy", "|u1", "4,", labels, sizeof labels);
    free(data);
}

static json_t *spec_of(const char *name)
{
    json_t *spec = json_pack("{s:{s:s, s:s, s:n, s:n, s:s, s:n}}", "dataset", "name", "npy", "path", name,
                             "train_limit", "test_limit", "scaling", "standard", "classes");
    assert_non_null(spec);
    return spec;
}

/* A decoded picture, 8 bits a channel as they are. */
struct decoded {
    png_image image;
    uint8_t *pixels;
};

static struct decoded decode(const uint8_t *png, size_t size)
{
    struct decoded decoded = {.image = {.version = PNG_IMAGE_VERSION}};
    assert_true(png_image_begin_read_from_memory(&decoded.image, png, size));
    decoded.pixels = calloc(1, PNG_IMAGE_SIZE(decoded.image));
    assert_true(png_image_finish_read(&decoded.image, NULL, decoded.pixels, 0, NULL));
    return decoded;
}

static struct decoded picture(struct place *place, const char *name, uint64_t index)
{
    struct error err;
    uint8_t *png = NULL;
    size_t size = 0;
    json_t *spec = spec_of(name);
    assert_ok(picture_of_spec(place->cache, spec, &place->folders, SPLIT_TRAIN, index, &png, &size, &err));
    struct decoded decoded = decode(png, size);
    free(png);
    json_decref(spec);
    return decoded;
}

static void test_colour(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    write_bytes(&place, "rgb", "3, 4, 5", 60);
    for (size_t sample = 0; sample < SAMPLES; sample++) {
        struct decoded decoded = picture(&place, "rgb", sample);
        assert_int_equal(decoded.image.width, 5);
        assert_int_equal(decoded.image.height, 4);
        assert_int_equal(decoded.image.format, PNG_FORMAT_RGB);
        for (size_t c = 0; c < 3; c++)
            for (size_t i = 0; i < 20; i++)
                assert_int_equal(decoded.pixels[i * 3 + c], pixel_of(sample, c * 20 + i));
        free(decoded.pixels);
    }
    end(&place);
}

static void test_grey(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    static const struct {
        const char *name, *shape;
        size_t size, width, height;
    } kinds[] = {{"one", "1, 4, 5", 20, 5, 4},
                 {"tokens", "6, 3", 18, 3, 6},
                 {"row", "64", 64, 64, 1},
                 {"square", "81", 81, 9, 9}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        write_bytes(&place, kinds[k].name, kinds[k].shape, kinds[k].size);
        struct decoded decoded = picture(&place, kinds[k].name, 2);
        assert_int_equal(decoded.image.width, kinds[k].width);
        assert_int_equal(decoded.image.height, kinds[k].height);
        assert_int_equal(decoded.image.format, PNG_FORMAT_GRAY);
        for (size_t i = 0; i < kinds[k].size; i++)
            assert_int_equal(decoded.pixels[i], pixel_of(2, i));
        free(decoded.pixels);
    }
    end(&place);
}

static void test_channels_beside_each_other(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    write_bytes(&place, "two", "2, 4, 5", 40);
    struct decoded decoded = picture(&place, "two", 1);
    assert_int_equal(decoded.image.width, 10);
    assert_int_equal(decoded.image.height, 4);
    for (size_t y = 0; y < 4; y++)
        for (size_t x = 0; x < 10; x++)
            assert_int_equal(decoded.pixels[y * 10 + x], pixel_of(1, x / 5 * 20 + y * 5 + x % 5));
    free(decoded.pixels);
    end(&place);
}

static void test_unused_end_is_transparent(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    write_bytes(&place, "seventy", "70", 70); /* 9 × 8 */
    struct decoded decoded = picture(&place, "seventy", 3);
    assert_int_equal(decoded.image.width, 9);
    assert_int_equal(decoded.image.height, 8);
    assert_int_equal(decoded.image.format, PNG_FORMAT_GA);
    for (size_t i = 0; i < 72; i++) {
        assert_int_equal(decoded.pixels[2 * i + 1], i < 70 ? 255 : 0);
        if (i < 70)
            assert_int_equal(decoded.pixels[2 * i], pixel_of(3, i));
    }
    free(decoded.pixels);
    end(&place);
}

/* Other elements are scaled by the training samples' range; a test sample beyond it is cut. */
static void test_floats(void **state)
{
    (void)state;
    struct place place;
    struct error err;
    begin(&place);
    const float train[] = {-10, 0, 10, 5, -10, 10, -10, 10, -10, 10, -10, 10}, test[] = {-99, 99, 0};
    const uint8_t labels[] = {0, 1, 0, 1};
    write_npy(&place, "f", "train_x.npy", "<f4", "4, 1, 1, 3", train, sizeof train);
    write_npy(&place, "f", "train_y.npy", "|u1", "4,", labels, sizeof labels);
    write_npy(&place, "f", "test_x.npy", "<f4", "1, 1, 1, 3", test, sizeof test);
    write_npy(&place, "f", "test_y.npy", "|u1", "1,", labels, 1);
    struct decoded decoded = picture(&place, "f", 0);
    assert_int_equal(decoded.pixels[0], 0);
    assert_int_equal(decoded.pixels[1], 128);
    assert_int_equal(decoded.pixels[2], 255);
    free(decoded.pixels);
    uint8_t *png = NULL;
    size_t size = 0;
    json_t *spec = spec_of("f");
    assert_ok(picture_of_spec(place.cache, spec, &place.folders, SPLIT_TEST, 0, &png, &size, &err));
    decoded = decode(png, size);
    assert_int_equal(decoded.pixels[0], 0);
    assert_int_equal(decoded.pixels[1], 255);
    assert_int_equal(decoded.pixels[2], 128);
    free(decoded.pixels);
    free(png);
    json_decref(spec);
    end(&place);
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    struct place place;
    struct error err;
    uint8_t *png = NULL;
    size_t size = 0;
    begin(&place);
    write_bytes(&place, "one", "1, 4, 5", 20);
    json_t *spec = spec_of("one"), *other = spec_of("other");
    static const uint64_t beyond[] = {4, UINT64_C(1) << 32, UINT64_MAX};
    for (int i = 0; i < 3; i++)
        assert_int_equal(picture_of_spec(place.cache, spec, &place.folders, SPLIT_TRAIN, beyond[i], &png, &size, &err),
                         STATUS_NOT_FOUND);
    assert_string_equal(err.text,
                        "the training set has 4 samples, numbered from 0, and none numbered 18446744073709551615");
    assert_int_equal(picture_of_spec(place.cache, spec, &place.folders, SPLIT_TEST, 0, &png, &size, &err),
                     STATUS_NOT_FOUND);
    assert_int_equal(picture_of_spec(place.cache, other, &place.folders, SPLIT_TRAIN, 0, &png, &size, &err),
                     STATUS_NOT_FOUND);
    /* after a failure the next one is loaded again */
    struct decoded decoded = picture(&place, "one", 0);
    free(decoded.pixels);
    json_decref(spec);
    json_decref(other);
    end(&place);
}

/* Threads that ask for two data sets in turns, so that each takes the other's from memory. */
struct asker {
    struct place *place;
    const json_t *specs[2];
    size_t first, wrong;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;
    for (size_t i = 0; i < 40; i++) {
        size_t which = (asker->first + i / 3) % 2, size = 0;
        uint8_t *png = NULL;
        struct error err;
        enum status status = picture_of_spec(asker->place->cache, asker->specs[which], &asker->place->folders,
                                             SPLIT_TRAIN, i % SAMPLES, &png, &size, &err);
        png_image image = {.version = PNG_IMAGE_VERSION};
        if (status != STATUS_OK || !png_image_begin_read_from_memory(&image, png, size) ||
            image.width != (which ? 5U : 4U))
            asker->wrong++;
        png_image_free(&image);
        free(png);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    struct place place;
    pthread_t threads[4];
    struct asker askers[4];
    begin(&place);
    write_bytes(&place, "four", "1, 4, 4", 16);
    write_bytes(&place, "five", "1, 4, 5", 20);
    json_t *specs[] = {spec_of("four"), spec_of("five")};
    for (size_t i = 0; i < 4; i++) {
        askers[i] = (struct asker){&place, {specs[0], specs[1]}, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(askers[i].wrong, 0);
    }
    json_decref(specs[0]);
    json_decref(specs[1]);
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_grey),
        cmocka_unit_test(test_channels_beside_each_other),
        cmocka_unit_test(test_unused_end_is_transparent),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
