/*
 * Studies: the points of a grid and their specs, every refusal with its place, what is kept in the catalog, and the
 * statistics held against figures that were worked out apart.
 */
#include "core/json_text.h"
#include "core/rng.h"
#include "server/json_util.h"
#include "server/store.h"
#include "server/store_study.h"
#include "server/study.h"
#include "server/study_statistics.h"
#include "tests/specs.h"
#include "tests/store_support.h"

static const struct dataset_folders folders = {.paths = (const char *const[]){NULL}};

#define BASE                                                                                                           \
    "\"base\": {\"name\": \"widths\", \"dataset\": {\"name\": \"synthetic\", \"classes\": 3, \"features\": 12, "       \
    "\"train\": 256, \"test\": 64}, \"model\": {\"preset\": \"mlp\", \"width\": 8, \"depth\": 1}, \"epochs\": 1}"

static struct study *parse(const char *text)
{
    struct problem_list problems;
    struct study *study = NULL;
    struct error err;
    json_t *json = spec_json(text);
    assert_ok(problem_list_init(&problems, &err));
    if (study_parse(json, &study, &problems, &err) != STATUS_OK)
        fail_msg("%s", json_dumps(problems.items, 0));
    problem_list_clear(&problems);
    json_decref(json);
    return study;
}

static void expect_json(json_t *json, const char *expected)
{
    char *text = json_text(json, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static struct spec *spec_at(const struct study *study, size_t position)
{
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    assert_ok(problem_list_init(&problems, &err));
    if (study_spec(study, position, NULL, &spec, &problems, &err) != STATUS_OK)
        fail_msg("%s", json_dumps(problems.items, 0));
    problem_list_clear(&problems);
    return spec;
}

/* ------------------------------------------------------------------ points */

static void test_points_in_the_order_of_the_keys(void **state)
{
    (void)state;
    struct error err;
    struct study *study =
        parse("{\"name\": \"s\", " BASE ", \"grid\": {\"/model/variant\": [\"affine\", \"affine-like\"], "
              "\"/batch_size\": [16, 64, 256], \"/optimiser/learning_rate\": [0.1], \"/seed\": [1, 2]}}");
    static const char *const expected[] = {"\"affine\",16",      "\"affine\",64",      "\"affine\",256",
                                           "\"affine-like\",16", "\"affine-like\",64", "\"affine-like\",256"};
    assert_int_equal(study->job_count, 12);
    for (size_t i = 0; i < 12; i++) {
        char text[256], variant[32];
        int batch;
        json_t *point = NULL;
        assert_int_equal(sscanf(expected[i / 2], "%31[^,],%d", variant, &batch), 2);
        snprintf(text, sizeof text,
                 "{\"/model/variant\":%s,\"/batch_size\":%d,\"/optimiser/learning_rate\":0.1,"
                 "\"/seed\":%zu}",
                 variant, batch, i % 2 + 1);
        assert_ok(study_point(study, i, &point, &err));
        expect_json(point, text);
        struct spec *spec = spec_at(study, i);
        assert_int_equal(spec->batch_size, batch);
        assert_int_equal(spec->seed, i % 2 + 1);
        assert_true(spec->optimiser.learning_rate == 0.1);
        const json_t *dense = json_array_get(spec->layers, 1); /* the preset has expanded with the variant */
        assert_string_equal(json_string_value(json_object_get(dense, "variant")), i < 6 ? "affine" : "affine-like");
        snprintf(text, sizeof text, "widths variant=%s batch_size=%d learning_rate=0.1 seed=%zu",
                 i < 6 ? "affine" : "affine-like", batch, i % 2 + 1);
        assert_string_equal(spec->name, text);
        spec_free(spec);
    }
    study_free(study);
    /* a long value is cut, within a character here */
    study = parse("{\"name\": \"\", " BASE ", \"grid\": {\"/weights\": [\"xäääääääääääääääääääääääää\"]}}");
    struct spec *spec = spec_at(study, 0);
    assert_string_equal(spec->name, "widths weights=xäääääääääääääääääää?");
    spec_free(spec);
    study_free(study);
}

static void test_places(void **state)
{
    (void)state;
    struct study *study =
        parse("{\"base\": {\"dataset\": {\"name\": \"synthetic\"}, \"model\": {\"layers\": [{\"type\": \"dense\", "
              "\"units\": 4}, {\"type\": \"tanh\"}, {\"type\": \"dense\", \"units\": 10}]}}, "
              "\"grid\": {\"/model/layers/0\": [{\"type\": \"dense\", \"units\": 3}], \"/model/layers/0/variant\": "
              "[\"rms\"], \"/model/layers/2/variant\": [\"l2\"], \"/optimiser\": [{\"momentum\": 0.9}], "
              "\"/optimiser/learning_rate\": [0.01], \"/name\": [\"mine\"]}}");
    struct spec *spec = spec_at(study, 0);
    const json_t *first = json_array_get(spec->layers, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "units")), 3);
    assert_string_equal(json_string_value(json_object_get(first, "variant")), "rms");
    assert_string_equal(json_string_value(json_object_get(json_array_get(spec->layers, 2), "variant")), "l2");
    assert_true(spec->optimiser.momentum == 0.9 && spec->optimiser.learning_rate == 0.01);
    assert_string_equal(spec->name, "mine");
    assert_null(json_object_get(study->base, "optimiser")); /* the base stays as it is */
    spec_free(spec);
    study_free(study);
}

