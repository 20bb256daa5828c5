/*
 * What all layers z = W̃ u(x) share (theory.md §2): the products, and their effective update.
 *
 * W̃ᵀ is kept as width × out, the weight's rows by input feature and the bias as the last row, so that each of these is
 * one product with u = [features; 1]:
 *   z = u W̃ᵀ      ∂L/∂W̃ᵀ = uᵀ g      ∂L/∂u = g W̃      Δz = u ΔW̃ᵀ
 * A row of u belongs to one position of one sample; a sample's positions follow each other.
 */
#ifndef PLUMBLINE_CORE_LINEAR_H
#define PLUMBLINE_CORE_LINEAR_H

#include "core/arena.h"
#include "core/blas.h"
#include "core/update.h"

/* z (u.rows × out) = u · weights (u.cols × out). Also the effective update, with a step in the weights' place. */
void linear_forward(struct matrix u, const real *weights, size_t out, real *ret_z);

/* gradient (u.cols × out) = uᵀ · dz + beta · gradient. */
void linear_gradient(struct matrix u, const real *dz, size_t out, double beta, real *gradient);

/* du (rows × width) = dz (rows × out) · weightsᵀ (out × width). */
void linear_input_gradient(const real *dz, size_t rows, size_t out, const real *weights, struct matrix ret_du);

/* k_pp = ‖u_p‖² of each row of u, summed in double. */
void linear_factors(struct matrix u, double *ret_factors);

/* Reals that linear_own_sample needs as scratch for one sample. */
size_t linear_own_sample_scratch(size_t positions, size_t width, size_t out);

/*
 * What one sample's own gradient moves it by, −η u_i (u_iᵀ g_i): u holds the sample's positions, dz and ret_own are
 * positions × out. By the sample's kernel u_i u_iᵀ, or by its weight gradient, whichever is less work.
 */
void linear_own_sample(struct matrix u, const real *dz, size_t out, double rate, real *scratch, real *ret_own);

#endif
