#include "core/layer_stack.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/layer_registry.h"

struct layer_tensor *layer_add_tensor(struct layer *layer, const char *name, bool trained, int rank, const size_t *dims)
{
    assert(layer->tensor_count < LAYER_MAX_TENSORS);
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

void layer_add_site(struct layer *layer, struct layer_site site)
{
    assert(layer->site_count < LAYER_MAX_SITES);
    layer->sites[layer->site_count++] = site;
}

struct layer_memory layer_memory_of(const struct layer *layer)
{
    if (layer->ops->memory)
        return layer->ops->memory(layer);
    return (struct layer_memory){.forward = layer->out, .backward = layer->in};
}

static double product(int rank, const size_t *dims)
{
    double size = 1;
    for (int i = 0; i < rank; i++)
        size *= (double)dims[i];
    return size;
}

/* Refuses what could not be counted: in double, for the counts themselves may have overflowed. */
static enum status check_size(const struct layer_stack *stack, const struct layer *layer, const char *pointer,
                              struct problem_list *problems, struct error *err)
{
    double values = product(layer->output.rank, layer->output.dims), parameters = (double)stack->parameter_count;
    char shape[SHAPE_TEXT_SIZE];
    for (size_t i = 0; i < layer->tensor_count; i++)
        parameters += product(layer->tensors[i].rank, layer->tensors[i].dims);
    for (size_t i = 0; i < layer->child_count; i++)
        parameters += (double)layer->children[i].parameter_count;
    if (values > (double)LAYER_MOST_VALUES)
        problem_add(problems, pointer, "Gives %s, %.3g values a sample: at most %zu are possible.",
                    shape_format(&layer->output, shape), values, LAYER_MOST_VALUES);
    else if (parameters > LAYER_MOST_PARAMETERS)
        problem_add(problems, pointer, "Makes %.3g parameters with those before it: at most %.0f are possible.",
                    parameters, LAYER_MOST_PARAMETERS);
    else
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "the layers are too large");
}

static enum status plan_layer(struct layer_stack *stack, size_t index, const json_t *spec, const char *pointer,
                              const char *path, struct problem_list *problems, struct error *err)
{
    struct layer *layer = &stack->layers[index];
    const char *type = option_string(spec, "type");
    layer->ops = layer_find(type);
    if (!layer->ops)
        return error_set(err, STATUS_INVALID, "layer %zu has the unknown type \"%s\"", index, type);
    char place[LAYER_POINTER_SIZE];
    snprintf(place, sizeof place, "%s/%zu", pointer, index);
    if (snprintf(layer->path, sizeof layer->path, "%s%zu", path, index) >= LAYER_PATH_SIZE) {
        problem_add(problems, pointer,
                    "Is nested too deep: the path of a layer has at most %d characters, as \"%s\" has.",
                    LAYER_PATH_SIZE - 1, layer->path);
        return error_set(err, STATUS_INVALID, "the layers are nested too deep");
    }
    layer->input = stack->output;
    layer->files_order = layer->ops->takes_files && strcmp(layer->path, "0") == 0;
    layer->in = shape_size(&layer->input);
    layer->parameter_offset = stack->parameter_count;
    layer->buffer_offset = stack->buffer_count;
    if (layer->ops->detail_size > 0) {
        layer->detail = calloc(1, layer->ops->detail_size);
        if (!layer->detail)
            return error_no_memory(err);
    }
    enum status status = layer->ops->plan(layer, spec, place, problems, err);
    if (status == STATUS_OK)
        status = check_size(stack, layer, place, problems, err);
    if (status != STATUS_OK)
        return status;
    layer->out = shape_size(&layer->output);
    for (size_t i = 0; i < layer->site_count; i++)
        if (layer->sites[i].size == 0)
            layer->sites[i].size = layer->out;
    stack->output = layer->output;
    stack->parameter_count += layer->parameter_count;
    stack->buffer_count += layer->buffer_count;
    return STATUS_OK;
}

