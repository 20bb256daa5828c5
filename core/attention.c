#include "core/attention.h"

#include <math.h>

#include "core/blas.h"
#include "core/vector.h"

/* The slice of one head of one sample: tokens × width, rows heads · width apart. */
static struct matrix head_of(const struct attention_shape *s, const real *values, size_t row, size_t head)
{
    size_t n = s->heads * s->width;
    return (struct matrix){(real *)values + row * s->tokens * n + head * s->width, s->tokens, s->width, n};
}

/* The tokens × tokens matrix of one head of one sample. */
static struct matrix square_of(const struct attention_shape *s, const real *values, size_t row, size_t head)
{
    return matrix_of((real *)values + (row * s->heads + head) * s->tokens * s->tokens, s->tokens, s->tokens);
}

/* How many logits of row t are not masked. */
static size_t visible(const struct attention_shape *s, size_t t)
{
    return s->causal ? t + 1 : s->tokens;
}

/* softmax(scale · logits) in place. */
MULTIVERSION
static void softmax_row(real *a, size_t n, size_t whole, real scale)
{
    real top = a[0], sum = 0;
    for (size_t j = 1; j < n; j++)
        top = a[j] > top ? a[j] : top;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) {
        a[j] = real_exp((a[j] - top) * scale);
        sum += a[j];
    }
    for (size_t j = 0; j < n; j++)
        a[j] /= sum;
    for (size_t j = n; j < whole; j++)
        a[j] = 0;
}

void attention_forward(const struct attention_shape *s, size_t rows, const real *q, const real *k, const real *v,
                       real *ret_weights, real *ret_context)
{
    real scale = (real)(1 / sqrt((double)s->width));
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < s->heads; h++) {
            struct matrix a = square_of(s, ret_weights, i, h);
            blas_multiply(head_of(s, q, i, h), PLAIN, head_of(s, k, i, h), TRANSPOSED, 0, a);
            for (size_t t = 0; t < s->tokens; t++)
                softmax_row(a.values + t * s->tokens, visible(s, t), s->tokens, scale);
            blas_multiply(a, PLAIN, head_of(s, v, i, h), PLAIN, 0, head_of(s, ret_context, i, h));
        }
}

/* dS = A ⊙ (dA − Σ dA ⊙ A) by rows, dA in place. */
MULTIVERSION
static void softmax_gradient(size_t tokens, const real *a, real *da)
{
    for (size_t t = 0; t < tokens; t++) {
        const real *row = a + t * tokens;
        real *d = da + t * tokens;
        real along = (real)vector_dot(tokens, row, d);
        for (size_t j = 0; j < tokens; j++)
            d[j] = row[j] * (d[j] - along);
    }
}

static void scale_head(struct matrix m, real scale)
{
    for (size_t t = 0; t < m.rows; t++)
        for (size_t k = 0; k < m.cols; k++)
            m.values[t * m.stride + k] *= scale;
}

void attention_backward(const struct attention_shape *s, size_t rows, const real *q, const real *k, const real *v,
                        const real *weights, const real *dcontext, real *ret_dq, real *ret_dk, real *ret_dv,
                        real *ret_dlogits)
{
    real scale = (real)(1 / sqrt((double)s->width));
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < s->heads; h++) {
            struct matrix a = square_of(s, weights, i, h), ds = square_of(s, ret_dlogits, i, h);
            struct matrix dc = head_of(s, dcontext, i, h), dq = head_of(s, ret_dq, i, h), dk = head_of(s, ret_dk, i, h);
            blas_multiply(a, TRANSPOSED, dc, PLAIN, 0, head_of(s, ret_dv, i, h));
            blas_multiply(dc, PLAIN, head_of(s, v, i, h), TRANSPOSED, 0, ds);
            softmax_gradient(s->tokens, a.values, ds.values);
            blas_multiply(ds, PLAIN, head_of(s, k, i, h), PLAIN, 0, dq);
            blas_multiply(ds, TRANSPOSED, head_of(s, q, i, h), PLAIN, 0, dk);
            scale_head(dq, scale);
            scale_head(dk, scale);
        }
}

/* ΔS of one head: ΔQ·K + Q·ΔK + ΔQ·ΔK over √d, in double. */
static void logits_change(const struct attention_shape *s, struct matrix q, struct matrix k, struct matrix dq,
                          struct matrix dk, double *ret_change)
{
    double scale = 1 / sqrt((double)s->width);
    for (size_t t = 0; t < s->tokens; t++)
        for (size_t j = 0; j < s->tokens; j++) {
            double sum = 0;
            for (size_t c = 0; j < visible(s, t) && c < s->width; c++) {
                double qc = (double)q.values[t * q.stride + c], kc = (double)k.values[j * k.stride + c];
                double dqc = (double)dq.values[t * dq.stride + c], dkc = (double)dk.values[j * dk.stride + c];
                sum += dqc * kc + (qc + dqc) * dkc;
            }
            ret_change[t * s->tokens + j] = sum * scale;
        }
}

/* The weights' change from the logits', in place: A_j (e^δ_j − Z)/Z with Z = Σ A e^δ, by expm1. */
static void weights_change(size_t tokens, const real *a, double *change)
{
    for (size_t t = 0; t < tokens; t++) {
        double mean = 0, *d = change + t * tokens;
        for (size_t j = 0; j < tokens; j++) {
            d[j] = expm1(d[j]);
            mean += (double)a[t * tokens + j] * d[j];
        }
        for (size_t j = 0; j < tokens; j++)
            d[j] = (double)a[t * tokens + j] * (d[j] - mean) / (1 + mean);
    }
}

/* ΔC = ΔA (V + ΔV) + A ΔV. */
static void context_change(const struct attention_shape *s, const real *a, const double *da, struct matrix v,
                           struct matrix dv, struct matrix ret_change)
{
    for (size_t t = 0; t < s->tokens; t++)
        for (size_t c = 0; c < s->width; c++) {
            double sum = 0;
            for (size_t j = 0; j < s->tokens; j++) {
                double value = (double)v.values[j * v.stride + c], moved = (double)dv.values[j * dv.stride + c];
                sum += da[t * s->tokens + j] * (value + moved) + (double)a[t * s->tokens + j] * moved;
            }
            ret_change.values[t * ret_change.stride + c] = (real)sum;
        }
}

void attention_difference(const struct attention_shape *s, size_t rows, const real *q, const real *k, const real *v,
                          const real *weights, const real *change_q, const real *change_k, const real *change_v,
                          double *scratch, real *ret_logits, real *ret_context)
{
    size_t square = s->tokens * s->tokens;
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < s->heads; h++) {
            const real *a = square_of(s, weights, i, h).values;
            real *logits = square_of(s, ret_logits, i, h).values;
            logits_change(s, head_of(s, q, i, h), head_of(s, k, i, h), head_of(s, change_q, i, h),
                          head_of(s, change_k, i, h), scratch);
            for (size_t j = 0; j < square; j++)
                logits[j] = (real)scratch[j];
            weights_change(s->tokens, a, scratch);
            context_change(s, a, scratch, head_of(s, v, i, h), head_of(s, change_v, i, h),
                           head_of(s, ret_context, i, h));
        }
}
