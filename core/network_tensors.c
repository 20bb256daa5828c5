/* A network's tensors by name, in and out, in PyTorch's names and shapes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/network.h"

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

static enum status append(struct tensor_list *list, const struct network_tensor *from, const real *values,
                          struct error *err)
{
    const struct layer_tensor *tensor = from->tensor;
    struct named_tensor *item = &list->items[list->count++]; /* counted first, so that clearing frees its parts */
    *item = (struct named_tensor){.rank = tensor->rank, .size = tensor->size};
    memcpy(item->dims, tensor->dims, (size_t)tensor->rank * sizeof *item->dims);
    item->name = strdup(from->name);
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
    struct tensor_list list = {calloc(network->tensor_count, sizeof *list.items), 0};
    enum status status = list.items ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; status == STATUS_OK && i < network->tensor_count; i++) {
        const struct network_tensor *item = &network->tensors[i];
        const real *block = item->tensor->trained ? parameters : buffers;
        if (block)
            status = append(&list, item, block + item->offset, err);
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

/* "128×784" */
static void format_dims(int rank, const size_t *dims, char text[SHAPE_TEXT_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < rank; i++) {
        int n = snprintf(text + used, SHAPE_TEXT_SIZE - used, "%s%zu", i ? "×" : "", dims[i]);
        if (n < 0 || (size_t)n >= SHAPE_TEXT_SIZE - used)
            return;
        used += (size_t)n;
    }
}

/* Whether a tensor is in the list, with its shape. */
static enum status check_tensor(const struct network_tensor *item, const struct tensor_list *list, struct error *err)
{
    const struct layer_tensor *tensor = item->tensor;
    char want[SHAPE_TEXT_SIZE], got[SHAPE_TEXT_SIZE];
    format_dims(tensor->rank, tensor->dims, want);
    const struct named_tensor *given = tensor_list_find(list, item->name);
    if (!given)
        return error_set(err, STATUS_INVALID, "the weights have no tensor \"%s\" (%s)", item->name, want);
    format_dims(given->rank, given->dims, got);
    if (tensor->rank != given->rank || memcmp(tensor->dims, given->dims, (size_t)tensor->rank * sizeof(size_t)) != 0)
        return error_set(err, STATUS_INVALID, "the weights' tensor \"%s\" is %s, the model needs %s", item->name, got,
                         want);
    return STATUS_OK;
}

static bool network_has(const struct network *network, const char *name)
{
    for (size_t i = 0; i < network->tensor_count; i++)
        if (strcmp(network->tensors[i].name, name) == 0)
            return true;
    return false;
}

enum status network_fits(const struct network *network, const struct tensor_list *list, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < list->count; i++)
        if (!network_has(network, list->items[i].name))
            return error_set(err, STATUS_INVALID, "the weights' tensor \"%s\" has no place in the model",
                             list->items[i].name);
    for (size_t i = 0; status == STATUS_OK && i < network->tensor_count; i++)
        status = check_tensor(&network->tensors[i], list, err);
    return status;
}

enum status network_import(struct network *network, const struct tensor_list *list, struct error *err)
{
    enum status status = network_fits(network, list, err);
    for (size_t i = 0; status == STATUS_OK && i < network->tensor_count; i++) {
        const struct network_tensor *item = &network->tensors[i];
        const struct named_tensor *given = tensor_list_find(list, item->name);
        real *values = (item->tensor->trained ? network->parameters : network->buffers) + item->offset;
        for (size_t k = 0; k < item->tensor->size; k++)
            values[place(item->tensor, k)] = given->values[k];
    }
    return status;
}
