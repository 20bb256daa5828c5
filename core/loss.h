/* Mean cross-entropy over a mini-batch (theory.md §1: L = (1/B) Σ l_i). */
#ifndef PLUMBLINE_CORE_LOSS_H
#define PLUMBLINE_CORE_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

/*
 * For each of `rows` samples with `classes` logits: its own loss l_i (not divided by B), the class with the largest
 * logit, and, unless ret_gradient is NULL, ∂L/∂logits = (softmax − onehot)/batch (rows × classes). Computed in double.
 */
void loss_cross_entropy(const real *logits, const uint32_t *labels, size_t rows, size_t batch, size_t classes,
                        double *ret_losses, uint32_t *ret_predicted, real *ret_gradient);

/*
 * The `count` likeliest of one sample's `classes` classes with their probabilities (softmax), likeliest first, of
 * equals the lower class. count ≤ classes.
 */
void loss_likeliest(const real *logits, size_t classes, size_t count, uint32_t *ret_classes, float *ret_probabilities);

#endif
