#include "core/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/layout.h"
#include "core/network_plan.h"
#include "core/rng.h"

/* Normal weights with deviation gain/√fan_in (He), or √(2/(fan_in + fan_out)) (Glorot) where no gain is set. */
static void draw_weight(const struct layer *layer, const struct layer_tensor *tensor, struct rng *rng, real *values)
{
    size_t fan_out = tensor->dims[0], fan_in = tensor->size / fan_out;
    double deviation =
        layer->init_gain > 0 ? layer->init_gain / sqrt((double)fan_in) : sqrt(2.0 / ((double)fan_in + (double)fan_out));
    for (size_t i = 0; i < tensor->size; i++)
        values[i] = (real)(deviation * rng_normal(rng));
}

static void draw_layer(const struct network *network, const struct layer *layer, struct rng *rng)
{
    for (size_t t = 0; t < layer->tensor_count; t++) {
        const struct layer_tensor *tensor = &layer->tensors[t];
        real *block =
            tensor->trained ? network->parameters + layer->parameter_offset : network->buffers + layer->buffer_offset;
        if (tensor->drawn)
            draw_weight(layer, tensor, rng, block + tensor->offset);
        else
            for (size_t i = 0; i < tensor->size; i++)
                block[tensor->offset + i] = (real)tensor->start;
    }
}

enum status network_create(const json_t *layers, const struct shape *input, size_t classes, uint64_t seed,
                           struct network **ret_network, struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_network) struct network *network = NULL;
    enum status status = network_plan(layers, input, classes, &network, problems, err);
    if (status != STATUS_OK)
        return status;
    network->parameters = calloc(network->parameter_count, sizeof *network->parameters);
    network->gradient = calloc(network->parameter_count, sizeof *network->gradient);
    network->buffers = calloc(network->buffer_count + 1, sizeof *network->buffers);
    if (!network->parameters || !network->gradient || !network->buffers)
        return error_no_memory(err);
    for (size_t i = 0; i < network->layer_count; i++) {
        struct rng rng;
        rng_seed(&rng, seed, i);
        draw_layer(network, &network->layers[i], &rng);
    }
    *ret_network = network;
    network = NULL;
    return STATUS_OK;
}

enum status network_forward(const struct network *network, struct arena *arena, enum pass_mode mode,
                            const real *samples, size_t rows, size_t batch, struct network_pass *ret_pass,
                            struct error *err)
{
    struct layer_pass *passes = arena_take(arena, network->layer_count * sizeof *passes);
    if (!passes)
        return error_no_memory(err);
    const real *x = samples;
    if (layout_differs(&network->input)) {
        real *last = arena_reals(arena, rows * shape_size(&network->input));
        if (!last)
            return error_no_memory(err);
        layout_channels_last(&network->input, rows, samples, last);
        x = last;
    }
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        passes[i] = (struct layer_pass){
            .mode = mode,
            .rows = rows,
            .batch = batch,
            .arena = arena,
            .parameters = network->parameters + layer->parameter_offset,
            .gradient = network->gradient + layer->parameter_offset,
            .buffers = network->buffers + layer->buffer_offset,
            .x = x,
            .skip_dx = i <= network->first_trained,
        };
        enum status status = layer->ops->forward(layer, &passes[i], err);
        if (status != STATUS_OK)
            return status;
        x = passes[i].z;
    }
    *ret_pass = (struct network_pass){passes, rows, batch, x};
    return STATUS_OK;
}

enum status network_backward(const struct network *network, struct network_pass *pass, const real *logits_gradient,
                             struct error *err)
{
    const real *dz = logits_gradient;
    for (size_t i = network->layer_count; i-- > network->first_trained;) {
        const struct layer *layer = &network->layers[i];
        pass->layers[i].dz = dz;
        enum status status = layer->ops->backward(layer, &pass->layers[i], err);
        if (status != STATUS_OK)
            return status;
        dz = pass->layers[i].dx;
    }
    return STATUS_OK;
}

static bool all_finite(const real *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

const char *network_first_nonfinite(const struct network *network, const struct network_pass *pass,
                                    char text[LAYER_PATH_SIZE + 48])
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        const struct layer_pass *part = &pass->layers[i];
        if (!all_finite(part->z, part->rows * layer->out) ||
            (part->dz && !all_finite(part->dz, part->rows * layer->out))) {
            snprintf(text, LAYER_PATH_SIZE + 48, "%s.%s", layer->path, layer->ops->type);
            return text;
        }
    }
    return NULL;
}
