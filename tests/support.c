#include "tests/support.h"

#include "core/layer_registry.h"
#include "core/option.h"

json_t *expand_layer(const json_t *layer)
{
    struct problem_list problems;
    struct error err;
    assert_ok(problem_list_init(&problems, &err));
    const char *type = json_string_value(json_object_get(layer, "type"));
    json_t *bare = json_copy((json_t *)layer);
    json_object_del(bare, "type");
    json_t *expanded = options_expand(layer_options(type), bare, "", &problems);
    if (!expanded)
        fail_msg("%s", json_dumps(problems.items, 0));
    json_object_set_new(expanded, "type", json_string(type));
    if (json_object_get(expanded, "layers"))
        json_object_set_new(expanded, "layers", expand_layers(json_object_get(expanded, "layers")));
    json_decref(bare);
    problem_list_clear(&problems);
    return expanded;
}

json_t *expand_layers(const json_t *layers)
{
    json_t *expanded = json_array();
    size_t index;
    json_t *layer;
    json_array_foreach(layers, index, layer)
    {
        json_array_append_new(expanded, expand_layer(layer));
    }
    return expanded;
}

struct network *make_network(const json_t *layers, struct shape input, size_t classes)
{
    struct problem_list problems;
    struct network *network = NULL;
    struct error err;
    json_t *expanded = expand_layers(layers);
    assert_ok(problem_list_init(&problems, &err));
    assert_ok(network_create(expanded, &input, classes, 1, &network, &problems, &err));
    problem_list_clear(&problems);
    json_decref(expanded);
    return network;
}
