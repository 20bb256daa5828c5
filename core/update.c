#include "core/update.h"

#include <math.h>

#include "core/vector.h"

/* The sums over one sample's values that all its figures are made of; a = −η g, o = k·a the own part of a position. */
struct sums {
    double ideal;        /* ‖a‖² */
    double effective;    /* ‖e‖² */
    double product;      /* e·a */
    double difference;   /* ‖e − a‖² */
    double own;          /* o·a */
    double interference; /* ‖e − o‖² */
    double others;       /* (e − o)·a */
    double within;       /* ‖w‖², w the own sample's part less o */
    double within_along; /* w·a */
    double across;       /* ‖e − o − w‖² */
    double across_along; /* (e − o − w)·a */
};

/* Adds one position: n values. */
static inline void add_position(struct sums *s, size_t n, const real *g, const real *e, double rate, double factor)
{
    double ideal = 0, effective = 0, product = 0, difference = 0, interference = 0, others = 0;
#pragma omp simd reduction(+ : ideal, effective, product, difference, interference, others)
    for (size_t k = 0; k < n; k++) {
        double a = -rate * (double)g[k], step = (double)e[k];
        double lean = step - a, rest = step - factor * a;
        ideal += a * a;
        effective += step * step;
        product += step * a;
        difference += lean * lean;
        interference += rest * rest;
        others += rest * a;
    }
    s->ideal += ideal;
    s->effective += effective;
    s->product += product;
    s->difference += difference;
    s->own += factor * ideal;
    s->interference += interference;
    s->others += others;
}

/* Splits what one position's step has beside its own part into the same sample's share and the other samples'. */
static inline void add_split(struct sums *s, size_t n, const real *g, const real *e, const real *own_sample,
                             double rate, double factor)
{
    double within = 0, within_along = 0, across = 0, across_along = 0;
#pragma omp simd reduction(+ : within, within_along, across, across_along)
    for (size_t k = 0; k < n; k++) {
        double a = -rate * (double)g[k], mine = (double)own_sample[k];
        double same = mine - factor * a, other = (double)e[k] - mine;
        within += same * same;
        within_along += same * a;
        across += other * other;
        across_along += other * a;
    }
    s->within += within;
    s->within_along += within_along;
    s->across += across;
    s->across_along += across_along;
}

MULTIVERSION
static struct sums sum_sample(const struct site_update *u, size_t row, double rate)
{
    struct sums s = {0};
    size_t n = u->size / u->positions;
    for (size_t p = 0; p < u->positions; p++) {
        size_t at = row * u->size + p * n;
        double factor = u->factors ? u->factors[row * u->positions + p] : 0;
        add_position(&s, n, u->gradient + at, u->effective + at, rate, factor);
        if (u->own_sample)
            add_split(&s, n, u->gradient + at, u->effective + at, u->own_sample + at, rate, factor);
    }
    return s;
}

MULTIVERSION
static double norm(size_t n, const real *x)
{
    return sqrt(vector_squares(n, x));
}

/* The network view's figures: the same ratios with the change of the whole network. */
MULTIVERSION
static void measure_network(const struct site_update *u, size_t row, double rate, double *v)
{
    const real *g = u->gradient + row * u->size, *e = u->network + row * u->size;
    double ideal = 0, effective = 0, product = 0, difference = 0;
#pragma omp simd reduction(+ : ideal, effective, product, difference)
    for (size_t k = 0; k < u->size; k++) {
        double a = -rate * (double)g[k], step = (double)e[k], lean = step - a;
        ideal += a * a;
        effective += step * step;
        product += step * a;
        difference += lean * lean;
    }
    if (!(ideal > 0))
        return;
    v[COLUMN_NETWORK_SCALE] = product / ideal;
    v[COLUMN_NETWORK_DIVERGENCE] = sqrt(difference / ideal);
    if (effective > 0)
        v[COLUMN_NETWORK_COSINE] = product / (sqrt(effective) * sqrt(ideal));
}

