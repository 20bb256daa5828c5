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

/*
 * dS = A ⊙ (dA − Σ dA ⊙ A) by rows, dA in place. What all entries of dA share falls out: the entry at the largest
 * weight (the mean, at equal ones) is taken from all first. Where the softmax is saturated it is almost all of the sum,
 * which would cancel it.
 */
MULTIVERSION
static void softmax_gradient(size_t tokens, const real *a, real *da)
{
    for (size_t t = 0; t < tokens; t++) {
        const real *row = a + t * tokens;
        real *d = da + t * tokens, top = 0, sum = 0, equals = 0;
        double along = 0;
#pragma omp simd reduction(max : top)
        for (size_t j = 0; j < tokens; j++)
            top = row[j] > top ? row[j] : top;
#pragma omp simd reduction(+ : sum, equals)
        for (size_t j = 0; j < tokens; j++) {
            sum += row[j] == top ? d[j] : 0;
            equals += row[j] == top ? 1 : 0;
        }
        real shared = sum / equals;
#pragma omp simd reduction(+ : along)
        for (size_t j = 0; j < tokens; j++)
            along += (double)row[j] * (double)(d[j] - shared);
        real mean = (real)along;
        for (size_t j = 0; j < tokens; j++)
            d[j] = row[j] * (d[j] - shared - mean);
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

/* ΔS of one head: (ΔQ·Kᵀ + Q·ΔKᵀ + ΔQ·ΔKᵀ)/√d, and 0 where it is masked. */
static void logits_change(const struct attention_shape *s, struct matrix q, struct matrix k, struct matrix dq,
                          struct matrix dk, struct matrix ret_change)
{
    blas_multiply(dq, PLAIN, k, TRANSPOSED, 0, ret_change);
    blas_multiply(q, PLAIN, dk, TRANSPOSED, 1, ret_change);
    blas_multiply(dq, PLAIN, dk, TRANSPOSED, 1, ret_change);
    scale_head(ret_change, (real)(1 / sqrt((double)s->width)));
    for (size_t t = 0; t < s->tokens; t++)
        for (size_t j = visible(s, t); j < s->tokens; j++)
            ret_change.values[t * s->tokens + j] = 0;
}

/* e^x − 1 for |x| ≤ 1 to the last bits, x(1 + x/2 (1 + x/3 (…))), without a branch: loops of it vectorise. */
static inline double small_expm1(double x)
{
    double sum = 1;
    for (int k = 18; k >= 2; k--)
        sum = 1 + sum * x * (1.0 / k);
    return x * sum;
}

/* ΔA_j = A_j (ε_j − m)/(1 + m) of one row with ε = e^δ − 1 and m = Σ A ε: nothing cancels, however small δ is. */
static void small_change_of_row(size_t n, const real *a, const real *delta, real *ret_change)
{
    double mean = 0;
#pragma omp simd reduction(+ : mean)
    for (size_t j = 0; j < n; j++)
        mean += (double)a[j] * small_expm1((double)delta[j]);
    double inverse = 1 / (1 + mean);
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        ret_change[j] = (real)((double)a[j] * (small_expm1((double)delta[j]) - mean) * inverse);
}

/* Row t of the logits of one head, in double. */
struct logits {
    struct matrix q, k;
    size_t t;
};

static inline double logit(const struct logits *s, size_t j)
{
    size_t width = s->q.cols;
    return vector_dot(width, s->q.values + s->t * s->q.stride, s->k.values + j * s->k.stride) / sqrt((double)width);
}

/*
 * The same where some |δ| is above 1: softmax(S + δ) − softmax(S) from the logits themselves, for a weight that has
 * underflowed says nothing of its logit, which δ may lift above the others.
 */
static void large_change_of_row(size_t n, const struct logits *s, const real *delta, real *ret_change)
{
    double top = -INFINITY, new_top = -INFINITY, sum = 0, new_sum = 0;
    for (size_t j = 0; j < n; j++) {
        top = fmax(top, logit(s, j));
        new_top = fmax(new_top, logit(s, j) + (double)delta[j]);
    }
    for (size_t j = 0; j < n; j++) {
        sum += exp(logit(s, j) - top);
        new_sum += exp(logit(s, j) + (double)delta[j] - new_top);
    }
    for (size_t j = 0; j < n; j++)
        ret_change[j] = (real)(exp(logit(s, j) + (double)delta[j] - new_top) / new_sum - exp(logit(s, j) - top) / sum);
}

/* The weights' change from the logits': rows of softmax(S + ΔS) − softmax(S), S being q·kᵀ/√d. */
MULTIVERSION
static void weights_change(const struct attention_shape *s, struct matrix q, struct matrix k, const real *a,
                           const real *delta, real *ret_change)
{
    for (size_t t = 0; t < s->tokens; t++) {
        size_t n = visible(s, t), at = t * s->tokens;
        bool small = true;
        for (size_t j = 0; j < n; j++)
            small = small && delta[at + j] <= 1 && delta[at + j] >= -1;
        const struct logits row = {q, k, t};
        if (small)
            small_change_of_row(n, a + at, delta + at, ret_change + at);
        else
            large_change_of_row(n, &row, delta + at, ret_change + at);
        for (size_t j = n; j < s->tokens; j++)
            ret_change[at + j] = 0;
    }
}

void attention_difference(const struct attention_shape *s, size_t rows, const real *q, const real *k, const real *v,
                          const real *weights, const real *change_q, const real *change_k, const real *change_v,
                          real *scratch, real *ret_logits, real *ret_context)
{
    struct matrix change = matrix_of(scratch, s->tokens, s->tokens);
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < s->heads; h++) {
            struct matrix a = square_of(s, weights, i, h), logits = square_of(s, ret_logits, i, h);
            struct matrix dv = head_of(s, change_v, i, h), context = head_of(s, ret_context, i, h);
            struct matrix qs = head_of(s, q, i, h), ks = head_of(s, k, i, h);
            logits_change(s, qs, ks, head_of(s, change_q, i, h), head_of(s, change_k, i, h), logits);
            weights_change(s, qs, ks, a.values, logits.values, change.values);
            /* ΔC = ΔA·V + ΔA·ΔV + A·ΔV */
            blas_multiply(change, PLAIN, head_of(s, v, i, h), PLAIN, 0, context);
            blas_multiply(change, PLAIN, dv, PLAIN, 1, context);
            blas_multiply(a, PLAIN, dv, PLAIN, 1, context);
        }
}
