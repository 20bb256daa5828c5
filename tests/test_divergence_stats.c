/* Quantiles, histograms and 2-D counts. Quantiles are compared with figures that NumPy gave. */
#include "core/divergence_stats.h"
#include "tests/support.h"

static void quantiles_are_numpys(void **state)
{
    (void)state;
    /* numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [.01, .05, .25, .5, .75, .95, .99]) */
    static const double values[] = {3, 1, NAN, 4, 1, 5, INFINITY, 9, 2, 6};
    static const double want[QUANTILE_COUNT] = {1.0, 1.0, 1.75, 3.5, 5.25, 7.95, 8.79};
    double scratch[10];
    struct column_summary s;
    column_summarise(values, 1, 10, scratch, &s);
    assert_int_equal(s.count, 8);
    assert_int_equal(s.undefined, 2);
    assert_int_equal(s.nonpositive, 0);
    assert_true(s.minimum == 1 && s.maximum == 9);
    assert_true(fabs(s.mean - 3.875) < 1e-12);
    assert_true(fabs(s.deviation - 2.7483761439387) < 1e-9); /* numpy.std(…, ddof=1) */
    for (int q = 0; q < QUANTILE_COUNT; q++)
        assert_true(fabs(s.quantiles[q] - want[q]) < 1e-12);
}

static void nothing_finite_is_nothing(void **state)
{
    (void)state;
    static const double values[] = {NAN, NAN};
    double scratch[2];
    struct column_summary s;
    column_summarise(values, 1, 2, scratch, &s);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.undefined, 2);
    assert_true(isnan(s.mean) && isnan(s.deviation) && isnan(s.quantiles[3]) && isnan(s.minimum));
}

/* Each bin's limits contain what falls into it, bins ascend with the value, and signs mirror. */
static void bins_hold_what_falls_into_them(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3, 0);
    for (int i = 0; i < 100000; i++) {
        double value = pow(10, -8 + 19 * rng_uniform(&rng)), low, high;
        unsigned bin = histogram_bin(value);
        histogram_bin_limits(bin, &low, &high);
        if (!(low <= value && value < high))
            fail_msg("%.17g in bin %u of %.17g … %.17g", value, bin, low, high);
        assert_int_equal(histogram_bin(-value), 2 * BIN_ZERO - bin);
    }
    for (int k = 0; k <= BIN_PER_DECADE * BIN_DECADES; k++) {
        double low, high;
        histogram_bin_limits((unsigned)(BIN_POSITIVE_FIRST + k), &low, &high);
        assert_int_equal(histogram_bin(low), BIN_POSITIVE_FIRST + k);
    }
    assert_int_equal(histogram_bin(0), BIN_ZERO);
    assert_int_equal(histogram_bin(-0.0), BIN_ZERO);
    assert_int_equal(histogram_bin(1e-7), BIN_POSITIVE_UNDER);
    assert_int_equal(histogram_bin(-1e-7), BIN_NEGATIVE_UNDER);
    assert_int_equal(histogram_bin(2e9), BIN_POSITIVE_OVER);
    assert_int_equal(histogram_bin(-2e9), BIN_NEGATIVE_OVER);
    assert_int_equal(histogram_bin(NAN), BIN_UNDEFINED);
}

/* What is not finite is undefined to the summary and to the histogram alike. */
static void summaries_and_histograms_agree_on_what_is_undefined(void **state)
{
    (void)state;
    static const double values[] = {1, INFINITY, -2, -INFINITY, NAN};
    uint8_t bytes[6 * 5];
    uint64_t counts[BIN_COUNT] = {0};
    double scratch[5];
    struct column_summary s;
    struct error err;
    column_summarise(values, 1, 5, scratch, &s);
    assert_ok(histogram_merge(bytes, histogram_encode(values, 1, 5, bytes), counts, &err));
    assert_int_equal(s.undefined, 3);
    assert_int_equal(counts[BIN_UNDEFINED], s.undefined);
}

static void histograms_merge_exactly(void **state)
{
    (void)state;
    enum { N = 500 };
    double values[2][N], all[2 * N];
    uint8_t bytes[6 * 2 * N];
    uint64_t merged[BIN_COUNT] = {0}, whole[BIN_COUNT] = {0};
    struct error err;
    struct rng rng;
    rng_seed(&rng, 4, 0);
    for (int part = 0; part < 2; part++) {
        for (int i = 0; i < N; i++)
            all[part * N + i] = values[part][i] = i % 50 == 0 ? NAN : exp(3 * rng_normal(&rng)) - 1;
        size_t size = histogram_encode(values[part], 1, N, bytes);
        assert_ok(histogram_merge(bytes, size, merged, &err));
    }
    size_t size = histogram_encode(all, 1, 2 * N, bytes);
    assert_ok(histogram_merge(bytes, size, whole, &err));
    assert_memory_equal(merged, whole, sizeof whole);
    assert_int_equal(whole[BIN_UNDEFINED], 20);
    assert_int_equal(histogram_merge(bytes, 5, whole, &err), STATUS_CORRUPT);
    bytes[0] = bytes[1] = 0xff;
    assert_int_equal(histogram_merge(bytes, 6, whole, &err), STATUS_CORRUPT);
}

