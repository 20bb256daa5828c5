#include "core/shape.h"

#include <stdio.h>

size_t shape_size(const struct shape *shape)
{
    size_t size = 1;
    for (int i = 0; i < shape->rank; i++)
        size *= shape->dims[i];
    return size;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

const char *shape_format(const struct shape *shape, char text[SHAPE_TEXT_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < shape->rank; i++) {
        int n = snprintf(text + used, SHAPE_TEXT_SIZE - used, "%s%zu", i ? "×" : "", shape->dims[i]);
        if (n < 0 || (size_t)n >= SHAPE_TEXT_SIZE - used)
            break;
        used += (size_t)n;
    }
    return text;
}
