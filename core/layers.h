/* The layer types, one a file. */
#ifndef PLUMBLINE_CORE_LAYERS_H
#define PLUMBLINE_CORE_LAYERS_H

struct layer_ops;

/* The one table of them, in the order of GET /layers. Row: the layer_ops. */
#define LAYER_TABLE(ROW)                                                                                               \
    ROW(layer_dense)                                                                                                   \
    ROW(layer_conv)                                                                                                    \
    ROW(layer_attention)                                                                                               \
    ROW(layer_patch_embed)                                                                                             \
    ROW(layer_normaliser)                                                                                              \
    ROW(layer_residual)                                                                                                \
    ROW(layer_tanh)                                                                                                    \
    ROW(layer_relu)                                                                                                    \
    ROW(layer_leaky_relu)                                                                                              \
    ROW(layer_gelu)                                                                                                    \
    ROW(layer_sigmoid)                                                                                                 \
    ROW(layer_max_pool)                                                                                                \
    ROW(layer_avg_pool)                                                                                                \
    ROW(layer_mean_tokens)                                                                                             \
    ROW(layer_flatten)

#define LAYER_DECLARE(ops) extern const struct layer_ops ops;
LAYER_TABLE(LAYER_DECLARE)
#undef LAYER_DECLARE

/* The variants of a convolution, NULL-terminated, for an option's choices. */
extern const char *const conv_variant_names[];

#endif