static void merged_quantiles_are_near_the_exact_ones(void **state)
{
    (void)state;
    enum { N = 4000 };
    static double values[N], scratch[N];
    static uint8_t bytes[6 * N];
    uint64_t counts[BIN_COUNT] = {0};
    struct column_summary s;
    struct error err;
    struct rng rng;
    rng_seed(&rng, 5, 0);
    for (int i = 0; i < N; i++)
        values[i] = 100 * exp(rng_normal(&rng)) - 60;
    column_summarise(values, 1, N, scratch, &s);
    assert_ok(histogram_merge(bytes, histogram_encode(values, 1, N, bytes), counts, &err));
    for (int q = 0; q < QUANTILE_COUNT; q++) {
        double merged = histogram_quantile(counts, quantile_percent[q] / 100.0, s.minimum, s.maximum);
        assert_true(fabs(merged - s.quantiles[q]) < 0.06 * fabs(s.quantiles[q]) + 0.5);
    }
    /* equal values come out as they are: the extremes bound the bin */
    uint64_t equal[BIN_COUNT] = {0};
    equal[histogram_bin(1)] = 64;
    assert_true(histogram_quantile(equal, 0.5, 1, 1) == 1);
    uint64_t none[BIN_COUNT] = {0};
    assert_true(isnan(histogram_quantile(none, 0.5, 0, 0)));
}

static void densities_count_every_row_once(void **state)
{
    (void)state;
    struct divergence_row rows[3];
    uint8_t bytes[3 * 8];
    uint32_t scratch[3];
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < COLUMN_COUNT; c++)
            rows[i].values[c] = NAN;
    rows[0].values[COLUMN_SELF_FACTOR] = rows[2].values[COLUMN_SELF_FACTOR] = 785;
    rows[0].values[COLUMN_SCALE] = rows[2].values[COLUMN_SCALE] = -3;
    assert_int_equal(density_encode(DENSITY_SELF_SCALE, rows, 3, bytes, scratch), 16);
    assert_int_equal(bytes[0] | bytes[1] << 8, histogram_bin(785));
    assert_int_equal(bytes[2] | bytes[3] << 8, histogram_bin(-3));
    assert_int_equal(bytes[4], 2);
    assert_int_equal(bytes[8] | bytes[9] << 8, BIN_UNDEFINED);
    assert_int_equal(bytes[12], 1);
}

/* The values that a summary is made of are sorted in its scratch, whatever their order and however many are equal. */
static void columns_are_sorted(void **state)
{
    (void)state;
    enum { MOST = 3000 };
    double *values = calloc(MOST, sizeof *values), *scratch = calloc(MOST, sizeof *scratch);
    struct rng rng;
    assert_true(values && scratch);
    rng_seed(&rng, 12, 0);
    for (size_t round = 0; round < 200; round++) {
        size_t count = 1 + rng_below(&rng, round < 150 ? 80 : MOST);
        uint64_t kinds = round % 4;
        double sum = 0, sorted = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = kinds == 0   ? rng_normal(&rng)
                        : kinds == 1 ? (double)rng_below(&rng, 3)
                        : kinds == 2 ? (double)i
                                     : -(double)i;
            sum += floor(1e6 * values[i]);
        }
        struct column_summary s;
        column_summarise(values, 1, count, scratch, &s);
        assert_int_equal(s.count, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || scratch[i - 1] <= scratch[i]);
            sorted += floor(1e6 * scratch[i]);
        }
        assert_true(sum == sorted);
    }
    free(values);
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_numpys),
        cmocka_unit_test(columns_are_sorted),
        cmocka_unit_test(nothing_finite_is_nothing),
        cmocka_unit_test(bins_hold_what_falls_into_them),
        cmocka_unit_test(summaries_and_histograms_agree_on_what_is_undefined),
        cmocka_unit_test(histograms_merge_exactly),
        cmocka_unit_test(merged_quantiles_are_near_the_exact_ones),
        cmocka_unit_test(densities_count_every_row_once),
    };
    return cmocka_run_group_tests_name("divergence_stats", tests, NULL, NULL);
}
