/* The spec against its data set: probed steps, what does not fit, and the cost. */
#include "core/network_plan.h"
#include "tests/specs.h"
#include "tests/training.h"

#define DATASET "\"dataset\": {\"name\": \"synthetic\"}"
#define MODEL "\"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 10}]}"

/* ------------------------------------------------------------------ schedules */

static size_t brute_force_log(size_t steps, size_t count, bool *ret_probed)
{
    size_t distinct = 0;
    memset(ret_probed, 0, steps + 1);
    for (size_t j = 0; j < count; j++) {
        size_t step = (size_t)llround(pow((double)steps, (double)j / (double)(count - 1)));
        distinct += !ret_probed[step];
        ret_probed[step] = true;
    }
    return distinct;
}

static void test_log_schedule(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 2, 3, 7, 100, 780, 4096, 12345}, counts[] = {2, 3, 10, 100, 999, 20000};
    bool *probed = calloc(12346, sizeof *probed);
    struct spec *spec = spec_from_text("{" DATASET "," MODEL "}");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            spec->probe.count = counts[k];
            assert_int_equal(brute_force_log(steps[i], counts[k], probed), spec_probed_steps(spec, steps[i]));
            for (size_t step = 0; step <= steps[i] + 1; step++) {
                bool expected = step >= 1 && step <= steps[i] && probed[step];
                if (spec_step_is_probed(spec, step, steps[i], 1) != expected)
                    fail_msg("step %zu of %zu with count %zu", step, steps[i], counts[k]);
            }
        }
    }
    free(probed);
    spec_free(spec);
}

static void test_other_schedules(void **state)
{
    (void)state;
    struct spec *spec = spec_from_text("{" DATASET "," MODEL ", \"probe\": {\"schedule\": \"every\", \"every\": 3}}");
    static const bool every[] = {false, true, false, false, true, false, false, true, false};
    for (size_t step = 0; step < 9; step++)
        assert_int_equal(spec_step_is_probed(spec, step, 8, 4), every[step]);
    assert_int_equal(spec_probed_steps(spec, 8), 3);
    spec->probe.schedule = PROBE_EPOCHS;
    for (size_t step = 1; step <= 8; step++)
        assert_int_equal(spec_step_is_probed(spec, step, 8, 4), step == 4 || step == 8);
    spec->epochs = 2;
    assert_int_equal(spec_probed_steps(spec, 8), 2);
    spec->probe.schedule = PROBE_NONE;
    assert_int_equal(spec_probed_steps(spec, 8), 0);
    for (size_t step = 1; step <= 8; step++)
        assert_false(spec_step_is_probed(spec, step, 8, 4));
    spec_free(spec);
}

/* ------------------------------------------------------------------ against the data set */

static const struct dataset_folders nowhere = {.paths =
                                                   (const char *const[]){"/nonexistent/a", "/nonexistent/b", NULL}};

static void check_refuses_in(const struct dataset_folders *folders, const char *text, enum status expected,
                             const char *pointer, const char *words)
{
    struct problem_list problems;
    struct spec *spec = spec_from_text(text);
    struct error err = {""};
    json_t *cost = NULL;
    assert_ok(problem_list_init(&problems, &err));
    assert_int_equal(spec_check(spec, folders, &cost, &problems, &err), expected);
    assert_null(cost);
    expect_fault(&problems, text, pointer, words);
    assert_non_null(strstr(err.text, words));
    spec_free(spec);
    problem_list_clear(&problems);
}

static void check_refuses(const char *text, enum status expected, const char *pointer, const char *words)
{
    check_refuses_in(&nowhere, text, expected, pointer, words);
}

#define SMALL "\"dataset\": {\"name\": \"synthetic\", \"classes\": 3, \"features\": 5, \"train\": 100, \"test\": 10}"
#define MANY                                                                                                           \
    "\"dataset\": {\"name\": \"synthetic\", \"classes\": 3, \"features\": 5000, \"train\": 4100000000, \"test\": 0}"
