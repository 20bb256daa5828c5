#include "core/update.h"

#include <math.h>

#include "core/vector.h"

/* The sums over one sample's values that all its figures are made of; a = −η g, o = k·a the self part. */
struct sums {
    double ideal;        /* ‖a‖² */
    double effective;    /* ‖e‖² */
    double product;      /* e·a */
    double difference;   /* ‖e − a‖² */
    double interference; /* ‖e − o‖² */
    double across;       /* (e − o)·a */
};

MULTIVERSION
static struct sums sum_sample(size_t n, const real *g, const real *e, double rate, double factor)
{
    double ideal = 0, effective = 0, product = 0, difference = 0, interference = 0, across = 0;
#pragma omp simd reduction(+ : ideal, effective, product, difference, interference, across)
    for (size_t k = 0; k < n; k++) {
        double a = -rate * (double)g[k], step = (double)e[k];
        double lean = step - a, others = step - factor * a;
        ideal += a * a;
        effective += step * step;
        product += step * a;
        difference += lean * lean;
        interference += others * others;
        across += others * a;
    }
    return (struct sums){ideal, effective, product, difference, interference, across};
}

void update_measure(const struct site_update *update, size_t row, bool in_batch, const struct step_rule *rule,
                    struct divergence_row *ret_row)
{
    double *v = ret_row->values;
    for (int c = 0; c < COLUMN_COUNT; c++)
        v[c] = NAN;
    double factor = update->self_factor ? update->self_factor[row] : 0;
    struct sums s = sum_sample(update->size, update->gradient + row * update->size,
                               update->effective + row * update->size, rule->learning_rate, factor);
    double ideal = sqrt(s.ideal);
    v[COLUMN_IDEAL_NORM] = ideal;
    v[COLUMN_EFFECTIVE_NORM] = sqrt(s.effective);
    v[COLUMN_INPUT_NORM] = sqrt(vector_squares(update->input_size, update->input + row * update->input_size));
    if (!(s.ideal > 0))
        return; /* a sample that no longer contributes a gradient: the ratios stay undefined */
    v[COLUMN_SCALE] = s.product / s.ideal;
    v[COLUMN_DIVERGENCE] = sqrt(s.difference) / ideal;
    if (s.effective > 0)
        v[COLUMN_COSINE] = s.product / (sqrt(s.effective) * ideal);
    if (!update->self_factor)
        return;
    v[COLUMN_SELF_FACTOR] = factor;
    if (rule->plain && in_batch) {
        v[COLUMN_INTERFERENCE] = sqrt(s.interference) / ideal;
        v[COLUMN_SCALE_ACROSS] = s.across / s.ideal;
    }
}

bool update_defines(const struct site_update *update, const struct step_rule *rule, enum column column)
{
    switch (column) {
    case COLUMN_SELF_FACTOR:
        return update->self_factor;
    case COLUMN_INTERFERENCE:
    case COLUMN_SCALE_ACROSS:
        return update->self_factor && rule->plain;
    case COLUMN_SCALE_WITHIN:
    case COLUMN_INTERFERENCE_WITHIN:
    case COLUMN_INTERFERENCE_ACROSS:
    case COLUMN_NETWORK_SCALE:
    case COLUMN_NETWORK_COSINE:
    case COLUMN_NETWORK_DIVERGENCE:
        return false;
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
        own += v[COLUMN_SELF_FACTOR] * square; /* undefined at one row makes the share undefined */
    }
    return (struct batch_figures){
        .batch_scale = ideal > 0 ? product / ideal : NAN,
        .batch_cosine = ideal > 0 && effective > 0 ? product / (sqrt(effective) * sqrt(ideal)) : NAN,
        .predicted_decrease = product / rule->learning_rate,
        .own_share = fabs(product) > 0 && rule->plain ? own / product : NAN,
    };
}
