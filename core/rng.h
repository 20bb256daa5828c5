/*
 * Deterministic random numbers: xoshiro256** seeded by splitmix64 (Blackman and Vigna). The same seed gives the same
 * numbers on every machine. A generator is plain data: saved and restored by copying its four words.
 */
#ifndef PLUMBLINE_CORE_RNG_H
#define PLUMBLINE_CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t words[4];
};

/* Different `stream`s of one seed are independent: one for weights, one for the order of the data, … */
void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream);

uint64_t rng_next(struct rng *rng);

/* Uniform in [0, 1), 53 bits. */
double rng_uniform(struct rng *rng);

/* Standard normal. Uses two uniforms a call and keeps nothing, so the state is the four words alone. */
double rng_normal(struct rng *rng);

/* Uniform in 0 … bound−1, without bias; bound ≥ 1. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Fisher–Yates shuffle. */
void rng_shuffle(struct rng *rng, uint32_t *items, size_t count);

#endif
