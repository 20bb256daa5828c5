/* The spec: defaults, presets, hash, and every refusal with its pointer. */
#include "tests/files.h"

#include "core/json_text.h"
#include "core/spec.h"
#include "tests/specs.h"

#define DATASET "\"dataset\": {\"name\": \"synthetic\"}"
#define MODEL "\"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 10}]}"

static void refuses(const char *text, const char *pointer, const char *words)
{
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err = {""};
    json_t *json = spec_json(text);
    assert_ok(problem_list_init(&problems, &err));
    assert_int_equal(spec_parse(json, &spec, &problems, &err), STATUS_INVALID);
    assert_null(spec);
    expect_fault(&problems, text, pointer, words);
    assert_non_null(strstr(err.text, words));
    json_decref(json);
    problem_list_clear(&problems);
}

static void same_hash(const char *a, const char *b, bool same)
{
    struct spec *x = spec_from_text(a), *y = spec_from_text(b);
    if ((strcmp(x->hash, y->hash) == 0) != same)
        fail_msg("%s and %s %s the same hash", a, b, same ? "do not have" : "have");
    spec_free(x);
    spec_free(y);
}

/* ------------------------------------------------------------------ expansion */

static void test_defaults_are_written_out(void **state)
{
    (void)state;
    struct spec *spec = spec_from_text("{" DATASET "," MODEL "}");
    json_t *expected = spec_json(
        "{\"name\": \"\", \"tags\": [],"
        " \"dataset\": {\"name\": \"synthetic\", \"train_limit\": null, \"test_limit\": null, \"scaling\": "
        "\"standard\", \"classes\": 10, \"features\": 64, \"train\": 10000, \"test\": 2000, \"norm_spread\": 0.5, "
        "\"seed\": 1},"
        " \"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 10, \"variant\": \"affine\", \"bias\": true}]},"
        " \"weights\": null,"
        " \"optimiser\": {\"name\": \"sgd\", \"learning_rate\": 0.05, \"momentum\": 0.0, \"nesterov\": false, "
        "\"weight_decay\": 0.0, \"schedule\": \"constant\", \"warmup_steps\": 0},"
        " \"batch_size\": 64, \"epochs\": 5, \"seed\": 1,"
        " \"probe\": {\"schedule\": \"log\", \"every\": 1, \"count\": 100, \"views\": [\"layer\"], \"sites\": \"all\", "
        "\"samples\": null, \"watch\": [], \"contributors\": 0},"
        " \"threads\": 1, \"priority\": 0, \"checkpoint_every\": 500}");
    char *found = json_dumps(spec->expanded, 0), *wanted = json_dumps(expected, 0);
    assert_string_equal(found, wanted); /* the order of the keys too */
    free(found);
    free(wanted);
    json_decref(expected);
    spec_free(spec);
}

