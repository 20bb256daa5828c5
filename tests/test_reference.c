/*
 * Every layer and network against reference cases made by automatic differentiation and by stepping parameters for
 * real, in double precision. The same source is built in single and in double.
 */
#include "core/layout.h"
#include "core/loss.h"
#include "core/optimiser.h"
#include "core/update.h"
#include "tests/experiment.h"
#include "tests/python.h"

/* The worst relative error seen so far of each kind of case, with its place. */
struct worst {
    char kind[32];
    double error;
    char place[160];
};

static struct worst worst_of_all[24];

static void note(const char *name, const char *what, double error)
{
    size_t length = strcspn(name, "/"), k = 0; /* "dense/affine/bias" is a case of dense */
    while (worst_of_all[k].kind[0] &&
           (strncmp(worst_of_all[k].kind, name, length) != 0 || worst_of_all[k].kind[length]))
        k++;
    struct worst *worst = &worst_of_all[k];
    snprintf(worst->kind, sizeof worst->kind, "%.*s", (int)length, name);
    if (error >= worst->error) {
        worst->error = error;
        snprintf(worst->place, sizeof worst->place, "%s %s", name, what);
    }
    if (!(error <= TOLERANCE))
        fail_msg("%s %s: relative error %.3g, at most %.0g", name, what, error, TOLERANCE);
}

static size_t array_size(const json_t *array)
{
    return json_array_size(json_object_get(array, "data"));
}

static double array_value(const json_t *array, size_t i)
{
    return json_number_value(json_array_get(json_object_get(array, "data"), i));
}

static double array_norm(const json_t *array)
{
    double sum = 0;
    for (size_t i = 0; i < array_size(array); i++)
        sum += array_value(array, i) * array_value(array, i);
    return sqrt(sum);
}

static void copy_array(const json_t *array, real *values)
{
    for (size_t i = 0; i < array_size(array); i++)
        values[i] = (real)array_value(array, i);
}

/*
 * The share of the case's largest gradient norm below which a gradient counts as zero. A key bias has none,
 * analytically: what single precision leaves of it is the rounding of what cancels, half a unit in the last place of
 * the largest.
 */
#ifdef PLUMBLINE_DOUBLE
#define ZERO_GRADIENT 1e-6
#else
#define ZERO_GRADIENT (6e-8 / TOLERANCE)
#endif

/* ‖got − want‖ / max(‖want‖, ZERO_GRADIENT · the largest gradient norm of the case). */
static void compare_array(const char *name, const char *what, const real *got, const json_t *want, double floor)
{
    double sum = 0, norm = array_norm(want);
    for (size_t i = 0; i < array_size(want); i++) {
        double difference = (double)got[i] - array_value(want, i);
        sum += difference * difference;
    }
    note(name, what, sqrt(sum) / (norm > floor ? norm : floor));
}

/* The same for activations, which a network keeps channels last. */
static void compare_activations(const char *name, const char *what, const struct shape *shape, size_t rows,
                                const real *got, const json_t *want)
{
    real *files = calloc(array_size(want), sizeof *files);
    if (!got || !files)
        fail_msg("%s: no %s", name, what);
    bool differs = layout_differs(shape);
    if (differs)
        layout_channels_first(shape, rows, got, files);
    compare_array(name, what, differs ? files : got, want, 0);
    free(files);
}

/* A figure of each sample: |got − want| / max(|want|, floor), and undefined where the case has null. */
static void compare_metrics(const char *name, const json_t *metrics, const struct divergence_row *rows, size_t count)
{
    const char *key;
    json_t *values;
    json_object_foreach((json_t *)metrics, key, values)
    {
        enum column column = divergence_column(key);
        assert_int_not_equal(column, COLUMN_COUNT);
        bool norm = column == COLUMN_IDEAL_NORM || column == COLUMN_EFFECTIVE_NORM || column == COLUMN_INPUT_NORM;
        for (size_t i = 0; i < count; i++) {
            const json_t *want = json_array_get(values, i);
            double got = rows[i].values[column];
            if (json_is_null(want) != (bool)isnan(got))
                fail_msg("%s %s of sample %zu: got %g, the case has %s", name, key, i, got,
                         json_is_null(want) ? "null" : "a number");
            if (json_is_null(want))
                continue;
            double wanted = json_number_value(want), floor = norm ? 1e-6 : 0.05;
            note(name, key, fabs(got - wanted) / (fabs(wanted) > floor ? fabs(wanted) : floor));
        }
    }
}

