/*
 * The dense layer z = W̃ u(x) in the variants of theory.md §2, on vectors (n) and on tokens (T × n), each of which is a
 * position of its sample.
 */
#include <assert.h>

#include "core/feature_map.h"
#include "core/layer.h"
#include "core/layers.h"
#include "core/linear.h"

struct dense {
    const struct feature_map *map;
    bool bias;
    size_t positions; /* of a sample: its tokens, or 1 */
    size_t n, units;  /* lengths of a position's input and output */
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
    const struct shape *input = &layer->input;
    if (input->rank > 2) {
        char shape[SHAPE_TEXT_SIZE];
        problem_add(problems, pointer, "Takes vectors or tokens, its input is %s: put a flatten layer before it.",
                    shape_format(input, shape));
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    size_t units = (size_t)option_integer(spec, "units"), n = input->dims[input->rank - 1];
    dense->map = feature_map_find(option_string(spec, "variant"));
    assert(dense->map);
    dense->bias = option_boolean(spec, "bias");
    dense->positions = input->rank == 2 ? input->dims[0] : 1;
    dense->n = n;
    dense->units = units;
    layer->output = *input;
    layer->output.dims[input->rank - 1] = units;
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

/* u of the first `samples` samples. */
static struct matrix features_matrix(const struct layer *layer, const struct features *f, size_t samples)
{
    return matrix_of(f->u, samples * detail(layer)->positions, features_width(f));
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    static const enum statistics_mode modes[] = {
        [PASS_TRAIN] = STATISTICS_BATCH_AND_TRACK,
        [PASS_MEASURE] = STATISTICS_BATCH,
        [PASS_EVALUATE] = STATISTICS_RUNNING,
    };
    const struct dense *dense = detail(layer);
    struct features *f = arena_take(pass->arena, sizeof *f);
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!f || !pass->z)
        return error_no_memory(err);
    *f = (struct features){
        .map = dense->map,
        .rows = pass->rows * dense->positions,
        .counted = pass->batch * dense->positions,
        .n = dense->n,
        .bias = dense->bias,
        .x = pass->x,
    };
    struct running_statistics running = {0};
    if (f->map->running_statistics)
        running = (struct running_statistics){pass->buffers, pass->buffers + dense->n};
    enum status status = features_apply(f, modes[pass->mode], running, pass->arena, err);
    if (status != STATUS_OK)
        return status;
    pass->kept = f;
    linear_forward(features_matrix(layer, f, pass->rows), pass->parameters, dense->units, pass->z);
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct features *f = pass->kept;
    linear_gradient(features_matrix(layer, f, pass->batch), pass->dz, detail(layer)->units, 0, pass->gradient);
    if (pass->skip_dx)
        return STATUS_OK;
    real *du = arena_reals(pass->arena, f->rows * features_width(f));
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!du || !pass->dx)
        return error_no_memory(err);
    linear_input_gradient(pass->dz, f->rows, detail(layer)->units, pass->parameters,
                          matrix_of(du, f->rows, features_width(f)));
    f->map->pull_back(f, du, pass->dx);
    return STATUS_OK;
}

/* Each sample's own part of the step, position by position (theory.md §2 "within"). */
static enum status split_by_sample(const struct layer *layer, const struct layer_pass *pass,
                                   const struct step_rule *rule, const real **ret_own, struct error *err)
{
    const struct features *f = pass->kept;
    size_t positions = detail(layer)->positions, width = features_width(f), units = detail(layer)->units;
    real *own = arena_reals(pass->arena, pass->rows * layer->out);
    real *scratch = arena_reals(pass->arena, linear_own_sample_scratch(positions, width, units));
    if (!own || !scratch)
        return error_no_memory(err);
    for (size_t i = 0; i < pass->rows; i++)
        linear_own_sample(matrix_of(f->u + i * positions * width, positions, width), pass->dz + i * layer->out, units,
                          rule->learning_rate, scratch, own + i * layer->out);
    *ret_own = own;
    return STATUS_OK;
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    const real *delta, const struct step_rule *rule, struct site_update *ret_update,
                                    struct error *err)
{
    (void)site;
    const struct features *f = pass->kept;
    size_t positions = detail(layer)->positions;
    struct matrix u = features_matrix(layer, f, pass->rows);
    real *effective = arena_reals(pass->arena, pass->rows * layer->out);
    double *factors = arena_take(pass->arena, u.rows * sizeof *factors);
    const real *own_sample = NULL;
    if (!effective || !factors)
        return error_no_memory(err);
    linear_forward(u, delta, detail(layer)->units, effective);
    linear_factors(u, factors);
    if (positions > 1 && rule->plain) {
        enum status status = split_by_sample(layer, pass, rule, &own_sample, err);
        if (status != STATUS_OK)
            return status;
    }
    *ret_update = (struct site_update){
        .rows = pass->rows,
        .size = layer->out,
        .positions = positions,
        .gradient = pass->dz,
        .effective = effective,
        .input = pass->x,
        .input_size = layer->in,
        .factors = factors,
        .own_sample = own_sample,
    };
    return STATUS_OK;
}

static double flops(const struct layer *layer)
{
    return 6.0 * (double)layer->in * (double)detail(layer)->units;
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
