/* A network's tensors by name, in and out, in PyTorch's names and shapes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/network.h"

enum { NAME_SIZE = 2 * LAYER_PATH_SIZE + 32 };

/* "layers.4.layers.1.weight" for the path "4.1": a residual holds its own layers. */
static void tensor_name(const struct layer *layer, const struct layer_tensor *tensor, char name[NAME_SIZE])
{
    size_t used = 0;
    for (const char *at = layer->path; *at && used < NAME_SIZE;
         at += strcspn(at, ".") + (at[strcspn(at, ".")] == '.')) {
        int length = (int)strcspn(at, ".");
        used += (size_t)snprintf(name + used, NAME_SIZE - used, "layers.%.*s.", length, at);
    }
    if (used < NAME_SIZE)
        snprintf(name + used, NAME_SIZE - used, "%s", tensor->name);
}

/*
 * Where element i of PyTorch's order is in ours. A transposed tensor o × c × h × w is h × w × c × o here, and o × c is
 * c × o.
 */
static size_t place(const struct layer_tensor *tensor, size_t i)
{
    if (!tensor->transposed)
        return i;
    size_t out = tensor->dims[0], in = tensor->dims[1], pixels = tensor->size / (out * in);
    size_t o = i / (in * pixels), c = i / pixels % in, pixel = i % pixels;
    return (pixel * in + c) * out + o;
}

static enum status append(struct tensor_list *list, const struct layer *layer, const struct layer_tensor *tensor,
                          const real *values, struct error *err)
{
    struct named_tensor *item = &list->items[list->count++]; /* counted first, so that clearing frees its parts */
    char name[NAME_SIZE];
    tensor_name(layer, tensor, name);
    *item = (struct named_tensor){.rank = tensor->rank, .size = tensor->size};
    memcpy(item->dims, tensor->dims, (size_t)tensor->rank * sizeof *item->dims);
    item->name = strdup(name);
    item->values = calloc(tensor->size, sizeof *item->values);
    if (!item->name || !item->values)
        return error_no_memory(err);
    for (size_t i = 0; i < tensor->size; i++)
        item->values[i] = values[place(tensor, i)];
    return STATUS_OK;
}

static enum status export_tensors(const struct network *network, const real *parameters, const real *buffers,
                                  struct tensor_list *ret_list, struct error *err)
{
    struct tensor_list list = {calloc(network->layer_count * LAYER_MAX_TENSORS, sizeof *list.items), 0};
    enum status status = list.items ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; status == STATUS_OK && i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        for (size_t t = 0; status == STATUS_OK && t < layer->tensor_count; t++) {
            const struct layer_tensor *tensor = &layer->tensors[t];
            if (tensor->trained)
                status = append(&list, layer, tensor, parameters + layer->parameter_offset + tensor->offset, err);
            else if (buffers)
                status = append(&list, layer, tensor, buffers + layer->buffer_offset + tensor->offset, err);
        }
    }
    if (status == STATUS_OK)
        *ret_list = list;
    else
        tensor_list_clear(&list);
    return status;
}

enum status network_export(const struct network *network, struct tensor_list *ret_list, struct error *err)
{
    return export_tensors(network, network->parameters, network->buffers, ret_list, err);
}

enum status network_export_block(const struct network *network, const real *block, struct tensor_list *ret_list,
                                 struct error *err)
{
    return export_tensors(network, block, NULL, ret_list, err);
}

static bool same_shape(const struct layer_tensor *tensor, const struct named_tensor *given)
{
    return tensor->rank == given->rank && memcmp(tensor->dims, given->dims, (size_t)tensor->rank * sizeof(size_t)) == 0;
}

/* "128×784" */
static void format_dims(int rank, const size_t *dims, char text[SHAPE_TEXT_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < rank && used < SHAPE_TEXT_SIZE; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT_SIZE - used, "%s%zu", i ? "×" : "", dims[i]);
}

/* Finds the tensor's values in the list, or says what is wrong. */
static enum status find_tensor(const struct layer *layer, const struct layer_tensor *tensor,
                               const struct tensor_list *list, const struct named_tensor **ret_given, struct error *err)
{
    char name[NAME_SIZE], want[SHAPE_TEXT_SIZE], got[SHAPE_TEXT_SIZE];
    tensor_name(layer, tensor, name);
    format_dims(tensor->rank, tensor->dims, want);
    const struct named_tensor *given = tensor_list_find(list, name);
    if (!given)
        return error_set(err, STATUS_INVALID, "the weights have no tensor \"%s\" (%s)", name, want);
    if (!same_shape(tensor, given)) {
        format_dims(given->rank, given->dims, got);
        return error_set(err, STATUS_INVALID, "the weights' tensor \"%s\" is %s, the model needs %s", name, got, want);
    }
    *ret_given = given;
    return STATUS_OK;
}

/* The names of all tensors, for saying which of the list is superfluous. */
static bool network_has(const struct network *network, const char *wanted)
{
    for (size_t i = 0; i < network->layer_count; i++)
        for (size_t t = 0; t < network->layers[i].tensor_count; t++) {
            char name[NAME_SIZE];
            tensor_name(&network->layers[i], &network->layers[i].tensors[t], name);
            if (strcmp(name, wanted) == 0)
                return true;
        }
    return false;
}

/* Walks all tensors twice: first to check, then, when nothing is wrong, to set. */
enum status network_import(struct network *network, const struct tensor_list *list, struct error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (!network_has(network, list->items[i].name))
            return error_set(err, STATUS_INVALID, "the weights' tensor \"%s\" has no place in the model",
                             list->items[i].name);
    for (int set = 0; set < 2; set++)
        for (size_t i = 0; i < network->layer_count; i++) {
            const struct layer *layer = &network->layers[i];
            for (size_t t = 0; t < layer->tensor_count; t++) {
                const struct layer_tensor *tensor = &layer->tensors[t];
                const struct named_tensor *given;
                enum status status = find_tensor(layer, tensor, list, &given, err);
                if (status != STATUS_OK)
                    return status;
                real *block = tensor->trained ? network->parameters + layer->parameter_offset
                                              : network->buffers + layer->buffer_offset;
                for (size_t k = 0; set && k < tensor->size; k++)
                    block[tensor->offset + place(tensor, k)] = given->values[k];
            }
        }
    return STATUS_OK;
}