static void test_typed_view(void **state)
{
    (void)state;
    struct spec *spec = spec_from_text(
        "{\"name\": \"n\", \"dataset\": {\"name\": \"npy\", \"path\": \"mine/a\", \"train_limit\": 7, \"test_limit\": "
        "0, \"scaling\": \"unit\", \"classes\": 3},"
        "\"model\": {\"layers\": [{\"type\": \"flatten\"}, {\"type\": \"dense\", \"units\": 3}]},"
        "\"weights\": \"a/b.safetensors\","
        "\"optimiser\": {\"learning_rate\": 2, \"momentum\": 0.9, \"nesterov\": true, \"weight_decay\": 1e-4},"
        "\"batch_size\": 7, \"epochs\": 2, \"seed\": 9007199254740991, \"priority\": -3, \"checkpoint_every\": 9,"
        "\"probe\": {\"schedule\": \"every\", \"every\": 4, \"samples\": 5, \"watch\": [6, 0], \"sites\": "
        "[\"1.dense\"]}}");
    assert_string_equal(spec->name, "n");
    assert_string_equal(spec->dataset.name, "npy");
    assert_string_equal(spec->dataset.path, "mine/a");
    assert_int_equal(spec->dataset.train_limit, 7);
    assert_int_equal(spec->dataset.test_limit, 0);
    assert_int_equal(spec->dataset.scaling, SCALING_UNIT);
    assert_int_equal(spec->dataset.classes, 3);
    assert_int_equal(json_array_size(spec->layers), 2);
    assert_string_equal(spec->weights, "a/b.safetensors");
    assert_true(spec->optimiser.learning_rate == 2 && spec->optimiser.momentum == 0.9);
    assert_true(spec->optimiser.nesterov && spec->optimiser.weight_decay == 1e-4);
    assert_int_equal(spec->batch_size, 7);
    assert_int_equal(spec->epochs, 2);
    assert_true(spec->seed == UINT64_C(9007199254740991));
    assert_int_equal(spec->priority, -3);
    assert_int_equal(spec->checkpoint_every, 9);
    assert_int_equal(spec->probe.schedule, PROBE_EVERY);
    assert_int_equal(spec->probe.every, 4);
    assert_int_equal(spec->probe.samples, 5);
    assert_int_equal(spec->probe.watch_count, 2);
    assert_int_equal(spec->probe.watch[0], 6);
    assert_int_equal(spec->probe.site_count, 1);
    assert_string_equal(spec->probe.sites[0], "1.dense");
    spec_free(spec);
    spec = spec_from_text("{" DATASET "," MODEL ", \"probe\": {\"schedule\": \"none\"}}");
    assert_int_equal(spec->probe.schedule, PROBE_NONE);
    assert_true(spec->dataset.train_limit == SIZE_MAX && spec->probe.samples == SIZE_MAX);
    assert_null(spec->probe.sites);
    assert_null(spec->weights);
    assert_null(spec->dataset.path);
    spec_free(spec);
}

static void test_expanding_again_gives_itself(void **state)
{
    (void)state;
    struct spec *first =
        spec_from_text("{" DATASET ", \"model\": {\"preset\": \"mlp\"}, \"name\": \"x\", \"epochs\": 9.0}");
    char *text = json_dumps(first->expanded, 0);
    struct spec *second = spec_from_text(text);
    assert_true(json_equal(first->expanded, second->expanded));
    assert_string_equal(first->hash, second->hash);
    free(text);
    spec_free(first);
    spec_free(second);
}

static void test_mlp_preset(void **state)
{
    (void)state;
    struct spec *spec =
        spec_from_text("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"width\": 7, \"depth\": 2, \"variant\": "
                       "\"affine-like\", \"activation\": \"relu\"}}");
    json_t *expected = spec_json("{\"layers\": [{\"type\": \"flatten\"},"
                                 "{\"type\": \"dense\", \"units\": 7, \"variant\": \"affine-like\", \"bias\": true},"
                                 "{\"type\": \"relu\"},"
                                 "{\"type\": \"dense\", \"units\": 7, \"variant\": \"affine-like\", \"bias\": true},"
                                 "{\"type\": \"relu\"},"
                                 "{\"type\": \"dense\", \"units\": 10, \"variant\": \"affine-like\", \"bias\": true}]"
                                 "}");
    assert_true(json_equal(json_object_get(spec->expanded, "model"), expected));
    json_decref(expected);
    spec_free(spec);
    /* defaults: width 128, depth 3, affine, tanh; depth 0 is a linear classifier */
    same_hash("{" DATASET ", \"model\": {\"preset\": \"mlp\"}}",
              "{" DATASET ", \"model\": {\"preset\": \"mlp\", \"width\": 128, \"depth\": 3, \"variant\": \"affine\", "
              "\"activation\": \"tanh\"}}",
              true);
    spec = spec_from_text("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"depth\": 0}}");
    assert_int_equal(json_array_size(spec->layers), 2);
    spec_free(spec);
}

