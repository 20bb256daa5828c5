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

/* u of some samples. */
static struct matrix features_matrix(const struct projection *p, const struct features *f, struct row_range samples)
{
    size_t width = features_width(f);
    return matrix_of(f->u + samples.from * p->positions * width, samples.count * p->positions, width);
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
    linear_forward(features_matrix(p, f, first(pass->rows)), pass->parameters + p->parameters, p->units, z);
    *ret_features = f;
    *ret_z = z;
    return STATUS_OK;
}

enum status projection_backward(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                                const real *dz, real **ret_dx, struct error *err)
{
    linear_gradient(features_matrix(p, f, first(pass->batch)), dz, p->units, 0, pass->gradient + p->parameters);
    if (!ret_dx)
        return STATUS_OK;
    real *du = arena_reals(pass->arena, f->rows * features_width(f));
    real *dx = arena_reals(pass->arena, f->rows * f->n);
    if (!du || !dx)
        return error_no_memory(err);
    linear_input_gradient(dz, f->rows, p->units, pass->parameters + p->parameters,
                          matrix_of(du, f->rows, features_width(f)));
    f->map->pull_back(f, du, dx);
    *ret_dx = dx;
    return STATUS_OK;
}

/* Each sample's own part of the step, position by position (theory.md §2 "within"); `gradient` is the range's. */
static enum status split_by_sample(const struct projection *p, const struct layer_pass *pass, struct matrix u,
                                   const real *gradient, const struct step_rule *rule, const real **ret_own,
                                   struct error *err)
{
    size_t samples = u.rows / p->positions, size = p->positions * p->units;
    real *own = arena_reals(pass->arena, samples * size);
    real *scratch = arena_reals(pass->arena, linear_own_sample_scratch(p->positions, u.cols, p->units));
    if (!own || !scratch)
        return error_no_memory(err);
    for (size_t i = 0; i < samples; i++)
        linear_own_sample(matrix_of(u.values + i * p->positions * u.cols, p->positions, u.cols), gradient + i * size,
                          p->units, rule->learning_rate, scratch, own + i * size);
    *ret_own = own;
    return STATUS_OK;
}

enum status projection_update(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                              const real *gradient, struct row_range rows, const real *delta,
                              const struct step_rule *rule, struct site_update *ret_update, struct error *err)
{
    struct matrix u = features_matrix(p, f, rows);
    size_t size = p->positions * p->units, input_size = p->positions * p->n;
    real *effective = arena_reals(pass->arena, rows.count * size);
    double *factors = arena_take(pass->arena, u.rows * sizeof *factors);
    const real *own_sample = NULL;
    gradient += rows.from * size;
    if (!effective || !factors)
        return error_no_memory(err);
    linear_forward(u, delta + p->parameters, p->units, effective);
    linear_factors(u, factors);
    if (p->positions > 1 && rule->plain && !rule->whole) {
        enum status status = split_by_sample(p, pass, u, gradient, rule, &own_sample, err);
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
        .u = features_matrix(p, f, (struct row_range){row, 1}),
        .g = gradient + row * p->positions * p->units,
        .out = p->units,
    };
}

/* u(x + dx)(W̃ + ΔW̃)ᵀ − u(x) W̃ᵀ = u ΔW̃ᵀ + du (W̃ + ΔW̃)ᵀ. */
enum status projection_difference(const struct projection *p, const struct layer_pass *pass, const struct features *f,
                                  const real *dx, const real *delta, real *ret_dz, struct error *err)
{
    struct matrix u = features_matrix(p, f, first(pass->rows)), dz = matrix_of(ret_dz, u.rows, p->units);
    real *theta = (real *)pass->parameters + p->parameters;
    memset(ret_dz, 0, u.rows * p->units * sizeof *ret_dz);
    if (delta)
        linear_forward(u, delta + p->parameters, p->units, ret_dz);
    if (!dx)
        return STATUS_OK;
    struct matrix du = u;
    du.values = arena_reals(pass->arena, u.rows * u.cols);
    if (!du.values)
        return error_no_memory(err);
    f->map->difference(f, dx, du.values);
    blas_multiply(du, PLAIN, matrix_of(theta, u.cols, p->units), PLAIN, 1, dz);
    if (delta)
        blas_multiply(du, PLAIN, matrix_of((real *)delta + p->parameters, u.cols, p->units), PLAIN, 1, dz);
    return STATUS_OK;
}
