/*
 * The dense layer z = W̃ u(x) in the variants of theory.md §2.
 *
 * In memory W̃ᵀ is (n + 1) × out, the weight's rows by input feature and the bias as the last row, so that forward,
 * gradient, and effective update are one product each with u = [features; 1]:
 *   z = u W̃ᵀ      ∂L/∂W̃ᵀ = uᵀ g      ∂L/∂u = g W̃      Δz = u ΔW̃ᵀ
 */
#include <assert.h>
#include <string.h>

#include "core/blas.h"
#include "core/feature_map.h"
#include "core/layer.h"
#include "core/layers.h"

struct dense {
    const struct feature_map *map;
    bool bias;
};

static const struct dense *detail(const struct layer *layer)
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
    struct dense *dense = layer->detail;
    if (layer->input.rank != 1) {
        char shape[SHAPE_TEXT_SIZE];
        problem_add(problems, pointer, "Takes vectors, its input is %s: put a flatten layer before it.",
                    shape_format(&layer->input, shape));
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    size_t units = (size_t)option_integer(spec, "units"), n = layer->in;
    dense->map = feature_map_find(option_string(spec, "variant"));
    assert(dense->map);
    dense->bias = option_boolean(spec, "bias");
    layer->output = (struct shape){1, {units}};
    layer->variant = dense->map->name;
    layer->sites[layer->site_count++] = "";
    layer_add_tensor(layer, "weight", true, 2, (size_t[]){units, n})->transposed = true;
    if (dense->bias)
        layer_add_tensor(layer, "bias", true, 1, (size_t[]){units});
    if (dense->map->running_statistics) {
        layer_add_tensor(layer, "running_mean", false, 1, (size_t[]){n});
        layer_add_tensor(layer, "running_var", false, 1, (size_t[]){n});
    }
    return STATUS_OK;
}

/* W̃ᵀ, or a gradient or step of that shape, as a matrix. */
static struct matrix weights(const struct layer *layer, const real *values)
{
    return matrix_of((real *)values, layer->in + (detail(layer)->bias ? 1 : 0), layer->out);
}

static struct matrix features_matrix(const struct features *f, size_t rows)
{
    return matrix_of(f->u, rows, features_width(f));
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    static const enum statistics_mode modes[] = {
        [PASS_TRAIN] = STATISTICS_BATCH_AND_TRACK,
        [PASS_MEASURE] = STATISTICS_BATCH,
        [PASS_EVALUATE] = STATISTICS_RUNNING,
    };
    struct features *f = arena_take(pass->arena, sizeof *f);
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!f || !pass->z)
        return error_no_memory(err);
    *f = (struct features){
        .map = detail(layer)->map,
        .rows = pass->rows,
        .counted = pass->batch,
        .n = layer->in,
        .bias = detail(layer)->bias,
        .x = pass->x,
    };
    struct running_statistics running = {0};
    if (f->map->running_statistics)
        running = (struct running_statistics){pass->buffers, pass->buffers + layer->in};
    enum status status = features_apply(f, modes[pass->mode], running, pass->arena, err);
    if (status != STATUS_OK)
        return status;
    pass->kept = f;
    blas_multiply(features_matrix(f, pass->rows), PLAIN, weights(layer, pass->parameters), PLAIN, 0,
                  matrix_of(pass->z, pass->rows, layer->out));
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct features *f = pass->kept;
    real *dz = (real *)pass->dz;
    blas_multiply(features_matrix(f, pass->batch), TRANSPOSED, matrix_of(dz, pass->batch, layer->out), PLAIN, 0,
                  weights(layer, pass->gradient));
    if (pass->skip_dx)
        return STATUS_OK;
    real *du = arena_reals(pass->arena, pass->rows * features_width(f));
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!du || !pass->dx)
        return error_no_memory(err);
    blas_multiply(matrix_of(dz, pass->rows, layer->out), PLAIN, weights(layer, pass->parameters), TRANSPOSED, 0,
                  matrix_of(du, pass->rows, features_width(f)));
    f->map->pull_back(f, du, pass->dx);
    return STATUS_OK;
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    const real *delta, struct site_update *ret_update, struct error *err)
{
    (void)site;
    const struct features *f = pass->kept;
    real *effective = arena_reals(pass->arena, pass->rows * layer->out);
    double *self_factor = arena_take(pass->arena, pass->rows * sizeof *self_factor);
    if (!effective || !self_factor)
        return error_no_memory(err);
    blas_multiply(features_matrix(f, pass->rows), PLAIN, weights(layer, delta), PLAIN, 0,
                  matrix_of(effective, pass->rows, layer->out));
    for (size_t i = 0; i < pass->rows; i++)
        self_factor[i] = features_self_factor(f, i);
    *ret_update = (struct site_update){
        .rows = pass->rows,
        .size = layer->out,
        .gradient = pass->dz,
        .effective = effective,
        .input = pass->x,
        .input_size = layer->in,
        .self_factor = self_factor,
    };
    return STATUS_OK;
}

static double flops(const struct layer *layer)
{
    return 6.0 * (double)layer->in * (double)layer->out;
}

const struct layer_ops layer_dense = {
    .type = "dense",
    .formula = "z = W̃ u(x), W̃ = [W b]",
    .options = options,
    .detail_size = sizeof(struct dense),
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .effective_update = effective_update,
    .flops = flops,
    .describe_variants = feature_maps_describe,
};
