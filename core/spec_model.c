/* `model`: layers checked one by one by their types' tables, or a preset that stands for some. */
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "core/layer.h"
#include "core/layer_registry.h"
#include "core/option_problem.h"
#include "core/spec_internal.h"

static void problem_layer_type(struct problem_list *problems, const char *pointer, const char *type)
{
    const char *known[64] = {NULL};
    size_t count = 0;
    for (const struct layer_ops *const *ops = layer_registry; *ops && count + 1 < sizeof known / sizeof *known; ops++)
        known[count++] = (*ops)->type;
    problem_choice(problems, pointer, type, known);
}

/* A copy of `object` without `key`, which its owner has read already. */
static json_t *without(const json_t *object, const char *key)
{
    json_t *copy = json_copy((json_t *)object);
    if (json_object_size(copy) != json_object_size(object)) { /* a copy that lacks memory lacks members */
        json_decref(copy);
        return NULL;
    }
    json_object_del(copy, key);
    return copy;
}

/* {"key": "word"} and the members of `rest`, which is released. */
static json_t *with_first(const char *key, const char *word, json_t *rest)
{
    json_t *whole = json_pack("{s:s}", key, word);
    if (whole && rest && json_object_update(whole, rest) == 0) {
        json_decref(rest);
        return whole;
    }
    json_decref(whole);
    json_decref(rest);
    return NULL;
}

/*
 * The word of `key`, by which all other keys of an object are chosen. NULL after saying that it is missing or no
 * string.
 */
static const char *choosing_word(const json_t *object, const char *base, const char *key, struct problem_list *problems)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        return json_string_value(value);
    attribute_cleanup(cleanup_free) char *pointer = pointer_member(base, key);
    if (value)
        problem_found(problems, pointer, "a string", value);
    else
        problem_add(problems, pointer, "Is missing: it chooses which other keys there are.");
    return NULL;
}

static json_t *expand_layers(const json_t *layers, const char *pointer, struct problem_list *problems);

/* Expands the layers that a layer holds, in place. */
static bool expand_inner(const struct option *options, json_t *layer, const char *pointer,
                         struct problem_list *problems)
{
    for (; options->name; options++) {
        if (options->kind != OPTION_LAYERS)
            continue;
        attribute_cleanup(cleanup_free) char *place = pointer_member(pointer, options->name);
        json_t *inner = expand_layers(json_object_get(layer, options->name), place ? place : pointer, problems);
        if (!inner || json_object_set_new(layer, options->name, inner) != 0)
            return false;
    }
    return true;
}

static json_t *expand_layer(const json_t *layer, const char *pointer, struct problem_list *problems)
{
    if (!json_is_object(layer)) {
        problem_found(problems, pointer, "an object such as {\"type\": \"tanh\"}", layer);
        return NULL;
    }
    const char *type = choosing_word(layer, pointer, "type", problems);
    if (!type)
        return NULL;
    if (!layer_find(type)) {
        attribute_cleanup(cleanup_free) char *place = pointer_member(pointer, "type");
        problem_layer_type(problems, place, type);
        return NULL;
    }
    json_t *keys = without(layer, "type");
    json_t *expanded = options_expand(layer_options(type), keys, pointer, problems);
    json_decref(keys);
    if (expanded && !expand_inner(layer_options(type), expanded, pointer, problems)) {
        json_decref(expanded);
        return NULL;
    }
    return expanded ? with_first("type", type, expanded) : NULL;
}

/* Every layer is looked at, so that all faults are said at once. */
static json_t *expand_layers(const json_t *layers, const char *pointer, struct problem_list *problems)
{
    if (!json_is_array(layers) || json_array_size(layers) == 0) {
        problem_found(problems, pointer, "an array of at least one layer", layers);
        return NULL;
    }
    json_t *result = json_array();
    bool whole = result;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        attribute_cleanup(cleanup_free) char *place = pointer_item(pointer, i);
        json_t *layer = expand_layer(json_array_get(layers, i), place ? place : pointer, problems);
        if (!layer || json_array_append_new(result, layer) != 0)
            whole = false;
    }
    if (whole)
        return result;
    json_decref(result);
    return NULL;
}

/* The classes that a preset's last layer gives; 0 after saying that they are not known. */
static size_t preset_classes(const struct dataset_spec *dataset, const struct dataset_folders *folders,
                             struct problem_list *problems)
{
    size_t classes = dataset_known_classes(dataset);
    struct dataset_info info = {0};
    if (classes > 0 || (dataset->path && path_fault(dataset->path))) /* which is told already */
        return classes;
    if (folders)
        return spec_inspect_dataset(dataset, folders, &info, problems, NULL) == STATUS_OK ? info.classes : 0;
    problem_add(problems, "/dataset/classes",
                "Is needed with a preset, whose last layer gives one value a class: give the number of classes.");
    return 0;
}

static json_t *expand_preset(const json_t *model, const struct dataset_spec *dataset,
                             const struct dataset_folders *folders, struct problem_list *problems)
{
    const char *name = choosing_word(model, "/model", "preset", problems);
    if (!name)
        return NULL;
    const struct preset *preset = spec_preset_find(name);
    if (!preset) {
        problem_choice(problems, "/model/preset", name, spec_preset_names);
        return NULL;
    }
    json_t *given = without(model, "preset"), *layers = NULL, *expanded = NULL;
    json_t *keys = options_expand(preset->options, given, "/model", problems);
    size_t classes = keys && dataset ? preset_classes(dataset, folders, problems) : 0;
    if (classes > 0) {
        layers = preset->expand(keys, classes);
        if (layers)
            expanded = expand_layers(layers, "/model/layers", problems);
        else
            problem_add(problems, "/model/preset", "Out of memory while writing out its layers.");
    }
    json_decref(given);
    json_decref(keys);
    json_decref(layers);
    return expanded;
}

json_t *spec_expand_model(const json_t *model, const struct dataset_spec *dataset,
                          const struct dataset_folders *folders, struct problem_list *problems)
{
    static const struct option layers_only[] = {
        {"layers", OPTION_ANY, NULL, .help = "the layers in order, or else a preset"}, OPTION_END};
    json_t *layers = NULL;
    if (json_object_get(model, "preset") && json_object_get(model, "layers")) {
        problem_add(problems, "/model", "Must have either layers or a preset, not both.");
    } else if (json_object_get(model, "preset")) {
        layers = expand_preset(model, dataset, folders, problems);
    } else {
        json_t *checked = options_expand(layers_only, model, "/model", problems);
        if (checked)
            layers = expand_layers(json_object_get(checked, "layers"), "/model/layers", problems);
        json_decref(checked);
    }
    return layers ? json_pack("{s:o}", "layers", layers) : NULL;
}
