#include "core/unfold.h"

#include <string.h>

#include "core/vector.h"

struct unfold unfold_make(size_t channels, size_t height, size_t width, size_t kernel, size_t stride, size_t padding)
{
    struct unfold u = {channels, height, width, kernel, stride, padding, 0, 0};
    if (height + 2 * padding >= kernel && width + 2 * padding >= kernel) {
        u.out_height = (height + 2 * padding - kernel) / stride + 1;
        u.out_width = (width + 2 * padding - kernel) / stride + 1;
    }
    return u;
}

size_t unfold_positions(const struct unfold *unfold)
{
    return unfold->out_height * unfold->out_width;
}

size_t unfold_length(const struct unfold *unfold)
{
    return unfold->kernel * unfold->kernel * unfold->channels;
}

/* The part of one kernel row that lies inside the image: a contiguous run of pixels. */
struct run {
    size_t before; /* kernel columns left of the image */
    size_t inside; /* kernel columns inside */
    size_t at;     /* first image column; 0 where none is inside */
};

static struct run run_of(const struct unfold *u, size_t out_column)
{
    size_t start = out_column * u->stride, before = start < u->padding ? u->padding - start : 0;
    before = before < u->kernel ? before : u->kernel;
    size_t at = start + before - u->padding;
    size_t inside = at < u->width ? u->width - at : 0;
    inside = inside < u->kernel - before ? inside : u->kernel - before;
    return (struct run){before, inside, inside > 0 ? at : 0};
}

/* Whether kernel row ky of output row oy lies inside, and which image row it is. */
static int row_inside(const struct unfold *u, size_t oy, size_t ky, size_t *ret_row)
{
    size_t y = oy * u->stride + ky;
    *ret_row = y - u->padding;
    return y >= u->padding && *ret_row < u->height;
}

/* Copies `count` reals; the length of a kernel row of three colours is told to the compiler. */
static inline void copy_run(real *restrict to, const real *restrict from, size_t count)
{
    if (count == 9)
        memcpy(to, from, 9 * sizeof *to);
    else
        memcpy(to, from, count * sizeof *to);
}

void unfold_image(const struct unfold *u, const real *image, real *ret_patches, size_t row_stride)
{
    size_t c = u->channels, kernel_row = u->kernel * c;
    for (size_t oy = 0; oy < u->out_height; oy++)
        for (size_t ky = 0; ky < u->kernel; ky++) {
            size_t y;
            int inside = row_inside(u, oy, ky, &y);
            for (size_t ox = 0; ox < u->out_width; ox++) {
                real *to = ret_patches + (oy * u->out_width + ox) * row_stride + ky * kernel_row;
                struct run run = run_of(u, ox);
                if (inside && run.inside == u->kernel) {
                    copy_run(to, image + (y * u->width + run.at) * c, kernel_row);
                    continue;
                }
                size_t before = inside ? run.before * c : kernel_row, length = inside ? run.inside * c : 0;
                memset(to, 0, before * sizeof *to);
                if (length > 0)
                    memcpy(to + before, image + (y * u->width + run.at) * c, length * sizeof *to);
                memset(to + before + length, 0, (kernel_row - before - length) * sizeof *to);
            }
        }
}

MULTIVERSION
void unfold_add(const struct unfold *u, const real *patches, size_t row_stride, real *image)
{
    size_t c = u->channels, kernel_row = u->kernel * c;
    for (size_t oy = 0; oy < u->out_height; oy++)
        for (size_t ky = 0; ky < u->kernel; ky++) {
            size_t y;
            if (!row_inside(u, oy, ky, &y))
                continue;
            for (size_t ox = 0; ox < u->out_width; ox++) {
                struct run run = run_of(u, ox);
                const real *from = patches + (oy * u->out_width + ox) * row_stride + ky * kernel_row + run.before * c;
                real *to = image + (y * u->width + run.at) * c;
                for (size_t k = 0; k < run.inside * c; k++)
                    to[k] += from[k];
            }
        }
}
