/*
 * Pools: max-pool and avg-pool over windows of each channel (no padding; what does not fill a window is left out), and
 * mean-tokens over a sample's tokens.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/layer.h"
#include "core/layers.h"
#include "core/vector.h"

struct pool {
    size_t size, stride;
    size_t channels, width; /* of the input */
    size_t out_height, out_width;
};

static const struct option options[] = {
    {"size", OPTION_INTEGER, "2", 1, 1024, .help = "side of the square window"},
    {"stride", OPTION_INTEGER, "null", 1, 1024, .nullable = true, .help = "step of the window; null is its size"},
    OPTION_END,
};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    struct pool *pool = layer->detail;
    const struct shape *input = &layer->input;
    char shape[SHAPE_TEXT_SIZE];
    shape_format(input, shape);
    size_t size = (size_t)option_integer(spec, "size");
    size_t stride = json_is_null(json_object_get(spec, "stride")) ? size : (size_t)option_integer(spec, "stride");
    if (input->rank != 3) {
        problem_add(problems, pointer, "Takes channels × height × width, its input is %s.", shape);
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    if (size > input->dims[1] || size > input->dims[2]) {
        problem_add(problems, pointer, "The window is %zu×%zu and its input only %zu×%zu: make it %zu or smaller.",
                    size, size, input->dims[1], input->dims[2],
                    input->dims[1] < input->dims[2] ? input->dims[1] : input->dims[2]);
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    *pool = (struct pool){
        .size = size,
        .stride = stride,
        .channels = input->dims[0],
        .width = input->dims[2],
        .out_height = (input->dims[1] - size) / stride + 1,
        .out_width = (input->dims[2] - size) / stride + 1,
    };
    layer->output = (struct shape){3, {pool->channels, pool->out_height, pool->out_width}};
    return STATUS_OK;
}

/* The first value of the window of output (y, x) in a sample's channels. */
static size_t window(const struct pool *p, size_t y, size_t x)
{
    return (y * p->stride * p->width + x * p->stride) * p->channels;
}

/* ------------------------------------------------------------------ max */

/*
 * The largest value of each window of one sample, and which of the window's places it has; the first of equals. What is
 * not a number is taken, so that it is seen.
 */
MULTIVERSION
static void find_largest(const struct pool *p, const real *x, real *ret_z, uint32_t *ret_places)
{
    size_t channels = p->channels;
    for (size_t o = 0; o < p->out_height * p->out_width; o++) {
        const real *first = x + window(p, o / p->out_width, o % p->out_width);
        real *restrict z = ret_z + o * channels;
        uint32_t *restrict places = ret_places + o * channels;
        for (size_t c = 0; c < channels; c++) {
            z[c] = first[c];
            places[c] = 0;
        }
        for (size_t place = 1; place < p->size * p->size; place++) {
            const real *restrict from = first + (place / p->size * p->width + place % p->size) * channels;
            for (size_t c = 0; c < channels; c++) {
                bool taken = from[c] > z[c] || from[c] != from[c];
                z[c] = taken ? from[c] : z[c];
                places[c] = taken ? (uint32_t)place : places[c];
            }
        }
    }
}

static enum status max_forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    uint32_t *places = arena_take(pass->arena, pass->rows * layer->out * sizeof *places);
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!places || !pass->z)
        return error_no_memory(err);
    pass->kept = places;
    for (size_t i = 0; i < pass->rows; i++)
        find_largest(layer->detail, pass->x + i * layer->in, pass->z + i * layer->out, places + i * layer->out);
    return STATUS_OK;
}

/*
 * Each output's gradient to the place it came from. Where windows overlap it is added; where they `tile` the image
 * every value is set, and nothing need be zeroed before.
 */
