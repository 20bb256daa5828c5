/*
 * The inside of multi-head self-attention (theory.md §4): logits, softmax and context of one pass, their gradients and
 * their changes. layer_attention.c puts the four projections around it.
 *
 * Queries, keys, values and context are rows × tokens × (heads · width); logits and weights rows × heads × tokens ×
 * tokens.
 */
#ifndef PLUMBLINE_CORE_ATTENTION_H
#define PLUMBLINE_CORE_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"

struct attention_shape {
    size_t tokens, heads, width; /* of a head: d */
    bool causal;                 /* a token attends to itself and those before */
};

/* weights = softmax(Q Kᵀ/√d) by rows and context = weights · V, of `rows` samples. */
void attention_forward(const struct attention_shape *shape, size_t rows, const real *q, const real *k, const real *v,
                       real *ret_weights, real *ret_context);

/* ∂L/∂Q, ∂L/∂K, ∂L/∂V and ∂L/∂S at the logits, from ∂L/∂context. A masked logit has gradient 0. */
void attention_backward(const struct attention_shape *shape, size_t rows, const real *q, const real *k, const real *v,
                        const real *weights, const real *dcontext, real *ret_dq, real *ret_dk, real *ret_dv,
                        real *ret_dlogits);

/*
 * The exact changes ΔS = ((Q+ΔQ)(K+ΔK)ᵀ − QKᵀ)/√d (masked ones 0) and softmax(S+ΔS)(V+ΔV) − AV, without subtracting
 * two forwards. `scratch` holds tokens² reals.
 */
void attention_difference(const struct attention_shape *shape, size_t rows, const real *q, const real *k, const real *v,
                          const real *weights, const real *change_q, const real *change_k, const real *change_v,
                          real *scratch, real *ret_logits, real *ret_context);

#endif
