/*
 * Feature maps against plain loops written from theory.md §2, over random shapes, and the self factors the theory
 * states for them.
 */
#include "core/feature_map.h"
#include "core/vector.h"
#include "tests/support.h"

/* u(x) of one row by the definition, in double. */
static void plain_features(const char *name, const real *x, size_t rows, size_t row, size_t n, bool bias, double *u)
{
    double squares = 0, mean = 0, variance = 0;
    for (size_t k = 0; k < n; k++) {
        squares += (double)x[row * n + k] * (double)x[row * n + k];
        mean += (double)x[row * n + k] / (double)n;
    }
    for (size_t k = 0; k < n; k++)
        variance += pow((double)x[row * n + k] - mean, 2) / (double)n;
    double norm = sqrt(squares), one = 1;
    for (size_t k = 0; k < n; k++) {
        double value = (double)x[row * n + k];
        if (strcmp(name, "affine") == 0)
            u[k] = value;
        else if (strcmp(name, "affine-like") == 0)
            u[k] = value / sqrt(1 + squares);
        else if (strcmp(name, "l2") == 0)
            u[k] = norm < 1e-12 ? 0 : value / norm;
        else if (strcmp(name, "rms") == 0)
            u[k] = norm < 1e-12 ? 0 : sqrt((double)n) * value / norm;
        else if (strcmp(name, "layer") == 0)
            u[k] = (value - mean) / sqrt(variance + 1e-5);
        else { /* batch */
            double m = 0, v = 0;
            for (size_t i = 0; i < rows; i++)
                m += (double)x[i * n + k] / (double)rows;
            for (size_t i = 0; i < rows; i++)
                v += pow((double)x[i * n + k] - m, 2) / (double)rows;
            u[k] = (value - m) / sqrt(v + 1e-5);
        }
    }
    if (strcmp(name, "affine-like") == 0)
        one = 1 / sqrt(1 + squares);
    if (bias)
        u[n] = one;
}

static struct features apply(const char *name, const real *x, size_t rows, size_t n, bool bias, struct arena *arena)
{
    struct error err;
    struct features f = {.map = feature_map_find(name), .rows = rows, .counted = rows, .n = n, .bias = bias, .x = x};
    assert_non_null(f.map);
    assert_ok(features_apply(&f, STATISTICS_BATCH, (struct running_statistics){0}, arena, &err));
    return f;
}

/* Feature k of a row, the constant's behind the others. */
static double feature(const struct features *f, size_t row, size_t k)
{
    if (k < f->n)
        return (double)f->u[row * f->n + k];
    return f->constant ? (double)f->constant[row] : 1;
}

static void maps_agree_with_plain_loops(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5, 0);
    for (int round = 0; round < 40; round++) {
        struct arena arena = {0};
        size_t rows = 1 + rng_below(&rng, 9), n = 1 + rng_below(&rng, 70);
        bool bias = rng_below(&rng, 2);
        real *x = arena_reals(&arena, rows * n);
        double *want = arena_take(&arena, (n + 1) * sizeof *want);
        assert_true(x && want);
        fill_normal(&rng, x, rows * n, exp(rng_normal(&rng)));
        if (rows > 2)
            memset(x + n, 0, n * sizeof *x);
        for (const char *const *name = feature_map_names; *name; name++) {
            struct features f = apply(*name, x, rows, n, bias, &arena);
            for (size_t i = 0; i < rows; i++) {
                plain_features(*name, x, rows, i, n, bias, want);
                for (size_t k = 0; k < n + (bias ? 1 : 0); k++)
                    if (!(fabs(feature(&f, i, k) - want[k]) <= TOLERANCE * fmax(fabs(want[k]), 1e-2)))
                        fail_msg("%s rows %zu n %zu: u[%zu][%zu] is %.9g, by definition %.9g", *name, rows, n, i, k,
                                 feature(&f, i, k), want[k]);
            }
        }
        arena_free(&arena);
    }
}

static double self_factor(const struct features *f)
{
    double constant = f->bias ? feature(f, 0, f->n) : 0;
    return vector_squares(f->n, f->u) + constant * constant;
}

