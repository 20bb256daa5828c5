/*
 * Reading a run's database: pages cover everything once, pooled figures are those of all values together, thinned
 * series keep their extremes, and damage is an error.
 */
#include "tests/run_file_support.h"

/* All tests share a folder, with a run in it that they only read. */
static int begin(void **state)
{
    make_folder(state);
    write_run(in_folder(state, "run.db"));
    return 0;
}

static void test_sites_run_log_and_weights(void **state)
{
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    assert_ok(run_reader_sites(reader, &json, &err));
    assert_int_equal(json_array_size(json_object_get(json, "sites")), SITES);
    json_t *conv = json_array_get(json_object_get(json, "sites"), 1);
    char *text = json_dumps(conv, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"index\":1,\"name\":\"2.conv\",\"type\":\"conv\",\"part\":null,\"variant\":\"patch-l2\","
                        "\"parameters\":100,\"input\":[1,28,28],\"output\":[2,14,14]}");
    free(text);
    assert_int_equal(json_array_size(json_object_get(json, "steps")), STEPS);
    assert_int_equal(json_array_size(json_object_get(json, "columns")), COLUMN_COUNT);
    assert_int_equal(json_integer_value(json_object_get(json, "samples")), SAMPLES);
    json_decref(json);
    assert_ok(run_reader_log(reader, &(struct list_query){.order_by = "id DESC", .max_results = 2}, &json, &err));
    const json_t *items = json_object_get(json, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 1), "text")), "two");
    assert_true(json_is_string(json_object_get(json, "next_page_token")));
    json_decref(json);
    assert_ok(run_reader_run(reader, &json, &err));
    assert_string_equal(json_string_value(json_object_get(json, "state")), "finished");
    assert_true(json_is_null(json_object_get(json, "reason")));
    json_decref(json);
    uint8_t *bytes;
    size_t size;
    assert_ok(run_reader_weights(reader, &bytes, &size, &err));
    assert_int_equal(size, 7);
    assert_memory_equal(bytes, "tensors", 7);
    free(bytes);
    run_reader_close(reader);
}

static void test_thinned_series(void **state)
{
    enum { COUNT = 10000, POINTS = 100 };
    const char *path = in_folder(state, "series.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    json_t *json;
    for (size_t i = 1; i <= COUNT; i++) {
        double value = i == 4321 ? 1e6 : i == 7777 ? -1e6 : sin((double)i);
        assert_ok(run_writer_scalar(writer, i, "a", value, &err));
        assert_ok(run_writer_scalar(writer, i, "b", i == 5000 ? NAN : 1, &err));
    }
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    struct run_reader *reader = open_reader(path);
    for (size_t points = 1; points <= POINTS; points++) {
        assert_ok(run_reader_metrics(reader, NULL, points, &json, &err));
        for (size_t s = 0; s < 2; s++) {
            const json_t *series = json_array_get(json_object_get(json, "series"), s);
            const json_t *steps = json_object_get(series, "steps");
            size_t shown = json_array_size(steps);
            assert_int_equal(json_array_size(json_object_get(series, "values")), shown);
            assert_int_equal(json_integer_value(json_object_get(series, "shown")), shown);
            assert_int_equal(json_integer_value(json_object_get(series, "of")), COUNT);
            assert_in_range(shown, 1, points);
            assert_int_equal(json_integer_value(json_array_get(steps, shown - 1)), COUNT);
            if (points > 1)
                assert_int_equal(json_integer_value(json_array_get(steps, 0)), 1);
            for (size_t i = 1; i < shown; i++)
                assert_true(json_integer_value(json_array_get(steps, i)) >
                            json_integer_value(json_array_get(steps, i - 1)));
        }
        char *text = json_dumps(json, JSON_COMPACT);
        if (points >= 4) { /* the extremes stay */
            assert_says(text, ",4321,");
            assert_says(text, ",7777,");
        }
        if (points >= 5)
            assert_says(text, "\"NaN\"");
        free(text);
        json_decref(json);
    }
    run_reader_close(reader);
}

/* Pages of a query put together; the number of items. Fails where a page is too long or a site, step, sample comes out
 * of order. */
static size_t count_by_pages(struct run_reader *reader, struct divergence_query query,
                             enum status (*read)(struct run_reader *, const struct divergence_query *, json_t **,
                                                 struct error *))
{
    char token[128] = "", last[256] = "";
    size_t count = 0;
    for (;;) {
        struct error err;
        json_t *page;
        query.page_token = *token ? token : NULL;
        assert_ok(read(reader, &query, &page, &err));
        const json_t *items = json_object_get(page, "items");
        assert_true(json_array_size(items) <= query.max_results);
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *item = json_array_get(items, i);
            char key[256];
            const char *site = json_string_value(json_object_get(item, "site"));
            const char *column = json_string_value(json_object_get(item, "column"));
            snprintf(key, sizeof key, "%s %02d %06lld %06lld", site, column ? (int)divergence_column(column) : 0,
                     (long long)json_integer_value(json_object_get(item, "step")),
                     (long long)json_integer_value(json_object_get(item, "sample")));
            assert_true(strcmp(key, last) > 0);
            memcpy(last, key, sizeof last);
        }
        count += json_array_size(items);
        const char *next = json_string_value(json_object_get(page, "next_page_token"));
        snprintf(token, sizeof token, "%s", next ? next : "");
        json_decref(page);
        if (!*token)
            return count;
    }
}

