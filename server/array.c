#include "server/array.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 32 };

void *array_room(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    if (*capacity > SIZE_MAX / 2 / size)
        return NULL;
    size_t larger = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    void *moved = realloc(items, larger * size);
    if (moved)
        *capacity = larger;
    return moved;
}
