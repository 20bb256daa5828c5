/*
 * A convolution's products on one image (theory.md §3): all its patches with one set of kernels.
 *
 * Images are height × width × channels (layout.h); kernels are length × out, the length in the order of a patch: kernel
 * row, kernel column, channel. With stride 1 and enough channels the patches are never made: the image gets a border of
 * zeros, and for each place (ky, kx) of the kernel one product of the shifted image with that place's weights is added
 * up ("taps"). A row of the bordered image shares its right border with the next one's left, so a shifted image is one
 * matrix, and the products' rows past an image row's end are computed and left out. Kernels of 3×3 with more channels
 * go Winograd's way. Other shapes are unfolded.
 *
 * Kernels are prepared once and then used on many images.
 */
#ifndef PLUMBLINE_CORE_CORRELATION_H
#define PLUMBLINE_CORE_CORRELATION_H

#include <stdbool.h>

#include "core/unfold.h"

enum correlation_way { WAY_UNFOLD, WAY_TAPS, WAY_WINOGRAD };

struct correlation {
    struct unfold unfold;
    size_t out;
    enum correlation_way way;
    enum correlation_way back; /* of the gradient of the image */
    size_t pitch;              /* pixels from one row of the bordered image to the next */
};

struct correlation correlation_make(const struct unfold *unfold, size_t out);

/* Reals that each of the functions below needs as scratch. */
size_t correlation_scratch(const struct correlation *c);

/* Reals of prepared kernels, and the preparation of kernels (length × out) for correlation_forward. */
size_t correlation_prepared_size(const struct correlation *c);
void correlation_prepare(const struct correlation *c, const real *kernels, real *ret_prepared);

/* z (positions × out) = patches · kernels. */
void correlation_forward(const struct correlation *c, const real *image, const real *prepared, real *scratch,
                         real *ret_z);

/* gradient (length × out) = patchesᵀ · g + beta · gradient; beta is 0 or 1. */
void correlation_kernel_gradient(const struct correlation *c, const real *image, const real *g, double beta,
                                 real *scratch, real *gradient);

/* Reals of turned kernels, and the turning of kernels (length × out) for correlation_image_gradient. */
size_t correlation_turned_size(const struct correlation *c);
void correlation_turn_kernels(const struct correlation *c, const real *kernels, real *scratch, real *ret_turned);

/* The gradient of the image: the patches' gradients g · kernelsᵀ put back where the patches came from. */
void correlation_image_gradient(const struct correlation *c, const real *g, const real *turned, real *scratch,
                                real *ret_image);

/* For each position the sum over its patch of `pixels` (height × width). */
void correlation_window_sums(const struct unfold *unfold, const double *pixels, double *ret_sums);

/* For each pixel the sum over the positions whose patch holds it: the transpose of correlation_window_sums. */
void correlation_spread(const struct unfold *unfold, const double *positions, double *ret_pixels);

#endif
