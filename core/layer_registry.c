#include "core/layer_registry.h"

#include <string.h>

#include "core/layer.h"
#include "core/layers.h"

#define LAYER_ADDRESS(ops) &ops,
const struct layer_ops *const layer_registry[] = {LAYER_TABLE(LAYER_ADDRESS) NULL};
#undef LAYER_ADDRESS

const struct layer_ops *layer_find(const char *type)
{
    for (const struct layer_ops *const *ops = layer_registry; *ops; ops++)
        if (strcmp((*ops)->type, type) == 0)
            return *ops;
    return NULL;
}

const struct option *layer_options(const char *type)
{
    const struct layer_ops *ops = layer_find(type);
    return ops ? ops->options : NULL;
}

json_t *layers_describe(void)
{
    json_t *list = json_array();
    for (const struct layer_ops *const *at = layer_registry; list && *at; at++) {
        const struct layer_ops *ops = *at;
        json_t *variants = ops->describe_variants ? ops->describe_variants() : json_array();
        json_t *item = json_pack("{s:s, s:s, s:o, s:o}", "type", ops->type, "formula", ops->formula, "options",
                                 options_describe(ops->options), "variants", variants);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    json_t *answer = json_pack("{s:o}", "layers", list);
    return answer;
}