MULTIVERSION
static void give_back(const struct pool *p, bool tile, const uint32_t *places, const real *dz, real *dx)
{
    size_t channels = p->channels;
    for (size_t o = 0; o < p->out_height * p->out_width; o++) {
        real *first = dx + window(p, o / p->out_width, o % p->out_width);
        const real *restrict from = dz + o * channels;
        const uint32_t *restrict place_of = places + o * channels;
        for (size_t place = 0; place < p->size * p->size; place++) {
            real *restrict to = first + (place / p->size * p->width + place % p->size) * channels;
            if (tile)
                for (size_t c = 0; c < channels; c++)
                    to[c] = place_of[c] == place ? from[c] : 0;
            else
                for (size_t c = 0; c < channels; c++)
                    to[c] += place_of[c] == place ? from[c] : 0;
        }
    }
}

static enum status max_backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct pool *p = layer->detail;
    const uint32_t *places = pass->kept;
    bool tile = p->stride == p->size && layer->in == layer->out * p->size * p->size;
    if (pass->skip_dx)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    if (!tile)
        memset(pass->dx, 0, pass->rows * layer->in * sizeof *pass->dx);
    for (size_t i = 0; i < pass->rows; i++)
        give_back(p, tile, places + i * layer->out, pass->dz + i * layer->out, pass->dx + i * layer->in);
    return STATUS_OK;
}

/* The new largest less the old: each candidate as (x_k − x_max) + dx_k, so that small steps are not lost. */
MULTIVERSION
static void max_change(const struct pool *p, const real *x, const real *z, const real *dx, real *ret_dz)
{
    size_t channels = p->channels;
    for (size_t o = 0; o < p->out_height * p->out_width; o++) {
        size_t first = window(p, o / p->out_width, o % p->out_width);
        const real *restrict top = z + o * channels;
        real *restrict best = ret_dz + o * channels;
        for (size_t place = 0; place < p->size * p->size; place++) {
            size_t at = first + (place / p->size * p->width + place % p->size) * channels;
            for (size_t c = 0; c < channels; c++) {
                real candidate = x[at + c] - top[c] + dx[at + c];
                best[c] = place == 0 || candidate > best[c] ? candidate : best[c];
            }
        }
    }
}

static enum status max_difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                                  real *ret_dz, struct error *err)
{
    (void)delta;
    (void)err;
    for (size_t i = 0; dx && i < pass->rows; i++)
        max_change(layer->detail, pass->x + i * layer->in, pass->z + i * layer->out, dx + i * layer->in,
                   ret_dz + i * layer->out);
    if (!dx)
        memset(ret_dz, 0, pass->rows * layer->out * sizeof *ret_dz);
    return STATUS_OK;
}

/* The places of the largest values besides. */
static struct layer_memory max_memory(const struct layer *layer)
{
    return (struct layer_memory){.forward = layer->out + layer->out * sizeof(uint32_t) / sizeof(real) + 1,
                                 .backward = layer->in};
}

const struct layer_ops layer_max_pool = {
    .type = "max-pool",
    .formula = "z = the largest of each window",
    .options = options,
    .detail_size = sizeof(struct pool),
    .plan = plan,
    .forward = max_forward,
    .backward = max_backward,
    .difference = max_difference,
    .memory = max_memory,
};

/* ------------------------------------------------------------------ mean */

/* The mean of each window of one sample; linear, so it also maps changes. */
static void average(const struct layer *layer, const real *x, real *ret_z)
{
    const struct pool *p = layer->detail;
    real share = 1 / (real)(p->size * p->size);
    for (size_t oy = 0; oy < p->out_height; oy++)
        for (size_t ox = 0; ox < p->out_width; ox++) {
            real *z = ret_z + (oy * p->out_width + ox) * p->channels;
            memset(z, 0, p->channels * sizeof *z);
            for (size_t ky = 0; ky < p->size; ky++)
                for (size_t kx = 0; kx < p->size; kx++) {
                    const real *from = x + window(p, oy, ox) + (ky * p->width + kx) * p->channels;
                    for (size_t c = 0; c < p->channels; c++)
                        z[c] += from[c] * share;
                }
        }
}