/* The corrected variants' self factor does not depend on the sample, whatever its norm. */
static void self_factors_are_those_of_the_theory(void **state)
{
    (void)state;
    enum { N = 20 };
    static const double norms[] = {0, 1e-20, 1e-3, 1, 28, 1e6, 1e15};
    struct rng rng;
    rng_seed(&rng, 6, 0);
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        struct arena arena = {0};
        real x[N];
        fill_normal(&rng, x, N, 1);
        double length = sqrt(vector_squares(N, x)), norm = norms[i];
        for (size_t k = 0; k < N; k++)
            x[k] = (real)((double)x[k] / length * norm);
        struct features affine = apply("affine", x, 1, N, true, &arena),
                        like = apply("affine-like", x, 1, N, true, &arena);
        struct features bare = apply("affine-like", x, 1, N, false, &arena);
        struct features l2 = apply("l2", x, 1, N, true, &arena), rms = apply("rms", x, 1, N, true, &arena);
        bool zero = norm < 1e-12;
        assert_true(fabs(self_factor(&like) - 1) < 1e-6);
        assert_true(fabs(self_factor(&affine) / (norm * norm + 1) - 1) < 1e-5);
        assert_true(fabs(self_factor(&bare) - norm * norm / (1 + norm * norm)) < 1e-6);
        assert_true(fabs(self_factor(&l2) - (zero ? 1 : 2)) < 1e-6);
        assert_true(fabs(self_factor(&rms) - (zero ? 1 : N + 1)) < 1e-4);
        arena_free(&arena);
    }
}

/* Momentum 0.1, the unbiased variance, and nothing tracked while measuring. */
static void running_statistics_follow_training_only(void **state)
{
    (void)state;
    struct error err;
    struct arena arena = {0};
    const real x[6] = {1, 10, 2, 20, 3, 60}; /* three rows of two features */
    real mean[2] = {0, 0}, variance[2] = {1, 1};
    const struct running_statistics running = {mean, variance};
    struct features f = {.map = feature_map_find("batch"), .rows = 3, .counted = 3, .n = 2, .x = x};
    assert_ok(features_apply(&f, STATISTICS_BATCH, running, &arena, &err));
    assert_true(mean[0] == 0 && variance[0] == 1);
    assert_ok(features_apply(&f, STATISTICS_BATCH_AND_TRACK, running, &arena, &err));
    assert_true(fabs((double)mean[0] - 0.2) < 1e-6 && fabs((double)mean[1] - 3) < 1e-6);
    assert_true(fabs((double)variance[0] - (0.9 + 0.1 * 1)) < 1e-6);
    assert_true(fabs((double)variance[1] - (0.9 + 0.1 * 700)) < 1e-4);
    assert_ok(features_apply(&f, STATISTICS_RUNNING, running, &arena, &err));
    assert_true(fabs((double)f.u[0] - (1 - 0.2) / sqrt(1.0 + 1e-5)) < 1e-6);
    arena_free(&arena);
}

/* The vectorised functions against libm, over their whole range. */
static void exp_and_tanh_are_exact_enough(void **state)
{
    (void)state;
    for (int i = 0; i < 18975; i++) {
        double x = -86 + i * 0.00917;
        double argument = (double)(real)x;
        assert_true(fabs((double)real_exp((real)x) / exp(argument) - 1) < 4e-7);
        assert_true(fabs((double)real_tanh((real)(x / 8)) - tanh((double)(real)(x / 8))) <=
                    4e-7 * fabs(tanh((double)(real)(x / 8))));
    }
    assert_true(isnan(real_tanh((real)NAN)) && isnan(real_exp((real)NAN)));
    assert_true(real_tanh((real)INFINITY) == 1 && real_tanh((real)-INFINITY) == -1 && real_tanh(0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_agree_with_plain_loops),
        cmocka_unit_test(self_factors_are_those_of_the_theory),
        cmocka_unit_test(running_statistics_follow_training_only),
        cmocka_unit_test(exp_and_tanh_are_exact_enough),
    };
    return cmocka_run_group_tests_name("feature_map (" REAL_NAME ")", tests, NULL, NULL);
}
