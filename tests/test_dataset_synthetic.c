/* The synthetic data set: its figures, and that a seed says all. */
#include "tests/support.h"

#include "core/dataset.h"

static struct dataset_spec synthetic(void)
{
    return (struct dataset_spec){.name = "synthetic",
                                 .train_limit = SIZE_MAX,
                                 .test_limit = SIZE_MAX,
                                 .scaling = SCALING_NONE,
                                 .classes = 4,
                                 .features = 16,
                                 .train = 4000,
                                 .test = 100,
                                 .norm_spread = 0.5,
                                 .seed = 1};
}

static const struct dataset_folders no_folders = {.paths = (const char *const[]){NULL}};

/* All training samples, the caller frees. */
static real *make_synthetic(struct dataset_spec spec, uint32_t *ret_labels)
{
    struct dataset *dataset = NULL;
    struct error err;
    uint32_t *indices = malloc(spec.train * sizeof *indices);
    real *values = malloc(spec.train * spec.features * sizeof *values);
    for (size_t i = 0; i < spec.train; i++)
        indices[i] = (uint32_t)i;
    assert_ok(dataset_load(&spec, &no_folders, &dataset, &err));
    dataset_gather(dataset, SPLIT_TRAIN, indices, spec.train, values, ret_labels);
    dataset_free(dataset);
    free(indices);
    return values;
}

static void test_synthetic_is_what_its_seed_says(void **state)
{
    (void)state;
    struct dataset_spec spec = synthetic();
    uint32_t *labels = malloc(spec.train * sizeof *labels);
    real *a = make_synthetic(spec, labels), *b = make_synthetic(spec, labels);
    assert_memory_equal(a, b, spec.train * spec.features * sizeof *a);
    free(b);
    spec.seed = 2;
    b = make_synthetic(spec, labels);
    assert_memory_not_equal(a, b, spec.train * spec.features * sizeof *a);
    free(b);
    /* a shorter one is the beginning of a longer one */
    spec = synthetic();
    spec.train = 10;
    b = make_synthetic(spec, labels);
    assert_memory_equal(a, b, 10 * spec.features * sizeof *a);
    free(a);
    free(b);
    free(labels);
}

/* Class means of length 3 and noise of deviation 1; all is multiplied by exp(norm_spread · N(0,1)). */
static void test_synthetic_figures(void **state)
{
    (void)state;
    struct dataset_spec spec = synthetic();
    spec.norm_spread = 0;
    uint32_t *labels = malloc(spec.train * sizeof *labels);
    real *x = make_synthetic(spec, labels);
    double mean[4][16] = {{0}}, noise = 0;
    size_t per_class = spec.train / 4;
    for (size_t s = 0; s < spec.train; s++) {
        assert_int_equal(labels[s], s % 4);
        for (size_t i = 0; i < 16; i++)
            mean[labels[s]][i] += (double)x[s * 16 + i] / (double)per_class;
    }
    for (size_t s = 0; s < spec.train; s++)
        for (size_t i = 0; i < 16; i++)
            noise += pow((double)x[s * 16 + i] - mean[labels[s]][i], 2) / (double)(spec.train * 16);
    assert_true(fabs(noise - 1) < 0.03);
    for (size_t c = 0; c < 4; c++) {
        double squares = 0;
        for (size_t i = 0; i < 16; i++)
            squares += mean[c][i] * mean[c][i];
        assert_true(fabs(sqrt(squares) - 3) < 0.15);
    }
    /* log of the norms spreads by norm_spread more than without it */
    spec.norm_spread = 0.8;
    real *y = make_synthetic(spec, labels);
    double sum = 0, sum_squares = 0;
    for (size_t s = 0; s < spec.train; s++) {
        double plain = 0, spread = 0;
        for (size_t i = 0; i < 16; i++) {
            plain += pow((double)x[s * 16 + i], 2);
            spread += pow((double)y[s * 16 + i], 2);
        }
        sum += log(spread / plain) / 2;
        sum_squares += pow(log(spread / plain) / 2, 2);
    }
    double deviation = sqrt(sum_squares / (double)spec.train - pow(sum / (double)spec.train, 2));
    assert_true(fabs(deviation - 0.8) < 0.03);
    free(x);
    free(y);
    free(labels);
}

static void test_too_large_is_refused(void **state)
{
    (void)state;
    struct dataset_spec spec = synthetic();
    struct dataset *dataset = NULL;
    struct error err = {""};
    spec.features = 1048576;
    spec.train = UINT32_MAX;
    assert_int_equal(dataset_load(&spec, &no_folders, &dataset, &err), STATUS_NO_MEMORY);
    assert_non_null(strstr(err.text, "set train_limit"));
    assert_null(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic_is_what_its_seed_says),
        cmocka_unit_test(test_synthetic_figures),
        cmocka_unit_test(test_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
