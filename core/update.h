/*
 * The ideal and the effective update of a site (theory.md §1), and the figures that are made of them (§5).
 *
 * The ideal update is −η g_i. The effective one is the features times the step Δθ, or for plain SGD the kernel times g,
 * whichever costs less; two forwards are never subtracted. A site has one position (a dense layer on vectors) or
 * several (tokens, the pixels of a convolution), which share their parameters (§3).
 */
#ifndef PLUMBLINE_CORE_UPDATE_H
#define PLUMBLINE_CORE_UPDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/divergence.h"
#include "core/real.h"

/* What the optimiser is, as far as the columns depend on it. */
struct step_rule {
    double learning_rate; /* η in force at this step */
    bool plain;           /* plain SGD: interference and the parts of scale are defined */
    bool whole;           /* interference is not split by samples, though it could be */
    bool adaptive;        /* Adam: each parameter's step has its own size, so there is no self factor */
    size_t step;          /* from 1 */
};

/* Rows of a pass, one after the other. */
struct row_range {
    size_t from, count;
};

/*
 * What one step does at one site to a range of rows. Arrays are row-major, a sample a row from the range's first on, a
 * sample's values position by position, and live as long as the pass, or until the arena is rewound.
 */
struct site_update {
    size_t rows;
    size_t size;           /* values of the site for one sample */
    size_t positions;      /* of one sample; size / positions values each */
    const real *gradient;  /* g = ∂L/∂z: rows × size */
    const real *effective; /* Δz: rows × size; NULL where the layer view was not asked for, or does not move */
    const real *network;   /* Δz°: rows × size; NULL where the network view was not asked for */
    const real *input;     /* x: rows × input_size, before the feature map */
    size_t input_size;
    const double *factors;  /* k_pp: rows × positions; NULL where there is no self factor: not of the form W̃u */
    const real *own_sample; /* the part of Δz that the sample's own gradient makes, at all its positions: rows × size;
                               NULL with one position, and where the rule is not plain */
};

/*
 * The figures of row `row` (theory.md §5), NaN where undefined. `in_batch` says that the sample's own gradient is part
 * of the step; where it is not, interference and the parts of scale are undefined.
 */
void update_measure(const struct site_update *update, size_t row, bool in_batch, const struct step_rule *rule,
                    struct divergence_row *ret_row);

/* The columns that can be defined at a site under this rule. */
bool update_defines(const struct site_update *update, const struct step_rule *rule, enum column column);

/* The figures of the whole batch over `count` rows that update_measure made. */
struct batch_figures update_batch_figures(const struct divergence_row *rows, size_t count,
                                          const struct step_rule *rule);

#endif
