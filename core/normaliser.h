/*
 * A conventional normaliser of a sample of any rank: which of its values are normalised together, by which map
 * (theory.md §§2, 3). Used before a convolution, and as a layer of its own.
 *
 * Vectors are normalised whole and tokens one by one. Images: `batch` per channel over batch and positions; the others
 * over all channels and positions of a sample, or with axes "channel" per position over its channels.
 */
#ifndef PLUMBLINE_CORE_NORMALISER_H
#define PLUMBLINE_CORE_NORMALISER_H

#include "core/feature_map.h"
#include "core/layer.h"

struct normaliser {
    const struct feature_map *map; /* NULL: none */
    size_t vectors;                /* of a sample, that the map takes one by one */
    size_t n;                      /* their length */
};

/* The choices of the key "axes". */
extern const char *const normaliser_axes[];

/* The normaliser by `map` of samples of `shape`; `by_position`: the axes are "channel". */
struct normaliser normaliser_make(const struct feature_map *map, const struct shape *shape, bool by_position);

/* Declares running_mean and running_var where the map needs them; in `plan`. Returns where they begin. */
size_t normaliser_add_tensors(const struct normaliser *normaliser, struct layer *layer);

/* Normalises the pass's input; features->u is the result, of the input's size. `buffers`: from add_tensors. */
enum status normaliser_apply(const struct normaliser *normaliser, const struct layer_pass *pass, size_t buffers,
                             struct features *ret_features, struct error *err);

#endif
