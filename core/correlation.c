#include "core/correlation.h"

#include <string.h>

#include "core/blas.h"
#include "core/vector.h"
#include "core/winograd.h"

/* Below so many channels a product of one tap is too thin to be worth it. */
enum { FEW_CHANNELS = 8 };

/* ------------------------------------------------------------------ shapes */

static size_t pitch_of(const struct unfold *u)
{
    size_t shared = u->width + u->padding;
    return shared > u->out_width ? shared : u->out_width;
}

/* The correlation of the gradient with the turned kernels that gives the gradient of the image. */
static struct unfold turned_unfold(const struct unfold *u, size_t out)
{
    return unfold_make(out, u->out_height, u->out_width, u->kernel, 1, u->kernel - 1 - u->padding);
}

static enum correlation_way way_of(const struct unfold *u, size_t out)
{
    if (winograd_suits(u, out))
        return WAY_WINOGRAD;
    return u->channels >= FEW_CHANNELS ? WAY_TAPS : WAY_UNFOLD;
}

struct correlation correlation_make(const struct unfold *unfold, size_t out)
{
    struct correlation c = {.unfold = *unfold, .out = out, .pitch = pitch_of(unfold)};
    if (unfold->stride == 1 && unfold->kernel > 1 && unfold->padding < unfold->kernel) {
        struct unfold back = turned_unfold(unfold, out);
        c.way = way_of(unfold, out);
        c.back = way_of(&back, unfold->channels);
    }
    return c;
}

static struct correlation turned(const struct correlation *c)
{
    struct unfold back = turned_unfold(&c->unfold, c->out);
    return (struct correlation){.unfold = back, .out = c->unfold.channels, .way = c->back, .pitch = pitch_of(&back)};
}

/* A kernel of one pixel takes the image as it is. */
static bool is_pointwise(const struct unfold *u)
{
    return u->kernel == 1 && u->stride == 1 && u->padding == 0;
}

static size_t bordered_pixels(const struct correlation *c)
{
    return (c->unfold.height + 2 * c->unfold.padding) * c->pitch + c->unfold.padding;
}