static void expands_model(const char *preset, const char *layers)
{
    char text[600];
    snprintf(text, sizeof text, "{" DATASET ", \"model\": %s}", preset);
    struct spec *spec = spec_from_text(text);
    json_t *expected = spec_json(layers);
    if (!json_equal(spec->layers, expected))
        fail_msg("%s gives %s", preset, json_dumps(spec->layers, 0));
    json_decref(expected);
    spec_free(spec);
}

#define CONV(channels, variant)                                                                                        \
    "{\"type\": \"conv\", \"channels\": " channels                                                                     \
    ", \"kernel\": 3, \"stride\": 1, \"padding\": 1, \"variant\": \"" variant                                          \
    "\", \"axes\": \"all\", \"bias\": true}, {\"type\": \"leaky-relu\", \"slope\": 0.01}, {\"type\": \"max-pool\", "   \
    "\"size\": 2, \"stride\": null}"
#define DENSE(units, variant)                                                                                          \
    "{\"type\": \"dense\", \"units\": " units ", \"variant\": \"" variant "\", \"bias\": true}"
#define VIT_BLOCK(dim, four_dim, heads, v)                                                                             \
    "{\"type\": \"residual\", \"layers\": [{\"type\": \"attention\", \"heads\": " heads ", \"variant\": {\"q\": \"" v  \
    "\", \"k\": \"" v "\", \"v\": \"" v "\", \"o\": \"" v                                                              \
    "\"}, \"qk_norm\": \"none\", \"causal\": false, \"bias\": true}]}, {\"type\": \"residual\", \"layers\": [" DENSE(  \
        four_dim, v) ", {\"type\": \"gelu\"}, " DENSE(dim, v) "]}"
#define EMBED(patch, dim, variant)                                                                                     \
    "{\"type\": \"patch-embed\", \"patch\": " patch ", \"dim\": " dim ", \"variant\": \"" variant                      \
    "\", \"positions\": true, \"bias\": true}"

static void test_cnn_and_vit_presets(void **state)
{
    (void)state;
    expands_model("{\"preset\": \"cnn\", \"channels\": [8], \"variant\": \"patch-affine-like\"}",
                  "[" CONV("8", "patch-affine-like") ", {\"type\": \"flatten\"}, " DENSE("10", "affine-like") "]");
    expands_model(
        "{\"preset\": \"cnn\", \"channels\": [8, 9], \"variant\": \"batch\"}",
        "[" CONV("8", "batch") ", " CONV("9", "batch") ", {\"type\": \"flatten\"}, " DENSE("10", "affine") "]");
    expands_model("{\"preset\": \"cnn\"}", "[" CONV("32", "affine") ", " CONV(
                                               "64", "affine") ", {\"type\": \"flatten\"}, " DENSE("10", "affine") "]");
    expands_model("{\"preset\": \"vit\", \"patch\": 2, \"dim\": 6, \"heads\": 3, \"blocks\": 1, \"variant\": \"rms\"}",
                  "[" EMBED("2", "6", "rms") ", " VIT_BLOCK(
                      "6", "24", "3", "rms") ", {\"type\": \"mean-tokens\"}, " DENSE("10", "rms") "]");
    expands_model("{\"preset\": \"vit\"}",
                  "[" EMBED("4", "64", "affine") ", " VIT_BLOCK("64", "256", "4", "affine") ", " VIT_BLOCK(
                      "64", "256", "4", "affine") ", {\"type\": \"mean-tokens\"}, " DENSE("10", "affine") "]");
}

/* The last layer of a preset follows the data set. */
static void test_preset_classes(void **state)
{
    (void)state;
    struct spec *spec =
        spec_from_text("{\"dataset\": {\"name\": \"synthetic\", \"classes\": 4}, \"model\": {\"preset\": \"mlp\"}}");
    assert_int_equal(option_integer(json_array_get(spec->layers, 7), "units"), 4);
    spec_free(spec);
    spec = spec_from_text("{\"dataset\": {\"name\": \"npy\", \"path\": \"p\", \"classes\": 6}, \"model\": {\"preset\": "
                          "\"mlp\"}}");
    assert_int_equal(option_integer(json_array_get(spec->layers, 7), "units"), 6);
    spec_free(spec);
    refuses("{\"dataset\": {\"name\": \"npy\", \"path\": \"p\"}, \"model\": {\"preset\": \"mlp\"}}", "/dataset/classes",
            "the number of classes");
}

