#include "core/blas.h"

#include <assert.h>
#include <cblas.h>

#ifdef PLUMBLINE_DOUBLE
#define GEMM cblas_dgemm
#define AXPY cblas_daxpy
#define SYRK cblas_dsyrk
#else
#define GEMM cblas_sgemm
#define AXPY cblas_saxpy
#define SYRK cblas_ssyrk
#endif

void blas_multiply(struct matrix a, enum transpose op_a, struct matrix b, enum transpose op_b, double beta,
                   struct matrix c)
{
    size_t inner = op_a == PLAIN ? a.cols : a.rows;
    assert(c.rows == (op_a == PLAIN ? a.rows : a.cols));
    assert(c.cols == (op_b == PLAIN ? b.cols : b.rows));
    assert(inner == (op_b == PLAIN ? b.rows : b.cols));
    GEMM(CblasRowMajor, op_a == PLAIN ? CblasNoTrans : CblasTrans, op_b == PLAIN ? CblasNoTrans : CblasTrans,
         (blasint)c.rows, (blasint)c.cols, (blasint)inner, 1, a.values, (blasint)a.stride, b.values, (blasint)b.stride,
         (real)beta, c.values, (blasint)c.stride);
}

void blas_gram(struct matrix a, struct matrix ret_gram)
{
    assert(ret_gram.rows == a.rows && ret_gram.cols == a.rows);
    SYRK(CblasRowMajor, CblasLower, CblasNoTrans, (blasint)a.rows, (blasint)a.cols, 1, a.values, (blasint)a.stride, 0,
         ret_gram.values, (blasint)ret_gram.stride);
    for (size_t i = 0; i < a.rows; i++)
        for (size_t j = 0; j < i; j++)
            ret_gram.values[j * ret_gram.stride + i] = ret_gram.values[i * ret_gram.stride + j];
}

void blas_add(size_t count, double alpha, const real *x, real *y)
{
    AXPY((blasint)count, (real)alpha, x, 1, y, 1);
}

void blas_set_threads(int threads)
{
    openblas_set_num_threads(threads);
}

const char *blas_version(void)
{
    return openblas_get_config();
}

const char *blas_kernel(void)
{
    return openblas_get_corename();
}