enum status layer_stack_plan(struct layer_stack *stack, const json_t *specs, const struct shape *input,
                             const char *pointer, const char *path, struct problem_list *problems, struct error *err)
{
    *stack = (struct layer_stack){.output = *input};
    size_t count = json_array_size(specs);
    stack->layers = calloc(count ? count : 1, sizeof *stack->layers);
    if (!stack->layers)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        stack->count = i + 1; /* counted first, so that freeing finds what a fault leaves */
        enum status status = plan_layer(stack, i, json_array_get(specs, i), pointer, path, problems, err);
        if (status != STATUS_OK)
            return status;
    }
    /* each layer with weights starts by the rule for the activation behind it */
    for (size_t i = 0; i + 1 < count; i++) {
        const struct layer *next = &stack->layers[i + 1];
        if (next->ops->he_gain)
            stack->layers[i].init_gain = next->ops->he_gain(next);
    }
    return STATUS_OK;
}

void layer_stack_free(struct layer_stack *stack)
{
    for (size_t i = 0; i < stack->count; i++) {
        struct layer *layer = &stack->layers[i];
        struct layer_stack inner = {.layers = layer->children, .count = layer->child_count};
        layer_stack_free(&inner);
        free(layer->detail);
    }
    free(stack->layers);
    *stack = (struct layer_stack){0};
}

/* The pass of one layer of a stack, with the slices that are its own. */
static struct layer_pass *enter(const struct layer *layer, const struct layer_pass *whole)
{
    struct layer_pass *pass = arena_take(whole->arena, sizeof *pass);
    if (!pass)
        return NULL;
    *pass = (struct layer_pass){
        .mode = whole->mode,
        .rows = whole->rows,
        .batch = whole->batch,
        .arena = whole->arena,
        .parameters = whole->parameters + layer->parameter_offset,
        .gradient = whole->gradient + layer->parameter_offset,
        .buffers = whole->buffers + layer->buffer_offset,
        .all = whole->all,
        .skip_dx = layer->first,
    };
    whole->all[layer->id] = pass;
    return pass;
}

enum status layer_stack_forward(const struct layer *layers, size_t count, struct layer_pass *whole, struct error *err)
{
    const real *x = whole->x;
    for (size_t i = 0; i < count; i++) {
        const struct layer *layer = &layers[i];
        struct layer_pass *pass = enter(layer, whole);
        if (!pass)
            return error_no_memory(err);
        pass->x = x;
        enum status status = layer->ops->forward(layer, pass, err);
        if (status != STATUS_OK)
            return status;
        x = pass->z;
    }
    whole->z = (real *)x;
    return STATUS_OK;
}

enum status layer_stack_backward(const struct layer *layers, size_t count, struct layer_pass *whole, struct error *err)
{
    const real *dz = whole->dz;
    for (size_t i = count; i-- > 0;) {
        const struct layer *layer = &layers[i];
        struct layer_pass *pass = whole->all[layer->id];
        pass->dz = dz;
        if (pass->skip_dx && layer->parameter_count == 0)
            return STATUS_OK; /* neither this layer nor any before it wants a gradient */
        enum status status = layer->ops->backward(layer, pass, err);
        if (status != STATUS_OK)
            return status;
        dz = pass->dx;
    }
    whole->dx = (real *)dz;
    return STATUS_OK;
}

enum status layer_stack_difference(const struct layer *layers, size_t count, struct layer_pass *whole, const real *dx,
                                   const real *delta, real *ret_dz, struct error *err)
{
    const real *change = dx;
    for (size_t i = 0; i < count; i++) {
        const struct layer *layer = &layers[i];
        struct layer_pass *pass = whole->all[layer->id];
        real *dz = i + 1 < count ? arena_reals(whole->arena, whole->rows * layer->out) : ret_dz;
        if (!dz)
            return error_no_memory(err);
        pass->record = whole->record;
        if (pass->record && layer->site_count <= 1)
            pass->changes[0] = dz;
        enum status status =
            layer->ops->difference(layer, pass, change, delta ? delta + layer->parameter_offset : NULL, dz, err);
        if (status != STATUS_OK)
            return status;
        change = dz;
    }
    return STATUS_OK;
}