/* ------------------------------------------------------------------ refusals */

/* Expects these faults, "pointer: beginning of the detail" each, in order; the list ends with NULL. */
static void expect_faults(const char *text, const char *const *faults)
{
    struct problem_list problems;
    struct study *study = NULL;
    struct study_estimate estimate;
    struct error err;
    size_t count = 0;
    json_t *json = spec_json(text);
    assert_ok(problem_list_init(&problems, &err));
    enum status status = study_parse(json, &study, &problems, &err);
    if (status == STATUS_OK)
        status = study_check(study, &folders, &estimate, &problems, &err);
    assert_int_equal(status, STATUS_INVALID);
    for (; faults[count]; count++) {
        const json_t *item = json_array_get(problems.items, count);
        char found[1024];
        snprintf(found, sizeof found, "%s: %s", json_string_value(json_object_get(item, "pointer")),
                 json_string_value(json_object_get(item, "detail")));
        if (strncmp(found, faults[count], strlen(faults[count])) != 0)
            fail_msg("%s gives\n%s\nin place of\n%s", text, found, faults[count]);
    }
    if (problem_list_count(&problems) != count)
        fail_msg("%s gives %s", text, json_dumps(problems.items, 0));
    assert_says(err.text, "The study is not valid at ");
    problem_list_clear(&problems);
    study_free(study);
    json_decref(json);
}
#define EXPECT_FAULTS(text, ...) expect_faults(text, (const char *const[]){__VA_ARGS__, NULL})

static void test_refused_forms(void **state)
{
    (void)state;
    EXPECT_FAULTS("{}", "/base: ", "/grid: ");
    EXPECT_FAULTS("{\"base\": 1, \"grid\": {\"/seed\": [1]}}", "/base: Must be an object");
    EXPECT_FAULTS("{" BASE ", \"grid\": {}}", "/grid: Must be an object with JSON pointers as keys");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/seed\": []}}", "/grid/~1seed: Must be an array of at least one value");
}

