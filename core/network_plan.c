/* Planning: shapes inferred, tensors placed, sites named. Nothing is computed here. */
#include "core/network_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/layer_registry.h"

struct layer_tensor *layer_add_tensor(struct layer *layer, const char *name, bool trained, int rank, const size_t *dims)
{
    struct layer_tensor *tensor = &layer->tensors[layer->tensor_count++];
    size_t *total = trained ? &layer->parameter_count : &layer->buffer_count;
    *tensor = (struct layer_tensor){.name = name, .rank = rank, .size = 1, .offset = *total, .trained = trained};
    for (int i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        tensor->size *= dims[i];
    }
    *total += tensor->size;
    return tensor;
}

/* Plans layer `index` on the shape that the layer before it gives. */
static enum status plan_layer(struct network *network, size_t index, const json_t *spec, const struct shape *input,
                              struct problem_list *problems, struct error *err)
{
    struct layer *layer = &network->layers[index];
    const char *type = option_string(spec, "type");
    layer->ops = layer_find(type);
    if (!layer->ops)
        return error_set(err, STATUS_INVALID, "layer %zu has the unknown type \"%s\"", index, type);
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/model/layers/%zu", index);
    snprintf(layer->path, sizeof layer->path, "%zu", index);
    layer->input = *input;
    layer->in = shape_size(input);
    layer->parameter_offset = network->parameter_count;
    layer->buffer_offset = network->buffer_count;
    if (layer->ops->detail_size > 0) {
        layer->detail = calloc(1, layer->ops->detail_size);
        if (!layer->detail)
            return error_no_memory(err);
    }
    enum status status = layer->ops->plan(layer, spec, pointer, problems, err);
    if (status != STATUS_OK)
        return status;
    layer->out = shape_size(&layer->output);
    network->parameter_count += layer->parameter_count;
    network->buffer_count += layer->buffer_count;
    network->site_count += layer->site_count;
    return STATUS_OK;
}

static enum status name_sites(struct network *network, struct error *err)
{
    network->sites = calloc(network->site_count ? network->site_count : 1, sizeof *network->sites);
    if (!network->sites)
        return error_no_memory(err);
    struct network_site *site = network->sites;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        for (size_t k = 0; k < layer->site_count; k++, site++) {
            const char *part = layer->sites[k];
            site->layer = layer;
            site->index = k;
            snprintf(site->name, sizeof site->name, "%s.%s%s%s", layer->path, layer->ops->type, *part ? "." : "", part);
        }
    }
    return STATUS_OK;
}

/* Each layer with weights starts by the rule for the activation behind it. */
static void set_gains(struct network *network)
{
    for (size_t i = 0; i + 1 < network->layer_count; i++) {
        const struct layer *next = &network->layers[i + 1];
        if (next->ops->he_gain)
            network->layers[i].init_gain = next->ops->he_gain(next);
    }
}

static enum status check_head(const struct network *network, size_t classes, struct problem_list *problems,
                              struct error *err)
{
    const struct layer *last = &network->layers[network->layer_count - 1];
    if (classes == 0 || (last->output.rank == 1 && last->out == classes))
        return STATUS_OK;
    char pointer[64], shape[SHAPE_TEXT_SIZE];
    snprintf(pointer, sizeof pointer, "/model/layers/%s", last->path);
    problem_add(problems, pointer, "Gives %s, the data set has %zu classes: let the last layer give %zu values.",
                shape_format(&last->output, shape), classes, classes);
    return error_set(err, STATUS_INVALID, "the last layer gives %s for %zu classes", shape, classes);
}

enum status network_plan(const json_t *layers, const struct shape *input, size_t classes, struct network **ret_network,
                         struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_network) struct network *network = calloc(1, sizeof *network);
    size_t count = json_array_size(layers);
    if (!network)
        return error_no_memory(err);
    if (count == 0) {
        problem_add(problems, "/model/layers", "Must hold at least one layer.");
        return error_set(err, STATUS_INVALID, "the model has no layers");
    }
    network->layers = calloc(count, sizeof *network->layers);
    if (!network->layers)
        return error_no_memory(err);
    network->input = *input;
    network->classes = classes;
    network->first_trained = count;
    const struct shape *shape = input;
    for (size_t i = 0; i < count; i++) {
        network->layer_count = i + 1;
        enum status status = plan_layer(network, i, json_array_get(layers, i), shape, problems, err);
        if (status != STATUS_OK)
            return status;
        shape = &network->layers[i].output;
        if (network->layers[i].parameter_count > 0 && network->first_trained == count)
            network->first_trained = i;
    }
    enum status status = check_head(network, classes, problems, err);
    if (status == STATUS_OK && network->parameter_count == 0) {
        problem_add(problems, "/model/layers", "Must hold a layer with parameters, or there is nothing to train.");
        status = error_set(err, STATUS_INVALID, "the model has no parameters");
    }
    if (status == STATUS_OK)
        status = name_sites(network, err);
    if (status != STATUS_OK)
        return status;
    set_gains(network);
    *ret_network = network;
    network = NULL;
    return STATUS_OK;
}

void network_free(struct network *network)
{
    if (!network)
        return;
    for (size_t i = 0; i < network->layer_count; i++)
        free(network->layers[i].detail);
    free(network->layers);
    free(network->sites);
    free(network->parameters);
    free(network->gradient);
    free(network->buffers);
    free(network);
}

void cleanup_network(struct network **network)
{
    network_free(*network);
}

static json_t *describe_layer(const struct layer *layer)
{
    json_t *shape = json_array();
    for (int i = 0; i < layer->output.rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)layer->output.dims[i]));
    return json_pack("{s:s, s:s, s:s?, s:o, s:I, s:f}", "index", layer->path, "type", layer->ops->type, "variant",
                     layer->variant, "shape", shape, "parameters", (json_int_t)layer->parameter_count, "flops",
                     layer->ops->flops ? layer->ops->flops(layer) : 0.0);
}

enum status network_check(const json_t *layers, const struct shape *input, size_t classes, json_t **ret_description,
                          struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_network) struct network *network = NULL;
    enum status status = network_plan(layers, input, classes, &network, problems, err);
    if (status != STATUS_OK || !ret_description)
        return status;
    json_t *items = json_array(), *sites = json_array();
    double flops = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        flops += layer->ops->flops ? layer->ops->flops(layer) : 0;
        json_array_append_new(items, describe_layer(layer));
    }
    for (size_t i = 0; i < network->site_count; i++)
        json_array_append_new(sites, json_string(network->sites[i].name));
    bool whole = json_array_size(items) == network->layer_count && json_array_size(sites) == network->site_count;
    json_t *description = json_pack("{s:o, s:o, s:I, s:f}", "layers", items, "sites", sites, "parameters",
                                    (json_int_t)network->parameter_count, "flops_per_sample", flops);
    if (!description || !whole) {
        json_decref(description);
        return error_no_memory(err);
    }
    *ret_description = description;
    return STATUS_OK;
}
