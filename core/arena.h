/*
 * Memory of one training step: handed out in order, all returned at once.
 *
 * The first step grows the arena block by block; arena_reset then joins what was used into one block, so that later
 * steps of the same shape allocate nothing. One thread's.
 */
#ifndef PLUMBLINE_CORE_ARENA_H
#define PLUMBLINE_CORE_ARENA_H

#include <stddef.h>

#include "core/real.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* the newest, linked to the older ones */
    size_t used;               /* of the newest */
    size_t total;              /* handed out since the last reset */
    size_t peak;               /* the most ever handed out between two resets: bytes */
};

/* Zero-initialised memory is an empty arena. */
void arena_free(struct arena *arena);

/* `bytes` of uninitialised memory aligned to 64, valid until the next reset; NULL when memory runs out. */
void *arena_take(struct arena *arena, size_t bytes);

/* `count` reals; NULL when memory runs out. */
real *arena_reals(struct arena *arena, size_t count);

/* Takes all memory back. */
void arena_reset(struct arena *arena);

/* A place to go back to: what was taken after the mark is given back, what was taken before stays. */
struct arena_mark {
    struct arena_block *block;
    size_t used, total;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

#endif
