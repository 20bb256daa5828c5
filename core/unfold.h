/*
 * Patches of an image (theory.md §3): for each output position the values under the kernel, zero padding included, in
 * the order height × width × channels, as images are kept (layout.h).
 */
#ifndef PLUMBLINE_CORE_UNFOLD_H
#define PLUMBLINE_CORE_UNFOLD_H

#include <stddef.h>

#include "core/real.h"

struct unfold {
    size_t channels, height, width; /* of the image */
    size_t kernel, stride, padding;
    size_t out_height, out_width;
};

/* The sizes; out_height is 0 where the kernel is larger than the padded image. */
struct unfold unfold_make(size_t channels, size_t height, size_t width, size_t kernel, size_t stride, size_t padding);

/* Positions of a sample, and the length of a patch. */
size_t unfold_positions(const struct unfold *unfold);
size_t unfold_length(const struct unfold *unfold);

/* Writes the patches of one image, a row each, rows `row_stride` reals apart. */
void unfold_image(const struct unfold *unfold, const real *image, real *ret_patches, size_t row_stride);

/* Adds the patches' values back to where they came from (the transpose of unfold_image). */
void unfold_add(const struct unfold *unfold, const real *patches, size_t row_stride, real *image);

#endif