/* ------------------------------------------------------------------ hash */

/* These figures are Python's, of the specs as they are shown: hashlib.sha256 of json.dumps with sorted keys and no
 * spaces, without what changes no result. */
static void test_hash_is_what_the_header_says(void **state)
{
    (void)state;
    struct spec *spec =
        spec_from_text("{\"dataset\": {\"name\": \"fashion-mnist\", \"train_limit\": 10000}, \"model\": "
                       "{\"layers\": [{\"type\": \"flatten\"}, {\"type\": \"dense\", \"units\": 10}]}}");
    assert_string_equal(spec->hash, "9d4d7925565735f00c8f6edf7681786e155a59c95756030897c1b23db9456c44");
    assert_string_equal(spec->former, "a3b730f538fdddd4f855ef429f9f58705d487c2b5d0f29862339d7b98237c42e");
    spec_free(spec);
    spec = spec_from_text("{\"dataset\": {\"name\": \"fashion-mnist\", \"train_limit\": 10000}, \"model\": "
                          "{\"preset\": \"mlp\"}, \"optimiser\": {\"name\": \"adam\", \"learning_rate\": 0.001}, "
                          "\"time_limit\": 10}");
    assert_string_equal(spec->hash, "7ad084b1aa5574cd8c84c0f443f86d1298356985536c7151558e1d1b81c7561d");
    spec_free(spec);
}

/* Each text is the shortest that is read as the same double, and as a real. */
static void test_reals_as_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.05, "0.05"},
                 {0, "0.0"},
                 {-3, "-3.0"},
                 {1e-8, "1e-08"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e16, "1e+16"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456.75, "123456.75"},
                 {-1.7976931348623157e308, "-1.7976931348623157e+308"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[REAL_TEXT_SIZE];
        assert_string_equal(real_text(cases[i].value, text), cases[i].text);
        json_t *json = json_pack("{s:[f,i], s:s}", "a \\ \" 0.050000000000000003", cases[i].value, -12, "b", "1e5,\"");
        char *found = json_text(json, JSON_COMPACT), wanted[128];
        snprintf(wanted, sizeof wanted, "{\"a \\\\ \\\" 0.050000000000000003\":[%s,-12],\"b\":\"1e5,\\\"\"}",
                 cases[i].text);
        assert_string_equal(found, wanted);
        free(found);
        json_decref(json);
    }
}

static void test_hash_covers_what_makes_a_run(void **state)
{
    (void)state;
    const char *plain = "{" DATASET "," MODEL "}";
    same_hash(plain, "{" MODEL "," DATASET "}", true);
    same_hash(plain,
              "{" DATASET "," MODEL ", \"name\": \"x\", \"tags\": [\"t\"], \"priority\": 5, "
              "\"checkpoint_every\": 7, \"memory_limit\": 1e9, \"time_limit\": 3600}",
              true);
    same_hash(plain,
              "{" DATASET "," MODEL ", \"batch_size\": 64.0, \"optimiser\": {\"momentum\": 0, \"learning_rate\":"
              " 5e-2}}",
              true);
    same_hash("{" DATASET "," MODEL ", \"optimiser\": {\"learning_rate\": 1}}",
              "{" DATASET "," MODEL ", \"optimiser\": {\"learning_rate\": 1.0}}", true);
    same_hash("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"depth\": 1, \"width\": 5}}",
              "{" DATASET ", \"model\": {\"layers\": [{\"type\": \"flatten\"}, {\"units\": 5, \"type\": \"dense\"}, "
              "{\"type\": \"tanh\"}, {\"type\": \"dense\", \"bias\": true, \"units\": 10}]}}",
              true);
    same_hash(plain, "{" DATASET "," MODEL ", \"seed\": 2}", false);
    same_hash(plain, "{" DATASET "," MODEL ", \"probe\": {\"count\": 99}}", false);
    same_hash(plain, "{" DATASET "," MODEL ", \"optimiser\": {\"learning_rate\": 0.050000000000000009}}", false);
    same_hash(plain, "{" DATASET "," MODEL ", \"weights\": \"w\"}", false);
}

