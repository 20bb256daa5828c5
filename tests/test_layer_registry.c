/* What GET /layers tells is the table that runs: every choice of a variant is described, and its factor is measured. */
#include "core/layer_registry.h"
#include "tests/experiment.h"

static const char *text_of(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

static const json_t *find(const json_t *list, const char *key, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (strcmp(text_of(item, key), name) == 0)
            return item;
    }
    fail_msg("%s is not described", name);
    return NULL;
}

/* The key that chooses a layer's variant, or NULL. */
static const struct option *variant_option(const struct layer_ops *ops)
{
    for (const struct option *o = ops->options; o->name; o++)
        if (strcmp(o->name, "variant") == 0 || strcmp(o->name, "kind") == 0)
            return o;
    return NULL;
}

static void every_layer_and_variant_is_described(void **state)
{
    (void)state;
    json_t *answer = layers_describe(), *layers = json_object_get(answer, "layers");
    size_t described = 0;
    for (const struct layer_ops *const *ops = layer_registry; *ops; ops++, described++) {
        const json_t *layer = find(layers, "type", (*ops)->type), *variants = json_object_get(layer, "variants");
        const struct option *option = variant_option(*ops);
        assert_true(*text_of(layer, "formula"));
        size_t choices = 0;
        for (; option && option->choices[choices]; choices++) {
            const json_t *variant = find(variants, "name", option->choices[choices]);
            assert_true(*text_of(variant, "formula") && *text_of(variant, "features"));
            /* a normaliser with a gain has no self factor */
            assert_int_equal(text_of(variant, "self_factor") != NULL, strcmp((*ops)->type, "normaliser") != 0);
        }
        assert_int_equal(json_array_size(variants), choices);
    }
    assert_int_equal(json_array_size(layers), described);
    json_decref(answer);
}

/* The factor that a description says, for features of length n and an input of that norm; NaN where it depends. */
static double described_factor(const char *text, double n, double norm)
{
    if (strcmp(text, "1") == 0 || strcmp(text, "2") == 0)
        return strtod(text, NULL);
    if (strcmp(text, "n + 1") == 0 || strcmp(text, "m + 1") == 0)
        return n + 1;
    if (strcmp(text, "‖x‖² + 1") == 0)
        return norm * norm + 1;
    return NAN;
}

static void factors_are_those_that_are_measured(void **state)
{
    (void)state;
    static const struct {
        const char *type, *keys;
        struct shape shape;
        double n;
    } layers[] = {
        {"dense", "\"units\": 3", {1, {8}}, 8},
        {"conv", "\"channels\": 3, \"kernel\": 4", {3, {2, 4, 4}}, 32}, /* one position: the patch is the image */
        {"patch-embed", "\"dim\": 3, \"patch\": 4", {3, {2, 4, 4}}, 32},
    };
    json_t *answer = layers_describe();
    size_t checked = 0;
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        const json_t *layer = find(json_object_get(answer, "layers"), "type", layers[l].type);
        size_t index;
        json_t *variant;
        json_array_foreach(json_object_get(layer, "variants"), index, variant)
        {
            struct experiment e;
            struct divergence_row rows[4];
            char text[200];
            snprintf(text, sizeof text, "[{\"type\": \"%s\", %s, \"variant\": \"%s\"}]", layers[l].type, layers[l].keys,
                     text_of(variant, "name"));
            experiment_begin(&e, text, layers[l].shape, 4, 1, 0.1, 2);
            experiment_run(&e);
            experiment_measure(&e, 0, rows);
            for (size_t i = 0; i < 4; i++) {
                const double *v = rows[i].values;
                double want = described_factor(text_of(variant, "self_factor"), layers[l].n, v[COLUMN_INPUT_NORM]);
                if (isnan(want))
                    continue;
                checked++;
                if (relative_error(v[COLUMN_SELF_FACTOR], want, 0) > 1e-6)
                    fail_msg("%s: factor %.9g, described as %s", text, v[COLUMN_SELF_FACTOR],
                             text_of(variant, "self_factor"));
            }
            experiment_end(&e);
        }
    }
    assert_true(checked >= 4 * 11);
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_and_variant_is_described),
        cmocka_unit_test(factors_are_those_that_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
