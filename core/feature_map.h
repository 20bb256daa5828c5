/*
 * Feature maps: the one idea behind all variants (theory.md §2).
 *
 * Every variant is z = W̃ u(x) with W̃ = [W b] and a map u without parameters. With it come the update kernel
 * k_ij = u(x_i)·u(x_j) and the self factor k_ii = ‖u(x_i)‖². Adding a variant is one `struct feature_map`
 * and one row of FEATURE_MAP_TABLE (feature_map.c).
 *
 * A map works on `rows` vectors of length n, stored one after the other, and gives n features of each. With a bias
 * there is the constant's feature besides, which is 1 unless the map scales it; it is kept apart, so that the features
 * of `affine` are its input itself, without a copy.
 */
#ifndef PLUMBLINE_CORE_FEATURE_MAP_H
#define PLUMBLINE_CORE_FEATURE_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/real.h"
#include "core/status.h"

/* Where a variance is divided by (theory.md §2). */
#define FEATURE_EPSILON 1e-5

/* Running statistics of the batch map, n values each; the share that a new batch gets. */
#define RUNNING_MOMENTUM 0.1
struct running_statistics {
    real *mean, *variance;
};

enum statistics_mode {
    STATISTICS_BATCH,           /* of the batch itself, as in training */
    STATISTICS_BATCH_AND_TRACK, /* likewise, and the running ones follow */
    STATISTICS_RUNNING,         /* the running ones, as in evaluation */
};

/* One application of a map. */
struct features {
    const struct feature_map *map;
    size_t rows;    /* vectors mapped */
    size_t counted; /* the first so many make the batch's statistics */
    size_t n;       /* length of x */
    bool bias;      /* the constant's feature is there */
    const real *x;  /* rows × n; borrowed */
    real *u;        /* rows × n, from the arena, or x */
    real *constant; /* the constant's feature, one a row; NULL: 1, or there is none */
    real *factors;  /* what the map divides by, inverted: one a row, or one a feature (batch) */
};

struct feature_map {
    const char *name;        /* in the API */
    const char *formula;     /* of the layer's output */
    const char *features;    /* u(x) */
    const char *normalised;  /* u(x) without the constant's feature */
    const char *self_factor; /* k_ii with a bias */
    bool running_statistics; /* needs them */
    bool identity;           /* u is x: nothing to apply or to pull back */
    bool scales_constant;    /* the constant's feature is not 1 */
    /* Fills f->u, f->factors and, where the map scales it and there is one, f->constant. */
    void (*apply)(const struct features *f, enum statistics_mode mode, struct running_statistics running);
    /* dx = J_uᵀ du for each row, rows × n; dconstant is the constant's du, one a row, where f->constant is there.
     * Statistics of the batch are differentiated through; rows that are not counted take them as constants. */
    void (*pull_back)(const struct features *f, const real *du, const real *dconstant, real *ret_dx);
    /* ret_du = u(x + dx) − u(x), rows × n, never by subtracting the two (theory.md §5 "Precision"); batch statistics
     * anew. Likewise ret_dconstant, where f->constant is there. */
    void (*difference)(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant);
};

/* The variants of a dense layer, ended by a NULL. */
extern const struct feature_map *const feature_maps[];

/* Their names, NULL-terminated, for an option's choices. The first is that of the identity, "affine". */
extern const char *const feature_map_names[];

/* The map of that name, or NULL. */
const struct feature_map *feature_map_find(const char *name);

/*
 * Applies a map. f->map, rows, counted, n, bias and x are set by the caller; the rest is taken from the arena.
 * `running` is read or followed as `mode` says, by maps that need it.
 */
enum status features_apply(struct features *f, enum statistics_mode mode, struct running_statistics running,
                           struct arena *arena, struct error *err);

/* The table for the API: [{"name", "formula", "features", "self_factor"}]. NULL when memory runs out. */
json_t *feature_maps_describe(void);

/* Appends one such item to `list`; self_factor NULL where there is none. False when memory ran out. */
bool variant_describe(json_t *list, const char *name, const char *formula, const char *features,
                      const char *self_factor);

#endif
