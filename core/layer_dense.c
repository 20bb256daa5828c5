/*
 * The dense layer in the variants of theory.md §2, on vectors (n) and on tokens (T × n), each of which is a position of
 * its sample.
 */
#include <assert.h>

#include "core/layer.h"
#include "core/layers.h"
#include "core/projection.h"

static const struct projection *detail(const struct layer *layer)
{
    return layer->detail;
}

static const struct option options[] = {
    {"units", OPTION_INTEGER, NULL, 1, 1048576, .help = "length of the output"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = feature_map_names, .help = "feature map of the input"},
    {"bias", OPTION_BOOLEAN, "true", .help = "whether a bias is learned"},
    OPTION_END,
};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    struct projection *projection = layer->detail;
    const struct shape *input = &layer->input;
    if (input->rank > 2) {
        char shape[SHAPE_TEXT_SIZE];
        problem_add(problems, pointer, "Takes vectors or tokens, its input is %s: put a flatten layer before it.",
                    shape_format(input, shape));
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    *projection = (struct projection){
        .map = feature_map_find(option_string(spec, "variant")),
        .bias = option_boolean(spec, "bias"),
        .positions = input->rank == 2 ? input->dims[0] : 1,
        .n = input->dims[input->rank - 1],
        .units = (size_t)option_integer(spec, "units"),
    };
    assert(projection->map);
    layer->output = *input;
    layer->output.dims[input->rank - 1] = projection->units;
    layer->variant = projection->map->name;
    layer_add_site(layer, (struct layer_site){.part = "",
                                              .linear = true,
                                              .positions = projection->positions,
                                              .scratch = projection_scratch(projection)});
    projection_add_tensors(projection, layer, &projection_names);
    return STATUS_OK;
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    struct features *features = NULL;
    enum status status = projection_forward(detail(layer), pass, pass->x, &features, &pass->z, err);
    pass->kept = features;
    return status;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    return projection_backward(detail(layer), pass, pass->kept, pass->dz, pass->skip_dx ? NULL : &pass->dx, err);
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err)
{
    (void)site;
    return projection_update(detail(layer), pass, pass->kept, pass->dz, rows, delta, rule, ret_update, err);
}

static void sample_factors(const struct layer *layer, const struct layer_pass *pass, size_t site, size_t row,
                           struct sample_factors *ret_factors)
{
    (void)site;
    projection_sample_factors(detail(layer), pass->kept, pass->dz, row, ret_factors);
}

static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    return projection_difference(detail(layer), pass, pass->kept, dx, delta, ret_dz, err);
}

static struct layer_memory memory(const struct layer *layer)
{
    return projection_memory(detail(layer));
}

static double flops(const struct layer *layer)
{
    return layer_map_flops(layer, (double)layer->in * (double)detail(layer)->units);
}

const struct layer_ops layer_dense = {
    .type = "dense",
    .formula = "z = W̃ u(x), W̃ = [W b]",
    .options = options,
    .detail_size = sizeof(struct projection),
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .effective_update = effective_update,
    .sample_factors = sample_factors,
    .difference = difference,
    .flops = flops,
    .memory = memory,
    .describe_variants = feature_maps_describe,
};
