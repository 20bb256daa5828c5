/*
 * Weights both ways between us and PyTorch, for every layer type: a network of PyTorch modules (round_trip.py) takes
 * our file by its state_dict, and we take the file that is made of its own; the outputs must be the same.
 */
#include "core/layer_registry.h"
#include "core/layout.h"
#include "core/safetensors.h"
#include "tests/python.h"

enum { ROWS = 3 };

static const struct shape image = {3, {3, 6, 6}};
static const char *const networks[] = {
    "[{\"type\": \"flatten\"}, {\"type\": \"dense\", \"units\": 9, \"variant\": \"affine-like\"}, {\"type\": "
    "\"tanh\"}, "
    "{\"type\": \"dense\", \"units\": 8, \"variant\": \"batch\"}, {\"type\": \"relu\"}, {\"type\": \"dense\", "
    "\"units\": 7, "
    "\"variant\": \"layer\", \"bias\": false}, {\"type\": \"sigmoid\"}, {\"type\": \"dense\", \"units\": 6, "
    "\"variant\": "
    "\"rms\"}, {\"type\": \"gelu\"}, {\"type\": \"dense\", \"units\": 4, \"variant\": \"l2\"}, {\"type\": "
    "\"normaliser\", "
    "\"kind\": \"affine-like\", \"gain\": \"per-feature\"}]",
    "[{\"type\": \"conv\", \"channels\": 4, \"padding\": 1, \"variant\": \"patch-affine-like\"}, {\"type\": "
    "\"leaky-relu\"}, "
    "{\"type\": \"normaliser\", \"kind\": \"batch\", \"gain\": \"per-feature\"}, {\"type\": \"max-pool\", \"stride\": "
    "1}, "
    "{\"type\": \"conv\", \"channels\": 5, \"stride\": 2, \"padding\": 2, \"variant\": \"batch\"}, {\"type\": "
    "\"avg-pool\", "
    "\"size\": 2}, {\"type\": \"flatten\"}, {\"type\": \"dense\", \"units\": 3}]",
    "[{\"type\": \"conv\", \"channels\": 4, \"padding\": 1, \"variant\": \"patch-rms\"}, {\"type\": \"conv\", "
    "\"channels\": 3, "
    "\"kernel\": 2, \"variant\": \"patch-l2\"}, {\"type\": \"conv\", \"channels\": 3, \"kernel\": 1, \"variant\": "
    "\"rms\", "
    "\"axes\": \"channel\"}, {\"type\": \"conv\", \"channels\": 3, \"kernel\": 2, \"variant\": \"l2\"}, {\"type\": "
    "\"conv\", "
    "\"channels\": 2, \"variant\": \"layer\", \"bias\": false}, {\"type\": \"normaliser\", \"kind\": \"rms\", "
    "\"gain\": \"scalar\"}]",
    "[{\"type\": \"patch-embed\", \"patch\": 2, \"dim\": 6, \"positions\": true}, {\"type\": \"residual\", \"layers\": "
    "[{\"type\": "
    "\"attention\", \"heads\": 2, \"variant\": {\"q\": \"rms\", \"k\": \"l2\", \"v\": \"batch\", \"o\": "
    "\"affine-like\"}, "
    "\"qk_norm\": \"l2\", \"causal\": true}]}, {\"type\": \"residual\", \"layers\": [{\"type\": \"normaliser\", "
    "\"kind\": "
    "\"layer\", \"gain\": \"per-feature\"}, {\"type\": \"residual\", \"layers\": [{\"type\": \"dense\", \"units\": 6, "
    "\"variant\": "
    "\"batch\"}]}]}, {\"type\": \"attention\", \"heads\": 3}, {\"type\": \"mean-tokens\"}, {\"type\": \"dense\", "
    "\"units\": 4}]",
};

static void write_list(const char *folder, const char *name, const struct tensor_list *list)
{
    uint8_t *bytes;
    size_t size;
    struct error err;
    assert_ok(safetensors_encode(list, &bytes, &size, &err));
    files_write(folder, name, bytes, size);
    free(bytes);
}

