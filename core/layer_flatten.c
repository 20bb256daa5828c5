/* Takes any sample as one vector, in the sample's C order. Nothing is copied. */
#include "core/layer.h"
#include "core/layers.h"

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

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    (void)layer;
    (void)err;
    pass->z = (real *)pass->x;
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    (void)layer;
    (void)err;
    pass->dx = (real *)pass->dz;
    return STATUS_OK;
}

const struct layer_ops layer_flatten = {
    .type = "flatten",
    .formula = "z = x as one vector",
    .options = options,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
