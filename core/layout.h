/*
 * The order of a sample's values in memory.
 *
 * Files, PyTorch and the API have rank 3 as channels × height × width. Inside a network it is kept as height × width ×
 * channels, so that the channels of a position are contiguous: a position's values are one vector, as tokens are.
 * Other ranks are the same in both.
 */
#ifndef PLUMBLINE_CORE_LAYOUT_H
#define PLUMBLINE_CORE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"
#include "core/shape.h"

/* Whether the two orders differ for this shape. */
bool layout_differs(const struct shape *shape);

/* `rows` samples from channels × height × width to height × width × channels, and back. No overlap. */
void layout_channels_last(const struct shape *shape, size_t rows, const real *from, real *to);
void layout_channels_first(const struct shape *shape, size_t rows, const real *from, real *to);

#endif
