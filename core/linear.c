#include "core/linear.h"

#include <string.h>

#include "core/vector.h"

/* A view for reading; BLAS's matrices are not const. */
static struct matrix view(const real *values, size_t rows, size_t cols)
{
    return matrix_of((real *)values, rows, cols);
}

struct feature_rows feature_rows_slice(const struct feature_rows *f, size_t from, size_t count)
{
    struct feature_rows slice = *f;
    slice.u.values += from * f->u.stride;
    slice.u.rows = count;
    slice.constant = f->constant ? f->constant + from : NULL;
    return slice;
}

/* ------------------------------------------------------------------ the constant's feature */

/* z += c bᵀ. */
MULTIVERSION
static void add_bias(size_t rows, size_t out, const real *restrict constant, const real *restrict bias,
                     real *restrict z)
{
    for (size_t i = 0; i < rows; i++) {
        real c = constant ? constant[i] : 1;
        for (size_t o = 0; o < out; o++)
            z[i * out + o] += c * bias[o];
    }
}

/* gradient += Σ c g; some rows are summed before they are added, so that a long sum stays exact. */
MULTIVERSION
void linear_add_bias_gradient(size_t rows, size_t out, const real *restrict constant, const real *restrict dz,
                              real *restrict gradient)
{
    enum { COLUMNS = 64, RUN = 64 };
    for (size_t from = 0; from < out; from += COLUMNS) {
        size_t n = out - from < COLUMNS ? out - from : COLUMNS;
        double sum[COLUMNS] = {0};
        for (size_t start = 0; start < rows; start += RUN) {
            size_t end = start + RUN < rows ? start + RUN : rows;
            real part[COLUMNS] = {0};
            for (size_t i = start; i < end; i++) {
                real c = constant ? constant[i] : 1;
                for (size_t o = 0; o < n; o++)
                    part[o] += c * dz[i * out + from + o];
            }
            for (size_t o = 0; o < n; o++)
                sum[o] += (double)part[o];
        }
        for (size_t o = 0; o < n; o++)
            gradient[from + o] += (real)sum[o];
    }
}

MULTIVERSION
void linear_constant_gradient(const real *dz, size_t rows, size_t out, const real *bias, real *ret_dconstant)
{
    for (size_t i = 0; i < rows; i++)
        ret_dconstant[i] = (real)vector_dot(out, dz + i * out, bias);
}

/* ------------------------------------------------------------------ products */

void linear_forward(const struct feature_rows *f, const real *weights, size_t out, real *ret_z)
{
    size_t rows = f->u.rows, n = f->u.cols;
    blas_multiply(f->u, PLAIN, view(weights, n, out), PLAIN, 0, matrix_of(ret_z, rows, out));
    if (f->bias)
        add_bias(rows, out, f->constant, weights + n * out, ret_z);
}

void linear_gradient(const struct feature_rows *f, const real *dz, size_t out, double beta, real *gradient)
{
    size_t rows = f->u.rows, n = f->u.cols;
    blas_multiply(f->u, TRANSPOSED, view(dz, rows, out), PLAIN, beta, matrix_of(gradient, n, out));
    if (!f->bias)
        return;
    if (beta == 0)
        memset(gradient + n * out, 0, out * sizeof *gradient);
    linear_add_bias_gradient(rows, out, f->constant, dz, gradient + n * out);
}

void linear_input_gradient(const real *dz, size_t rows, size_t out, const real *weights, struct matrix ret_du)
{
    blas_multiply(view(dz, rows, out), PLAIN, view(weights, ret_du.cols, out), TRANSPOSED, 0, ret_du);
}

void linear_add_change(struct matrix du, const real *dconstant, const real *weights, size_t out, real *dz)
{
    blas_multiply(du, PLAIN, view(weights, du.cols, out), PLAIN, 1, matrix_of(dz, du.rows, out));
    if (dconstant)
        add_bias(du.rows, out, dconstant, weights + du.cols * out, dz);
}

MULTIVERSION
static void scale(size_t count, real factor, real *values)
{
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
}

/* ------------------------------------------------------------------ by the kernel */

/* Of the batch itself the kernel is symmetric, which is half the work. */
bool linear_kernel_pays(size_t rows, size_t batch, size_t width, size_t out)
{
    double kernel = (double)batch * (double)width * (rows == batch ? 0.5 : 1) + (double)batch * (double)out;
    return kernel < (double)width * (double)out;
}

void linear_kernel_update(const struct feature_rows *rows, const struct feature_rows *batch, const real *g, size_t out,
                          double rate, real *scratch, real *ret_effective)
{
    size_t count = rows->u.rows, all = batch->u.rows;
    struct matrix kernel = matrix_of(scratch, count, all);
    real *sum = scratch + count * all;
    if (rows->u.values == batch->u.values && count == all)
        blas_gram(rows->u, kernel);
    else
        blas_multiply(rows->u, PLAIN, batch->u, TRANSPOSED, 0, kernel);
    blas_multiply(kernel, PLAIN, view(g, all, out), PLAIN, 0, matrix_of(ret_effective, count, out));
    if (rows->bias) {
        memset(sum, 0, out * sizeof *sum);
        linear_add_bias_gradient(all, out, batch->constant, g, sum);
        add_bias(count, out, rows->constant, sum, ret_effective);
    }
    scale(count * out, (real)-rate, ret_effective);
}

MULTIVERSION
void linear_factors(const struct feature_rows *f, double *ret_factors)
{
    for (size_t i = 0; i < f->u.rows; i++) {
        double constant = !f->bias ? 0 : f->constant ? (double)f->constant[i] : 1;
        ret_factors[i] = vector_squares(f->u.cols, f->u.values + i * f->u.stride) + constant * constant;
    }
}

/* ------------------------------------------------------------------ a sample's own step */

/* The kernel costs P²(width + out) products, the weight gradient 2·P·width·out. */
static bool kernel_is_cheaper(size_t positions, size_t width, size_t out)
{
    return positions * (width + out) < 2 * width * out;
}

size_t linear_own_sample_scratch(size_t positions, size_t width, size_t out)
{
    return kernel_is_cheaper(positions, width, out) ? positions * positions : width * out;
}

/* u uᵀ + c cᵀ. */
static void make_kernel(const struct feature_rows *f, struct matrix ret_kernel)
{
    blas_multiply(f->u, PLAIN, f->u, TRANSPOSED, 0, ret_kernel);
    for (size_t p = 0; f->bias && p < f->u.rows; p++)
        for (size_t q = 0; q < f->u.rows; q++)
            ret_kernel.values[p * f->u.rows + q] += f->constant ? f->constant[p] * f->constant[q] : 1;
}

void linear_own_sample(const struct feature_rows *f, const real *dz, size_t out, double rate, real *scratch,
                       real *ret_own)
{
    size_t positions = f->u.rows;
    if (kernel_is_cheaper(positions, feature_rows_width(f), out)) {
        struct matrix kernel = matrix_of(scratch, positions, positions);
        make_kernel(f, kernel);
        blas_multiply(kernel, PLAIN, view(dz, positions, out), PLAIN, 0, matrix_of(ret_own, positions, out));
    } else {
        linear_gradient(f, dz, out, 0, scratch);
        linear_forward(f, scratch, out, ret_own);
    }
    scale(positions * out, (real)-rate, ret_own);
}
