#include "core/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"
#include "core/network_plan.h"
#include "core/rng.h"

/* Normal weights with deviation gain/√fan_in (He), or √(2/(fan_in + fan_out)) (Glorot) where no gain is set. */
static void draw_weight(const struct layer *layer, const struct layer_tensor *tensor, struct rng *rng, real *values)
{
    size_t out = tensor->dims[0], in = tensor->dims[1], pixels = tensor->size / (out * in);
    double fan_in = (double)(in * pixels), fan_out = (double)(out * pixels);
    double deviation = layer->init_gain > 0 ? layer->init_gain / sqrt(fan_in) : sqrt(2 / (fan_in + fan_out));
    for (size_t i = 0; i < tensor->size; i++)
        values[i] = (real)(deviation * rng_normal(rng));
}

/* Every tensor has a stream of its own. */
static void draw(struct network *network, uint64_t seed)
{
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct network_tensor *item = &network->tensors[t];
        real *values = (item->tensor->trained ? network->parameters : network->buffers) + item->offset;
        struct rng rng;
        rng_seed(&rng, seed, t);
        if (item->tensor->drawn)
            draw_weight(item->layer, item->tensor, &rng, values);
        else
            for (size_t i = 0; i < item->tensor->size; i++)
                values[i] = (real)item->tensor->start;
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
    draw(network, seed);
    *ret_network = network;
    network = NULL;
    return STATUS_OK;
}

bool network_reorders(const struct network *network)
{
    return layout_differs(&network->input) && !network->stack.layers[0].files_order;
}

enum status network_forward(const struct network *network, struct arena *arena, enum pass_mode mode,
                            const real *samples, size_t rows, size_t batch, struct network_pass *ret_pass,
                            struct error *err)
{
    struct network_pass pass = {.rows = rows, .batch = batch};
    const real *x = samples;
    if (rows > network->most_rows)
        return error_set(err, STATUS_INVALID, "a pass over %zu samples is too large for this model, which takes %zu",
                         rows, network->most_rows);
    pass.all = arena_take(arena, network->all_count * sizeof(struct layer_pass *));
    if (!pass.all)
        return error_no_memory(err);
    if (network_reorders(network)) {
        real *last = arena_reals(arena, rows * shape_size(&network->input));
        if (!last)
            return error_no_memory(err);
        layout_channels_last(&network->input, rows, samples, last);
        x = last;
    }
    pass.whole = (struct layer_pass){
        .mode = mode,
        .rows = rows,
        .batch = batch,
        .arena = arena,
        .parameters = network->parameters,
        .gradient = network->gradient,
        .buffers = network->buffers,
        .all = pass.all,
        .x = x,
    };
    enum status status = layer_stack_forward(network->stack.layers, network->stack.count, &pass.whole, err);
    if (status != STATUS_OK)
        return status;
    pass.logits = pass.whole.z;
    *ret_pass = pass;
    return STATUS_OK;
}

enum status network_backward(const struct network *network, struct network_pass *pass, const real *logits_gradient,
                             struct error *err)
{
    pass->whole.dz = logits_gradient;
    return layer_stack_backward(network->stack.layers, network->stack.count, &pass->whole, err);
}

enum status network_difference(const struct network *network, struct network_pass *pass, const real *delta,
                               struct error *err)
{
    real *change = arena_reals(pass->whole.arena, pass->rows * network->classes);
    if (!change)
        return error_no_memory(err);
    pass->whole.record = true;
    return layer_stack_difference(network->stack.layers, network->stack.count, &pass->whole, NULL, delta, change, err);
}

static bool all_finite(const real *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* The first layer whose output is not finite for the batch, or NULL. */
static const struct layer *find_output(const struct network *network, const struct network_pass *pass)
{
    for (size_t i = 0; i < network->all_count; i++)
        if (!all_finite(pass->all[i]->z, pass->batch * network->all[i]->out))
            return network->all[i];
    return NULL;
}

/* The last site of a layer at which the gradient, where it was computed, is not finite for the batch; false if none. */
static bool find_site(const struct layer *layer, const struct layer_pass *pass, size_t *ret_site)
{
    for (size_t k = layer->site_count > 0 ? layer->site_count : 1; k-- > 0;) {
        const real *gradient = layer_pass_gradient(pass, k);
        size_t size = k < layer->site_count ? layer->sites[k].size : layer->out;
        if (!gradient || all_finite(gradient, pass->batch * size))
            continue;
        *ret_site = k;
        return true;
    }
    return false;
}

static const struct layer *find_gradient(const struct network *network, const struct network_pass *pass,
                                         size_t *ret_site)
{
    for (size_t i = network->all_count; i-- > 0;)
        if (find_site(network->all[i], pass->all[i], ret_site))
            return network->all[i];
    return NULL;
}

/* The first layer of which a tensor's gradient, step, or where that leads is not finite, or NULL. */
static const struct layer *find_step(const struct network *network, const real *delta)
{
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct network_tensor *item = &network->tensors[t];
        const real *theta = network->parameters + item->offset, *step = delta + item->offset;
        if (!item->tensor->trained)
            continue;
        bool finite = all_finite(network->gradient + item->offset, item->tensor->size);
        for (size_t i = 0; finite && i < item->tensor->size; i++)
            finite = isfinite(theta[i] + step[i]);
        if (!finite)
            return item->layer;
    }
    return NULL;
}

const char *network_first_nonfinite(const struct network *network, const struct network_pass *pass, const real *delta,
                                    char text[NETWORK_NAME_SIZE])
{
    const struct layer *layer = find_output(network, pass);
    size_t site = layer && layer->site_count > 0 ? layer->site_count - 1 : 0; /* the last of several is the output */
    if (!layer)
        layer = find_gradient(network, pass, &site);
    if (!layer)
        layer = find_step(network, delta);
    if (!layer)
        return NULL;
    network_site_name(layer, site, text);
    return text;
}