static void test_refused_grids(void **state)
{
    (void)state;
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/seed\": 1}}", "/grid/~1seed: Must be an array of at least one value");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/seed\": [1, 2, 1.0, 1]}}", "/grid/~1seed/3: Is the same value as number 0");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"seed\": [1]}}", "/grid/seed: Is no place in the base spec");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"\": [1]}}", "/grid/: Is no place in the base spec");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/a~2\": [1]}}", "/grid/~1a~02: Is no place in the base spec");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/epochs/x\": [1]}}", "/grid/~1epochs~1x: Is no place in the base spec");
    EXPECT_FAULTS("{\"base\": {\"tags\": [\"a\"]}, \"grid\": {\"/tags/1\": [\"b\"]}}",
                  "/grid/~1tags~11: Is no place in the base spec");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/model/variant\": [\"rms\"], \"/model\": [{}]}}",
                  "/grid/~1model: Would undo /model/variant");
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/a\":[1],\"/b\":[1],\"/c\":[1],\"/d\":[1],\"/e\":[1],\"/f\":[1],\"/g\":[1],"
                  "\"/h\":[1],\"/i\":[1]}}",
                  "/grid: Must have at most 8 keys; found 9");
    char text[8192];
    size_t used = (size_t)snprintf(text, sizeof text, "{" BASE ", \"grid\": {\"/batch_size\": [0");
    for (int i = 1; i < 45; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ",%d", i);
    used += (size_t)snprintf(text + used, sizeof text - used, "], \"/seed\": [0");
    for (int i = 1; i < 45; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ",%d", i);
    snprintf(text + used, sizeof text - used, "]}}");
    EXPECT_FAULTS(text, "/grid: Must make at most 2000 jobs; found 2025");
}

static void test_refused_specs_tell_the_point(void **state)
{
    (void)state;
    /* of one value */
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/optimiser/learning_rate\": [0.1, -1], \"/seed\": [1, 2]}}",
                  "/grid/~1optimiser~1learning_rate/1: ");
    /* of the base, told once */
    EXPECT_FAULTS(
        "{\"base\": {\"dataset\": {\"name\": \"synthetic\"}, \"epochs\": 0, \"model\": {\"preset\": \"mlp\"}}, "
        "\"grid\": {\"/seed\": [1, 2, 3]}}",
        "/base/epochs: ");
    /* within a value */
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/model\": [{\"preset\": \"mlp\"}, {\"preset\": \"mlp\", \"depht\": 2}]}}",
                  "/grid/~1model/1/depht: ");
    /* of a combination with the data: 256 samples */
    EXPECT_FAULTS("{" BASE ", \"grid\": {\"/batch_size\": [256, 257], \"/seed\": [1, 2]}}",
                  "/grid/~1batch_size/1: Must be at most 256, the training samples; found 257. (at "
                  "{\"/batch_size\":257,\"/seed\":1})");
}

static void test_estimate_adds_up(void **state)
{
    (void)state;
    struct problem_list problems;
    struct study_estimate estimate;
    struct error err;
    double flops = 0;
    struct study *study = parse("{" BASE ", \"grid\": {\"/batch_size\": [32, 64], \"/epochs\": [1, 3]}}");
    assert_ok(problem_list_init(&problems, &err));
    assert_ok(study_check(study, &folders, &estimate, &problems, &err));
    for (size_t i = 0; i < 4; i++) {
        struct spec *spec = spec_at(study, i);
        json_t *cost = NULL;
        assert_ok(spec_check(spec, &folders, &cost, &problems, &err));
        flops += json_number_value(json_object_get(cost, "steps")) *
                 json_number_value(json_object_get(cost, "flops_per_step"));
        json_decref(cost);
        spec_free(spec);
    }
    assert_int_equal(estimate.jobs, 4);
    assert_true(estimate.steps == 8 + 24 + 4 + 12);
    assert_true(flops > 0 && estimate.flops == flops);
    assert_true(estimate.probe_rows > 0);
    problem_list_clear(&problems);
    study_free(study);
}

/* ------------------------------------------------------------------ the catalog */

static sqlite3 *open_store(void **state)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    return db;
}

/* Adds the study with all its jobs, as a submission does. */
static int64_t insert_study(sqlite3 *db, const struct study *study)
{
    struct error err;
    int64_t id = 0;
    assert_ok(db_begin(db, &err));
    assert_ok(store_study_insert(db, study, &id, &err));
    for (size_t i = 0; i < study->job_count; i++) {
        struct spec *spec = spec_at(study, i);
        json_t *point = NULL;
        int64_t job = 0;
        assert_ok(store_job_insert(db, spec, &job, &err));
        assert_ok(study_point(study, i, &point, &err));
        assert_ok(store_study_add_job(db, id, i, point, job, &err));
        json_decref(point);
        spec_free(spec);
    }
    assert_ok(db_commit(db, &err));
    return id;
}

