/* The layer types, one a file; layer_registry.c lists them. */
#ifndef PLUMBLINE_CORE_LAYERS_H
#define PLUMBLINE_CORE_LAYERS_H

struct layer_ops;

extern const struct layer_ops layer_dense;
extern const struct layer_ops layer_tanh, layer_relu, layer_leaky_relu, layer_gelu, layer_sigmoid;
extern const struct layer_ops layer_conv, layer_max_pool, layer_avg_pool, layer_mean_tokens;
extern const struct layer_ops layer_attention, layer_patch_embed, layer_residual;
extern const struct layer_ops layer_normaliser, layer_flatten;

/* The variants of a convolution, NULL-terminated, for an option's choices. */
extern const char *const conv_variant_names[];

#endif
