#include "core/layer_registry.h"

#include <string.h>

#include "core/layer.h"
#include "core/layers.h"

const struct layer_ops *const layer_registry[] = {
    &layer_dense,      &layer_conv,        &layer_attention, &layer_patch_embed,
    &layer_normaliser, &layer_residual,    &layer_tanh,      &layer_relu,
    &layer_leaky_relu, &layer_gelu,        &layer_sigmoid,   &layer_max_pool,
    &layer_avg_pool,   &layer_mean_tokens, &layer_flatten,   NULL,
};

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
