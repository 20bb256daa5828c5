#include "core/optimiser.h"

#include <stdlib.h>

#include "core/vector.h"

enum status optimiser_init(struct optimiser *optimiser, const struct optimiser_spec *spec, size_t count,
                           struct error *err)
{
    *optimiser = (struct optimiser){.spec = *spec, .count = count};
    optimiser->delta = calloc(count, sizeof *optimiser->delta);
    if (spec->momentum > 0)
        optimiser->velocity = calloc(count, sizeof *optimiser->velocity);
    if (optimiser->delta && (optimiser->velocity || !(spec->momentum > 0)))
        return STATUS_OK;
    optimiser_free(optimiser);
    return error_no_memory(err);
}

void optimiser_free(struct optimiser *optimiser)
{
    free(optimiser->delta);
    free(optimiser->velocity);
    *optimiser = (struct optimiser){0};
}

struct step_rule optimiser_rule(const struct optimiser *optimiser, size_t step, size_t steps)
{
    (void)step;
    (void)steps;
    const struct optimiser_spec *spec = &optimiser->spec;
    return (struct step_rule){
        .learning_rate = spec->learning_rate,
        .plain = !(spec->momentum > 0) && !(spec->weight_decay > 0),
    };
}

/*
 * PyTorch's SGD: d = g + λθ; with momentum v = μv + d and d = v, or d + μv with Nesterov; Δθ = −η d.
 */
MULTIVERSION
static void sgd_step(const struct optimiser *o, real rate, const real *restrict theta, const real *restrict gradient)
{
    real decay = (real)o->spec.weight_decay, momentum = (real)o->spec.momentum;
    real *restrict delta = o->delta, *restrict velocity = o->velocity;
    if (!velocity) {
        for (size_t i = 0; i < o->count; i++)
            delta[i] = -rate * (gradient[i] + decay * theta[i]);
        return;
    }
    real ahead = o->spec.nesterov ? 1 : 0, along = o->spec.nesterov ? momentum : 1;
    for (size_t i = 0; i < o->count; i++) {
        real direction = gradient[i] + decay * theta[i];
        velocity[i] = momentum * velocity[i] + direction;
        delta[i] = -rate * (ahead * direction + along * velocity[i]);
    }
}

void optimiser_step(struct optimiser *optimiser, const struct step_rule *rule, const real *parameters,
                    const real *gradient)
{
    sgd_step(optimiser, (real)rule->learning_rate, parameters, gradient);
}

MULTIVERSION
bool optimiser_apply(const struct optimiser *optimiser, real *parameters)
{
    const real *delta = optimiser->delta;
    real trace = 0; /* 0 · θ is 0, or not a number where θ is not finite */
#pragma omp simd reduction(+ : trace)
    for (size_t i = 0; i < optimiser->count; i++) {
        parameters[i] += delta[i];
        trace += parameters[i] * 0;
    }
    return trace == 0;
}
