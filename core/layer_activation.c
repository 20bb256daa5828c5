/*
 * Element-wise activations. Each is a function and its derivative; one forward and one backward loop a type.
 */
#include <math.h>

#include "core/layer.h"
#include "core/layers.h"
#include "core/vector.h"

struct activation {
    real slope; /* of leaky-relu on the negative side */
};

static const struct option no_options[] = {OPTION_END};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    (void)spec;
    (void)pointer;
    (void)problems;
    (void)err;
    layer->output = layer->input;
    return STATUS_OK;
}

static real slope(const struct layer *layer)
{
    const struct activation *activation = layer->detail;
    return activation->slope;
}

static enum status take_output(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    return pass->z ? STATUS_OK : error_no_memory(err);
}

static enum status take_input_gradient(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    return pass->dx ? STATUS_OK : error_no_memory(err);
}

/* ------------------------------------------------------------------ tanh */

MULTIVERSION
static void tanh_values(size_t n, const real *restrict x, real *restrict z)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        z[i] = real_tanh(x[i]);
}

MULTIVERSION
static void tanh_gradient(size_t n, const real *restrict z, const real *restrict dz, real *restrict dx)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = dz[i] * (1 - z[i] * z[i]);
}

static enum status tanh_forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    enum status status = take_output(layer, pass, err);
    if (status == STATUS_OK)
        tanh_values(pass->rows * layer->in, pass->x, pass->z);
    return status;
}

static enum status tanh_backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    if (pass->skip_dx)
        return STATUS_OK;
    enum status status = take_input_gradient(layer, pass, err);
    if (status == STATUS_OK)
        tanh_gradient(pass->rows * layer->in, pass->z, pass->dz, pass->dx);
    return status;
}

const struct layer_ops layer_tanh = {
    .type = "tanh",
    .formula = "z = tanh x",
    .options = no_options,
    .plan = plan,
    .forward = tanh_forward,
    .backward = tanh_backward,
};

/* ------------------------------------------------------------------ relu, leaky-relu: slope 0 is relu */

static const struct option leaky_options[] = {
    {"slope", OPTION_NUMBER, "0.01", -1, 1, .help = "factor of negative inputs"},
    OPTION_END,
};

static enum status leaky_plan(struct layer *layer, const json_t *spec, const char *pointer,
                              struct problem_list *problems, struct error *err)
{
    struct activation *activation = layer->detail;
    activation->slope = (real)option_number(spec, "slope");
    return plan(layer, spec, pointer, problems, err);
}

MULTIVERSION
static void leaky_values(size_t n, real slope, const real *restrict x, real *restrict z)
{
    for (size_t i = 0; i < n; i++)
        z[i] = x[i] > 0 ? x[i] : x[i] * slope;
}

MULTIVERSION
static void leaky_gradient(size_t n, real slope, const real *restrict x, const real *restrict dz, real *restrict dx)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = x[i] > 0 ? dz[i] : dz[i] * slope;
}

static enum status leaky_forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    enum status status = take_output(layer, pass, err);
    if (status == STATUS_OK)
        leaky_values(pass->rows * layer->in, slope(layer), pass->x, pass->z);
    return status;
}

static enum status leaky_backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    if (pass->skip_dx)
        return STATUS_OK;
    enum status status = take_input_gradient(layer, pass, err);
    if (status == STATUS_OK)
        leaky_gradient(pass->rows * layer->in, slope(layer), pass->x, pass->dz, pass->dx);
    return status;
}

static double leaky_he_gain(const struct layer *layer)
{
    double s = (double)slope(layer);
    return sqrt(2 / (1 + s * s));
}

const struct layer_ops layer_relu = {
    .type = "relu",
    .formula = "z = max(0, x)",
    .options = no_options,
    .detail_size = sizeof(struct activation),
    .plan = plan,
    .forward = leaky_forward,
    .backward = leaky_backward,
    .he_gain = leaky_he_gain,
};

const struct layer_ops layer_leaky_relu = {
    .type = "leaky-relu",
    .formula = "z = x where x > 0, slope · x elsewhere",
    .options = leaky_options,
    .detail_size = sizeof(struct activation),
    .plan = leaky_plan,
    .forward = leaky_forward,
    .backward = leaky_backward,
    .he_gain = leaky_he_gain,
};