static enum status average_forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!pass->z)
        return error_no_memory(err);
    for (size_t i = 0; i < pass->rows; i++)
        average(layer, pass->x + i * layer->in, pass->z + i * layer->out);
    return STATUS_OK;
}

static enum status average_backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct pool *p = layer->detail;
    if (pass->skip_dx)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    memset(pass->dx, 0, pass->rows * layer->in * sizeof *pass->dx);
    real share = 1 / (real)(p->size * p->size);
    for (size_t i = 0; i < pass->rows; i++)
        for (size_t o = 0; o < p->out_height * p->out_width; o++) {
            const real *dz = pass->dz + i * layer->out + o * p->channels;
            real *dx = pass->dx + i * layer->in + window(p, o / p->out_width, o % p->out_width);
            for (size_t ky = 0; ky < p->size; ky++)
                for (size_t kx = 0; kx < p->size; kx++)
                    for (size_t c = 0; c < p->channels; c++)
                        dx[(ky * p->width + kx) * p->channels + c] += dz[c] * share;
        }
    return STATUS_OK;
}

static enum status average_difference(const struct layer *layer, struct layer_pass *pass, const real *dx,
                                      const real *delta, real *ret_dz, struct error *err)
{
    (void)delta;
    (void)err;
    for (size_t i = 0; dx && i < pass->rows; i++)
        average(layer, dx + i * layer->in, ret_dz + i * layer->out);
    if (!dx)
        memset(ret_dz, 0, pass->rows * layer->out * sizeof *ret_dz);
    return STATUS_OK;
}

const struct layer_ops layer_avg_pool = {
    .type = "avg-pool",
    .formula = "z = the mean of each window",
    .options = options,
    .detail_size = sizeof(struct pool),
    .plan = plan,
    .forward = average_forward,
    .backward = average_backward,
    .difference = average_difference,
};

/* ------------------------------------------------------------------ mean over tokens */

static const struct option no_options[] = {OPTION_END};

static enum status mean_plan(struct layer *layer, const json_t *spec, const char *pointer,
                             struct problem_list *problems, struct error *err)
{
    (void)spec;
    if (layer->input.rank != 2) {
        char shape[SHAPE_TEXT_SIZE];
        problem_add(problems, pointer, "Takes tokens × features, its input is %s.", shape_format(&layer->input, shape));
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    layer->output = (struct shape){1, {layer->input.dims[1]}};
    return STATUS_OK;
}

static void mean_tokens(const struct layer *layer, size_t rows, const real *x, real *ret_z)
{
    size_t tokens = layer->input.dims[0], n = layer->input.dims[1];
    memset(ret_z, 0, rows * n * sizeof *ret_z);
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++)
            for (size_t k = 0; k < n; k++)
                ret_z[i * n + k] += x[(i * tokens + t) * n + k] / (real)tokens;
}

static enum status mean_forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!pass->z)
        return error_no_memory(err);
    mean_tokens(layer, pass->rows, pass->x, pass->z);
    return STATUS_OK;
}

static enum status mean_backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    size_t tokens = layer->input.dims[0], n = layer->input.dims[1];
    if (pass->skip_dx)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    for (size_t i = 0; i < pass->rows * tokens; i++)
        for (size_t k = 0; k < n; k++)
            pass->dx[i * n + k] = pass->dz[i / tokens * n + k] / (real)tokens;
    return STATUS_OK;
}

static enum status mean_difference(const struct layer *layer, struct layer_pass *pass, const real *dx,
                                   const real *delta, real *ret_dz, struct error *err)
{
    (void)delta;
    (void)err;
    if (dx)
        mean_tokens(layer, pass->rows, dx, ret_dz);
    else
        memset(ret_dz, 0, pass->rows * layer->out * sizeof *ret_dz);
    return STATUS_OK;
}

const struct layer_ops layer_mean_tokens = {
    .type = "mean-tokens",
    .formula = "z = the mean of a sample's tokens",
    .options = no_options,
    .plan = mean_plan,
    .forward = mean_forward,
    .backward = mean_backward,
    .difference = mean_difference,
};