/* A file with one tensor: samples of this shape in the order of files. */
static void write_samples(const char *folder, const char *file, char *name, const struct shape *shape,
                          const real *values)
{
    struct named_tensor item = {.name = name, .rank = shape->rank + 1, .dims = {ROWS}, .values = (real *)values};
    for (int i = 0; i < shape->rank; i++)
        item.dims[i + 1] = shape->dims[i];
    item.size = ROWS * shape_size(shape);
    write_list(folder, file, &(struct tensor_list){&item, 1});
}

static void read_list(const char *folder, const char *name, struct tensor_list *ret_list)
{
    char path[2 * TEST_PATH_SIZE];
    struct error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(safetensors_read(path, ret_list, &err));
}

/* The output of an evaluation pass, in the order of files. */
static real *evaluate(const struct network *network, const real *x)
{
    struct arena arena = {0};
    struct network_pass pass;
    struct error err;
    const struct shape *shape = &network->stack.output;
    real *z = calloc(ROWS * shape_size(shape), sizeof *z);
    assert_non_null(z);
    assert_ok(network_forward(network, &arena, PASS_EVALUATE, x, ROWS, ROWS, &pass, &err));
    if (layout_differs(shape))
        layout_channels_first(shape, ROWS, pass.logits, z);
    else
        memcpy(z, pass.logits, ROWS * shape_size(shape) * sizeof *z);
    arena_free(&arena);
    return z;
}

static void check_network(const char *python, const char *text)
{
    char folder[TEST_PATH_SIZE], arguments[2 * TEST_PATH_SIZE];
    struct tensor_list list;
    struct error err;
    struct rng rng;
    json_t *given = json_loads(text, 0, NULL);
    assert_non_null(given);
    struct network *network = make_network(given, image, 0);
    size_t in = ROWS * shape_size(&image), out = ROWS * network->classes;
    real *x = calloc(in, sizeof *x);
    assert_non_null(x);
    rng_seed(&rng, 8, 0);
    fill_normal(&rng, x, in, 1);
    fill_normal(&rng, network->parameters, network->parameter_count, 0.5);
    for (size_t i = 0; i < network->buffer_count; i++) /* means and variances alike */
        network->buffers[i] = (real)(0.2 + rng_uniform(&rng));
    real *z = evaluate(network, x);

    files_begin(folder);
    json_t *expanded = expand_layers(given);
    char *layers = json_dumps(expanded, 0);
    files_write(folder, "layers.json", layers, strlen(layers));
    assert_ok(network_export(network, &list, &err));
    write_list(folder, "ours.safetensors", &list);
    tensor_list_clear(&list);
    write_samples(folder, "x.safetensors", (char[]){"x"}, &image, x);
    write_samples(folder, "ours_z.safetensors", (char[]){"z"}, &network->stack.output, z);
    free(z);
    snprintf(arguments, sizeof arguments, "tests/round_trip.py %s", folder);
    python_run(python, arguments);

    read_list(folder, "theirs.safetensors", &list);
    assert_ok(network_import(network, &list, &err));
    tensor_list_clear(&list);
    z = evaluate(network, x);
    read_list(folder, "theirs_z.safetensors", &list);
    assert_int_equal(list.items[0].size, out);
    double gap = 0, norm = 0;
    for (size_t i = 0; i < out; i++) {
        gap += pow((double)(z[i] - list.items[0].values[i]), 2);
        norm += pow((double)z[i], 2);
    }
    if (!(sqrt(gap / norm) < 2e-5))
        fail_msg("our output of PyTorch's weights is off by %.3g: %s", sqrt(gap / norm), layers);
    tensor_list_clear(&list);
    files_end(folder);
    free(layers);
    free(z);
    free(x);
    json_decref(given);
    json_decref(expanded);
    network_free(network);
}

static void weights_go_both_ways(void **state)
{
    (void)state;
    const char *python = python_with_torch();
    if (!python)
        skip();
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
        check_network(python, networks[n]);
}

/* The networks above hold every type that is registered. */
static void every_layer_is_in_a_network(void **state)
{
    (void)state;
    for (const struct layer_ops *const *ops = layer_registry; *ops; ops++) {
        char words[64];
        bool found = false;
        snprintf(words, sizeof words, "\"type\": \"%s\"", (*ops)->type);
        for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
            found = found || strstr(networks[n], words);
        if (!found)
            fail_msg("no network holds a layer \"%s\"", (*ops)->type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_is_in_a_network),
        cmocka_unit_test(weights_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