/* ------------------------------------------------------------------ refusals */

static void test_refusals_at_the_top(void **state)
{
    (void)state;
    refuses("[]", "", "Must be an object");
    refuses("{" MODEL "}", "/dataset", "Is missing");
    refuses("{" DATASET "}", "/model", "Is missing");
    refuses("{" DATASET "," MODEL ", \"bach_size\": 1}", "/bach_size", "did you mean \"batch_size\"?");
    refuses("{" DATASET "," MODEL ", \"name\": 1}", "/name", "Must be a string");
    refuses("{" DATASET "," MODEL ", \"tags\": [1]}", "/tags/0", "Must be a string");
    refuses("{" DATASET "," MODEL ", \"batch_size\": 0}", "/batch_size", "Must be at least 1; found 0.");
    refuses("{" DATASET "," MODEL ", \"epochs\": 0}", "/epochs", "Must be at least 1");
    refuses("{" DATASET "," MODEL ", \"seed\": -1}", "/seed", "Must be at least 0; found −1.");
    refuses("{" DATASET "," MODEL ", \"seed\": 9007199254740992}", "/seed", "Must be at most 9007199254740991");
    refuses("{" DATASET "," MODEL ", \"threads\": 0}", "/threads", "Must be at least 1");
    refuses("{" DATASET "," MODEL ", \"threads\": 2147483648}", "/threads", "Must be at most 2147483647");
    refuses("{" DATASET "," MODEL ", \"checkpoint_every\": 0}", "/checkpoint_every", "Must be at least 1");
    refuses("{" DATASET "," MODEL ", \"priority\": 1.5}", "/priority", "Must be a whole number");
}

static void test_refusals_of_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "/etc/passwd", "../x",   "a/../b", "a/..", ".",   "./a",
                                      "a//b", "a/",          "a\\\\b", "a/./b",  "..",   "a/.."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[300];
        snprintf(text, sizeof text, "{" DATASET "," MODEL ", \"weights\": \"%s\"}", bad[i]);
        refuses(text, "/weights", "The path must");
        snprintf(text, sizeof text, "{\"dataset\": {\"name\": \"npy\", \"path\": \"%s\"}," MODEL "}", bad[i]);
        refuses(text, "/dataset/path", "The path must");
    }
    /* of a long path 60 bytes are shown, which end within a character */
    char text[300];
    snprintf(text, sizeof text, "{" DATASET "," MODEL ", \"weights\": \"/%058dé\"}", 0);
    refuses(text, "/weights", "The path must");
    struct spec *spec = spec_from_text("{" DATASET "," MODEL ", \"weights\": \"..a/b..c/...\"}");
    assert_string_equal(spec->weights, "..a/b..c/...");
    spec_free(spec);
}

static void test_refusals_of_the_dataset(void **state)
{
    (void)state;
    refuses("{\"dataset\": 1," MODEL "}", "/dataset", "Must be an object");
    refuses("{\"dataset\": {}," MODEL "}", "/dataset/name", "Is missing");
    refuses("{\"dataset\": {\"name\": 5, \"path\": 1}," MODEL "}", "/dataset/name", "Must be a string");
    refuses("{\"dataset\": {\"name\": \"fashion-mnst\", \"odd\": 1}," MODEL "}", "/dataset/name",
            "did you mean \"fashion-mnist\"?");
    refuses("{\"dataset\": {\"name\": \"mnist\", \"path\": \"x\"}," MODEL "}", "/dataset/path", "is not known here");
    refuses("{\"dataset\": {\"name\": \"npy\"}," MODEL "}", "/dataset/path", "Is missing");
    refuses("{\"dataset\": {\"name\": \"mnist\", \"train_limit\": 0}," MODEL "}", "/dataset/train_limit",
            "Must be at least 1");
    refuses("{\"dataset\": {\"name\": \"mnist\", \"scaling\": \"standrad\"}," MODEL "}", "/dataset/scaling",
            "did you mean \"standard\"?");
    refuses("{\"dataset\": {\"name\": \"synthetic\", \"classes\": 1}," MODEL "}", "/dataset/classes",
            "Must be at least 2");
    refuses("{\"dataset\": {\"name\": \"synthetic\", \"norm_spread\": -1}," MODEL "}", "/dataset/norm_spread",
            "Must be at least 0");
}

