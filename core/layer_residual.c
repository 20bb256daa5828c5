/*
 * A residual z = x + F(x), F being the layers it holds. It is a site of its own: all parameters inside F step at once,
 * x held fixed, so z moves as F does (theory.md §4). Its inner layers have their sites beside it.
 */
#include <stdio.h>

#include "core/layer_stack.h"
#include "core/layers.h"

static const struct option options[] = {
    {"layers", OPTION_LAYERS, NULL, .help = "the layers of F, whose output is shaped as their input"},
    OPTION_END,
};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    struct layer_stack stack;
    char place[LAYER_POINTER_SIZE], path[LAYER_PATH_SIZE + 2], got[SHAPE_TEXT_SIZE], want[SHAPE_TEXT_SIZE];
    snprintf(place, sizeof place, "%s/layers", pointer);
    snprintf(path, sizeof path, "%s.", layer->path);
    enum status status =
        layer_stack_plan(&stack, json_object_get(spec, "layers"), &layer->input, place, path, problems, err);
    layer->children = stack.layers;
    layer->child_count = stack.count;
    if (status != STATUS_OK)
        return status;
    if (!shape_equal(&stack.output, &layer->input)) {
        problem_add(problems, place, "Give %s from an input of %s: a residual adds the two, so let them be the same.",
                    shape_format(&stack.output, got), shape_format(&layer->input, want));
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    layer->output = layer->input;
    layer->parameter_count = stack.parameter_count;
    layer->buffer_count = stack.buffer_count;
    if (layer->parameter_count > 0)
        layer_add_site(layer, (struct layer_site){.part = ""});
    return STATUS_OK;
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    size_t count = pass->rows * layer->out;
    struct layer_pass inner = *pass;
    enum status status = layer_stack_forward(layer->children, layer->child_count, &inner, err);
    if (status != STATUS_OK)
        return status;
    pass->z = arena_reals(pass->arena, count);
    if (!pass->z)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        pass->z[i] = pass->x[i] + inner.z[i];
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    size_t count = pass->rows * layer->out;
    struct layer_pass inner = *pass;
    enum status status = layer_stack_backward(layer->children, layer->child_count, &inner, err);
    if (status != STATUS_OK || pass->skip_dx)
        return status;
    pass->dx = arena_reals(pass->arena, count);
    if (!pass->dx)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        pass->dx[i] = pass->dz[i] + inner.dx[i];
    return STATUS_OK;
}

static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    struct layer_pass inner = *pass;
    size_t count = pass->rows * layer->out;
    real *change = dx ? arena_reals(pass->arena, count) : ret_dz; /* apart: it is that of the last layer's own site */
    if (!change)
        return error_no_memory(err);
    enum status status = layer_stack_difference(layer->children, layer->child_count, &inner, dx, delta, change, err);
    for (size_t i = 0; status == STATUS_OK && dx && i < count; i++)
        ret_dz[i] = dx[i] + change[i];
    return status;
}

/* The layers of F besides, and what each gives. */
static struct layer_memory memory(const struct layer *layer)
{
    struct layer_memory m = {.forward = layer->out, .backward = layer->in};
    for (size_t i = 0; i < layer->child_count; i++) {
        struct layer_memory one = layer_memory_of(&layer->children[i]);
        m.forward += one.forward;
        m.backward += one.backward;
        m.change += one.change + layer->children[i].out;
        m.forward_fixed += one.forward_fixed + sizeof(struct layer_pass) / sizeof(real);
        m.backward_fixed += one.backward_fixed;
        m.change_fixed += one.change_fixed;
    }
    return m;
}

const struct layer_ops layer_residual = {
    .type = "residual",
    .formula = "z = x + F(x)",
    .options = options,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .difference = difference,
    .memory = memory,
};