static void test_pages_cover_everything_once(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_reader *reader = open_reader(path);
    for (size_t size = 1; size < 300; size = size * 2 + 1) {
        struct divergence_query query = any();
        query.max_results = size;
        assert_int_equal(count_by_pages(reader, query, run_reader_rows), SITES * STEPS * ROWS);
        assert_int_equal(count_by_pages(reader, query, run_reader_summaries), SITES * STEPS * (COLUMN_COUNT - 1));
        query.pooled = true;
        assert_int_equal(count_by_pages(reader, query, run_reader_summaries), SITES * (COLUMN_COUNT - 1));
        query = any();
        query.max_results = size;
        query.site = "2.conv";
        query.step_from = 2;
        query.step_to = 4;
        assert_int_equal(count_by_pages(reader, query, run_reader_rows), 3 * ROWS);
        query.column = "cosine";
        assert_int_equal(count_by_pages(reader, query, run_reader_summaries), 3);
        query = any();
        query.max_results = size;
        query.last = 2;
        query.sample = sample_of(5, 3);
        assert_int_equal(count_by_pages(reader, query, run_reader_rows),
                         SITES * (size_t)query_integer(path, "SELECT count(*) FROM sample_steps WHERE sample = 36 AND "
                                                             "step > 3"));
    }
    run_reader_close(reader);
}

static void test_tokens_are_checked(void **state)
{
    struct error err;
    json_t *page, *other;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    struct divergence_query query = any();
    query.max_results = 4;
    assert_ok(run_reader_rows(reader, &query, &page, &err));
    const char *token = json_string_value(json_object_get(page, "next_page_token"));
    const char *const wrong[] = {"", "x", "12", "00000000-0-1-2", "zzzzzzzz-0-1-2", token + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        query.page_token = wrong[i];
        assert_int_equal(run_reader_rows(reader, &query, &other, &err), STATUS_INVALID);
        assert_says(err.text, "page_token");
    }
    query.page_token = token;
    assert_int_equal(run_reader_summaries(reader, &query, &other, &err), STATUS_INVALID); /* of another query */
    query.step_from = 2;
    assert_int_equal(run_reader_rows(reader, &query, &other, &err), STATUS_INVALID);
    json_decref(page);
    run_reader_close(reader);
}

static void test_unknown_names_are_told(void **state)
{
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    struct divergence_query query = any();
    query.site = "1.dense";
    assert_int_equal(run_reader_rows(reader, &query, &json, &err), STATUS_NOT_FOUND);
    assert_says(err.text, "0.dense, 2.conv, 3.attention.q");
    query.site = NULL;
    query.column = "scales";
    assert_int_equal(run_reader_summaries(reader, &query, &json, &err), STATUS_INVALID);
    assert_says(err.text, "effective_norm, scale, cosine");
    query = any();
    assert_int_equal(run_reader_density(reader, &query, "self_factor", "scale", &json, &err), STATUS_INVALID);
    query.site = "0.dense";
    assert_int_equal(run_reader_density(reader, &query, "scale", "self_factor", &json, &err), STATUS_INVALID);
    assert_says(err.text, "x=self_factor&y=scale");
    run_reader_close(reader);
}

static void test_a_row_has_its_values(void **state)
{
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    struct divergence_query query = any();
    query.site = "3.attention.q";
    query.step = 4;
    query.sample = sample_of(4, 7);
    assert_ok(run_reader_rows(reader, &query, &json, &err));
    const json_t *items = json_object_get(json, "items"), *item = json_array_get(items, 0);
    assert_int_equal(json_array_size(items), 1);
    for (int column = 0; column < COLUMN_COUNT; column++) {
        double expected = value_of(2, 4, 7, column);
        const json_t *value = json_object_get(item, divergence_columns[column].name);
        assert_non_null(value);
        assert_true(isnan(expected) ? json_is_null(value) : json_real_value(value) == expected);
    }
    assert_int_equal(json_integer_value(json_object_get(item, "label")), 7);
    assert_int_equal(json_integer_value(json_object_get(item, "predicted")), 8);
    assert_float_equal(json_real_value(json_object_get(item, "loss")), 0.7, 1e-12);
    json_decref(json);
    json_t *columns = json_pack("[s]", "cosine");
    query.columns = columns;
    assert_ok(run_reader_rows(reader, &query, &json, &err));
    json_decref(columns);
    item = json_array_get(json_object_get(json, "items"), 0);
    assert_non_null(json_object_get(item, "cosine"));
    assert_null(json_object_get(item, "scale"));
    json_decref(json);
    run_reader_close(reader);
}

