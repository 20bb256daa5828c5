/*
 * A network: an ordered list of layers between the sample's shape and the classes, with one block for all parameters.
 */
#ifndef PLUMBLINE_CORE_NETWORK_H
#define PLUMBLINE_CORE_NETWORK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/layer_stack.h"
#include "core/option.h"
#include "core/safetensors.h"
#include "core/shape.h"
#include "core/status.h"

#define NETWORK_NAME_SIZE (LAYER_PATH_SIZE + 48)

/* An activation that can be measured: a part of a layer. */
struct network_site {
    char name[NETWORK_NAME_SIZE]; /* "1.dense", "2.attention.q" (product.md "Names") */
    const struct layer *layer;
    size_t index;            /* among the layer's sites */
    size_t size;             /* values of one sample */
    size_t parameter_offset; /* of the layer, into the network's block */
    bool moves; /* in the layer view. If not, the layer has no parameters, and moves in the network view only */
};

/* A parameter or buffer of any layer. */
struct network_tensor {
    char name[4 * LAYER_PATH_SIZE + 48]; /* "layers.4.layers.1.weight" */
    const struct layer *layer;
    const struct layer_tensor *tensor;
    size_t offset; /* into the network's parameters, or its buffers */
};

struct network {
    struct layer_stack stack;
    const struct layer **all; /* every layer, by id; a residual behind the layers it holds */
    size_t all_count;
    struct network_site *sites; /* in depth order: each part of a layer that has parameters, and each layer without any
                                   that comes after one with */
    size_t site_count;
    struct network_tensor *tensors;
    size_t tensor_count;
    struct shape input;
    size_t classes; /* values of a sample's output */
    size_t parameter_count, buffer_count;
    size_t most_rows;            /* the most rows a pass may have, so that no layer's values outgrow an int */
    real *parameters, *gradient; /* parameter_count each: one block for all layers */
    real *buffers;               /* running statistics */
};

/*
 * Plans the expanded `layers` of a spec, allocates the blocks and draws the initial weights from `seed`: normal with
 * He's deviation before relu and leaky-relu, with Glorot's elsewhere; biases 0, gains and running variances 1. The
 * caller frees by network_free. Faults of shape go to `problems`.
 */
enum status network_create(const json_t *layers, const struct shape *input, size_t classes, uint64_t seed,
                           struct network **ret_network, struct problem_list *problems, struct error *err);
void network_free(struct network *network);
void cleanup_network(struct network **network);

/* One pass of the whole network, from the step's arena. */
struct network_pass {
    struct layer_pass whole; /* of the stack */
    struct layer_pass **all; /* of every layer, by id */
    size_t rows, batch;
    const real *logits; /* rows × classes */
};

/* Whether samples are brought from the order of files into that of layout.h before the first layer. */
bool network_reorders(const struct network *network);

/*
 * Runs `rows` samples forward, the first `batch` of which make batch statistics. `samples` (rows × input, in the order
 * of files) and all of the pass live until the arena is reset; inside, rank 3 is kept as in layout.h. STATUS_INVALID
 * where `rows` is above network->most_rows.
 */
enum status network_forward(const struct network *network, struct arena *arena, enum pass_mode mode,
                            const real *samples, size_t rows, size_t batch, struct network_pass *ret_pass,
                            struct error *err);

/* Sets network->gradient from ∂L/∂logits (rows × classes) over the first `batch` rows, and every layer's dz for all. */
enum status network_backward(const struct network *network, struct network_pass *pass, const real *logits_gradient,
                             struct error *err);

/* The network view (theory.md §1): what the step `delta` of all parameters changes at every site, on the same samples,
 * entered in the passes' `changes`. The parameters are still those before the step. */
enum status network_difference(const struct network *network, struct network_pass *pass, const real *delta,
                               struct error *err);

/*
 * Where a step first was not finite, in the order in which it is computed: the outputs of the batch's rows layer by
 * layer, then the gradients at the sites from the last layer to the first, then a layer's gradient or step of its
 * parameters (`delta`, of all of them). The site's name ("1.dense", "2.attention.logits"), which `text` holds; NULL if
 * nowhere.
 */
const char *network_first_nonfinite(const struct network *network, const struct network_pass *pass, const real *delta,
                                    char text[NETWORK_NAME_SIZE]);

/* Copies of all tensors, named "layers.<i>.weight" and shaped as in PyTorch. The caller clears the list. */
enum status network_export(const struct network *network, struct tensor_list *ret_list, struct error *err);

/* Any other block shaped like the parameters, under the same names (a gradient); buffers are left out. */
enum status network_export_block(const struct network *network, const real *block, struct tensor_list *ret_list,
                                 struct error *err);

/* Whether a list has all tensors and no others, by name and shape; the first that is missing, superfluous or misshapen
 * is named. Values are not looked at. */
enum status network_fits(const struct network *network, const struct tensor_list *list, struct error *err);

/* Sets all tensors from a list that fits; from another one none, as network_fits says. */
enum status network_import(struct network *network, const struct tensor_list *list, struct error *err);

#endif
