/*
 * The products of attention by themselves: what a step changes, also where the softmax is saturated, so that weights
 * underflow, against plain loops in double.
 */
#include "tests/support.h"

#include "core/attention.h"
#include "core/rng.h"

enum { T = 5, WIDTH = 3, HEADS = 2, N = HEADS * WIDTH };

struct values {
    real q[T * N], k[T * N], v[T * N];
};

static void fill(struct rng *rng, struct values *values, double logits, double others)
{
    fill_normal(rng, values->q, (size_t)T * N, logits);
    fill_normal(rng, values->k, (size_t)T * N, 1);
    fill_normal(rng, values->v, (size_t)T * N, others);
}

/* The context of one head, of values + change (NULL: none). */
static void plain_context(const struct attention_shape *shape, size_t head, const struct values *values,
                          const struct values *change, double ret_context[T][WIDTH])
{
    for (size_t t = 0; t < T; t++) {
        size_t seen = shape->causal ? t + 1 : T;
        double logits[T] = {0}, top = -INFINITY, sum = 0;
        for (size_t j = 0; j < seen; j++) {
            for (size_t c = head * WIDTH; c < (head + 1) * WIDTH; c++) {
                double q = (double)values->q[t * N + c], k = (double)values->k[j * N + c];
                if (change) {
                    q += (double)change->q[t * N + c];
                    k += (double)change->k[j * N + c];
                }
                logits[j] += q * k / sqrt(WIDTH);
            }
            top = fmax(top, logits[j]);
        }
        memset(ret_context[t], 0, sizeof ret_context[t]);
        for (size_t j = 0; j < seen; j++)
            sum += exp(logits[j] - top);
        for (size_t j = 0; j < seen; j++)
            for (size_t c = 0; c < WIDTH; c++) {
                size_t at = j * N + head * WIDTH + c;
                double v = (double)values->v[at] + (change ? (double)change->v[at] : 0);
                ret_context[t][c] += exp(logits[j] - top) / sum * v;
            }
    }
}

/* Logits of about `logits`, changed by about `step` of it. */
static void check_difference(bool causal, double logits, double step)
{
    const struct attention_shape shape = {T, HEADS, WIDTH, causal};
    struct values values, change;
    struct rng rng;
    real weights[HEADS * T * T], context[T * N], scratch[T * T], logits_change[HEADS * T * T], got[T * N];
    rng_seed(&rng, 5, causal);
    fill(&rng, &values, logits, 1);
    fill(&rng, &change, step * logits, 0.1);
    attention_forward(&shape, 1, values.q, values.k, values.v, weights, context);
    attention_difference(&shape, 1, values.q, values.k, values.v, weights, change.q, change.k, change.v, scratch,
                         logits_change, got);
    double gap = 0, all = 0;
    for (size_t head = 0; head < HEADS; head++) {
        double before[T][WIDTH], after[T][WIDTH];
        plain_context(&shape, head, &values, NULL, before);
        plain_context(&shape, head, &values, &change, after);
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < WIDTH; c++) {
                double want = after[t][c] - before[t][c];
                gap += pow((double)got[t * N + head * WIDTH + c] - want, 2);
                all += want * want;
            }
    }
    if (!(sqrt(gap / all) < (sizeof(real) == 8 ? 1e-9 : 1e-3)))
        fail_msg("logits of %g, changed by %g of it%s: the context's change is off by %.3g", logits, step,
                 causal ? ", causal" : "", sqrt(gap / all));
}

static void the_change_is_exact_however_large(void **state)
{
    (void)state;
    static const double logits[] = {0.1, 1, 10, 100, 1000};
    for (size_t i = 0; i < sizeof logits / sizeof *logits; i++)
        for (int causal = 0; causal < 2; causal++) {
            check_difference(causal, logits[i], 1);
            check_difference(causal, logits[i], 0.01);
            check_difference(causal, logits[i], 4);
        }
}

/* ∂L/∂S of one head and token by differences of ∂L/∂A, of which nothing cancels: A_j Σ_k A_k (dA_j − dA_k). */
static void plain_logits_gradient(const struct values *values, const real *dcontext, size_t head, size_t t,
                                  double ret_gradient[T])
{
    double weights[T], given[T] = {0}, top = -INFINITY, sum = 0;
    for (size_t j = 0; j < T; j++) {
        weights[j] = 0;
        for (size_t c = head * WIDTH; c < (head + 1) * WIDTH; c++) {
            weights[j] += (double)values->q[t * N + c] * (double)values->k[j * N + c] / sqrt(WIDTH);
            given[j] += (double)dcontext[t * N + c] * (double)values->v[j * N + c];
        }
        top = fmax(top, weights[j]);
    }
    for (size_t j = 0; j < T; j++)
        sum += weights[j] = exp(weights[j] - top);
    for (size_t j = 0; j < T; j++) {
        ret_gradient[j] = 0;
        for (size_t k = 0; k < T; k++)
            ret_gradient[j] += weights[j] / sum * (weights[k] / sum) * (given[j] - given[k]);
    }
}

/* The gradient at the logits of every token, however small: the ratios of theory.md §5 are of it. */
static void check_gradient(double logits)
{
    const struct attention_shape shape = {T, HEADS, WIDTH, false};
    struct values values, gradient;
    struct rng rng;
    real weights[HEADS * T * T], context[T * N], dcontext[T * N], got[HEADS * T * T];
    rng_seed(&rng, 6, 0);
    fill(&rng, &values, logits, 1);
    fill_normal(&rng, dcontext, (size_t)T * N, 1);
    attention_forward(&shape, 1, values.q, values.k, values.v, weights, context);
    attention_backward(&shape, 1, values.q, values.k, values.v, weights, dcontext, gradient.q, gradient.k, gradient.v,
                       got);
    for (size_t head = 0; head < HEADS; head++)
        for (size_t t = 0; t < T; t++) {
            double want[T], gap = 0, all = 0;
            plain_logits_gradient(&values, dcontext, head, t, want);
            for (size_t j = 0; j < T; j++) {
                gap += pow((double)got[(head * T + t) * T + j] - want[j], 2);
                all += want[j] * want[j];
            }
            double least = sizeof(real) == 8 ? 0 : 1e-36; /* what a softmax in single precision can hold */
            if (!(sqrt(gap) <= (sizeof(real) == 8 ? 1e-9 : 2e-4) * sqrt(all) + least))
                fail_msg("logits of %g: the gradient at token %zu is off by %.3g of %.3g", logits, t, sqrt(gap),
                         sqrt(all));
        }
}

static void a_saturated_gradient_is_exact(void **state)
{
    (void)state;
    static const double logits[] = {0.1, 1, 10, 30, 100};
    for (size_t i = 0; i < sizeof logits / sizeof *logits; i++)
        check_gradient(logits[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_change_is_exact_however_large),
                                       cmocka_unit_test(a_saturated_gradient_is_exact)};
    return cmocka_run_group_tests_name("attention (" REAL_NAME ")", tests, NULL, NULL);
}
