/*
 * The figures of theory.md §5 that are logged for each sample at each site, and their batch figures.
 *
 * An undefined value is NaN in memory and NULL in a file; it is counted, never taken for 0.
 */
#ifndef PLUMBLINE_CORE_DIVERGENCE_H
#define PLUMBLINE_CORE_DIVERGENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"

enum column {
    COLUMN_IDEAL_NORM,
    COLUMN_EFFECTIVE_NORM,
    COLUMN_SCALE,
    COLUMN_COSINE,
    COLUMN_DIVERGENCE,
    COLUMN_SELF_FACTOR,
    COLUMN_SCALE_WITHIN,
    COLUMN_SCALE_ACROSS,
    COLUMN_INTERFERENCE,
    COLUMN_INTERFERENCE_WITHIN,
    COLUMN_INTERFERENCE_ACROSS,
    COLUMN_INPUT_NORM,
    COLUMN_NETWORK_SCALE,
    COLUMN_NETWORK_COSINE,
    COLUMN_NETWORK_DIVERGENCE,
    COLUMN_COUNT
};

/* Name as in the database and the API, definition and unit, in the order of `enum column`. */
struct column_info {
    const char *name;
    const char *definition;
    const char *unit;
};
extern const struct column_info divergence_columns[COLUMN_COUNT];

/* The column of that name, or COLUMN_COUNT. */
enum column divergence_column(const char *name);

/* One sample at one site. */
struct divergence_row {
    double values[COLUMN_COUNT];
};

/* Figures of the whole batch at one site (theory.md §5); NaN where undefined. */
struct batch_figures {
    double batch_scale;        /* Σ e·a / Σ‖a‖² */
    double batch_cosine;       /* Σ e·a / √(Σ‖e‖² Σ‖a‖²) */
    double predicted_decrease; /* Σ e·a / η */
    double own_share;          /* Σ self_factor ‖a‖² / Σ e·a; defined where the self factor is */
};

#endif
