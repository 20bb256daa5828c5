#include "core/projection.h"

#include <string.h>

#include "core/linear.h"
#include "core/vector.h"

const struct projection_names projection_names = {"weight", "bias", "running_mean", "running_var"};

void projection_add_tensors(struct projection *p, struct layer *layer, const struct projection_names *names)
{
    p->parameters = layer->parameter_count;
    p->buffers = layer->buffer_count;
    struct layer_tensor *weight = layer_add_tensor(layer, names->weight, true, 2, (size_t[]){p->units, p->n});
    weight->transposed = weight->drawn = true;
    if (p->bias)
        layer_add_tensor(layer, names->bias, true, 1, (size_t[]){p->units});
    if (p->map->running_statistics) {
        layer_add_tensor(layer, names->running_mean, false, 1, (size_t[]){p->n});
        layer_add_tensor(layer, names->running_var, false, 1, (size_t[]){p->n})->start = 1;
    }
}

struct layer_memory projection_memory(const struct projection *p)
{
    size_t x = p->positions * p->n, rows = p->positions;
    bool scaled = p->bias && p->map->scales_constant;
    return (struct layer_memory){
        .forward = p->positions * p->units + (p->map->identity ? 0 : x) + rows + (scaled ? rows : 0),
        .forward_fixed =
            p->n + sizeof(struct features) / sizeof(real), /* the map's factors are one a row, or a feature */
        .backward = x + (p->map->identity ? 0 : x) + (scaled ? rows : 0),
        .change = x + (scaled ? rows : 0),
    };
}

size_t projection_scratch(const struct projection *p)
{
    size_t width = p->n + (p->bias ? 1 : 0);
    return p->positions > 1 ? linear_own_sample_scratch(p->positions, width, p->units) : 0;
}

/* u of some samples. */
static struct feature_rows features_of(const struct projection *p, const struct features *f, struct row_range samples)
{
    const struct feature_rows all = {
        .u = matrix_of(f->u, f->rows, f->n),
        .bias = f->bias,
        .constant = f->constant,
    };
    return feature_rows_slice(&all, samples.from * p->positions, samples.count * p->positions);
}

/* The first `count` samples. */
static struct row_range first(size_t count)
{
    return (struct row_range){0, count};
}

enum status projection_forward(const struct projection *p, const struct layer_pass *pass, const real *x,
                               struct features **ret_features, real **ret_z, struct error *err)
{
    struct features *f = arena_take(pass->arena, sizeof *f);
    real *z = arena_reals(pass->arena, pass->rows * p->positions * p->units);
    if (!f || !z)
        return error_no_memory(err);
    *f = (struct features){
        .map = p->map,
        .rows = pass->rows * p->positions,
        .counted = pass->batch * p->positions,
        .n = p->n,
        .bias = p->bias,
        .x = x,
    };
    struct running_statistics running = {0};
    if (p->map->running_statistics)
        running = (struct running_statistics){pass->buffers + p->buffers, pass->buffers + p->buffers + p->n};
    enum status status = features_apply(f, layer_pass_statistics(pass), running, pass->arena, err);
    if (status != STATUS_OK)
        return status;
    struct feature_rows u = features_of(p, f, first(pass->rows));
    linear_forward(&u, pass->parameters + p->parameters, p->units, z);
    *ret_features = f;
    *ret_z = z;
    return STATUS_OK;
}

enum status projection_backward(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                                const real *dz, real **ret_dx, struct error *err)
{
    const real *weights = pass->parameters + p->parameters;
    struct feature_rows u = features_of(p, f, first(pass->batch));
    linear_gradient(&u, dz, p->units, 0, pass->gradient + p->parameters);
    if (!ret_dx)
        return STATUS_OK;
    real *du = arena_reals(pass->arena, f->rows * f->n);
    real *dx = f->map->identity ? du : arena_reals(pass->arena, f->rows * f->n);
    real *dconstant = f->constant ? arena_reals(pass->arena, f->rows) : NULL;
    if (!du || !dx || (f->constant && !dconstant))
        return error_no_memory(err);
    linear_input_gradient(dz, f->rows, p->units, weights, matrix_of(du, f->rows, f->n));
    if (dconstant)
        linear_constant_gradient(dz, f->rows, p->units, weights + f->n * p->units, dconstant);
    f->map->pull_back(f, du, dconstant, dx);
    *ret_dx = dx;
    return STATUS_OK;
}