/* Sets a network's tensors from the case; "layers.0.weight" is `prefix`weight there. */
static void set_parameters(struct network *network, const json_t *parameters, bool network_case)
{
    struct tensor_list list;
    struct error err;
    size_t used = 0;
    assert_ok(network_export(network, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        const char *key = list.items[i].name + strlen("layers.");
        const json_t *given = json_object_get(parameters, network_case ? key : strchr(key, '.') + 1);
        if (given) {
            assert_int_equal(array_size(given), list.items[i].size);
            copy_array(given, list.items[i].values);
            used++;
        }
    }
    assert_int_equal(used, json_object_size(parameters));
    assert_ok(network_import(network, &list, &err));
    tensor_list_clear(&list);
}

static void compare_gradients(const char *name, const struct network *network, const json_t *want, bool network_case)
{
    struct tensor_list list;
    struct error err;
    double largest = 0;
    const char *key;
    json_t *array;
    json_object_foreach((json_t *)want, key, array)
    {
        largest = fmax(largest, array_norm(array));
    }
    assert_ok(network_export_block(network, network->gradient, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        const char *own = list.items[i].name + strlen("layers.");
        own = network_case ? own : strchr(own, '.') + 1;
        char what[96];
        snprintf(what, sizeof what, "gradient of %s", own);
        compare_array(name, what, list.items[i].values, json_object_get(want, own), ZERO_GRADIENT * largest);
    }
    tensor_list_clear(&list);
}

static struct shape sample_shape(const json_t *input)
{
    const json_t *dims = json_object_get(input, "shape");
    struct shape shape = {.rank = (int)json_array_size(dims) - 1};
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = (size_t)json_integer_value(json_array_get(dims, (size_t)i + 1));
    return shape;
}

/* A step of plain SGD from the network's gradient. */
static void plain_step(const struct network *network, double rate, real *delta)
{
    for (size_t i = 0; i < network->parameter_count; i++)
        delta[i] = (real)-rate * network->gradient[i];
}

static void measure_all(const struct network *network, const struct network_pass *pass, size_t site, const real *delta,
                        double rate, struct site_update *update, struct divergence_row *rows)
{
    const struct step_rule rule = {.learning_rate = rate, .plain = true, .step = 1};
    *update = update_of_site(&network->sites[site], pass, delta, &rule);
    for (size_t i = 0; i < update->rows; i++)
        update_measure(update, i, true, &rule, &rows[i]);
}

static void check_layer_case(const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *input = json_object_get(test, "input"), *expect = json_object_get(test, "expect");
    const json_t *grad_output = json_object_get(test, "grad_output");
    double rate = json_number_value(json_object_get(test, "learning_rate"));
    json_t *layers = json_pack("[O]", json_object_get(test, "layer"));
    struct network *network = make_network(layers, sample_shape(input), 0);
    set_parameters(network, json_object_get(test, "parameters"), false);

    struct arena arena = {0};
    struct network_pass pass;
    struct error err;
    size_t rows = (size_t)json_integer_value(json_array_get(json_object_get(input, "shape"), 0));
    real *x = arena_reals(&arena, array_size(input)), *g = arena_reals(&arena, array_size(grad_output));
    real *delta = arena_reals(&arena, network->parameter_count);
    struct divergence_row *measured = arena_take(&arena, rows * sizeof *measured);
    assert_true(x && g && delta && measured);
    copy_array(input, x);
    copy_array(grad_output, g);
    if (layout_differs(&network->stack.layers[0].output)) {
        real *files = arena_reals(&arena, array_size(grad_output));
        assert_non_null(files);
        memcpy(files, g, array_size(grad_output) * sizeof *g);
        layout_channels_last(&network->stack.layers[0].output, rows, files, g);
    }

    assert_ok(network_forward(network, &arena, PASS_MEASURE, x, rows, rows, &pass, &err));
    const struct shape *in = &network->stack.layers[0].input, *out = &network->stack.layers[0].output;
    compare_activations(name, "output", out, rows, pass.logits, json_object_get(expect, "output"));
    pass.all[0]->skip_dx = false;
    assert_ok(network_backward(network, &pass, g, &err));
    compare_gradients(name, network, json_object_get(expect, "grad_parameters"), false);
    compare_activations(name, "gradient of the input", in, rows, pass.all[0]->dx,
                        json_object_get(expect, "grad_input"));

    struct site_update update;
    plain_step(network, rate, delta);
    measure_all(network, &pass, 0, delta, rate, &update, measured);
    compare_activations(name, "effective update", out, rows, update.effective,
                        json_object_get(expect, "effective_update"));
    for (size_t i = 0; i < array_size(grad_output); i++)
        g[i] *= (real)-rate;
    compare_activations(name, "ideal update", out, rows, g, json_object_get(expect, "ideal_update"));
    compare_metrics(name, json_object_get(expect, "metrics"), measured, rows);
    arena_free(&arena);
    network_free(network);
    json_decref(layers);
}

/* The cases of one of the three files in a folder. */
static json_t *read_cases(const char *folder, const char *name, size_t expected)
{
    char path[2 * TEST_PATH_SIZE];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!file)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    assert_int_equal(json_array_size(json_object_get(file, "cases")), expected);
    return file;
}

static void check_cases(const char *folder, const char *name, size_t expected, void (*check)(const json_t *test))
{
    json_t *file = read_cases(folder, name, expected), *test;
    size_t index;
    json_array_foreach(json_object_get(file, "cases"), index, test)
    {
        check(test);
    }
    json_decref(file);
}

#define FIXTURES "tests/fixtures/reference"

static void layers_agree_with_reference(void **state)
{
    (void)state;
    check_cases(FIXTURES, "layers", 35, check_layer_case);
}

/* "q.weight" is "wq" in the attention cases, "q.bias" is "bq". */
static json_t *attention_names(const json_t *tensors)
{
    json_t *renamed = json_object();
    const char *key;
    json_t *tensor;
    json_object_foreach((json_t *)tensors, key, tensor)
    {
        char name[32];
        snprintf(name, sizeof name, "%c.%s", key[1], key[0] == 'w' ? "weight" : "bias");
        json_object_set(renamed, name, tensor);
    }
    return renamed;
}

/* All seven sites of one attention layer. */
static void check_attention_case(const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *input = json_object_get(test, "input"), *expect = json_object_get(test, "expect");
    const json_t *grad_output = json_object_get(test, "grad_output"), *sites = json_object_get(expect, "sites");
    double rate = json_number_value(json_object_get(test, "learning_rate"));
    json_t *layers = json_pack("[O]", json_object_get(test, "layer"));
    json_t *parameters = attention_names(json_object_get(test, "parameters"));
    json_t *gradients = attention_names(json_object_get(expect, "grad_parameters"));
    struct network *network = make_network(layers, sample_shape(input), 0);
    set_parameters(network, parameters, false);

    struct arena arena = {0};
    struct network_pass pass;
    struct error err;
    size_t rows = (size_t)json_integer_value(json_array_get(json_object_get(input, "shape"), 0));
    real *x = arena_reals(&arena, array_size(input)), *g = arena_reals(&arena, array_size(grad_output));
    real *delta = arena_reals(&arena, network->parameter_count);
    struct divergence_row *measured = arena_take(&arena, rows * sizeof *measured);
    assert_true(x && g && delta && measured);
    copy_array(input, x);
    copy_array(grad_output, g);
    assert_ok(network_forward(network, &arena, PASS_MEASURE, x, rows, rows, &pass, &err));
    compare_array(name, "output", pass.logits, json_object_get(expect, "output"), 0);
    assert_ok(network_backward(network, &pass, g, &err));
    compare_gradients(name, network, gradients, false);
    plain_step(network, rate, delta);
    assert_int_equal(network->site_count, json_object_size(sites));
    for (size_t s = 0; s < network->site_count; s++) {
        const char *part = network->sites[s].layer->sites[s].part;
        const json_t *want = json_object_get(sites, part);
        char what[64];
        struct site_update update;
        snprintf(what, sizeof what, "effective update of %s", part);
        measure_all(network, &pass, s, delta, rate, &update, measured);
        compare_array(name, what, update.effective, json_object_get(want, "effective_update"), 0);
        json_t *metrics = json_copy((json_t *)want);
        json_object_del(metrics, "effective_update");
        compare_metrics(name, metrics, measured, rows);
        json_decref(metrics);
    }
    arena_free(&arena);
    network_free(network);
    json_decref(layers);
    json_decref(parameters);
    json_decref(gradients);
}

static void attention_agrees_with_reference(void **state)
{
    (void)state;
    check_cases(FIXTURES, "attention", 8, check_attention_case);
}

/* Loss, gradients and every site's figures of one network case, and the loss after the step. */
static void check_network_case(const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *input = json_object_get(test, "input"), *expect = json_object_get(test, "expect");
    const json_t *labels = json_object_get(test, "labels"), *sites = json_object_get(expect, "sites");
    double rate = json_number_value(json_object_get(test, "learning_rate"));
    size_t rows = json_array_size(labels);
    struct network *network = make_network(json_object_get(test, "layers"), sample_shape(input), 4);
    set_parameters(network, json_object_get(test, "parameters"), true);

    struct arena arena = {0};
    struct network_pass pass;
    struct error err;
    real *x = arena_reals(&arena, array_size(input)), *g = arena_reals(&arena, rows * 4);
    real *delta = arena_reals(&arena, network->parameter_count);
    struct divergence_row *measured = arena_take(&arena, rows * sizeof *measured);
    double *losses = arena_take(&arena, rows * sizeof *losses);
    uint32_t *label = arena_take(&arena, rows * sizeof *label), *predicted = arena_take(&arena, rows * sizeof *label);
    assert_true(x && g && delta && measured && losses && label && predicted);
    copy_array(input, x);
    for (size_t i = 0; i < rows; i++)
        label[i] = (uint32_t)json_integer_value(json_array_get(labels, i));

    assert_ok(network_forward(network, &arena, PASS_MEASURE, x, rows, rows, &pass, &err));
    compare_array(name, "logits", pass.logits, json_object_get(expect, "logits"), 0);
    loss_cross_entropy(pass.logits, label, rows, rows, 4, losses, predicted, g);
    for (size_t i = 0; i < rows; i++) {
        double want = json_number_value(json_array_get(json_object_get(expect, "loss_per_sample"), i));
        note(name, "loss", fabs(losses[i] - want) / fmax(fabs(want), 0.05));
    }
    assert_ok(network_backward(network, &pass, g, &err));
    compare_gradients(name, network, json_object_get(expect, "grad_parameters"), true);
    plain_step(network, rate, delta);
    assert_ok(network_difference(network, &pass, delta, &err));
    size_t compared = 0;
    for (size_t s = 0; s < network->site_count; s++) {
        struct site_update update;
        if (!network->sites[s].moves)
            continue;
        measure_all(network, &pass, s, delta, rate, &update, measured);
        compare_metrics(name, json_object_get(json_array_get(sites, compared++), "metrics"), measured, rows);
    }
    assert_int_equal(json_array_size(sites), compared);
    for (size_t i = 0; i < network->parameter_count; i++)
        network->parameters[i] += delta[i];
    assert_ok(network_forward(network, &arena, PASS_MEASURE, x, rows, rows, &pass, &err));
    loss_cross_entropy(pass.logits, label, rows, rows, 4, losses, predicted, NULL);
    double after = 0, want = json_number_value(json_object_get(expect, "loss_after"));
    for (size_t i = 0; i < rows; i++)
        after += losses[i] / (double)rows;
    note(name, "loss after the step", fabs(after - want) / fabs(want));
    arena_free(&arena);
    network_free(network);
}

static void networks_agree_with_reference(void **state)
{
    (void)state;
    check_cases(FIXTURES, "networks", 6, check_network_case);
}

/* Cases of other sizes and numbers, made on the spot, that no code has been fitted to. */
static void other_cases_agree(void **state)
{
    (void)state;
    char folder[TEST_PATH_SIZE], arguments[2 * TEST_PATH_SIZE];
    if (access("../shared/reference/make_reference.py", R_OK) != 0) {
        print_message("skipped: no ../shared/reference/make_reference.py to make other cases\n");
        skip();
    }
    const char *python = python_with_torch();
    if (!python)
        skip();
    for (int bump = 1; bump <= 2; bump++) {
        files_begin(folder);
        snprintf(arguments, sizeof arguments,
                 "../shared/reference/make_reference.py --out %s --seed %d --bump %d >/dev/null", folder, 6 + bump,
                 bump);
        python_run(python, arguments);
        check_cases(folder, "layers", 35, check_layer_case);
        check_cases(folder, "attention", 8, check_attention_case);
        check_cases(folder, "networks", 6, check_network_case);
        files_end(folder);
    }
}

static int print_worst(void **state)
{
    (void)state;
    for (const struct worst *w = worst_of_all; w->kind[0]; w++)
        print_message("worst relative error (%s): %-9s %.2e at %s\n", REAL_NAME, w->kind, w->error, w->place);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_reference),
        cmocka_unit_test(attention_agrees_with_reference),
        cmocka_unit_test(networks_agree_with_reference),
        cmocka_unit_test(other_cases_agree),
    };
    return cmocka_run_group_tests_name("reference (" REAL_NAME ")", tests, NULL, print_worst);
}