static void test_refusals_of_the_model(void **state)
{
    (void)state;
    refuses("{" DATASET ", \"model\": []}", "/model", "Must be an object");
    refuses("{" DATASET ", \"model\": {}}", "/model/layers", "Is missing");
    refuses("{" DATASET ", \"model\": {\"layers\": []}}", "/model/layers", "at least one layer");
    refuses("{" DATASET ", \"model\": {\"layers\": {}}}", "/model/layers", "at least one layer");
    refuses("{" DATASET ", \"model\": {\"layers\": [1]}}", "/model/layers/0", "Must be an object");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"units\": 1}]}}", "/model/layers/0/type", "Is missing");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": 1}]}}", "/model/layers/0/type", "Must be a string");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"tanh\"}, {\"type\": \"danse\"}]}}",
            "/model/layers/1/type", "did you mean \"dense\"?");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"tanh\", \"unit\": 1}]}}", "/model/layers/0/unit",
            "no keys are taken");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"dense\"}]}}", "/model/layers/0/units", "Is missing");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 0}]}}", "/model/layers/0/units",
            "Must be at least 1");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"dense\", \"units\": 2, \"variant\": \"afine\"}]}}",
            "/model/layers/0/variant", "did you mean \"affine\"?");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"tanh\"}], \"extra\": 1}}", "/model/extra",
            "is not known here");
    refuses("{" DATASET ", \"model\": {\"layers\": [{\"type\": \"tanh\"}], \"preset\": \"mlp\"}}", "/model",
            "either layers or a preset");
}

static void test_refusals_of_presets(void **state)
{
    (void)state;
    refuses("{" DATASET ", \"model\": {\"preset\": \"mpl\"}}", "/model/preset", "Must be one of mlp");
    refuses("{" DATASET ", \"model\": {\"preset\": null}}", "/model/preset", "Must be a string");
    refuses("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"widht\": 3}}", "/model/widht", "did you mean \"width\"?");
    refuses("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"width\": 0}}", "/model/width", "Must be at least 1");
    refuses("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"activation\": \"gelo\"}}", "/model/activation",
            "did you mean \"gelu\"?");
    refuses("{" DATASET ", \"model\": {\"preset\": \"cnn\", \"variant\": \"affine-like\"}}", "/model/variant",
            "patch-affine-like");
    refuses("{" DATASET ", \"model\": {\"preset\": \"cnn\", \"channels\": [8, 0]}}", "/model/channels/1",
            "Must be at least 1");
    refuses("{" DATASET ", \"model\": {\"preset\": \"vit\", \"width\": 3}}", "/model/width", "the keys are patch");
    refuses("{" DATASET ", \"model\": {\"preset\": \"mlp\", \"variant\": \"batchnorm\"}}", "/model/variant",
            "Must be one of affine");
}

