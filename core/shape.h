/*
 * The shape of one sample: rank 1 is a vector, rank 2 is tokens × features, rank 3 is channels × height × width.
 */
#ifndef PLUMBLINE_CORE_SHAPE_H
#define PLUMBLINE_CORE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#define SHAPE_MAX_RANK 3

struct shape {
    int rank;
    size_t dims[SHAPE_MAX_RANK];
};

/* The number of elements of one sample. */
size_t shape_size(const struct shape *shape);

/* Whether rank and all sizes are the same. */
bool shape_equal(const struct shape *a, const struct shape *b);

/* Writes "1×28×28" (UTF-8) into `text`, always terminated. */
#define SHAPE_TEXT_SIZE 96
const char *shape_format(const struct shape *shape, char text[SHAPE_TEXT_SIZE]);

#endif
