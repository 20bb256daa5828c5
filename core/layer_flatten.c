/* Takes any sample as one vector, in the order of files and PyTorch: channels × height × width. */
#include <string.h>

#include "core/layer.h"
#include "core/layers.h"
#include "core/layout.h"

static const struct option options[] = {OPTION_END};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    (void)spec;
    (void)pointer;
    (void)problems;
    (void)err;
    layer->output = (struct shape){1, {layer->in}};
    return STATUS_OK;
}

/* Whether values have to be brought into the order of files; where not, nothing is copied. */
static bool reorders(const struct layer *layer)
{
    return layout_differs(&layer->input) && !layer->files_order;
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    pass->z = (real *)pass->x;
    if (!reorders(layer))
        return STATUS_OK;
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!pass->z)
        return error_no_memory(err);
    layout_channels_first(&layer->input, pass->rows, pass->x, pass->z);
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    pass->dx = (real *)pass->dz;
    if (!reorders(layer))
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    layout_channels_last(&layer->input, pass->rows, pass->dz, pass->dx);
    return STATUS_OK;
}

static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    (void)delta;
    (void)err;
    if (!dx)
        memset(ret_dz, 0, pass->rows * layer->out * sizeof *ret_dz);
    else if (reorders(layer))
        layout_channels_first(&layer->input, pass->rows, dx, ret_dz);
    else
        memcpy(ret_dz, dx, pass->rows * layer->out * sizeof *ret_dz);
    return STATUS_OK;
}

static struct layer_memory memory(const struct layer *layer)
{
    size_t moved = reorders(layer) ? layer->in : 0;
    return (struct layer_memory){.forward = moved, .backward = moved};
}

const struct layer_ops layer_flatten = {
    .type = "flatten",
    .formula = "z = x as one vector",
    .options = options,
    .takes_files = true,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .difference = difference,
    .memory = memory,
};