#define LAYERS                                                                                                         \
    "\"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 4}, {\"type\": \"tanh\"}, {\"type\": "                  \
    "\"dense\", \"units\": 3}]}"

static void test_check_refuses(void **state)
{
    (void)state;
    check_refuses("{" SMALL "," LAYERS ", \"batch_size\": 101}", STATUS_INVALID, "/batch_size",
                  "Must be at most 100, the training samples; found 101.");
    check_refuses("{" SMALL "," LAYERS ", \"threads\": 100000}", STATUS_INVALID, "/threads",
                  "the processor cores of this machine; found 100000.");
    check_refuses("{" SMALL "," LAYERS ", \"probe\": {\"watch\": [99, 100]}}", STATUS_INVALID, "/probe/watch/1",
                  "Must be below 100");
    check_refuses("{" SMALL "," LAYERS ", \"probe\": {\"sites\": [\"0.dense\", \"1.tan\"]}}", STATUS_INVALID,
                  "/probe/sites/1", "it has 0.dense, 2.dense");
    check_refuses("{" SMALL "," LAYERS ", \"probe\": {\"sites\": [\"1.tanh\"]}}", STATUS_INVALID, "/probe/sites/0",
                  "add \"network\" to /probe/views");
    check_refuses("{" SMALL ", \"model\": {\"layers\": [{\"type\": \"tanh\"}, {\"type\": \"dense\", \"units\": 3}]}, "
                  "\"probe\": {\"views\": [\"network\"], \"sites\": [\"0.tanh\"]}}",
                  STATUS_INVALID, "/probe/sites/0", "it has 1.dense"); /* nothing before it moves */
    check_refuses("{" SMALL ", \"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 4}]}}", STATUS_INVALID,
                  "/model/layers/0", "3");
    check_refuses("{" SMALL ", \"optimiser\": {\"name\": \"adam\"}, \"model\": {\"layers\": [{\"type\": \"dense\", "
                  "\"units\": 100000}, {\"type\": \"dense\", \"units\": 1000}, {\"type\": \"dense\", \"units\": 3}]}}",
                  STATUS_INVALID, "/model/layers", "bytes in a checkpoint: at most 999000000");
    /* a product's rows are counted in an int */
    check_refuses("{" MANY "," LAYERS ", \"batch_size\": 4000000}", STATUS_INVALID, "/batch_size",
                  "at most 429496 with the watched samples, for 5000 values");
    check_refuses("{\"dataset\": {\"name\": \"fashion-mnist\"}," LAYERS "}", STATUS_NOT_FOUND, "/dataset/name",
                  "dataset-fashion-mnist");
    check_refuses("{\"dataset\": {\"name\": \"npy\", \"path\": \"mine\"}," LAYERS "}", STATUS_NOT_FOUND,
                  "/dataset/name", "/nonexistent/a, /nonexistent/b");
}