static void test_refusals_of_the_optimiser(void **state)
{
    (void)state;
#define OPTIMISER(text) "{" DATASET "," MODEL ", \"optimiser\": " text "}"
    refuses(OPTIMISER("\"sgd\""), "/optimiser", "Must be an object");
    refuses(OPTIMISER("{\"learning_rate\": -0.05}"), "/optimiser/learning_rate",
            "Must be above 0; −0.05 would climb the loss.");
    refuses(OPTIMISER("{\"learning_rate\": 0}"), "/optimiser/learning_rate", "Must be above 0; found 0.");
    refuses(OPTIMISER("{\"momentum\": 1}"), "/optimiser/momentum", "Must be below 1; found 1.");
    refuses(OPTIMISER("{\"momentum\": -0.1}"), "/optimiser/momentum", "Must be at least 0");
    refuses(OPTIMISER("{\"weight_decay\": -1}"), "/optimiser/weight_decay", "Must be at least 0");
    refuses(OPTIMISER("{\"nesterov\": true}"), "/optimiser/nesterov", "Needs momentum above 0");
    refuses(OPTIMISER("{\"name\": \"lion\"}"), "/optimiser/name", "Must be one of sgd");
    refuses(OPTIMISER("{\"name\": \"adam\", \"momentum\": 0.9}"), "/optimiser/momentum",
            "Is not taken where name is \"adam\"");
    refuses(OPTIMISER("{\"name\": \"adamw\", \"nesterov\": true}"), "/optimiser/nesterov", "Is not taken where name");
    refuses(OPTIMISER("{\"beta1\": 0.8}"), "/optimiser/beta1", "Is not taken where name is \"sgd\"");
    refuses(OPTIMISER("{\"name\": \"adam\", \"beta2\": 1}"), "/optimiser/beta2", "Must be below 1; found 1.");
    refuses(OPTIMISER("{\"name\": \"adam\", \"epsilon\": 0}"), "/optimiser/epsilon", "Must be above 0; found 0.");
    refuses(OPTIMISER("{\"schedule\": \"cosine\", \"step_every\": 10}"), "/optimiser/step_every",
            "Is not taken where schedule is \"cosine\"");
    refuses(OPTIMISER("{\"schedule\": \"step\", \"step_every\": 0}"), "/optimiser/step_every", "Must be at least 1");
    refuses(OPTIMISER("{\"schedule\": \"step\", \"step_factor\": 0}"), "/optimiser/step_factor", "Must be above 0");
    refuses(OPTIMISER("{\"warmup_steps\": -1}"), "/optimiser/warmup_steps", "Must be at least 0");
}

static void test_refusals_of_the_probe(void **state)
{
    (void)state;
#define PROBE(text) "{" DATASET "," MODEL ", \"probe\": " text "}"
    refuses(PROBE("[]"), "/probe", "Must be an object");
    refuses(PROBE("{\"schedule\": \"logs\"}"), "/probe/schedule", "Must be one of none, every, log, epochs");
    refuses(PROBE("{\"every\": 0}"), "/probe/every", "Must be at least 1");
    refuses(PROBE("{\"count\": 1}"), "/probe/count", "Must be at least 2");
    refuses(PROBE("{\"samples\": 0}"), "/probe/samples", "Must be at least 1");
    refuses(PROBE("{\"contributors\": -1}"), "/probe/contributors", "Must be at least 0");
    refuses("{" DATASET "," MODEL ", \"probe\": {\"contributors\": 3}, \"optimiser\": {\"momentum\": 0.5}}",
            "/probe/contributors", "Needs plain SGD");
    refuses("{" DATASET "," MODEL ", \"probe\": {\"contributors\": 3}, \"optimiser\": {\"name\": \"adam\"}}",
            "/probe/contributors", "Needs plain SGD");
    refuses(PROBE("{\"views\": [\"netwrok\"]}"), "/probe/views/0", "did you mean \"network\"?");
    refuses(PROBE("{\"views\": []}"), "/probe/views", "at least one view");
    refuses(PROBE("{\"views\": [\"layer\", \"layer\"]}"), "/probe/views/1", "Is named twice");
    refuses(PROBE("{\"watch\": [-1]}"), "/probe/watch/0", "Must be at least 0");
    refuses(PROBE("{\"watch\": [3, 5, 3]}"), "/probe/watch/2", "Is named twice");
    refuses(PROBE("{\"watch\": [4294967295]}"), "/probe/watch/0", "Must be at most 4294967294");
    refuses(PROBE("{\"sites\": \"none\"}"), "/probe/sites", "\"all\" or an array");
    refuses(PROBE("{\"sites\": []}"), "/probe/sites", "\"all\" or an array");
    refuses(PROBE("{\"sites\": [1]}"), "/probe/sites/0", "the name of a site");
    refuses(PROBE("{\"sites\": [\"0.dense\", \"0.dense\"]}"), "/probe/sites/1", "Is named twice");
}

