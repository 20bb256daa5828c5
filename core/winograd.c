#include "core/winograd.h"

#include <string.h>

#include "core/blas.h"
#include "core/vector.h"

enum { PLACES = 16, TAPS = 9, FEW_CHANNELS = 16 };

bool winograd_suits(const struct unfold *u, size_t out)
{
    return u->kernel == 3 && u->stride == 1 && u->padding <= 2 && u->channels >= FEW_CHANNELS && out >= FEW_CHANNELS;
}

/* Tiles of one image, and the bordered image that holds all their pixels. */
struct tiles {
    size_t down, across, count;
    size_t pitch, pixels; /* of the bordered image */
};

static struct tiles tiles_of(const struct unfold *u)
{
    struct tiles t = {.down = (u->out_height + 1) / 2, .across = (u->out_width + 1) / 2};
    t.count = t.down * t.across;
    t.pitch = 2 * t.across + 2;
    t.pixels = (2 * t.down + 2) * t.pitch;
    return t;
}

size_t winograd_kernels_size(const struct unfold *u, size_t out)
{
    return PLACES * u->channels * out;
}

size_t winograd_scratch(const struct unfold *u, size_t out)
{
    struct tiles t = tiles_of(u);
    return t.pixels * u->channels + PLACES * t.count * (u->channels + out) + winograd_kernels_size(u, out);
}

/* ------------------------------------------------------------------ transforms */

MULTIVERSION
void winograd_transform_kernels(size_t channels, size_t out, const real *restrict kernels,
                                real *restrict ret_transformed)
{
    size_t size = channels * out;
#pragma omp simd
    for (size_t i = 0; i < size; i++) {
        real half[4][3]; /* G g, one column of the kernel at a time */
        for (size_t x = 0; x < 3; x++) {
            real g0 = kernels[x * size + i], g1 = kernels[(3 + x) * size + i];
            real g2 = kernels[(6 + x) * size + i];
            half[0][x] = g0;
            half[1][x] = (g0 + g1 + g2) / 2;
            half[2][x] = (g0 - g1 + g2) / 2;
            half[3][x] = g2;
        }
        for (size_t y = 0; y < 4; y++) {
            real *to = ret_transformed + 4 * y * size + i;
            real g0 = half[y][0], g1 = half[y][1], g2 = half[y][2];
            to[0] = g0;
            to[size] = (g0 + g1 + g2) / 2;
            to[2 * size] = (g0 - g1 + g2) / 2;
            to[3 * size] = g2;
        }
    }
}

/* Gᵀ U G, added to beta · gradient. */
MULTIVERSION
static void kernels_of_places(size_t size, const real *restrict places, real beta, real *restrict gradient)
{
#pragma omp simd
    for (size_t i = 0; i < size; i++) {
        real half[3][4];
        for (size_t x = 0; x < 4; x++) {
            real u0 = places[x * size + i], u1 = places[(4 + x) * size + i];
            real u2 = places[(8 + x) * size + i], u3 = places[(12 + x) * size + i];
            half[0][x] = u0 + (u1 + u2) / 2;
            half[1][x] = (u1 - u2) / 2;
            half[2][x] = (u1 + u2) / 2 + u3;
        }
        for (size_t y = 0; y < 3; y++) {
            real *to = gradient + 3 * y * size + i;
            real u0 = half[y][0], u1 = half[y][1], u2 = half[y][2], u3 = half[y][3];
            real w0 = u0 + (u1 + u2) / 2, w1 = (u1 - u2) / 2, w2 = (u1 + u2) / 2 + u3;
            to[0] = w0 + (beta > 0 ? to[0] : 0);
            to[size] = w1 + (beta > 0 ? to[size] : 0);
            to[2 * size] = w2 + (beta > 0 ? to[2 * size] : 0);
        }
    }
}

/* The image with zeros around it, as far as the tiles reach. */
static void make_border(const struct unfold *u, const struct tiles *t, const real *image, real *ret_bordered)
{
    size_t channels = u->channels, row = u->width * channels;
    memset(ret_bordered, 0, t->pixels * channels * sizeof *ret_bordered);
    for (size_t y = 0; y < u->height; y++)
        memcpy(ret_bordered + ((y + u->padding) * t->pitch + u->padding) * channels, image + y * row,
               row * sizeof *image);
}

/* Bᵀ d B of every tile: 16 × tiles × channels. */
MULTIVERSION
static void places_of_image(const struct tiles *t, size_t channels, const real *restrict bordered,
                            real *restrict ret_places)
{
    size_t row = t->pitch * channels, size = t->count * channels;
    for (size_t tile = 0; tile < t->count; tile++) {
        const real *restrict d = bordered + (tile / t->across * 2 * t->pitch + tile % t->across * 2) * channels;
        real *restrict to = ret_places + tile * channels;
#pragma omp simd
        for (size_t c = 0; c < channels; c++) {
            real half[4][4];
            for (size_t x = 0; x < 4; x++) {
                const real *at = d + x * channels + c;
                real d0 = at[0], d1 = at[row], d2 = at[2 * row], d3 = at[3 * row];
                half[0][x] = d0 - d2;
                half[1][x] = d1 + d2;
                half[2][x] = d2 - d1;
                half[3][x] = d1 - d3;
            }
            for (size_t y = 0; y < 4; y++) {
                to[(4 * y + 0) * size + c] = half[y][0] - half[y][2];
                to[(4 * y + 1) * size + c] = half[y][1] + half[y][2];
                to[(4 * y + 2) * size + c] = half[y][2] - half[y][1];
                to[(4 * y + 3) * size + c] = half[y][1] - half[y][3];
            }
        }
    }
}

