/* Presets: a model in a few words, expanded into the layers it stands for (product.md "A job's spec"). */
#include <string.h>

#include "core/feature_map.h"
#include "core/file_util.h"
#include "core/layers.h"
#include "core/spec_internal.h"

static json_t *dense(json_int_t units, const char *variant)
{
    return json_pack("{s:s, s:I, s:s}", "type", "dense", "units", units, "variant", variant);
}

static json_t *plain(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

/* Appends a layer, which may be NULL without memory; *whole stays true as long as all were appended. */
static void append(json_t *layers, json_t *layer, bool *whole)
{
    *whole = json_array_append_new(layers, layer) == 0 && *whole;
}

static json_t *whole_or_null(json_t *layers, bool whole)
{
    if (whole)
        return layers;
    json_decref(layers);
    return NULL;
}

/* ------------------------------------------------------------------ mlp */

static const char *const activations[] = {"tanh", "relu", "leaky-relu", "gelu", "sigmoid", NULL};

static const struct option mlp_options[] = {
    {"width", OPTION_INTEGER, "128", 1, 1048576, .help = "units of each hidden layer"},
    {"depth", OPTION_INTEGER, "3", 0, 1000, .help = "number of hidden layers"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = feature_map_names, .help = "of every dense layer"},
    {"activation", OPTION_CHOICE, "\"tanh\"", .choices = activations, .help = "after each hidden layer"},
    OPTION_END,
};

/* flatten, depth × (dense, activation), a dense layer to the classes. */
static json_t *expand_mlp(const json_t *keys, size_t classes)
{
    const char *variant = option_string(keys, "variant");
    json_t *layers = json_array();
    bool whole = layers;
    append(layers, plain("flatten"), &whole);
    for (long long i = 0; i < option_integer(keys, "depth"); i++) {
        append(layers, dense(option_integer(keys, "width"), variant), &whole);
        append(layers, plain(option_string(keys, "activation")), &whole);
    }
    append(layers, dense((json_int_t)classes, variant), &whole);
    return whole_or_null(layers, whole);
}

/* ------------------------------------------------------------------ cnn */

static const struct option cnn_options[] = {
    {"channels", OPTION_INTEGERS, "[32, 64]", 1, 65536,
     .help = "of each convolution; a pool halves the image after it"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = conv_variant_names, .help = "of every convolution"},
    OPTION_END,
};

/* For each entry of channels conv 3×3, leaky-relu, max-pool 2; then flatten and a dense head. */
static json_t *expand_cnn(const json_t *keys, size_t classes)
{
    const char *variant = option_string(keys, "variant");
    const char *head = strcmp(variant, "patch-affine-like") == 0 ? "affine-like" : "affine";
    json_t *layers = json_array(), *channels;
    bool whole = layers;
    size_t index;
    json_array_foreach(json_object_get(keys, "channels"), index, channels)
    {
        append(layers,
               json_pack("{s:s, s:O, s:i, s:i, s:s}", "type", "conv", "channels", channels, "kernel", 3, "padding", 1,
                         "variant", variant),
               &whole);
        append(layers, plain("leaky-relu"), &whole);
        append(layers, json_pack("{s:s, s:i}", "type", "max-pool", "size", 2), &whole);
    }
    append(layers, plain("flatten"), &whole);
    append(layers, dense((json_int_t)classes, head), &whole);
    return whole_or_null(layers, whole);
}

/* ------------------------------------------------------------------ vit */

static const struct option vit_options[] = {
    {"patch", OPTION_INTEGER, "4", 1, 1024, .help = "side of a square patch, which becomes a token"},
    {"dim", OPTION_INTEGER, "64", 1, 65536, .help = "length of a token"},
    {"heads", OPTION_INTEGER, "4", 1, 1024, .help = "of each attention, a divisor of dim"},
    {"blocks", OPTION_INTEGER, "2", 0, 1000, .help = "attention and two dense layers each, both with a residual"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = feature_map_names,
     .help = "of the embedding, every projection and every dense layer"},
    OPTION_END,
};

/* patch-embed with positions, blocks × (residual [attention], residual [dense 4·dim, gelu, dense dim]), mean-tokens, a
 * dense head. */
static json_t *expand_vit(const json_t *keys, size_t classes)
{
    const char *variant = option_string(keys, "variant");
    json_int_t dim = option_integer(keys, "dim");
    json_t *layers = json_array();
    bool whole = layers;
    append(layers,
           json_pack("{s:s, s:I, s:I, s:b, s:s}", "type", "patch-embed", "patch", option_integer(keys, "patch"), "dim",
                     dim, "positions", 1, "variant", variant),
           &whole);
    for (long long i = 0; i < option_integer(keys, "blocks"); i++) {
        append(layers,
               json_pack("{s:s, s:[{s:s, s:I, s:s}]}", "type", "residual", "layers", "type", "attention", "heads",
                         option_integer(keys, "heads"), "variant", variant),
               &whole);
        append(layers,
               json_pack("{s:s, s:[o, o, o]}", "type", "residual", "layers", dense(4 * dim, variant), plain("gelu"),
                         dense(dim, variant)),
               &whole);
    }
    append(layers, plain("mean-tokens"), &whole);
    append(layers, dense((json_int_t)classes, variant), &whole);
    return whole_or_null(layers, whole);
}

/* ------------------------------------------------------------------ faults */

/* "/model/patch" for "/model/layers/0/patch", "/model" where the preset has no such key. The caller frees. */
static char *place_in_preset(const struct preset *preset, const char *pointer)
{
    const char *key = strrchr(pointer, '/') + 1;
    for (const struct option *option = preset->options; option->name; option++)
        if (strcmp(option->name, key) == 0)
            return pointer_member("/model", key);
    return strdup("/model");
}

/* Without memory a fault stays as it is. */
void spec_preset_faults(const struct preset *preset, struct problem_list *problems, size_t before)
{
    static const char layers[] = "/model/layers";
    for (size_t i = before; i < problem_list_count(problems); i++) {
        json_t *problem = json_array_get(problems->items, i);
        const char *pointer = json_string_value(json_object_get(problem, "pointer"));
        const char *detail = json_string_value(json_object_get(problem, "detail"));
        if (!pointer || !detail || strncmp(pointer, layers, sizeof layers - 1) != 0)
            continue;
        bool all = strcmp(pointer, layers) == 0;
        attribute_cleanup(cleanup_free) char *place = place_in_preset(preset, pointer);
        attribute_cleanup(cleanup_free) char *told =
            all ? strdup(detail)
                : text_format("%s It is at %s of the layers that the preset %s stands for.", detail, pointer,
                              preset->name);
        if (place && told && json_object_set_new(problem, "detail", json_string(told)) == 0)
            json_object_set_new(problem, "pointer", json_string(place));
    }
}

/* ------------------------------------------------------------------ the table */

/* Row: name; its keys are NAME_options, its layers expand_NAME's. */
#define PRESET_TABLE(ROW) ROW(mlp) ROW(cnn) ROW(vit)

#define PRESET(name) {#name, name##_options, expand_##name},
static const struct preset presets[] = {PRESET_TABLE(PRESET)};
#undef PRESET

#define PRESET_NAME(name) #name,
const char *const spec_preset_names[] = {PRESET_TABLE(PRESET_NAME) NULL};
#undef PRESET_NAME

const struct preset *spec_preset_find(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}
