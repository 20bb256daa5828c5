#include "core/linear.h"

#include "core/vector.h"

/* A view for reading; BLAS's matrices are not const. */
static struct matrix view(const real *values, size_t rows, size_t cols)
{
    return matrix_of((real *)values, rows, cols);
}

void linear_forward(struct matrix u, const real *weights, size_t out, real *ret_z)
{
    blas_multiply(u, PLAIN, view(weights, u.cols, out), PLAIN, 0, matrix_of(ret_z, u.rows, out));
}

void linear_gradient(struct matrix u, const real *dz, size_t out, double beta, real *gradient)
{
    blas_multiply(u, TRANSPOSED, view(dz, u.rows, out), PLAIN, beta, matrix_of(gradient, u.cols, out));
}

void linear_input_gradient(const real *dz, size_t rows, size_t out, const real *weights, struct matrix ret_du)
{
    blas_multiply(view(dz, rows, out), PLAIN, view(weights, ret_du.cols, out), TRANSPOSED, 0, ret_du);
}

MULTIVERSION
void linear_factors(struct matrix u, double *ret_factors)
{
    for (size_t i = 0; i < u.rows; i++)
        ret_factors[i] = vector_squares(u.cols, u.values + i * u.stride);
}

/* The kernel costs P²(width + out) products, the weight gradient 2·P·width·out. */
static bool kernel_is_cheaper(size_t positions, size_t width, size_t out)
{
    return positions * (width + out) < 2 * width * out;
}

size_t linear_own_sample_scratch(size_t positions, size_t width, size_t out)
{
    return kernel_is_cheaper(positions, width, out) ? positions * positions : width * out;
}

void linear_own_sample(struct matrix u, const real *dz, size_t out, double rate, real *scratch, real *ret_own)
{
    struct matrix own = matrix_of(ret_own, u.rows, out);
    if (kernel_is_cheaper(u.rows, u.cols, out)) {
        struct matrix kernel = matrix_of(scratch, u.rows, u.rows);
        blas_multiply(u, PLAIN, u, TRANSPOSED, 0, kernel);
        blas_multiply(kernel, PLAIN, view(dz, u.rows, out), PLAIN, 0, own);
    } else {
        linear_gradient(u, dz, out, 0, scratch);
        linear_forward(u, scratch, out, ret_own);
    }
    for (size_t i = 0; i < u.rows * out; i++)
        ret_own[i] *= (real)-rate;
}
