#include "core/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 64, FIRST_BLOCK = 1 << 20 };

struct arena_block {
    struct arena_block *older;
    size_t size; /* of the memory behind the header */
    char pad[ALIGNMENT - sizeof(struct arena_block *) - sizeof(size_t)];
};

_Static_assert(sizeof(struct arena_block) == ALIGNMENT, "memory behind the header is aligned");

static struct arena_block *block_new(size_t size)
{
    if (size > SIZE_MAX - 2 * ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_block *block = aligned_alloc(ALIGNMENT, sizeof *block + size);
    if (block) {
        block->older = NULL;
        block->size = size;
    }
    return block;
}

static void blocks_free(struct arena_block *block)
{
    while (block) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_free(struct arena *arena)
{
    blocks_free(arena->block);
    *arena = (struct arena){0};
}

void *arena_take(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!arena->block || bytes > arena->block->size - arena->used) {
        size_t size = arena->block ? arena->block->size * 2 : FIRST_BLOCK;
        struct arena_block *block = block_new(size > bytes ? size : bytes);
        if (!block)
            return NULL;
        block->older = arena->block;
        arena->block = block;
        arena->used = 0;
    }
    void *memory = (char *)(arena->block + 1) + arena->used;
    arena->used += bytes;
    arena->total += bytes;
    if (arena->total > arena->peak)
        arena->peak = arena->total;
    return memory;
}

real *arena_reals(struct arena *arena, size_t count)
{
    return count > SIZE_MAX / sizeof(real) ? NULL : arena_take(arena, count * sizeof(real));
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->block, arena->used, arena->total};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    while (arena->block != mark.block) {
        struct arena_block *older = arena->block->older;
        free(arena->block);
        arena->block = older;
    }
    arena->used = mark.used;
    arena->total = mark.total;
}

void arena_reset(struct arena *arena)
{
    if (arena->block && arena->block->older) {
        struct arena_block *joined = block_new(arena->peak);
        blocks_free(joined ? arena->block : arena->block->older); /* without memory for it the newest block serves on */
        if (joined)
            arena->block = joined;
        else
            arena->block->older = NULL;
    }
    arena->used = 0;
    arena->total = 0;
}