/* A fault lies where the person wrote: at the key of the layer, or of the preset that it came from. */
static void test_faults_of_presets(void **state)
{
    (void)state;
#define OF_IMAGES(model)                                                                                               \
    "{\"dataset\": {\"name\": \"npy\", \"path\": \"images\", \"classes\": 3}, \"batch_size\": 4, \"model\": " model "}"
    static const struct {
        const char *text, *pointer, *words;
    } cases[] = {
        {OF_IMAGES("{\"layers\": [{\"type\": \"patch-embed\", \"patch\": 4, \"dim\": 6}]}"), "/model/layers/0/patch",
         "Patches of 4×4 do not tile its input of 6×6: take a divisor of both."},
        {OF_IMAGES("{\"layers\": [{\"type\": \"patch-embed\", \"patch\": 3, \"dim\": 4}, {\"type\": \"attention\", "
                   "\"heads\": 3}]}"),
         "/model/layers/1/heads", "3 heads do not divide the tokens' length 4: take a divisor."},
        {OF_IMAGES("{\"preset\": \"vit\", \"patch\": 4}"), "/model/patch",
         "take a divisor of both. It is at /model/layers/0/patch of the layers that the preset vit stands for."},
        {OF_IMAGES("{\"preset\": \"vit\", \"patch\": 3, \"heads\": 3, \"dim\": 8}"), "/model/heads",
         "take a divisor. It is at /model/layers/1/layers/0/heads of the layers that the preset vit stands for."},
        {OF_IMAGES("{\"preset\": \"cnn\", \"channels\": [4, 4, 4]}"), "/model",
         "make it 1 or smaller. It is at /model/layers/8 of the layers that the preset cnn stands for."},
        {OF_IMAGES("{\"preset\": \"mlp\", \"width\": 65536}"), "/model", "bytes in a checkpoint"},
    };
    char root[TEST_PATH_SIZE];
    images_begin(root);
    const struct dataset_folders folders = {.paths = (const char *const[]){root, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_refuses_in(&folders, cases[i].text, STATUS_INVALID, cases[i].pointer, cases[i].words);
    files_end(root);
}

static void check_too_large(json_t *layers, const char *pointer, const char *words)
{
    const struct shape image = {3, {3, 32, 32}};
    struct problem_list problems;
    struct network *network = NULL;
    struct error err;
    assert_non_null(layers);
    assert_ok(problem_list_init(&problems, &err));
    assert_int_equal(network_plan(layers, &image, 0, &network, &problems, &err), STATUS_INVALID);
    assert_null(network);
    expect_fault(&problems, pointer, pointer, words);
    problem_list_clear(&problems);
    json_decref(layers);
}

/*
 * Sizes whose products would overflow are refused at the layer where they would (2^20 units of 2^16 · 2080² features).
 */
static void test_what_cannot_be_counted(void **state)
{
    (void)state;
    json_t *conv = json_pack("{s:s, s:i, s:i, s:i, s:i, s:s, s:s, s:b}", "type", "conv", "channels", 65536, "kernel", 1,
                             "stride", 1, "padding", 1024, "variant", "affine", "axes", "all", "bias", 1);
    check_too_large(json_pack("[o, {s:s}, {s:s, s:i, s:s, s:b}]", conv, "type", "flatten", "type", "dense", "units",
                              1 << 20, "variant", "affine", "bias", 0),
                    "/model/layers/0", "at most 2147483647");
    json_t *inner = json_array(), *dense;
    for (int i = 0; i < 8300; i++) { /* each from 2^20 to 2^20 */
        dense = json_pack("{s:s, s:i, s:s, s:b}", "type", "dense", "units", 1 << 20, "variant", "affine", "bias", 0);
        json_array_append_new(inner, dense);
    }
    json_array_insert_new(inner, 0, json_pack("{s:s}", "type", "flatten"));
    check_too_large(inner, "/model/layers/8193", "9.01e+15 parameters");
}

/* `depth` residuals around a dense layer of five units, then the head. */
static json_t *nested(int depth)
{
    json_t *at = json_pack("{s:s, s:i}", "type", "dense", "units", 5);
    for (int i = 0; i < depth; i++)
        at = json_pack("{s:s, s:[o]}", "type", "residual", "layers", at);
    return json_pack("{s:{s:s, s:i, s:i}, s:{s:[o, {s:s, s:i}]}}", "dataset", "name", "synthetic", "features", 5,
                     "classes", 3, "model", "layers", at, "type", "dense", "units", 3);
}

static void check_nested(int depth, const struct spec *spec, struct problem_list *problems)
{
    const struct shape vector = {1, {5}};
    struct network *network = NULL;
    struct error err;
    enum status status = network_plan(spec->layers, &vector, 3, &network, problems, &err);
    if (depth > 15) {
        char pointer[256];
        int used = snprintf(pointer, sizeof pointer, "/model/layers");
        for (int i = 0; i < 16; i++)
            used += snprintf(pointer + used, sizeof pointer - (size_t)used, "/0/layers");
        assert_int_equal(status, STATUS_INVALID);
        expect_fault(problems, "deep", pointer, "at most 31 characters");
        return;
    }
    assert_ok(status);
    const char *name = network->tensors[0].name;
    assert_string_equal(name + strlen(name) - strlen(".layers.0.weight"), ".layers.0.weight");
    assert_string_equal(network->sites[0].name + (size_t)2 * depth, "0.dense");
    network_free(network);
}

/* Names hold the whole path of a layer, and layers are refused where they could not. */
static void test_nesting(void **state)
{
    (void)state;
    struct problem_list problems;
    struct error err;
    for (int depth = 14; depth < 20; depth++) {
        json_t *json = nested(depth);
        struct spec *spec = NULL;
        assert_ok(problem_list_init(&problems, &err));
        assert_ok(spec_parse(json, &spec, &problems, &err));
        check_nested(depth, spec, &problems);
        spec_free(spec);
        problem_list_clear(&problems);
        json_decref(json);
    }
}

static void test_cost(void **state)
{
    (void)state;
    struct problem_list problems;
    struct error err;
    json_t *cost = NULL;
    struct spec *spec =
        spec_from_text("{" SMALL "," LAYERS ", \"batch_size\": 30, \"epochs\": 7, \"probe\": {\"count\": 10, "
                       "\"watch\": [1, 2], \"samples\": 20}}");
    bool probed[22];
    assert_ok(problem_list_init(&problems, &err));
    assert_ok(spec_check(spec, &nowhere, &cost, &problems, &err));
    assert_int_equal(spec_steps_per_epoch(spec, 100), 3); /* ten samples are dropped */
    assert_int_equal(option_integer(cost, "steps_per_epoch"), 3);
    assert_int_equal(option_integer(cost, "steps"), 21);
    size_t expected = brute_force_log(21, 10, probed);
    assert_int_equal(option_integer(cost, "probed_steps"), expected);
    assert_int_equal(option_integer(cost, "probe_rows"), expected * 2 * (20 + 2));
    assert_int_equal(option_integer(cost, "parameters"), 5 * 4 + 4 + 4 * 3 + 3);
    assert_int_equal(json_array_size(json_object_get(cost, "layers")), 3);
    assert_int_equal(json_array_size(json_object_get(cost, "sites")), 2);
    assert_true(option_number(cost, "flops_per_step") == 30 * (4 * 5 * 4 + 6 * 4 * 3)); /* the first makes no dX */
    const json_t *layer = json_array_get(json_object_get(cost, "layers"), 0), *memory = json_object_get(cost, "memory");
    assert_true(option_number(layer, "flops") == 30 * 4 * 5 * 4);
    assert_true(option_number(layer, "memory") > 32 * (4 + 5) * (double)sizeof(real));
    assert_true(option_number(memory, "total") > option_number(memory, "samples") + option_number(memory, "step"));
    assert_true(option_number(memory, "saving") >= 2 * 4 * (5 * 4 + 4 + 4 * 3 + 3));
    assert_int_equal(json_array_size(json_object_get(cost, "warnings")), 0);
    assert_int_equal(json_array_size(json_object_get(cost, "network_sites")), 1);
    json_decref(cost);
    spec->probe.schedule = PROBE_EVERY;
    spec->probe.every = 4;
    assert_ok(spec_check(spec, &nowhere, &cost, &problems, &err));
    assert_int_equal(option_integer(cost, "probed_steps"), 6); /* 1 5 9 13 17 21 */
    json_decref(cost);
    spec->probe.schedule = PROBE_EPOCHS;
    assert_ok(spec_check(spec, &nowhere, &cost, &problems, &err));
    assert_int_equal(option_integer(cost, "probed_steps"), 7);
    json_decref(cost);
    spec->probe.schedule = PROBE_NONE;
    assert_ok(spec_check(spec, &nowhere, NULL, &problems, &err));
    spec_free(spec);
    problem_list_clear(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_schedule),  cmocka_unit_test(test_other_schedules),
        cmocka_unit_test(test_check_refuses), cmocka_unit_test(test_faults_of_presets),
        cmocka_unit_test(test_nesting),       cmocka_unit_test(test_what_cannot_be_counted),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
