/*
 * Arrays that grow by an item at a time.
 */
#ifndef PLUMBLINE_SERVER_ARRAY_H
#define PLUMBLINE_SERVER_ARRAY_H

#include <stddef.h>

/* Room for one more of items of `size` bytes, of which there are `count` and fit *capacity: the same block, or where
 * that is full (as NULL with a capacity of 0 is) one twice as large in its place, the caller's. NULL when memory runs
 * out: block and capacity are then as they were. */
void *array_room(void *items, size_t count, size_t *capacity, size_t size);

#endif
