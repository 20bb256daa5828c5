#include "server/picture.h"
#include "core/json_text.h"

#include <math.h>
#include <png.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What a sample looks like: `channels` bytes a pixel, the last of two being how opaque it is. */
struct layout {
    size_t width, height, channels;
    size_t panels; /* channels of the sample that stand beside each other */
};

static struct layout layout_of(const struct shape *shape)
{
    if (shape->rank == 3) {
        bool colour = shape->dims[0] == 3;
        size_t panels = colour ? 1 : shape->dims[0];
        return (struct layout){shape->dims[2] * panels, shape->dims[1], colour ? 3 : 1, panels};
    }
    if (shape->rank == 2)
        return (struct layout){shape->dims[1], shape->dims[0], 1, 1};
    size_t count = shape->dims[0];
    if (count <= PICTURE_MOST_ROW)
        return (struct layout){count, 1, 1, 1};
    size_t side = (size_t)ceil(sqrt((double)count)), rows = (count + side - 1) / side;
    return (struct layout){side, rows, side * rows == count ? 1 : 2, 1};
}

static uint8_t byte_of(real value)
{
    double scaled = round((double)value * 255);
    return scaled > 255 ? 255 : scaled > 0 ? (uint8_t)scaled : 0; /* NaN is not above 0 */
}

/* Writes the pixels, row by row. A sample of rank 3 is channel by channel. */
static void draw(const struct layout *layout, const real *sample, size_t size, uint8_t *ret_pixels)
{
    size_t panel_width = layout->width / layout->panels, area = panel_width * layout->height;
    for (size_t y = 0; y < layout->height; y++) {
        for (size_t x = 0; x < layout->width; x++) {
            uint8_t *pixel = ret_pixels + (y * layout->width + x) * layout->channels;
            size_t at = x / panel_width * area + y * panel_width + x % panel_width;
            if (layout->channels == 3)
                for (size_t c = 0; c < 3; c++)
                    pixel[c] = byte_of(sample[c * area + at]);
            else
                pixel[0] = at < size ? byte_of(sample[at]) : 0;
            if (layout->channels == 2)
                pixel[1] = at < size ? 255 : 0;
        }
    }
}

static enum status encode(const struct layout *layout, const uint8_t *pixels, uint8_t **ret_png, size_t *ret_size,
                          struct error *err)
{
    static const png_uint_32 formats[] = {0, PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)layout->width,
                       .height = (png_uint_32)layout->height,
                       .format = formats[layout->channels]};
    png_alloc_size_t size = 0;
    if (!png_image_write_get_memory_size(image, size, 0, pixels, 0, NULL))
        return error_set(err, STATUS_IO, "the picture cannot be written: %s", image.message);
    uint8_t *png = malloc(size);
    if (!png)
        return error_no_memory(err);
    if (!png_image_write_to_memory(&image, png, &size, 0, pixels, 0, NULL)) {
        free(png);
        return error_set(err, STATUS_IO, "the picture cannot be written: %s", image.message);
    }
    *ret_png = png;
    *ret_size = size;
    return STATUS_OK;
}

enum status picture_png(const struct dataset *dataset, enum split split, uint64_t index, uint8_t **ret_png,
                        size_t *ret_size, struct error *err)
{
    const struct dataset_info *info = dataset_info(dataset);
    size_t count = split == SPLIT_TRAIN ? info->train_count : info->test_count, size = shape_size(&info->shape);
    if (index >= count)
        return error_set(err, STATUS_NOT_FOUND, "the %s set has %zu samples, numbered from 0, and none numbered %llu",
                         split == SPLIT_TRAIN ? "training" : "test", count, (unsigned long long)index);
    const struct layout layout = layout_of(&info->shape);
    attribute_cleanup(cleanup_free) real *sample = calloc(size, sizeof *sample);
    attribute_cleanup(cleanup_free) uint8_t *pixels = calloc(layout.width * layout.height, layout.channels);
    uint32_t label, at = (uint32_t)index;
    if (!sample || !pixels)
        return error_no_memory(err);
    dataset_gather(dataset, split, &at, 1, sample, &label);
    draw(&layout, sample, size, pixels);
    return encode(&layout, pixels, ret_png, ret_size, err);
}

/* ------------------------------------------------------------------ the data set that was last asked for */

struct picture_cache {
    pthread_mutex_t mutex;
    char *key; /* its part of the spec, as text; NULL before the first */
    struct dataset *dataset;
};

enum status picture_cache_create(struct picture_cache **ret_cache, struct error *err)
{
    struct picture_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return error_no_memory(err);
    if (pthread_mutex_init(&cache->mutex, NULL) != 0) {
        free(cache);
        return error_no_memory(err);
    }
    *ret_cache = cache;
    return STATUS_OK;
}

static void forget(struct picture_cache *cache)
{
    free(cache->key);
    dataset_free(cache->dataset);
    cache->key = NULL;
    cache->dataset = NULL;
}

void picture_cache_free(struct picture_cache *cache)
{
    if (!cache)
        return;
    forget(cache);
    pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

/* Makes the cache's data set the one that is asked for. The mutex is held. */
static enum status load(struct picture_cache *cache, const json_t *part, const struct dataset_folders *folders,
                        struct error *err)
{
    struct dataset_spec spec;
    char *key = json_text(part, JSON_COMPACT);
    if (!key)
        return error_no_memory(err);
    if (cache->key && strcmp(cache->key, key) == 0) {
        free(key);
        return STATUS_OK;
    }
    forget(cache); /* first, so that never two are in memory */
    dataset_spec_read(part, &spec);
    spec.scaling = SCALING_UNIT;
    enum status status = dataset_load(&spec, folders, &cache->dataset, err);
    if (status == STATUS_OK)
        cache->key = key;
    else
        free(key);
    return status;
}

enum status picture_of_spec(struct picture_cache *cache, const json_t *expanded_spec,
                            const struct dataset_folders *folders, enum split split, uint64_t index, uint8_t **ret_png,
                            size_t *ret_size, struct error *err)
{
    pthread_mutex_lock(&cache->mutex);
    enum status status = load(cache, json_object_get(expanded_spec, "dataset"), folders, err);
    if (status == STATUS_OK)
        status = picture_png(cache->dataset, split, index, ret_png, ret_size, err);
    pthread_mutex_unlock(&cache->mutex);
    return status;
}