static void test_kept_in_the_catalog(void **state)
{
    struct error err;
    sqlite3 *db = open_store(state);
    struct study *study = parse("{\"name\": \"one\", \"note\": \"why\", " BASE
                                ", \"grid\": {\"/model/variant\": [\"affine\", \"rms\"], \"/seed\": [5, 6]}}");
    json_t *json = NULL, *rows = NULL, *page = NULL;
    struct spec *alone = spec_at(study, 0);
    int64_t lone = 0;
    assert_ok(store_job_insert(db, alone, &lone, &err));
    int64_t first = insert_study(db, study), second = insert_study(db, study);
    assert_true(second > first);
    assert_ok(db_execute(db, "UPDATE job SET state = 'running' WHERE id = 2", &err));
    assert_ok(store_study_json(db, first, &json, &err));
    assert_string_equal(json_string_value(json_object_get(json, "note")), "why");
    assert_int_equal(json_integer_value(json_object_get(json, "jobs")), 4);
    assert_true(json_equal(json_object_get(json, "grid"), study->grid));
    assert_true(json_equal(json_object_get(json, "base"), study->base));
    expect_json(json_incref(json_object_get(json, "states")), "{\"queued\":3,\"running\":1}");
    json_decref(json);
    assert_ok(store_study_rows(db, first, &rows, &err));
    assert_int_equal(json_array_size(rows), 4);
    expect_json(json_incref(json_object_get(json_array_get(rows, 2), "point")),
                "{\"/model/variant\":\"rms\",\"/seed\":5}");
    json_decref(rows);
    const struct list_query query = {.filter = "name = 'one'", .order_by = "id", .max_results = 10};
    assert_ok(list_page(db, &study_list, &query, &page, &err));
    assert_int_equal(json_array_size(json_object_get(page, "items")), 2);
    json_decref(page);
    /* jobs are found by their study */
    const struct list jobs = {.name = "jobs",
                              .from = "job",
                              .columns = "id",
                              .condition = "1",
                              .fields = job_fields,
                              .order_by = "id",
                              .shape = {.count = 1}};
    const struct list_query of_first = {.filter = "study = 1 AND NOT state = 'running'", .max_results = 10};
    const struct list_query of_none = {.filter = "study = null", .max_results = 10};
    assert_ok(list_page(db, &jobs, &of_first, &page, &err));
    expect_json(json_incref(json_object_get(page, "items")), "[{\"id\":3},{\"id\":4},{\"id\":5}]");
    json_decref(page);
    assert_ok(list_page(db, &jobs, &of_none, &page, &err));
    expect_json(json_incref(json_object_get(page, "items")), "[{\"id\":1}]");
    json_decref(page);
    /* a retry takes its job's place */
    assert_ok(store_study_retry(db, 2, lone, &err));
    assert_ok(store_study_rows(db, first, &rows, &err));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "job")), lone);
    json_decref(rows);
    assert_ok(store_study_delete(db, first, &err));
    assert_int_equal(store_study_delete(db, first, &err), STATUS_NOT_FOUND);
    assert_int_equal(store_study_json(db, first, &json, &err), STATUS_NOT_FOUND);
    assert_int_equal(store_study_rows(db, first, &rows, &err), STATUS_NOT_FOUND);
    assert_says(err.text, "there is no study 1");
    cleanup_db(&db);
    assert_int_equal(query_integer(in_folder(state, "catalog.db"), "SELECT count(*) FROM job"), 9);
    assert_int_equal(query_integer(in_folder(state, "catalog.db"), "SELECT count(*) FROM study_job"), 4);
    spec_free(alone);
    study_free(study);
}

