/*
 * The products of dense matrices, row-major. The only place that calls OpenBLAS.
 *
 * For one kernel and thread count the results are the same bits from run to run.
 */
#ifndef PLUMBLINE_CORE_BLAS_H
#define PLUMBLINE_CORE_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"

/* A view of a row-major matrix: `rows` × `cols`, rows `stride` reals apart. */
struct matrix {
    real *values;
    size_t rows, cols, stride;
};

/* The view of contiguous rows. */
static inline struct matrix matrix_of(real *values, size_t rows, size_t cols)
{
    return (struct matrix){values, rows, cols, cols};
}

enum transpose { PLAIN, TRANSPOSED };

/*
 * c = op(a)·op(b) + beta·c, where op(a) is c.rows × k and op(b) is k × c.cols. beta 0 does not read c. The views must
 * not overlap.
 */
void blas_multiply(struct matrix a, enum transpose op_a, struct matrix b, enum transpose op_b, double beta,
                   struct matrix c);

/* The Gram matrix a·aᵀ (a.rows × a.rows), whole, by half the work of the product. */
void blas_gram(struct matrix a, struct matrix ret_gram);

/* y += alpha · x over `count` reals. */
void blas_add(size_t count, double alpha, const real *x, real *y);

/* The number of threads of later products; call it once, before the first. */
void blas_set_threads(int threads);

/* What runs: OpenBLAS's own line on version and build ("OpenBLAS 0.3.21 DYNAMIC_ARCH …"), and the kernel it chose for
 * this processor ("SkylakeX"). Static strings. */
const char *blas_version(void);
const char *blas_kernel(void);

#endif
