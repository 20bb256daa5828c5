/*
 * Element-wise activations. Each is three functions of a row of values: forward, gradient, and the change of the output
 * with the input; what they share is the memory around them.
 */
#include <math.h>
#include <string.h>

#include "core/layer.h"
#include "core/layers.h"
#include "core/vector.h"

struct activation {
    real slope; /* of relu (0) and leaky-relu on the negative side */
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

typedef void values_function(size_t n, real slope, const real *restrict x, real *restrict z);
typedef void gradient_function(size_t n, real slope, const real *restrict x, const real *restrict z,
                               const real *restrict dz, real *restrict dx);
/* f(x + d) − f(x) in double. */
typedef double change_function(double slope, double x, double d);

static enum status forward_by(values_function *values, const struct layer *layer, struct layer_pass *pass,
                              struct error *err)
{
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!pass->z)
        return error_no_memory(err);
    values(pass->rows * layer->in, slope(layer), pass->x, pass->z);
    return STATUS_OK;
}

static enum status backward_by(gradient_function *gradient, const struct layer *layer, struct layer_pass *pass,
                               struct error *err)
{
    if (pass->skip_dx)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    gradient(pass->rows * layer->in, slope(layer), pass->x, pass->z, pass->dz, pass->dx);
    return STATUS_OK;
}

static enum status difference_by(change_function *change, const struct layer *layer, const struct layer_pass *pass,
                                 const real *dx, real *ret_dz)
{
    size_t n = pass->rows * layer->in;
    if (!dx) {
        memset(ret_dz, 0, n * sizeof *ret_dz);
        return STATUS_OK;
    }
    for (size_t i = 0; i < n; i++)
        ret_dz[i] = (real)change((double)slope(layer), (double)pass->x[i], (double)dx[i]);
    return STATUS_OK;
}