/* Rows of a tap's product: to the last position, with those between that are no positions. */
static size_t tap_rows(const struct correlation *c)
{
    return (c->unfold.out_height - 1) * c->pitch + c->unfold.out_width;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Of the forward product and the kernels' gradient. */
static size_t way_scratch(const struct correlation *c)
{
    if (c->way == WAY_WINOGRAD)
        return winograd_scratch(&c->unfold, c->out);
    if (c->way == WAY_TAPS)
        return bordered_pixels(c) * c->unfold.channels + tap_rows(c) * c->out;
    return unfold_positions(&c->unfold) * unfold_length(&c->unfold);
}

size_t correlation_scratch(const struct correlation *c)
{
    size_t patches = unfold_positions(&c->unfold) * unfold_length(&c->unfold);
    size_t kernels = unfold_length(&c->unfold) * c->out;
    const struct correlation back = turned(c);
    size_t backwards = c->back == WAY_UNFOLD ? patches : larger(way_scratch(&back), kernels);
    return larger(larger(way_scratch(c), patches), backwards);
}

/* ------------------------------------------------------------------ bordered images */

/* The image with its border, pixel by pixel. */
static void make_border(const struct correlation *c, const real *image, real *ret_bordered)
{
    const struct unfold *u = &c->unfold;
    size_t channels = u->channels, row = u->width * channels, pitch = c->pitch * channels;
    size_t left = u->padding * channels, all = bordered_pixels(c) * channels;
    memset(ret_bordered, 0, (u->padding * pitch + left) * sizeof *ret_bordered);
    for (size_t y = 0; y < u->height; y++) {
        real *to = ret_bordered + (y + u->padding) * pitch + left;
        memcpy(to, image + y * row, row * sizeof *to);
        memset(to + row, 0, (pitch - row) * sizeof *to);
    }
    size_t done = (u->height + u->padding) * pitch + left;
    memset(ret_bordered + done, 0, (all - done) * sizeof *ret_bordered);
}

/* The same transposed: channels × pixels. */
MULTIVERSION
static void make_border_transposed(const struct correlation *c, const real *restrict image, real *restrict ret_bordered)
{
    const struct unfold *u = &c->unfold;
    size_t pixels = bordered_pixels(c);
    memset(ret_bordered, 0, pixels * u->channels * sizeof *ret_bordered);
    for (size_t y = 0; y < u->height; y++) {
        const real *from = image + y * u->width * u->channels;
        real *to = ret_bordered + (y + u->padding) * c->pitch + u->padding;
        for (size_t k = 0; k < u->channels; k++)
            for (size_t x = 0; x < u->width; x++)
                to[k * pixels + x] = from[x * u->channels + k];
    }
}

/* Positions with the rows between that are none, zeroed, and back. */
static void spread_rows(const struct correlation *c, const real *g, real *ret_rows)
{
    const struct unfold *u = &c->unfold;
    size_t row = u->out_width * c->out, pitch = c->pitch * c->out;
    for (size_t y = 0; y < u->out_height; y++) {
        memcpy(ret_rows + y * pitch, g + y * row, row * sizeof *g);
        if (y + 1 < u->out_height)
            memset(ret_rows + y * pitch + row, 0, (pitch - row) * sizeof *g);
    }
}

static void gather_rows(const struct correlation *c, const real *rows, real *ret_z)
{
    const struct unfold *u = &c->unfold;
    size_t row = u->out_width * c->out, pitch = c->pitch * c->out;
    for (size_t y = 0; y < u->out_height; y++)
        memcpy(ret_z + y * row, rows + y * pitch, row * sizeof *ret_z);
}

/* ------------------------------------------------------------------ products */

static struct matrix kernels_of(const struct correlation *c, const real *kernels)
{
    return matrix_of((real *)kernels, unfold_length(&c->unfold), c->out);
}

/* The weights of one tap. */
static struct matrix tap_of(const struct correlation *c, const real *kernels, size_t tap)
{
    size_t channels = c->unfold.channels;
    return matrix_of((real *)kernels + tap * channels * c->out, channels, c->out);
}

/* The pixels that a tap's first row begins at. */
static size_t tap_shift(const struct correlation *c, size_t tap)
{
    return tap / c->unfold.kernel * c->pitch + tap % c->unfold.kernel;
}

static struct matrix patches_of(const struct correlation *c, const real *image, real *scratch)
{
    size_t positions = unfold_positions(&c->unfold), length = unfold_length(&c->unfold);
    if (is_pointwise(&c->unfold))
        return matrix_of((real *)image, positions, length);
    unfold_image(&c->unfold, image, scratch, length);
    return matrix_of(scratch, positions, length);
}

size_t correlation_prepared_size(const struct correlation *c)
{
    return c->way == WAY_WINOGRAD ? winograd_kernels_size(&c->unfold, c->out) : unfold_length(&c->unfold) * c->out;
}

void correlation_prepare(const struct correlation *c, const real *kernels, real *ret_prepared)
{
    if (c->way == WAY_WINOGRAD)
        winograd_transform_kernels(c->unfold.channels, c->out, kernels, ret_prepared);
    else
        memcpy(ret_prepared, kernels, correlation_prepared_size(c) * sizeof *kernels);
}

static void forward_taps(const struct correlation *c, const real *image, const real *kernels, real *scratch,
                         real *ret_z)
{
    size_t channels = c->unfold.channels, rows = tap_rows(c), taps = c->unfold.kernel * c->unfold.kernel;
    real *bordered = scratch, *sums = scratch + bordered_pixels(c) * channels;
    struct matrix z = matrix_of(sums, rows, c->out);
    make_border(c, image, bordered);
    for (size_t tap = 0; tap < taps; tap++)
        blas_multiply(matrix_of(bordered + tap_shift(c, tap) * channels, rows, channels), PLAIN,
                      tap_of(c, kernels, tap), PLAIN, tap > 0, z);
    gather_rows(c, sums, ret_z);
}

void correlation_forward(const struct correlation *c, const real *image, const real *prepared, real *scratch,
                         real *ret_z)
{
    if (c->way == WAY_WINOGRAD) {
        winograd_forward(&c->unfold, c->out, image, prepared, scratch, ret_z);
    } else if (c->way == WAY_TAPS) {
        forward_taps(c, image, prepared, scratch, ret_z);
    } else {
        struct matrix patches = patches_of(c, image, scratch);
        blas_multiply(patches, PLAIN, kernels_of(c, prepared), PLAIN, 0, matrix_of(ret_z, patches.rows, c->out));
    }
}

void correlation_kernel_gradient(const struct correlation *c, const real *image, const real *g, double beta,
                                 real *scratch, real *gradient)
{
    size_t channels = c->unfold.channels, rows = tap_rows(c), taps = c->unfold.kernel * c->unfold.kernel;
    if (c->way == WAY_WINOGRAD) {
        winograd_kernel_gradient(&c->unfold, c->out, image, g, beta, scratch, gradient);
        return;
    }
    if (c->way == WAY_UNFOLD) {
        struct matrix patches = patches_of(c, image, scratch);
        blas_multiply(patches, TRANSPOSED, matrix_of((real *)g, patches.rows, c->out), PLAIN, beta,
                      kernels_of(c, gradient));
        return;
    }
    size_t pixels = bordered_pixels(c);
    real *bordered = scratch, *spread = scratch + pixels * channels;
    make_border_transposed(c, image, bordered);
    spread_rows(c, g, spread);
    for (size_t tap = 0; tap < taps; tap++)
        blas_multiply((struct matrix){bordered + tap_shift(c, tap), channels, rows, pixels}, PLAIN,
                      matrix_of(spread, rows, c->out), PLAIN, beta, tap_of(c, gradient, tap));
}

size_t correlation_turned_size(const struct correlation *c)
{
    const struct correlation back = turned(c);
    return c->back == WAY_UNFOLD ? unfold_length(&c->unfold) * c->out : correlation_prepared_size(&back);
}

void correlation_turn_kernels(const struct correlation *c, const real *kernels, real *scratch, real *ret_turned)
{
    size_t taps = c->unfold.kernel * c->unfold.kernel, channels = c->unfold.channels;
    const struct correlation back = turned(c);
    if (c->back == WAY_UNFOLD) {
        memcpy(ret_turned, kernels, taps * channels * c->out * sizeof *kernels);
        return;
    }
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t k = 0; k < channels; k++)
            for (size_t o = 0; o < c->out; o++)
                scratch[((taps - 1 - tap) * c->out + o) * channels + k] = kernels[(tap * channels + k) * c->out + o];
    correlation_prepare(&back, scratch, ret_turned);
}