/* What is undefined where the sample has no gradient, and what only a linear site under plain SGD has. */
static void measure_layer(const struct site_update *update, const struct sums *s, bool in_batch,
                          const struct step_rule *rule, double *v)
{
    double ideal = sqrt(s->ideal);
    v[COLUMN_IDEAL_NORM] = ideal;
    v[COLUMN_EFFECTIVE_NORM] = sqrt(s->effective);
    if (!(s->ideal > 0))
        return;
    v[COLUMN_SCALE] = s->product / s->ideal;
    v[COLUMN_DIVERGENCE] = sqrt(s->difference) / ideal;
    if (s->effective > 0)
        v[COLUMN_COSINE] = s->product / (sqrt(s->effective) * ideal);
    if (!update->factors || rule->adaptive)
        return;
    v[COLUMN_SELF_FACTOR] = s->own / s->ideal;
    if (!rule->plain || !in_batch)
        return;
    v[COLUMN_INTERFERENCE] = sqrt(s->interference) / ideal;
    if (update->positions == 1) {
        v[COLUMN_SCALE_ACROSS] = s->others / s->ideal;
        return;
    }
    if (!update->own_sample)
        return;
    v[COLUMN_INTERFERENCE_WITHIN] = sqrt(s->within) / ideal;
    v[COLUMN_INTERFERENCE_ACROSS] = sqrt(s->across) / ideal;
    v[COLUMN_SCALE_WITHIN] = s->within_along / s->ideal;
    v[COLUMN_SCALE_ACROSS] = s->across_along / s->ideal;
}

void update_measure(const struct site_update *update, size_t row, bool in_batch, const struct step_rule *rule,
                    struct divergence_row *ret_row)
{
    double *v = ret_row->values;
    for (int c = 0; c < COLUMN_COUNT; c++)
        v[c] = NAN;
    v[COLUMN_INPUT_NORM] = norm(update->input_size, update->input + row * update->input_size);
    if (update->effective) {
        struct sums s = sum_sample(update, row, rule->learning_rate);
        measure_layer(update, &s, in_batch, rule, v);
    } else {
        v[COLUMN_IDEAL_NORM] = rule->learning_rate * norm(update->size, update->gradient + row * update->size);
    }
    if (update->network)
        measure_network(update, row, rule->learning_rate, v);
}

bool update_defines(const struct site_update *update, const struct step_rule *rule, enum column column)
{
    switch (column) {
    case COLUMN_EFFECTIVE_NORM:
    case COLUMN_SCALE:
    case COLUMN_COSINE:
    case COLUMN_DIVERGENCE:
        return update->effective;
    case COLUMN_SELF_FACTOR:
        return update->effective && update->factors && !rule->adaptive;
    case COLUMN_INTERFERENCE:
    case COLUMN_SCALE_ACROSS:
        return update->effective && update->factors && rule->plain;
    case COLUMN_SCALE_WITHIN:
    case COLUMN_INTERFERENCE_WITHIN:
    case COLUMN_INTERFERENCE_ACROSS:
        return update->effective && update->own_sample && rule->plain;
    case COLUMN_NETWORK_SCALE:
    case COLUMN_NETWORK_COSINE:
    case COLUMN_NETWORK_DIVERGENCE:
        return update->network;
    default:
        return true;
    }
}

struct batch_figures update_batch_figures(const struct divergence_row *rows, size_t count, const struct step_rule *rule)
{
    double product = 0, ideal = 0, effective = 0, own = 0;
    for (size_t i = 0; i < count; i++) {
        const double *v = rows[i].values;
        double square = v[COLUMN_IDEAL_NORM] * v[COLUMN_IDEAL_NORM];
        effective += v[COLUMN_EFFECTIVE_NORM] * v[COLUMN_EFFECTIVE_NORM];
        if (!(square > 0))
            continue;
        ideal += square;
        product += v[COLUMN_SCALE] * square;
        own += v[COLUMN_SELF_FACTOR] * square; /* undefined at one row, the share is undefined */
    }
    return (struct batch_figures){
        .batch_scale = ideal > 0 ? product / ideal : NAN,
        .batch_cosine = ideal > 0 && effective > 0 ? product / (sqrt(effective) * sqrt(ideal)) : NAN,
        .predicted_decrease = product / rule->learning_rate,
        .own_share = fabs(product) > 0 ? own / product : NAN,
    };
}