/* All batch values of a site and column, over the steps from `first`. */
static size_t gather(size_t site, int column, size_t first, double *values)
{
    size_t count = 0;
    for (size_t step = first; step <= STEPS; step++)
        for (size_t row = 0; row < SAMPLES; row++)
            values[count++] = value_of(site, step, row, column);
    return count;
}

static void check_pooled(const json_t *item, size_t site, int column, size_t first)
{
    double values[STEPS * SAMPLES], scratch[STEPS * SAMPLES];
    struct column_summary expected;
    size_t count = gather(site, column, first, values);
    column_summarise(values, 1, count, scratch, &expected);
    assert_int_equal(json_array_size(json_object_get(item, "steps")), STEPS - first + 1);
    assert_int_equal(json_integer_value(json_object_get(item, "count")), expected.count);
    assert_int_equal(json_integer_value(json_object_get(item, "undefined")), expected.undefined);
    assert_int_equal(json_integer_value(json_object_get(item, "nonpositive")), expected.nonpositive);
    assert_float_equal(json_number_value(json_object_get(item, "mean")), expected.mean, 1e-9);
    assert_float_equal(json_number_value(json_object_get(item, "sd")), expected.deviation, 1e-9);
    assert_true(json_number_value(json_object_get(item, "minimum")) == expected.minimum);
    assert_true(json_number_value(json_object_get(item, "maximum")) == expected.maximum);
    for (int q = 0; q < QUANTILE_COUNT; q++) {
        /* the bin of the pooled quantile holds a value next to the true one */
        char percent[8];
        snprintf(percent, sizeof percent, "%d", quantile_percent[q]);
        double pooled = json_number_value(json_object_get(json_object_get(item, "quantiles"), percent));
        double position = quantile_percent[q] / 100.0 * (double)(expected.count - 1);
        size_t low = position < 1 ? 0 : (size_t)position - 1, high = (size_t)position + 2;
        high = high >= expected.count ? expected.count - 1 : high;
        double slack = pow(10, 1.0 / BIN_PER_DECADE);
        double below = scratch[low] < 0 ? scratch[low] * slack : scratch[low] / slack;
        double above = scratch[high] < 0 ? scratch[high] / slack : scratch[high] * slack;
        if (pooled < below || pooled > above)
            fail_msg("quantile %s: %g is not in %g ... %g", percent, pooled, below, above);
    }
}

static void test_pooled_is_of_all_values(void **state)
{
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    for (size_t last = 0; last <= 3; last++) {
        struct divergence_query query = any();
        query.pooled = true;
        query.last = last;
        assert_ok(run_reader_summaries(reader, &query, &json, &err));
        const json_t *items = json_object_get(json, "items");
        assert_int_equal(json_array_size(items), SITES * (COLUMN_COUNT - 1));
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *item = json_array_get(items, i);
            int column = divergence_column(json_string_value(json_object_get(item, "column")));
            check_pooled(item, i / (COLUMN_COUNT - 1), column, last ? STEPS - last + 1 : 1);
        }
        json_decref(json);
    }
    run_reader_close(reader);
}

static void test_summary_of_a_step(void **state)
{
    struct told told;
    struct error err;
    json_t *json;
    make_measurement(&told, 1, 3);
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    struct divergence_query query = any();
    query.site = "2.conv";
    query.column = "scale";
    query.step = 3;
    assert_ok(run_reader_summaries(reader, &query, &json, &err));
    const json_t *items = json_object_get(json, "items"), *item = json_array_get(items, 0);
    const struct column_summary *expected = &told.summaries[COLUMN_SCALE];
    assert_int_equal(json_array_size(items), 1);
    assert_int_equal(json_integer_value(json_object_get(item, "count")), expected->count);
    assert_true(json_number_value(json_object_get(item, "mean")) == expected->mean);
    assert_true(json_number_value(json_object_get(json_object_get(item, "quantiles"), "95")) == expected->quantiles[5]);
    json_decref(json);
    run_reader_close(reader);
}