static void test_recent_rate(void **state)
{
    struct error err;
    double rate = -1;
    sqlite3 *db = open_store(state);
    assert_ok(store_recent_rate(db, &folders, &rate, &err));
    assert_true(rate == 0);
    struct study *study = parse("{" BASE ", \"grid\": {\"/epochs\": [1, 2]}}");
    struct study_estimate estimate;
    struct problem_list problems;
    assert_ok(problem_list_init(&problems, &err));
    insert_study(db, study);
    assert_ok(study_check(study, &folders, &estimate, &problems, &err));
    assert_ok(db_execute(db,
                         "UPDATE job SET state = 'finished', started_at = '2026-01-01T00:00:00.000Z', "
                         "ended_at = '2026-01-01T00:00:02.500Z'; "
                         "UPDATE job SET results = '{\"seconds\": 7.5}' WHERE id = 2",
                         &err));
    assert_ok(store_recent_rate(db, &folders, &rate, &err));
    assert_true(fabs(rate - estimate.flops / 10) < 1e-6 * rate);
    problem_list_clear(&problems);
    study_free(study);
    cleanup_db(&db);
}

/* ------------------------------------------------------------------ statistics */

/* Rows by hand: two variants, two batch sizes, seeds 1 to 3; the comments below work their figures out. */
static const struct {
    const char *variant;
    int batch, seed;
    const char *state;
    double accuracy;
} made_rows[] = {
    {"affine", 16, 1, "finished", 0.5},  {"affine", 16, 2, "finished", 0.7}, {"affine", 16, 3, "finished", 0.9},
    {"affine", 64, 1, "finished", 0.25}, {"affine", 64, 2, "diverged", 0.1}, {"affine", 64, 3, "running", 0.3},
    {"rms", 16, 1, "finished", 0.75},    {"rms", 16, 2, "finished", 0.6},    {"rms", 16, 3, "finished", NAN},
    {"rms", 64, 1, "finished", 0.5},     {"rms", 64, 2, "finished", 0.5},
};

static json_t *make_rows(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof made_rows / sizeof *made_rows; i++) {
        double accuracy = made_rows[i].accuracy;
        json_t *row =
            json_pack("{s:i, s:{s:s, s:i, s:i}, s:s, s:{s:o, s:{s:o}}}", "job", (int)i + 1, "point", "/model/variant",
                      made_rows[i].variant, "/batch_size", made_rows[i].batch, "/seed", made_rows[i].seed, "state",
                      made_rows[i].state, "results", "test/accuracy", json_number_or_word(accuracy), "median_scale",
                      "0.dense", json_number_or_null(accuracy));
        assert_int_equal(json_array_append_new(rows, row), 0);
    }
    return rows;
}

static void expect_figure(const json_t *item, const char *key, const char *name, double expected)
{
    const json_t *value = json_object_get(json_object_get(json_object_get(item, "figures"), key), name);
    if (isnan(expected))
        assert_true(json_is_null(value));
    else if (!(fabs(json_number_value(value) - expected) < 1e-12))
        fail_msg("%s of %s is %s, not %.17g", name, key, json_dumps(item, 0), expected);
}