/* The three entries of a table row, by the three functions of `name`. */
#define ACTIVATION(name)                                                                                               \
    static enum status name##_forward(const struct layer *layer, struct layer_pass *pass, struct error *err)           \
    {                                                                                                                  \
        return forward_by(name##_values, layer, pass, err);                                                            \
    }                                                                                                                  \
    static enum status name##_backward(const struct layer *layer, struct layer_pass *pass, struct error *err)          \
    {                                                                                                                  \
        return backward_by(name##_gradient, layer, pass, err);                                                         \
    }                                                                                                                  \
    static enum status name##_difference(const struct layer *layer, struct layer_pass *pass, const real *dx,           \
                                         const real *delta, real *ret_dz, struct error *err)                           \
    {                                                                                                                  \
        (void)delta;                                                                                                   \
        (void)err;                                                                                                     \
        return difference_by(name##_change, layer, pass, dx, ret_dz);                                                  \
    }

/* ------------------------------------------------------------------ tanh */

MULTIVERSION
static void tanh_values(size_t n, real slope, const real *restrict x, real *restrict z)
{
    (void)slope;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        z[i] = real_tanh(x[i]);
}

MULTIVERSION
static void tanh_gradient(size_t n, real slope, const real *restrict x, const real *restrict z, const real *restrict dz,
                          real *restrict dx)
{
    (void)slope;
    (void)x;
    for (size_t i = 0; i < n; i++)
        dx[i] = dz[i] * (1 - z[i] * z[i]);
}

/*
 * With y = x + d, tanh y − tanh x = sinh d/(cosh x cosh y). The hyperbolic functions are written as e^|·| times powers
 * of e^−2|·|, so that nothing overflows; what is left, e^(|d| − |x| − |y|), is e^(−2 min(|x|, |y|)) where x and y have
 * the same sign, and 1 where they have not.
 */
static double tanh_change(double slope, double x, double d)
{
    (void)slope;
    double y = x + d, at_x = exp(-2 * fabs(x)), at_y = exp(-2 * fabs(y));
    double left = (x < 0) != (y < 0) ? 1 : fmax(at_x, at_y);
    return copysign(-2 * left * expm1(-2 * fabs(d)) / ((1 + at_x) * (1 + at_y)), d);
}

ACTIVATION(tanh)

const struct layer_ops layer_tanh = {
    .type = "tanh",
    .formula = "z = tanh x",
    .options = no_options,
    .detail_size = sizeof(struct activation),
    .plan = plan,
    .forward = tanh_forward,
    .backward = tanh_backward,
    .difference = tanh_difference,
};

/* ------------------------------------------------------------------ sigmoid */

MULTIVERSION
static void sigmoid_values(size_t n, real slope, const real *restrict x, real *restrict z)
{
    (void)slope;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        z[i] = 1 / (1 + real_exp(-x[i]));
}

MULTIVERSION
static void sigmoid_gradient(size_t n, real slope, const real *restrict x, const real *restrict z,
                             const real *restrict dz, real *restrict dx)
{
    (void)slope;
    (void)x;
    for (size_t i = 0; i < n; i++)
        dx[i] = dz[i] * z[i] * (1 - z[i]);
}

/* σ(x) = (1 + tanh(x/2))/2. */
static double sigmoid_change(double slope, double x, double d)
{
    return tanh_change(slope, x / 2, d / 2) / 2;
}

ACTIVATION(sigmoid)

const struct layer_ops layer_sigmoid = {
    .type = "sigmoid",
    .formula = "z = 1/(1 + e^−x)",
    .options = no_options,
    .detail_size = sizeof(struct activation),
    .plan = plan,
    .forward = sigmoid_forward,
    .backward = sigmoid_backward,
    .difference = sigmoid_difference,
};

/* ------------------------------------------------------------------ gelu, the erf form: x Φ(x) */

#ifdef PLUMBLINE_DOUBLE
#define real_erf erf
#else
#define real_erf erff
#endif

static void gelu_values(size_t n, real slope, const real *restrict x, real *restrict z)
{
    (void)slope;
    for (size_t i = 0; i < n; i++)
        z[i] = x[i] * (real)0.5 * (1 + real_erf(x[i] * (real)M_SQRT1_2));
}

static void gelu_gradient(size_t n, real slope, const real *restrict x, const real *restrict z, const real *restrict dz,
                          real *restrict dx)
{
    (void)slope;
    (void)z;
    const real density = (real)(M_2_SQRTPI * M_SQRT1_2 / 2); /* 1/√(2π) */
    for (size_t i = 0; i < n; i++)
        dx[i] = dz[i] * ((real)0.5 * (1 + real_erf(x[i] * (real)M_SQRT1_2)) +
                         x[i] * density * real_exp((real)-0.5 * x[i] * x[i]));
}

/* In double the difference of two values loses nothing that single precision could hold. */
static double gelu_change(double slope, double x, double d)
{
    (void)slope;
    double after = erf((x + d) * M_SQRT1_2);
    return 0.5 * (d * (1 + after) + x * (after - erf(x * M_SQRT1_2)));
}

ACTIVATION(gelu)

const struct layer_ops layer_gelu = {
    .type = "gelu",
    .formula = "z = x Φ(x), the erf form",
    .options = no_options,
    .detail_size = sizeof(struct activation),
    .plan = plan,
    .forward = gelu_forward,
    .backward = gelu_backward,
    .difference = gelu_difference,
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
static void leaky_gradient(size_t n, real slope, const real *restrict x, const real *restrict z,
                           const real *restrict dz, real *restrict dx)
{
    (void)z;
    for (size_t i = 0; i < n; i++)
        dx[i] = x[i] > 0 ? dz[i] : dz[i] * slope;
}

static double leaky_change(double slope, double x, double d)
{
    double after = x + d;
    if ((x > 0) == (after > 0))
        return x > 0 ? d : slope * d;
    return (after > 0 ? after : slope * after) - (x > 0 ? x : slope * x);
}

static double leaky_he_gain(const struct layer *layer)
{
    double s = (double)slope(layer);
    return sqrt(2 / (1 + s * s));
}

ACTIVATION(leaky)

const struct layer_ops layer_relu = {
    .type = "relu",
    .formula = "z = max(0, x)",
    .options = no_options,
    .detail_size = sizeof(struct activation),
    .plan = plan,
    .forward = leaky_forward,
    .backward = leaky_backward,
    .difference = leaky_difference,
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
    .difference = leaky_difference,
    .he_gain = leaky_he_gain,
};