/* Aᵀ M A of every tile, into the positions that there are. */
MULTIVERSION
static void output_of_places(const struct unfold *u, const struct tiles *t, size_t out, const real *restrict places,
                             real *restrict ret_z)
{
    size_t size = t->count * out;
    for (size_t tile = 0; tile < t->count; tile++) {
        size_t oy = tile / t->across * 2, ox = tile % t->across * 2;
        bool right = ox + 1 < u->out_width, below = oy + 1 < u->out_height;
        const real *restrict m = places + tile * out;
        /* a position that is not there is written onto one that is, before that */
        real *z = ret_z + (oy * u->out_width + ox) * out;
        real *z1 = right ? z + out : z, *z2 = below ? z + u->out_width * out : z;
        real *z3 = below ? z2 + (right ? out : 0) : z1;
#pragma omp simd
        for (size_t c = 0; c < out; c++) {
            real half[2][4];
            for (size_t x = 0; x < 4; x++) {
                const real *at = m + x * size + c;
                real m0 = at[0], m1 = at[4 * size], m2 = at[8 * size], m3 = at[12 * size];
                half[0][x] = m0 + m1 + m2;
                half[1][x] = m1 - m2 - m3;
            }
            z3[c] = half[1][1] - half[1][2] - half[1][3];
            z2[c] = half[1][0] + half[1][1] + half[1][2];
            z1[c] = half[0][1] - half[0][2] - half[0][3];
            z[c] = half[0][0] + half[0][1] + half[0][2];
        }
    }
}

/* A g Aᵀ of every tile: 16 × tiles × out; positions that are not there are 0. */
MULTIVERSION
static void places_of_gradient(const struct unfold *u, const struct tiles *t, size_t out, const real *restrict g,
                               real *restrict ret_places)
{
    size_t size = t->count * out;
    for (size_t tile = 0; tile < t->count; tile++) {
        size_t oy = tile / t->across * 2, ox = tile % t->across * 2;
        real right = ox + 1 < u->out_width, below = oy + 1 < u->out_height;
        const real *restrict g0 = g + (oy * u->out_width + ox) * out, *restrict g1 = right > 0 ? g0 + out : g0;
        const real *restrict g2 = below > 0 ? g0 + u->out_width * out : g0;
        const real *restrict g3 = right > 0 && below > 0 ? g2 + out : g0;
        real *restrict to = ret_places + tile * out;
#pragma omp simd
        for (size_t c = 0; c < out; c++) {
            real y0 = g0[c], y1 = right * g1[c], y2 = below * g2[c], y3 = right * below * g3[c];
            real half[4][2] = {{y0, y1}, {y0 + y2, y1 + y3}, {y0 - y2, y1 - y3}, {-y2, -y3}};
            for (size_t y = 0; y < 4; y++) {
                to[(4 * y + 0) * size + c] = half[y][0];
                to[(4 * y + 1) * size + c] = half[y][0] + half[y][1];
                to[(4 * y + 2) * size + c] = half[y][0] - half[y][1];
                to[(4 * y + 3) * size + c] = -half[y][1];
            }
        }
    }
}

/* ------------------------------------------------------------------ products */

void winograd_forward(const struct unfold *u, size_t out, const real *image, const real *transformed, real *scratch,
                      real *ret_z)
{
    struct tiles t = tiles_of(u);
    size_t channels = u->channels;
    real *bordered = scratch, *pixels = bordered + t.pixels * channels, *sums = pixels + PLACES * t.count * channels;
    make_border(u, &t, image, bordered);
    places_of_image(&t, channels, bordered, pixels);
    for (size_t place = 0; place < PLACES; place++)
        blas_multiply(matrix_of(pixels + place * t.count * channels, t.count, channels), PLAIN,
                      matrix_of((real *)transformed + place * channels * out, channels, out), PLAIN, 0,
                      matrix_of(sums + place * t.count * out, t.count, out));
    output_of_places(u, &t, out, sums, ret_z);
}

void winograd_kernel_gradient(const struct unfold *u, size_t out, const real *image, const real *g, double beta,
                              real *scratch, real *gradient)
{
    struct tiles t = tiles_of(u);
    size_t channels = u->channels;
    real *bordered = scratch, *pixels = bordered + t.pixels * channels, *sums = pixels + PLACES * t.count * channels;
    real *kernels = sums + PLACES * t.count * out;
    make_border(u, &t, image, bordered);
    places_of_image(&t, channels, bordered, pixels);
    places_of_gradient(u, &t, out, g, sums);
    for (size_t place = 0; place < PLACES; place++)
        blas_multiply(matrix_of(pixels + place * t.count * channels, t.count, channels), TRANSPOSED,
                      matrix_of(sums + place * t.count * out, t.count, out), PLAIN, 0,
                      matrix_of(kernels + place * channels * out, channels, out));
    kernels_of_places(channels * out, kernels, (real)beta, gradient);
}
