#include "core/layout.h"

bool layout_differs(const struct shape *shape)
{
    return shape->rank == 3 && shape->dims[0] > 1 && shape->dims[1] * shape->dims[2] > 1;
}

/* Each sample as a matrix rows × cols, transposed. */
static void transpose(size_t samples, size_t rows, size_t cols, const real *from, real *to)
{
    for (size_t s = 0; s < samples; s++)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++)
                to[(s * cols + j) * rows + i] = from[(s * rows + i) * cols + j];
}

void layout_channels_last(const struct shape *shape, size_t rows, const real *from, real *to)
{
    transpose(rows, shape->dims[0], shape->dims[1] * shape->dims[2], from, to);
}

void layout_channels_first(const struct shape *shape, size_t rows, const real *from, real *to)
{
    transpose(rows, shape->dims[1] * shape->dims[2], shape->dims[0], from, to);
}