static void test_statistics_by_hand(void **state)
{
    (void)state;
    struct error err;
    json_t *rows = make_rows(), *results = NULL;
    const char *const keys[] = {"test/accuracy", "median_scale/0.dense", NULL};
    assert_ok(study_results(rows, keys, "/model/variant", &results, &err));
    const json_t *points = json_object_get(results, "points"), *pairs = json_object_get(results, "comparisons");
    assert_int_equal(json_array_size(points), 4);
    const json_t *first = json_array_get(points, 0); /* 0.5, 0.7, 0.9 */
    expect_json(json_incref(json_object_get(first, "point")), "{\"/model/variant\":\"affine\",\"/batch_size\":16}");
    expect_json(json_incref(json_object_get(first, "jobs")), "[1,2,3]");
    expect_figure(first, "test/accuracy", "n", 3);
    expect_figure(first, "test/accuracy", "mean", 0.7);
    expect_figure(first, "test/accuracy", "sd", 0.2);
    expect_figure(first, "test/accuracy", "standard_error", 0.2 / sqrt(3));
    expect_figure(first, "test/accuracy", "minimum", 0.5);
    expect_figure(first, "test/accuracy", "maximum", 0.9);
    expect_figure(first, "median_scale/0.dense", "mean", 0.7);
    const json_t *second = json_array_get(points, 1); /* 0.25, diverged, running */
    expect_json(json_incref(json_object_get(second, "states")), "{\"finished\":1,\"diverged\":1,\"running\":1}");
    expect_figure(second, "test/accuracy", "n", 1);
    expect_figure(second, "test/accuracy", "mean", 0.25);
    expect_figure(second, "test/accuracy", "sd", NAN);
    expect_figure(second, "test/accuracy", "standard_error", NAN);
    expect_figure(json_array_get(points, 2), "test/accuracy", "n", 2); /* the third is NaN */
    assert_int_equal(json_array_size(pairs), 2);
    const json_t *at_16 = json_array_get(pairs, 0); /* differences 0.25 and −0.1 */
    expect_json(json_incref(json_object_get(at_16, "point")), "{\"/batch_size\":16}");
    expect_json(json_incref(json_object_get(at_16, "baseline")), "\"affine\"");
    expect_json(json_incref(json_object_get(at_16, "value")), "\"rms\"");
    expect_figure(at_16, "test/accuracy", "n", 2);
    expect_figure(at_16, "test/accuracy", "mean", 0.075);
    expect_figure(at_16, "test/accuracy", "sd", 0.35 / sqrt(2));
    expect_figure(at_16, "test/accuracy", "standard_error", 0.35 / 2);
    expect_figure(at_16, "test/accuracy", "higher", 1);
    const json_t *at_64 = json_array_get(pairs, 1); /* 0.25 alone: the partner of seed 2 diverged */
    expect_figure(at_64, "test/accuracy", "n", 1);
    expect_figure(at_64, "test/accuracy", "mean", 0.25);
    json_decref(results);
    assert_ok(study_results(rows, keys, NULL, &results, &err));
    assert_int_equal(json_array_size(json_object_get(results, "comparisons")), 0);
    json_decref(results);
    assert_int_equal(study_results(rows, keys, "/epochs", &results, &err), STATUS_INVALID);
    assert_int_equal(study_results(rows, keys, "/seed", &results, &err), STATUS_INVALID);
    assert_says(err.text, "compare must be a key of the study's grid");
    json_decref(rows);
}

/* Against the textbook formula on two passes of long double, for values with a large offset. */
static void test_statistics_of_random_values(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 9, 9);
    for (size_t n = 0; n < 50; n++) {
        double values[50];
        struct sample_statistics all;
        long double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            values[i] = 1e6 + rng_normal(&rng);
            sum += values[i];
        }
        for (size_t i = 0; i < n; i++)
            squares += (values[i] - sum / n) * (values[i] - sum / n);
        sample_statistics(values, n, &all);
        assert_int_equal(all.n, n);
        assert_true(n == 0 ? isnan(all.mean) : fabs(all.mean - (double)(sum / n)) < 1e-9);
        assert_true(n < 2 ? isnan(all.sd) : fabs(all.sd - (double)sqrtl(squares / (n - 1))) < 1e-9);
        assert_true(n < 2 ? isnan(all.standard_error) : fabs(all.standard_error - all.sd / sqrt((double)n)) < 1e-12);
        assert_true(n == 0 ? isnan(all.minimum) && isnan(all.maximum) : all.minimum <= all.mean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_in_the_order_of_the_keys),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refused_forms),
        cmocka_unit_test(test_refused_grids),
        cmocka_unit_test(test_refused_specs_tell_the_point),
        cmocka_unit_test(test_estimate_adds_up),
        cmocka_unit_test_setup_teardown(test_kept_in_the_catalog, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_recent_rate, make_folder, remove_folder),
        cmocka_unit_test(test_statistics_by_hand),
        cmocka_unit_test(test_statistics_of_random_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
