/* Planning: shapes inferred, and flat lists of all layers, sites and tensors. Nothing is computed here. */
#include "core/network_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many layers, sites and tensors there are, inner ones included. */
static void count_all(struct network *network, const struct layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        count_all(network, layers[i].children, layers[i].child_count);
        network->all_count++;
        network->site_count += layers[i].site_count ? layers[i].site_count : 1;
        network->tensor_count += layers[i].tensor_count;
    }
}

/* "layers.4.layers.1.weight" for the tensor "weight" of the layer "4.1": a residual holds its own layers. */
static void name_tensor(struct network_tensor *item)
{
    size_t used = 0;
    for (const char *at = item->layer->path; *at; at += strcspn(at, ".") + (at[strcspn(at, ".")] == '.')) {
        int n = snprintf(item->name + used, sizeof item->name - used, "layers.%.*s.", (int)strcspn(at, "."), at);
        used += n > 0 && (size_t)n < sizeof item->name - used ? (size_t)n : 0;
    }
    snprintf(item->name + used, sizeof item->name - used, "%s", item->tensor->name);
}

void network_site_name(const struct layer *layer, size_t index, char text[NETWORK_NAME_SIZE])
{
    const char *part = index < layer->site_count ? layer->sites[index].part : "";
    snprintf(text, NETWORK_NAME_SIZE, "%s.%s%s%s", layer->path, layer->ops->type, *part ? "." : "", part);
}

static void list_site(struct network *network, const struct layer *layer, size_t index, size_t parameter_offset)
{
    struct network_site *site = &network->sites[network->site_count++];
    bool moves = layer->site_count > 0;
    *site = (struct network_site){
        .layer = layer,
        .index = index,
        .size = moves ? layer->sites[index].size : layer->out,
        .parameter_offset = parameter_offset,
        .moves = moves,
    };
    network_site_name(layer, index, site->name);
}

/*
 * Enters the layers into the lists, depth first; `parameters` and `buffers` are where their holder's slices begin,
 * `moved` says that a layer before them has parameters.
 */
static void list_all(struct network *network, struct layer *layers, size_t count, size_t parameters, size_t buffers,
                     bool moved)
{
    for (size_t i = 0; i < count; i++) {
        struct layer *layer = &layers[i];
        size_t parameter_offset = parameters + layer->parameter_offset, buffer_offset = buffers + layer->buffer_offset;
        layer->first = !moved;
        list_all(network, layer->children, layer->child_count, parameter_offset, buffer_offset, moved);
        layer->id = network->all_count;
        network->all[network->all_count++] = layer;
        for (size_t k = 0; k < layer->site_count; k++)
            list_site(network, layer, k, parameter_offset);
        if (layer->site_count == 0 && moved)
            list_site(network, layer, 0, parameter_offset);
        moved = moved || layer->parameter_count > 0;
        for (size_t k = 0; k < layer->tensor_count; k++) {
            struct network_tensor *item = &network->tensors[network->tensor_count++];
            const struct layer_tensor *tensor = &layer->tensors[k];
            item->layer = layer;
            item->tensor = tensor;
            item->offset = (tensor->trained ? parameter_offset : buffer_offset) + tensor->offset;
            name_tensor(item);
        }
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The most values of one sample that any layer takes, gives or has as a site. */
static size_t widest(const struct network *network)
{
    size_t most = shape_size(&network->input);
    for (size_t i = 0; i < network->all_count; i++)
        most = larger(most, network->all[i]->out);
    for (size_t i = 0; i < network->site_count; i++)
        most = larger(most, network->sites[i].size);
    return most;
}

static enum status make_lists(struct network *network, struct error *err)
{
    count_all(network, network->stack.layers, network->stack.count);
    network->all = calloc(network->all_count + 1, sizeof(const struct layer *));
    network->sites = calloc(network->site_count + 1, sizeof *network->sites);
    network->tensors = calloc(network->tensor_count + 1, sizeof *network->tensors);
    if (!network->all || !network->sites || !network->tensors)
        return error_no_memory(err);
    network->all_count = network->site_count = network->tensor_count = 0;
    list_all(network, network->stack.layers, network->stack.count, 0, 0, false);
    return STATUS_OK;
}

static enum status check_head(const struct network *network, size_t classes, struct problem_list *problems,
                              struct error *err)
{
    const struct layer *last = &network->stack.layers[network->stack.count - 1];
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
    if (!network)
        return error_no_memory(err);
    if (json_array_size(layers) == 0) {
        problem_add(problems, "/model/layers", "Must hold at least one layer.");
        return error_set(err, STATUS_INVALID, "the model has no layers");
    }
    network->input = *input;
    enum status status = layer_stack_plan(&network->stack, layers, input, "/model/layers", "", problems, err);
    if (status == STATUS_OK)
        status = check_head(network, classes, problems, err);
    network->parameter_count = network->stack.parameter_count;
    network->buffer_count = network->stack.buffer_count;
    network->classes = shape_size(&network->stack.output);
    if (status == STATUS_OK && network->parameter_count == 0) {
        problem_add(problems, "/model/layers", "Must hold a layer with parameters, or there is nothing to train.");
        status = error_set(err, STATUS_INVALID, "the model has no parameters");
    }
    if (status == STATUS_OK)
        status = make_lists(network, err);
    if (status != STATUS_OK)
        return status;
    network->most_rows = LAYER_MOST_VALUES / widest(network);
    *ret_network = network;
    network = NULL;
    return STATUS_OK;
}

void network_free(struct network *network)
{
    if (!network)
        return;
    layer_stack_free(&network->stack);
    free(network->all);
    free(network->sites);
    free(network->tensors);
    free(network->parameters);
    free(network->gradient);
    free(network->buffers);
    free(network);
}

void cleanup_network(struct network **network)
{
    network_free(*network);
}
