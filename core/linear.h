/*
 * What all layers z = W̃ u(x) share (theory.md §2): the products, and their effective update.
 *
 * W̃ᵀ is kept as width × out: the weight's rows by input feature and, with a bias, the bias as the last row. The
 * features u and the constant's feature c are kept apart:
 *   z = u Wᵀ + c bᵀ      ∂L/∂Wᵀ = uᵀ g, ∂L/∂b = Σ c g      ∂L/∂u = g W, ∂L/∂c = g·b      Δz = u ΔWᵀ + c Δbᵀ
 * A row of u belongs to one position of one sample; a sample's positions follow each other.
 */
#ifndef PLUMBLINE_CORE_LINEAR_H
#define PLUMBLINE_CORE_LINEAR_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/blas.h"
#include "core/update.h"

/* Features of some positions. */
struct feature_rows {
    struct matrix u;      /* positions × n */
    bool bias;            /* there is the constant's feature */
    const real *constant; /* it, one a position; NULL: 1 */
};

/* The rows of W̃ᵀ. */
static inline size_t feature_rows_width(const struct feature_rows *f)
{
    return f->u.cols + (f->bias ? 1 : 0);
}

/* The same of `count` positions from `from` on. */
struct feature_rows feature_rows_slice(const struct feature_rows *f, size_t from, size_t count);

/* z (positions × out) = u · weights (width × out). Also the effective update, with a step in the weights' place. */
void linear_forward(const struct feature_rows *f, const real *weights, size_t out, real *ret_z);

/* gradient (width × out) = uᵀ · dz + beta · gradient; beta is 0 or 1. */
void linear_gradient(const struct feature_rows *f, const real *dz, size_t out, double beta, real *gradient);

/* gradient (out) += Σ c dz over the rows, constant NULL being 1: the bias's part of it. */
void linear_add_bias_gradient(size_t rows, size_t out, const real *constant, const real *dz, real *gradient);

/* du (rows × n) = dz (rows × out) · weightsᵀ (out × n); the constant's where it is not 1, as dc = dz · b (rows). */
void linear_input_gradient(const real *dz, size_t rows, size_t out, const real *weights, struct matrix ret_du);
void linear_constant_gradient(const real *dz, size_t rows, size_t out, const real *bias, real *ret_dconstant);

/* dz += du · weights + dc · bias: the change of z with its features; dc NULL is none. */
void linear_add_change(struct matrix du, const real *dconstant, const real *weights, size_t out, real *dz);

/*
 * The effective update by the kernel (theory.md §2), of plain SGD and single positions: −η K g with K = u u_Bᵀ + c
 * c_Bᵀ, u being the rows' features and u_B the batch's, whose gradients are g (batch × out). linear_kernel_pays says
 * whether that is less work than the product with the step; `scratch` holds rows × batch + out reals.
 */
bool linear_kernel_pays(size_t rows, size_t batch, size_t width, size_t out);
void linear_kernel_update(const struct feature_rows *rows, const struct feature_rows *batch, const real *g, size_t out,
                          double rate, real *scratch, real *ret_effective);

/* k_pp = ‖u_p‖² + c² of each position, summed in double. */
void linear_factors(const struct feature_rows *f, double *ret_factors);

/* Reals that linear_own_sample needs as scratch for one sample. */
size_t linear_own_sample_scratch(size_t positions, size_t width, size_t out);

/*
 * What one sample's own gradient moves it by, −η u_i (u_iᵀ g_i): f holds the sample's positions, dz and ret_own are
 * positions × out. By the sample's kernel u_i u_iᵀ, or by its weight gradient, whichever is less work.
 */
void linear_own_sample(const struct feature_rows *f, const real *dz, size_t out, double rate, real *scratch,
                       real *ret_own);

#endif