static void test_density_adds_up(void **state)
{
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    for (int pair = 0; pair < DENSITY_COUNT; pair++) {
        static uint64_t counts[BIN_COUNT][BIN_COUNT];
        memset(counts, 0, sizeof counts);
        struct divergence_query query = any();
        query.site = "0.dense";
        assert_ok(run_reader_density(reader, &query, density_pairs[pair].x, density_pairs[pair].y, &json, &err));
        int64_t undefined = 0, nonpositive = 0, total = 0;
        for (size_t step = 1; step <= STEPS; step++)
            for (size_t row = 0; row < SAMPLES; row++) {
                struct divergence_row values;
                unsigned x, y;
                for (int column = 0; column < COLUMN_COUNT; column++)
                    values.values[column] = value_of(0, step, row, column);
                density_bins((enum density_pair)pair, &values, &x, &y);
                bool defined = x != BIN_UNDEFINED && y != BIN_UNDEFINED;
                undefined += !defined;
                nonpositive += defined && y <= BIN_ZERO;
                counts[x][y]++;
            }
        size_t i;
        const json_t *cell;
        json_array_foreach(json_object_get(json, "cells"), i, cell)
        {
            json_int_t count = json_integer_value(json_array_get(cell, 2));
            assert_int_equal(
                count,
                counts[json_integer_value(json_array_get(cell, 0))][json_integer_value(json_array_get(cell, 1))]);
            total += count;
        }
        assert_int_equal(total + undefined, STEPS * SAMPLES);
        assert_int_equal(json_integer_value(json_object_get(json, "count")), total);
        assert_int_equal(json_integer_value(json_object_get(json, "undefined")), undefined);
        assert_int_equal(json_integer_value(json_object_get(json, "y_nonpositive")), nonpositive);
        assert_int_equal(json_array_size(json_object_get(json, "steps")), STEPS);
        json_decref(json);
    }
    run_reader_close(reader);
}

/* The likeliest classes of a sample come back as they were told. */
static void test_likeliest(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(path);
    int64_t first = query_integer(path, "SELECT min(sample) FROM sample_steps WHERE predicted = 1");
    assert_ok(run_reader_sample(reader, first, &json, &err));
    const json_t *steps = json_object_get(json, "steps");
    assert_true(json_array_size(steps) > 0);
    char *text = json_dumps(json_object_get(json_array_get(steps, 0), "likeliest"), JSON_COMPACT);
    assert_string_equal(text, "[[7,0.75],[300,0.125]]");
    free(text);
    json_decref(json);
    run_reader_close(reader);
}

static void test_batch_figures(void **state)
{
    struct error err;
    json_t *json;
    struct run_reader *reader = open_reader(in_folder(state, "run.db"));
    struct divergence_query query = any();
    query.site = "2.conv";
    query.last = 2;
    assert_ok(run_reader_batch(reader, &query, &json, &err));
    char *text = json_dumps(json_array_get(json_object_get(json, "items"), 1), JSON_COMPACT);
    assert_string_equal(text, "{\"site\":\"2.conv\",\"step\":5,\"batch_scale\":5.0,\"batch_cosine\":0.5,"
                              "\"predicted_decrease\":null,\"own_share\":0.25,\"rows\":16,\"batch_size\":16}");
    free(text);
    assert_int_equal(json_array_size(json_object_get(json, "items")), 2);
    json_decref(json);
    run_reader_close(reader);
}

static void test_damage_is_an_error(void **state)
{
    const char *path = in_folder(state, "damaged.db");
    struct error err;
    json_t *json;
    sqlite3 *db;
    write_run(path);
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(
        db, "UPDATE divergence_summary SET histogram = x'ffff01000000'; UPDATE density SET counts = x'01'", &err));
    cleanup_db(&db);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.pooled = true;
    assert_int_equal(run_reader_summaries(reader, &query, &json, &err), STATUS_CORRUPT);
    query.site = "0.dense";
    assert_int_equal(run_reader_density(reader, &query, "self_factor", "scale", &json, &err), STATUS_CORRUPT);
    run_reader_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sites_run_log_and_weights),
        cmocka_unit_test(test_thinned_series),
        cmocka_unit_test(test_pages_cover_everything_once),
        cmocka_unit_test(test_tokens_are_checked),
        cmocka_unit_test(test_unknown_names_are_told),
        cmocka_unit_test(test_a_row_has_its_values),
        cmocka_unit_test(test_pooled_is_of_all_values),
        cmocka_unit_test(test_summary_of_a_step),
        cmocka_unit_test(test_density_adds_up),
        cmocka_unit_test(test_likeliest),
        cmocka_unit_test(test_batch_figures),
        cmocka_unit_test(test_damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, begin, remove_folder);
}
