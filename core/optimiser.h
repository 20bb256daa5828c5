/*
 * Optimisers, defined as PyTorch defines them. A step is first computed whole, as Δθ, and then added to θ: the probe
 * measures Δθ before it is rounded into θ (theory.md §5 "Precision").
 */
#ifndef PLUMBLINE_CORE_OPTIMISER_H
#define PLUMBLINE_CORE_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"
#include "core/spec.h"
#include "core/status.h"
#include "core/update.h"

struct optimiser {
    struct optimiser_spec spec;
    size_t count; /* of parameters */
    real *delta;  /* Δθ of the last step */
    /* What is remembered from step to step: nothing, SGD's velocity, or Adam's means of the gradient and its square. */
    real *memory;
    size_t memory_count; /* reals: 0, count or 2 · count */
};

/* Reals that are remembered from step to step, of `count` parameters. */
size_t optimiser_memory_size(const struct optimiser_spec *spec, size_t count);

/* The caller frees by optimiser_free. */
enum status optimiser_init(struct optimiser *optimiser, const struct optimiser_spec *spec, size_t count,
                           struct error *err);
void optimiser_free(struct optimiser *optimiser);

/*
 * The rule of `step` (from 1) of `steps`. η rises linearly to its value at step warmup_steps, where the schedule
 * begins: constant; cosine, which is 0 at the last step; or step, multiplied by step_factor every step_every steps.
 */
struct step_rule optimiser_rule(const struct optimiser *optimiser, size_t step, size_t steps);

/* Sets optimiser->delta from the gradient; θ is read and not changed. Returns whether all of θ + Δθ is finite. */
bool optimiser_step(struct optimiser *optimiser, const struct step_rule *rule, const real *parameters,
                    const real *gradient);

/* θ += Δθ. What measures the step does so before: it starts from θ (theory.md §1). */
void optimiser_apply(const struct optimiser *optimiser, real *parameters);

#endif
