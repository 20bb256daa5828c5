/*
 * The registered layer types. A layer is one file with one `struct layer_ops`, and one row of LAYER_TABLE (layers.h).
 */
#ifndef PLUMBLINE_CORE_LAYER_REGISTRY_H
#define PLUMBLINE_CORE_LAYER_REGISTRY_H

#include <jansson.h>

#include "core/option.h"

struct layer_ops;

/* The registered layers, NULL-terminated. */
extern const struct layer_ops *const layer_registry[];

/* The layer of that type name, or NULL. */
const struct layer_ops *layer_find(const char *type);

/* The keys a layer of that type takes in a spec, besides "type"; NULL for an unknown type. */
const struct option *layer_options(const char *type);

/* Every layer with its formula, options and variants (formula, feature map, self factor), for GET /layers. NULL when
 * memory runs out. */
json_t *layers_describe(void);

#endif
