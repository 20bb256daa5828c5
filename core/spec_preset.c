/* Presets: a model in a few words, expanded into the layers it stands for. */
#include <string.h>

#include "core/feature_map.h"
#include "core/spec_internal.h"

static const char *const activations[] = {"tanh", "relu", "leaky-relu", NULL};
static const char *const activations_later[] = {"gelu", "sigmoid", NULL};

static const struct option mlp_options[] = {
    {"width", OPTION_INTEGER, "128", 1, 1048576, .help = "units of each hidden layer"},
    {"depth", OPTION_INTEGER, "3", 0, 1000, .help = "number of hidden layers"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = feature_map_names, .help = "of every dense layer"},
    {"activation", OPTION_CHOICE, "\"tanh\"", .choices = activations, .later = activations_later,
     .help = "after each hidden layer"},
    OPTION_END,
};

static json_t *dense(json_int_t units, const char *variant)
{
    return json_pack("{s:s, s:I, s:s}", "type", "dense", "units", units, "variant", variant);
}

/* flatten, depth × (dense, activation), a dense layer to the classes. */
static json_t *expand_mlp(const json_t *keys, size_t classes)
{
    const char *variant = option_string(keys, "variant"), *activation = option_string(keys, "activation");
    json_t *layers = json_pack("[{s:s}]", "type", "flatten");
    bool whole = layers;
    for (long long i = 0; whole && i < option_integer(keys, "depth"); i++)
        whole = json_array_append_new(layers, dense(option_integer(keys, "width"), variant)) == 0 &&
                json_array_append_new(layers, json_pack("{s:s}", "type", activation)) == 0;
    if (whole && json_array_append_new(layers, dense((json_int_t)classes, variant)) == 0)
        return layers;
    json_decref(layers);
    return NULL;
}

static const struct preset presets[] = {
    {"mlp", mlp_options, expand_mlp},
};

const char *const spec_preset_names[] = {"mlp", NULL};
const char *const spec_presets_later[] = {"cnn", "vit", NULL};

const struct preset *spec_preset_find(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}
