#include "core/optimiser.h"

#include <math.h>
#include <stdlib.h>

#include "core/vector.h"

size_t optimiser_memory_size(const struct optimiser_spec *spec, size_t count)
{
    if (spec->name == OPTIMISER_SGD)
        return spec->momentum > 0 ? count : 0;
    return 2 * count;
}

enum status optimiser_init(struct optimiser *optimiser, const struct optimiser_spec *spec, size_t count,
                           struct error *err)
{
    *optimiser = (struct optimiser){.spec = *spec, .count = count, .memory_count = optimiser_memory_size(spec, count)};
    optimiser->delta = calloc(count + 1, sizeof *optimiser->delta);
    optimiser->memory = calloc(optimiser->memory_count + 1, sizeof *optimiser->memory);
    if (optimiser->delta && optimiser->memory)
        return STATUS_OK;
    optimiser_free(optimiser);
    return error_no_memory(err);
}

void optimiser_free(struct optimiser *optimiser)
{
    free(optimiser->delta);
    free(optimiser->memory);
    *optimiser = (struct optimiser){0};
}

static double learning_rate(const struct optimiser_spec *spec, size_t step, size_t steps)
{
    size_t begin = spec->warmup_steps > 1 ? spec->warmup_steps : 1; /* the step at which η has its full value */
    if (step < begin)
        return spec->learning_rate * (double)step / (double)begin;
    double passed = (double)(step - begin), all = steps > begin ? (double)(steps - begin) : 1;
    switch (spec->schedule) {
    case SCHEDULE_COSINE: /* written so that it is 0 at the end, where 1 + cos π is not quite */
        return spec->learning_rate * pow(sin(M_PI_2 * (all - passed) / all), 2);
    case SCHEDULE_STEP:
        return spec->learning_rate * pow(spec->step_factor, floor(passed / (double)spec->step_every));
    case SCHEDULE_CONSTANT:
        break;
    }
    return spec->learning_rate;
}

struct step_rule optimiser_rule(const struct optimiser *optimiser, size_t step, size_t steps)
{
    const struct optimiser_spec *spec = &optimiser->spec;
    bool sgd = spec->name == OPTIMISER_SGD;
    return (struct step_rule){
        .learning_rate = learning_rate(spec, step, steps),
        .plain = sgd && !(spec->momentum > 0) && !(spec->weight_decay > 0),
        .adaptive = !sgd,
        .step = step,
    };
}

/* 0 where a parameter is finite after its step, or not a number: 0 · ∞ is none. Summed over all of them. */
static inline real trace_of(real theta, real delta)
{
    return (theta + delta) * 0;
}

/*
 * PyTorch's SGD: d = g + λθ; with momentum v = μv + d and d = v, or d + μv with Nesterov; Δθ = −η d.
 */
MULTIVERSION
static bool sgd_step(const struct optimiser *o, real rate, const real *restrict theta, const real *restrict gradient)
{
    real decay = (real)o->spec.weight_decay, momentum = (real)o->spec.momentum, trace = 0;
    real *restrict delta = o->delta, *restrict velocity = o->memory;
    if (o->memory_count == 0) {
#pragma omp simd reduction(+ : trace)
        for (size_t i = 0; i < o->count; i++) {
            delta[i] = -rate * (gradient[i] + decay * theta[i]);
            trace += trace_of(theta[i], delta[i]);
        }
        return trace == 0;
    }
    real ahead = o->spec.nesterov ? 1 : 0, along = o->spec.nesterov ? momentum : 1;
#pragma omp simd reduction(+ : trace)
    for (size_t i = 0; i < o->count; i++) {
        real direction = gradient[i] + decay * theta[i];
        velocity[i] = momentum * velocity[i] + direction;
        delta[i] = -rate * (ahead * direction + along * velocity[i]);
        trace += trace_of(theta[i], delta[i]);
    }
    return trace == 0;
}

/*
 * PyTorch's Adam: m = β₁m + (1 − β₁)d, v = β₂v + (1 − β₂)d² with d = g + λθ, and at step t
 * Δθ = −η (m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε). AdamW has d = g and Δθ = −ηλθ besides.
 */
MULTIVERSION
static bool adam_step(const struct optimiser *o, const struct step_rule *rule, const real *restrict theta,
                      const real *restrict gradient)
{
    const struct optimiser_spec *spec = &o->spec;
    double t = (double)rule->step, decay = spec->weight_decay;
    real added = spec->name == OPTIMISER_ADAM ? (real)decay : 0;
    real taken = spec->name == OPTIMISER_ADAMW ? (real)(rule->learning_rate * decay) : 0;
    real keep1 = (real)spec->beta1, new1 = (real)(1 - spec->beta1);
    real keep2 = (real)spec->beta2, new2 = (real)(1 - spec->beta2), epsilon = (real)spec->epsilon;
    real size = (real)(rule->learning_rate / (1 - pow(spec->beta1, t)));
    real root = (real)(1 / sqrt(1 - pow(spec->beta2, t)));
    real *restrict delta = o->delta, *restrict mean = o->memory, *restrict square = o->memory + o->count, trace = 0;
#pragma omp simd reduction(+ : trace)
    for (size_t i = 0; i < o->count; i++) {
        real direction = gradient[i] + added * theta[i];
        mean[i] = keep1 * mean[i] + new1 * direction;
        square[i] = keep2 * square[i] + new2 * direction * direction;
        delta[i] = -taken * theta[i] - size * mean[i] / (real_sqrt(square[i]) * root + epsilon);
        trace += trace_of(theta[i], delta[i]);
    }
    return trace == 0;
}

bool optimiser_step(struct optimiser *optimiser, const struct step_rule *rule, const real *parameters,
                    const real *gradient)
{
    if (optimiser->spec.name == OPTIMISER_SGD)
        return sgd_step(optimiser, (real)rule->learning_rate, parameters, gradient);
    return adam_step(optimiser, rule, parameters, gradient);
}

MULTIVERSION
void optimiser_apply(const struct optimiser *optimiser, real *parameters)
{
    const real *restrict delta = optimiser->delta;
    for (size_t i = 0; i < optimiser->count; i++)
        parameters[i] += delta[i];
}
