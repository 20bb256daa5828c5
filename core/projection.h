/*
 * A projection: z = W̃ u(x) of vectors by one set of parameters, with a feature map of theory.md §2. A dense layer is
 * one, on vectors or on tokens; a patch embedding is one on patches; attention has four.
 */
#ifndef PLUMBLINE_CORE_PROJECTION_H
#define PLUMBLINE_CORE_PROJECTION_H

#include "core/feature_map.h"
#include "core/layer.h"

struct projection {
    const struct feature_map *map;
    bool bias;
    size_t positions;           /* vectors of a sample: its tokens, or 1 */
    size_t n, units;            /* lengths of a vector's input and output */
    size_t parameters, buffers; /* where its own begin among the layer's: reals */
};

/* The names of a projection's tensors: "weight", "bias", … or "q.weight", … */
struct projection_names {
    const char *weight, *bias, *running_mean, *running_var;
};
extern const struct projection_names projection_names;

/* Declares the tensors of a projection whose other fields are set; in `plan`. */
void projection_add_tensors(struct projection *projection, struct layer *layer, const struct projection_names *names);

/* What the functions below take from the arena, and the scratch of projection_update. */
struct layer_memory projection_memory(const struct projection *projection);
size_t projection_scratch(const struct projection *projection);

/*
 * Maps x (pass->rows samples of positions × n), into *ret_features and *ret_z, from the pass's arena. Parameters and
 * buffers are the pass's, the layer's own.
 */
enum status projection_forward(const struct projection *projection, const struct layer_pass *pass, const real *x,
                               struct features **ret_features, real **ret_z, struct error *err);

/* Sets the projection's part of pass->gradient from dz, and *ret_dx (unless NULL) to ∂L/∂x. */
enum status projection_backward(const struct projection *projection, const struct layer_pass *pass,
                                const struct features *features, const real *dz, real **ret_dx, struct error *err);

/* The effective update of these rows of z by a step of the layer's parameters, x held fixed; `gradient` is ∂L/∂z of
 * all rows. */
enum status projection_update(const struct projection *projection, const struct layer_pass *pass,
                              const struct features *features, const real *gradient, struct row_range rows,
                              const real *delta, const struct step_rule *rule, struct site_update *ret_update,
                              struct error *err);

/* ∂l/∂W̃ of one row; `gradient` is ∂L/∂z of all rows. */
void projection_sample_factors(const struct projection *projection, const struct features *features,
                               const real *gradient, size_t row, struct sample_factors *ret_factors);

/* z's change when x changes by dx and the parameters by delta; either may be NULL for none. */
enum status projection_difference(const struct projection *projection, const struct layer_pass *pass,
                                  const struct features *features, const real *dx, const real *delta, real *ret_dz,
                                  struct error *err);

#endif