static void test_all_faults_at_once(void **state)
{
    (void)state;
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    json_t *json = spec_json(
        "{\"dataset\": {\"name\": \"synthetic\", \"x\": 1}, \"model\": {\"layers\": [{\"type\": \"dense\"}, {\"type\": "
        "\"nope\"}]}, \"optimiser\": {\"learning_rate\": 0}, \"probe\": {\"every\": 0}, \"epochs\": 0}");
    assert_ok(problem_list_init(&problems, &err));
    assert_int_equal(spec_parse(json, &spec, &problems, &err), STATUS_INVALID);
    assert_int_equal(problem_list_count(&problems), 6);
    assert_non_null(strstr(err.text, "(and 5 more)"));
    json_decref(json);
    problem_list_clear(&problems);
}

/* ------------------------------------------------------------------ files */

static void test_reading_a_file(void **state)
{
    (void)state;
    char folder[TEST_PATH_SIZE], path[2 * TEST_PATH_SIZE];
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    const char *good = "{" DATASET "," MODEL "}\n", *broken = "{\n  \"a\": 1,\n  \"a\": 2}";
    files_begin(folder);
    assert_ok(problem_list_init(&problems, &err));
    files_write(folder, "good", good, strlen(good));
    snprintf(path, sizeof path, "%s/good", folder);
    assert_ok(spec_read(path, NULL, &spec, &problems, &err));
    spec_free(spec);
    files_write(folder, "broken", broken, strlen(broken));
    snprintf(path, sizeof path, "%s/broken", folder);
    assert_int_equal(spec_read(path, NULL, &spec, &problems, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "line 3, column"));
    assert_int_equal(problem_list_count(&problems), 0);
    char *huge = calloc(1, (1U << 20) + 1);
    memset(huge, ' ', (1U << 20) + 1);
    files_write(folder, "huge", huge, (1U << 20) + 1);
    free(huge);
    snprintf(path, sizeof path, "%s/huge", folder);
    assert_int_equal(spec_read(path, NULL, &spec, &problems, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "1 MiB"));
    snprintf(path, sizeof path, "%s/missing", folder);
    assert_int_equal(spec_read(path, NULL, &spec, &problems, &err), STATUS_NOT_FOUND);
    assert_int_equal(spec_read(folder, NULL, &spec, &problems, &err), STATUS_IO);
    problem_list_clear(&problems);
    files_end(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_written_out),
        cmocka_unit_test(test_typed_view),
        cmocka_unit_test(test_expanding_again_gives_itself),
        cmocka_unit_test(test_mlp_preset),
        cmocka_unit_test(test_cnn_and_vit_presets),
        cmocka_unit_test(test_preset_classes),
        cmocka_unit_test(test_hash_is_what_the_header_says),
        cmocka_unit_test(test_reals_as_text),
        cmocka_unit_test(test_hash_covers_what_makes_a_run),
        cmocka_unit_test(test_refusals_at_the_top),
        cmocka_unit_test(test_refusals_of_paths),
        cmocka_unit_test(test_refusals_of_the_dataset),
        cmocka_unit_test(test_refusals_of_the_model),
        cmocka_unit_test(test_refusals_of_presets),
        cmocka_unit_test(test_refusals_of_the_optimiser),
        cmocka_unit_test(test_refusals_of_the_probe),
        cmocka_unit_test(test_all_faults_at_once),
        cmocka_unit_test(test_reading_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
