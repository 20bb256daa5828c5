/*
 * Who moved a sample: the parts that other samples' gradients have in its step along its ideal one.
 *
 * At a site z = W̃ u(x) under plain SGD the part of sample j in the scale of sample i is −η k_ij g_j·a_i/‖a_i‖²
 * (theory.md §2), summed over their positions. That is ⟨γ_i, γ_j⟩/‖g_i‖² with γ_i = U_iᵀG_i, the gradient that sample i
 * alone gives the parameters. With one position it is (u_i·u_j)(g_i·g_j); with several the γ are made, some rows at a
 * time, so that memory stays bounded. The kernel of all positions is never formed.
 */
#ifndef PLUMBLINE_CORE_CONTRIBUTORS_H
#define PLUMBLINE_CORE_CONTRIBUTORS_H

#include <stdint.h>

#include "core/layer.h"

/* The bytes that contributors_find takes at most, if one row fits. */
#define CONTRIBUTORS_MEMORY ((size_t)16 << 20)

/*
 * For each of `count` rows of the pass (rows[i]) the `most` other rows of the batch with the largest parts by
 * magnitude, largest first: their rows in ret_others (count × most), the parts in ret_parts, and the sum of all other
 * parts in ret_rest. `most` is below pass->batch. Where the row has no gradient all are NaN, the others then being any.
 * Works in the pass's arena, which is rewound.
 */
enum status contributors_find(const struct layer *layer, const struct layer_pass *pass, size_t site, const size_t *rows,
                              size_t count, size_t most, uint32_t *ret_others, double *ret_parts, double *ret_rest,
                              struct error *err);

#endif