/* Each sample's own part of the step, position by position (theory.md §2 "within"); `gradient` is the range's. */
static enum status split_by_sample(const struct projection *p, const struct layer_pass *pass,
                                   const struct feature_rows *u, const real *gradient, const struct step_rule *rule,
                                   const real **ret_own, struct error *err)
{
    size_t samples = u->u.rows / p->positions, size = p->positions * p->units;
    real *own = arena_reals(pass->arena, samples * size);
    real *scratch = arena_reals(pass->arena, linear_own_sample_scratch(p->positions, feature_rows_width(u), p->units));
    if (!own || !scratch)
        return error_no_memory(err);
    for (size_t i = 0; i < samples; i++) {
        struct feature_rows one = feature_rows_slice(u, i * p->positions, p->positions);
        linear_own_sample(&one, gradient + i * size, p->units, rule->learning_rate, scratch, own + i * size);
    }
    *ret_own = own;
    return STATUS_OK;
}

/* Δz of some rows, by the step or by the kernel, whichever is less work. */
static enum status make_effective(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                                  const real *gradient, const struct feature_rows *u, const real *delta,
                                  const struct step_rule *rule, real *ret_effective, struct error *err)
{
    size_t rows = u->u.rows, width = feature_rows_width(u);
    if (p->positions > 1 || !rule->plain || !linear_kernel_pays(rows, pass->batch, width, p->units)) {
        linear_forward(u, delta + p->parameters, p->units, ret_effective);
        return STATUS_OK;
    }
    struct feature_rows batch = features_of(p, f, first(pass->batch));
    real *scratch = arena_reals(pass->arena, rows * pass->batch + p->units);
    if (!scratch)
        return error_no_memory(err);
    linear_kernel_update(u, &batch, gradient, p->units, rule->learning_rate, scratch, ret_effective);
    return STATUS_OK;
}

enum status projection_update(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                              const real *gradient, struct row_range rows, const real *delta,
                              const struct step_rule *rule, struct site_update *ret_update, struct error *err)
{
    struct feature_rows u = features_of(p, f, rows);
    size_t size = p->positions * p->units, input_size = p->positions * p->n;
    real *effective = arena_reals(pass->arena, rows.count * size);
    double *factors = arena_take(pass->arena, u.u.rows * sizeof *factors);
    const real *own_sample = NULL;
    if (!effective || !factors)
        return error_no_memory(err);
    enum status status = make_effective(p, pass, f, gradient, &u, delta, rule, effective, err);
    if (status != STATUS_OK)
        return status;
    gradient += rows.from * size;
    linear_factors(&u, factors);
    if (p->positions > 1 && rule->plain && !rule->whole) {
        status = split_by_sample(p, pass, &u, gradient, rule, &own_sample, err);
        if (status != STATUS_OK)
            return status;
    }
    *ret_update = (struct site_update){
        .rows = rows.count,
        .size = size,
        .positions = p->positions,
        .gradient = gradient,
        .effective = effective,
        .input = f->x + rows.from * input_size,
        .input_size = input_size,
        .factors = factors,
        .own_sample = own_sample,
    };
    return STATUS_OK;
}

void projection_sample_factors(const struct projection *p, const struct features *f, const real *gradient, size_t row,
                               struct sample_factors *ret_factors)
{
    *ret_factors = (struct sample_factors){
        .f = features_of(p, f, (struct row_range){row, 1}),
        .g = gradient + row * p->positions * p->units,
        .out = p->units,
    };
}

/* u(x + dx)(W̃ + ΔW̃)ᵀ − u(x) W̃ᵀ = u ΔW̃ᵀ + du (W̃ + ΔW̃)ᵀ. */
enum status projection_difference(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                                  const real *dx, const real *delta, real *ret_dz, struct error *err)
{
    struct feature_rows u = features_of(p, f, first(pass->rows));
    const real *theta = pass->parameters + p->parameters, *step = delta ? delta + p->parameters : NULL;
    if (step)
        linear_forward(&u, step, p->units, ret_dz);
    else
        memset(ret_dz, 0, f->rows * p->units * sizeof *ret_dz);
    if (!dx)
        return STATUS_OK;
    struct matrix du = matrix_of(arena_reals(pass->arena, f->rows * f->n), f->rows, f->n);
    real *dconstant = f->constant ? arena_reals(pass->arena, f->rows) : NULL;
    if (!du.values || (f->constant && !dconstant))
        return error_no_memory(err);
    f->map->difference(f, dx, du.values, dconstant);
    linear_add_change(du, dconstant, theta, p->units, ret_dz);
    if (step)
        linear_add_change(du, dconstant, step, p->units, ret_dz);
    return STATUS_OK;
}
