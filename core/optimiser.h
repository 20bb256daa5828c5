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
    size_t count;   /* of parameters */
    real *delta;    /* Δθ of the last step */
    real *velocity; /* of momentum; NULL without */
};

/* The caller frees by optimiser_free. */
enum status optimiser_init(struct optimiser *optimiser, const struct optimiser_spec *spec, size_t count,
                           struct error *err);
void optimiser_free(struct optimiser *optimiser);

/* η at `step` (from 1) of `steps`, and whether the step is plain SGD. */
struct step_rule optimiser_rule(const struct optimiser *optimiser, size_t step, size_t steps);

/* Sets optimiser->delta from the gradient; θ is read for weight decay and not changed. */
void optimiser_step(struct optimiser *optimiser, const struct step_rule *rule, const real *parameters,
                    const real *gradient);

/* θ += Δθ. Returns whether all parameters are finite afterwards. */
bool optimiser_apply(const struct optimiser *optimiser, real *parameters);

#endif