void correlation_image_gradient(const struct correlation *c, const real *g, const real *turned_kernels, real *scratch,
                                real *ret_image)
{
    const struct unfold *u = &c->unfold;
    if (c->back != WAY_UNFOLD) {
        const struct correlation back = turned(c);
        correlation_forward(&back, g, turned_kernels, scratch, ret_image);
        return;
    }
    size_t positions = unfold_positions(u), length = unfold_length(u);
    memset(ret_image, 0, u->height * u->width * u->channels * sizeof *ret_image);
    blas_multiply(matrix_of((real *)g, positions, c->out), PLAIN, kernels_of(c, turned_kernels), TRANSPOSED, 0,
                  matrix_of(scratch, positions, length));
    unfold_add(u, scratch, length, ret_image);
}

/* ------------------------------------------------------------------ windows of pixels */

/* The part of an axis of length `size` that the kernel at output place `at` covers: [*from, *to). */
static void covered(const struct unfold *u, size_t size, size_t at, size_t *from, size_t *to)
{
    size_t start = at * u->stride, end = start + u->kernel;
    *from = start > u->padding ? start - u->padding : 0;
    *to = end > u->padding ? end - u->padding : 0;
    *to = *to < size ? *to : size;
}

void correlation_window_sums(const struct unfold *u, const double *pixels, double *ret_sums)
{
    for (size_t oy = 0; oy < u->out_height; oy++) {
        size_t y0, y1;
        covered(u, u->height, oy, &y0, &y1);
        for (size_t ox = 0; ox < u->out_width; ox++) {
            size_t x0, x1;
            double sum = 0;
            covered(u, u->width, ox, &x0, &x1);
            for (size_t y = y0; y < y1; y++)
                for (size_t x = x0; x < x1; x++)
                    sum += pixels[y * u->width + x];
            ret_sums[oy * u->out_width + ox] = sum;
        }
    }
}

void correlation_spread(const struct unfold *u, const double *positions, double *ret_pixels)
{
    memset(ret_pixels, 0, u->height * u->width * sizeof *ret_pixels);
    for (size_t oy = 0; oy < u->out_height; oy++) {
        size_t y0, y1;
        covered(u, u->height, oy, &y0, &y1);
        for (size_t ox = 0; ox < u->out_width; ox++) {
            size_t x0, x1;
            covered(u, u->width, ox, &x0, &x1);
            for (size_t y = y0; y < y1; y++)
                for (size_t x = x0; x < x1; x++)
                    ret_pixels[y * u->width + x] += positions[oy * u->out_width + ox];
        }
    }
}
