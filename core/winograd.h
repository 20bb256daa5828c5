/*
 * Winograd's F(2×2, 3×3): a 3×3 correlation of stride 1 by 16 products instead of 9, each over a quarter of the
 * positions, which is 2¼ times less arithmetic.
 *
 * Every 2×2 square of positions is a tile. With B, G and A of Lavin and Gray (arXiv 1509.09308), a tile of the output
 * is Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, d being the 4×4 pixels under it and the product a sum over channels: for each of the 16
 * places a matrix product, tiles × channels by channels × out. As exact as the nine products of the direct way, to a
 * factor of two.
 */
#ifndef PLUMBLINE_CORE_WINOGRAD_H
#define PLUMBLINE_CORE_WINOGRAD_H

#include <stdbool.h>

#include "core/unfold.h"

/* Whether the shape can be done this way, and pays. */
bool winograd_suits(const struct unfold *unfold, size_t out);

/* Reals of transformed kernels, and of the scratch of each function below. */
size_t winograd_kernels_size(const struct unfold *unfold, size_t out);
size_t winograd_scratch(const struct unfold *unfold, size_t out);

/* G g Gᵀ of kernels 9 × channels × out. */
void winograd_transform_kernels(size_t channels, size_t out, const real *kernels, real *ret_transformed);

/* z (positions × out) of one image with transformed kernels. */
void winograd_forward(const struct unfold *unfold, size_t out, const real *image, const real *transformed,
                      real *scratch, real *ret_z);

/* gradient (9 × channels × out) = that of the kernels by g (positions × out), plus beta · gradient; beta is 0 or 1. */
void winograd_kernel_gradient(const struct unfold *unfold, size_t out, const real *image, const real *g, double beta,
                              real *scratch, real *gradient);

#endif
