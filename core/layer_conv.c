/*
 * Convolution: the affine layer applied to every patch with shared parameters (theory.md §3), in the variants of the
 * table there. A variant is a normaliser of the whole input, or a scaling of each patch, never both.
 *
 * A scaled patch has the features r x_p and the constant's feature c, with r and c made of ‖x_p‖² alone. So it is not
 * the patches that are scaled but what comes of them: z_p = r (W x_p) + c b, and the patches are never needed.
 * Samples are taken one at a time, so that what they pass through stays in the cache.
 */
#include <assert.h>
#include <string.h>

#include "core/correlation.h"
#include "core/inverse_root.h"
#include "core/layers.h"
#include "core/linear.h"
#include "core/normaliser.h"
#include "core/vector.h"

/* What a patch is divided by: nothing; √(1 + ‖x_p‖²), the constant's feature too; or ‖x_p‖, then times `length`. */
enum patch_scale { SCALE_NONE, SCALE_AFFINE_LIKE, SCALE_NORM };

/* A row of the table of theory.md §3. */
struct conv_variant {
    const char *name, *normaliser; /* a map of theory.md §2; NULL: none */
    enum patch_scale scale;
    bool root_length; /* SCALE_NORM: times √m, m the patch's length */
    const char *formula, *features, *self_factor;
};

/* Row: the members of struct conv_variant. */
#define CONV_TABLE(ROW)                                                                                                \
    ROW("affine", NULL, SCALE_NONE, false, "W·x_p + b", "[x_p; 1]", "‖x_p‖² + 1")                                      \
    ROW("patch-affine-like", NULL, SCALE_AFFINE_LIKE, false, "(W·x_p + b) / √(1 + ‖x_p‖²)",                            \
        "[x_p; 1] / √(1 + ‖x_p‖²)", "1")                                                                               \
    ROW("patch-l2", NULL, SCALE_NORM, false, "W·x_p/‖x_p‖ + b", "[x_p/‖x_p‖; 1]", "2")                                 \
    ROW("patch-rms", NULL, SCALE_NORM, true, "W·√m x_p/‖x_p‖ + b", "[√m x_p/‖x_p‖; 1]", "m + 1")                       \
    ROW("batch", "batch", SCALE_NONE, false, "W·BN(x)_p + b", "[BN(x)_p; 1]", "read off the patch")                    \
    ROW("layer", "layer", SCALE_NONE, false, "W·LN(x)_p + b", "[LN(x)_p; 1]", "read off the patch")                    \
    ROW("rms", "rms", SCALE_NONE, false, "W·(√n x/‖x‖)_p + b", "[(√n x/‖x‖)_p; 1]", "read off the patch")              \
    ROW("l2", "l2", SCALE_NONE, false, "W·(x/‖x‖)_p + b", "[(x/‖x‖)_p; 1]", "read off the patch")

#define CONV_VARIANT(...) {__VA_ARGS__},
static const struct conv_variant variants[] = {CONV_TABLE(CONV_VARIANT)};
#undef CONV_VARIANT
enum { VARIANTS = sizeof variants / sizeof *variants };

#define CONV_NAME(name, ...) name,
const char *const conv_variant_names[] = {CONV_TABLE(CONV_NAME) NULL};
#undef CONV_NAME

struct conv {
    struct normaliser normaliser; /* its map NULL: none */
    size_t buffers;
    enum patch_scale scale;
    double length; /* SCALE_NORM: 1 or √m */
    bool bias;
    struct correlation correlation;
    size_t positions, patch; /* of a sample; values of a patch */
    size_t channels;         /* of the output */
};

/* What a pass keeps: the normalised input, and places where one sample's things are made. */
struct conv_pass {
    struct features normalised;
    const real *images;       /* the normalised input, or the input itself */
    real *scratch, *prepared; /* of correlation: its scratch, and kernels as it needs them */
    real *scaled, *constant;  /* r and c of the sample's positions; NULL where they are 1 */
    double *squares;          /* ‖x_p‖² of the sample's positions */
    double *pixels;           /* of one image */
};

static const struct option options[] = {
    {"channels", OPTION_INTEGER, NULL, 1, 65536, .help = "of the output"},
    {"kernel", OPTION_INTEGER, "3", 1, 1024, .help = "side of the square kernel"},
    {"stride", OPTION_INTEGER, "1", 1, 1024, .help = "step of the kernel"},
    {"padding", OPTION_INTEGER, "0", 0, 1024, .help = "zeros around the image"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = conv_variant_names, .help = "feature map or normaliser"},
    {"axes", OPTION_CHOICE, "\"all\"", .choices = normaliser_axes,
     .help = "of layer, rms and l2: over the whole sample, or each position over its channels"},
    {"bias", OPTION_BOOLEAN, "true", .help = "whether a bias is learned"},
    OPTION_END,
};

static enum status refuse(const struct layer *layer, const char *pointer, size_t kernel, struct problem_list *problems,
                          struct error *err)
{
    char shape[SHAPE_TEXT_SIZE];
    const size_t *dims = layer->input.dims;
    if (layer->input.rank != 3)
        problem_add(problems, pointer, "Takes channels × height × width, its input is %s.",
                    shape_format(&layer->input, shape));
    else
        problem_add(problems, pointer,
                    "The kernel is %zu×%zu and its input only %zu×%zu: make it %zu or smaller, or pad.", kernel, kernel,
                    dims[1], dims[2], dims[1] < dims[2] ? dims[1] : dims[2]);
    return error_set(err, STATUS_INVALID, "the layers do not fit together");
}

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    struct conv *conv = layer->detail;
    const size_t *dims = layer->input.dims;
    size_t kernel = (size_t)option_integer(spec, "kernel");
    if (layer->input.rank != 3)
        return refuse(layer, pointer, kernel, problems, err);
    struct unfold unfold = unfold_make(dims[0], dims[1], dims[2], kernel, (size_t)option_integer(spec, "stride"),
                                       (size_t)option_integer(spec, "padding"));
    if (unfold_positions(&unfold) == 0)
        return refuse(layer, pointer, kernel, problems, err);
    const struct conv_variant *variant = variants;
    while (strcmp(variant->name, option_string(spec, "variant")) != 0)
        variant++;
    conv->channels = (size_t)option_integer(spec, "channels");
    conv->bias = option_boolean(spec, "bias");
    conv->positions = unfold_positions(&unfold);
    conv->patch = unfold_length(&unfold);
    conv->correlation = correlation_make(&unfold, conv->channels);
    conv->scale = variant->scale;
    conv->length = variant->root_length ? sqrt((double)conv->patch) : 1;
    layer->variant = variant->name;
    layer->output = (struct shape){3, {conv->channels, unfold.out_height, unfold.out_width}};
    struct layer_tensor *weight =
        layer_add_tensor(layer, "weight", true, 4, (size_t[]){conv->channels, dims[0], kernel, kernel});
    weight->transposed = weight->drawn = true;
    if (conv->bias)
        layer_add_tensor(layer, "bias", true, 1, (size_t[]){conv->channels});
    layer_add_site(layer, (struct layer_site){
                              .part = "",
                              .linear = true,
                              .positions = conv->positions,
                              .scratch = conv->positions * conv->channels + layer->parameter_count +
                                         correlation_prepared_size(&conv->correlation),
                          });
    if (variant->normaliser) {
        conv->normaliser = normaliser_make(feature_map_find(variant->normaliser), &layer->input,
                                           strcmp(option_string(spec, "axes"), "channel") == 0);
        conv->buffers = normaliser_add_tensors(&conv->normaliser, layer);
    }
    return STATUS_OK;
}

/* Makes the pass's own memory. */
static enum status begin(const struct layer *layer, struct layer_pass *pass, struct conv_pass **ret_own,
                         struct error *err)
{
    const struct conv *conv = layer->detail;
    const struct unfold *unfold = &conv->correlation.unfold;
    struct conv_pass *own = arena_take(pass->arena, sizeof *own);
    if (!own)
        return error_no_memory(err);
    *own = (struct conv_pass){
        .images = pass->x,
        .scratch = arena_reals(pass->arena, correlation_scratch(&conv->correlation)),
        .prepared = arena_reals(pass->arena, correlation_prepared_size(&conv->correlation)),
        .squares = arena_take(pass->arena, conv->positions * sizeof *own->squares),
        .pixels = arena_take(pass->arena, unfold->height * unfold->width * sizeof *own->pixels),
    };
    if (conv->scale != SCALE_NONE)
        own->scaled = arena_reals(pass->arena, conv->positions);
    if (conv->scale == SCALE_AFFINE_LIKE)
        own->constant = own->scaled;
    if (!own->scratch || !own->prepared || !own->squares || !own->pixels || (conv->scale != SCALE_NONE && !own->scaled))
        return error_no_memory(err);
    *ret_own = own;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ scaled patches */

/* Σ over the channels of each pixel of 2·x·y + y², or of y² where x is NULL. */
MULTIVERSION
static void pixel_squares(size_t pixels, size_t channels, const real *x, const real *y, double *ret_squares)
{
    for (size_t p = 0; p < pixels; p++) {
        const real *b = y + p * channels;
        double square = vector_squares(channels, b);
        ret_squares[p] = x ? square + 2 * vector_dot(channels, x + p * channels, b) : square;
    }
}

/* Sets own->squares of one image, of its change beside it where `change` is not NULL. */
static void window_squares(const struct conv *conv, const struct conv_pass *own, const real *image, const real *change,
                           double *ret_squares)
{
    const struct unfold *u = &conv->correlation.unfold;
    pixel_squares(u->height * u->width, u->channels, change ? image : NULL, change ? change : image, own->pixels);
    correlation_window_sums(u, own->pixels, ret_squares);
}

/* r of a patch. */
static double scale_of(const struct conv *conv, double squares)
{
    if (conv->scale == SCALE_AFFINE_LIKE)
        return 1 / sqrt(1 + squares);
    return sqrt(squares) < FEATURE_ZERO_NORM ? 0 : conv->length / sqrt(squares);
}

/* Sets own->scaled of one image, and own->squares, where the variant scales its patches. */
static void scale_patches(const struct conv *conv, const struct conv_pass *own, const real *image)
{
    if (conv->scale == SCALE_NONE)
        return;
    window_squares(conv, own, image, NULL, own->squares);
    for (size_t p = 0; p < conv->positions; p++)
        own->scaled[p] = (real)scale_of(conv, own->squares[p]);
}

/* z = r z + c b; r NULL is 1, c NULL is 1. `bias` NULL adds none. */
MULTIVERSION
static void finish_output(size_t positions, size_t channels, const real *restrict r, const real *restrict c,
                          const real *restrict bias, real *restrict z)
{
    for (size_t p = 0; p < positions; p++) {
        real *row = z + p * channels, scale = r ? r[p] : 1, constant = c ? c[p] : 1;
        if (bias)
            for (size_t k = 0; k < channels; k++)
                row[k] = scale * row[k] + constant * bias[k];
        else if (r)
            for (size_t k = 0; k < channels; k++)
                row[k] *= scale;
    }
}

/* The output of one image with these parameters (or a step of them), whose kernels are prepared; its patches' scales
 * are set. */
static void output_of(const struct conv *conv, const struct conv_pass *own, const real *image, const real *prepared,
                      const real *parameters, real *ret_z)
{
    const real *bias = conv->bias ? parameters + conv->patch * conv->channels : NULL;
    correlation_forward(&conv->correlation, image, prepared, own->scratch, ret_z);
    finish_output(conv->positions, conv->channels, own->scaled, own->constant, bias, ret_z);
}

/* ------------------------------------------------------------------ forward */

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct conv *conv = layer->detail;
    struct conv_pass *own = NULL;
    enum status status = begin(layer, pass, &own, err);
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (status == STATUS_OK && !pass->z)
        status = error_no_memory(err);
    if (status == STATUS_OK && conv->normaliser.map) {
        status = normaliser_apply(&conv->normaliser, pass, conv->buffers, &own->normalised, err);
        own->images = own->normalised.u;
    }
    if (status != STATUS_OK)
        return status;
    pass->kept = own;
    correlation_prepare(&conv->correlation, pass->parameters, own->prepared);
    for (size_t i = 0; i < pass->rows; i++) {
        const real *image = own->images + i * layer->in;
        scale_patches(conv, own, image);
        output_of(conv, own, image, own->prepared, pass->parameters, pass->z + i * layer->out);
    }
    return STATUS_OK;
}

/* ------------------------------------------------------------------ backward */

/* r g, row by row; `scaled` NULL gives g itself. */
MULTIVERSION
static const real *scale_gradient(size_t positions, size_t channels, const real *restrict scaled,
                                  const real *restrict g, real *restrict ret_scaled)
{
    if (!scaled)
        return g;
    for (size_t p = 0; p < positions; p++)
        for (size_t k = 0; k < channels; k++)
            ret_scaled[p * channels + k] = scaled[p] * g[p * channels + k];
    return ret_scaled;
}

/* ∂l/∂W̃ of one sample, added to `gradient` where beta is 1; `scaled` is r g. */
static void kernel_gradient(const struct conv *conv, const struct conv_pass *own, const real *image, const real *g,
                            const real *scaled, double beta, real *gradient)
{
    real *bias = gradient + conv->patch * conv->channels;
    correlation_kernel_gradient(&conv->correlation, image, scaled, beta, own->scratch, gradient);
    if (!conv->bias)
        return;
    if (beta == 0)
        memset(bias, 0, conv->channels * sizeof *bias);
    linear_add_bias_gradient(conv->positions, conv->channels, own->constant, g, bias);
}

/*
 * What an image's gradient gets through its patches' norms: −x_p t_p with t_p = g·(z − c b)/‖x_p‖², or for affine-like
 * g·z/(1 + ‖x_p‖²), which holds the constant's feature too. All patches that hold a pixel take from it.
 */
static void subtract_through_norms(const struct conv *conv, const struct conv_pass *own, const real *image,
                                   const real *g, const real *z, const real *bias, real *image_gradient)
{
    const struct unfold *u = &conv->correlation.unfold;
    for (size_t p = 0; p < conv->positions; p++) {
        double square = own->squares[p],
               along = vector_dot(conv->channels, g + p * conv->channels, z + p * conv->channels);
        if (conv->scale == SCALE_AFFINE_LIKE)
            own->squares[p] = along / (1 + square);
        else if (sqrt(square) < FEATURE_ZERO_NORM)
            own->squares[p] = 0;
        else
            own->squares[p] = (along - (bias ? vector_dot(conv->channels, g + p * conv->channels, bias) : 0)) / square;
    }
    correlation_spread(u, own->squares, own->pixels);
    for (size_t p = 0; p < u->height * u->width; p++)
        for (size_t k = 0; k < u->channels; k++)
            image_gradient[p * u->channels + k] -= image[p * u->channels + k] * (real)own->pixels[p];
}

/* Memory of a backward pass besides: all images' gradients, and one sample's. */
struct conv_backward {
    real *images, *turned; /* NULL where no gradient of the input is wanted */
    real *scaled;          /* r g of one sample */
};

static enum status begin_backward(const struct layer *layer, const struct layer_pass *pass,
                                  struct conv_backward *ret_memory, struct error *err)
{
    const struct conv *conv = layer->detail;
    struct conv_backward m = {.scaled = arena_reals(pass->arena, layer->out)};
    if (!pass->skip_dx) {
        m.images = arena_reals(pass->arena, pass->rows * layer->in);
        m.turned = arena_reals(pass->arena, correlation_turned_size(&conv->correlation));
    }
    if (!m.scaled || (!pass->skip_dx && (!m.images || !m.turned)))
        return error_no_memory(err);
    const struct conv_pass *own = pass->kept;
    if (m.turned)
        correlation_turn_kernels(&conv->correlation, pass->parameters, own->scratch, m.turned);
    *ret_memory = m;
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct conv *conv = layer->detail;
    struct conv_pass *own = pass->kept;
    struct conv_backward m = {0};
    const real *bias = conv->bias ? pass->parameters + conv->patch * conv->channels : NULL;
    enum status status = begin_backward(layer, pass, &m, err);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < pass->rows; i++) {
        const real *g = pass->dz + i * layer->out, *image = own->images + i * layer->in;
        scale_patches(conv, own, image);
        const real *scaled = scale_gradient(conv->positions, conv->channels, own->scaled, g, m.scaled);
        if (i < pass->batch)
            kernel_gradient(conv, own, image, g, scaled, i > 0, pass->gradient);
        if (!m.images)
            continue;
        real *image_gradient = m.images + i * layer->in;
        correlation_image_gradient(&conv->correlation, scaled, m.turned, own->scratch, image_gradient);
        if (conv->scale != SCALE_NONE)
            subtract_through_norms(conv, own, image, g, pass->z + i * layer->out, bias, image_gradient);
    }
    pass->dx = m.images;
    if (!m.images || !conv->normaliser.map)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    conv->normaliser.map->pull_back(&own->normalised, m.images, NULL, pass->dx);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ what a step does */

/* k_pp = r²‖x_p‖² + c² of one image, in double. */
static void self_factors(const struct conv *conv, const struct conv_pass *own, const real *image, double *ret_factors)
{
    window_squares(conv, own, image, NULL, ret_factors);
    for (size_t p = 0; p < conv->positions; p++) {
        double square = ret_factors[p], r = conv->scale == SCALE_NONE ? 1 : scale_of(conv, square);
        double c = conv->scale == SCALE_AFFINE_LIKE ? r : 1;
        ret_factors[p] = r * r * square + (conv->bias ? c * c : 0);
    }
}

MULTIVERSION
static void multiply(size_t count, real factor, real *values)
{
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err)
{
    (void)site;
    const struct conv *conv = layer->detail;
    struct conv_pass *own = pass->kept;
    bool split = rule->plain && !rule->whole && conv->positions > 1;
    real *effective = arena_reals(pass->arena, rows.count * layer->out), *own_sample = NULL, *gradient = NULL;
    real *step = arena_reals(pass->arena, correlation_prepared_size(&conv->correlation));
    real *scaled = arena_reals(pass->arena, layer->out);
    double *factors = arena_take(pass->arena, rows.count * conv->positions * sizeof *factors);
    if (split) {
        own_sample = arena_reals(pass->arena, rows.count * layer->out);
        gradient = arena_reals(pass->arena, layer->parameter_count);
    }
    if (!effective || !factors || !scaled || !step || (split && (!own_sample || !gradient)))
        return error_no_memory(err);
    correlation_prepare(&conv->correlation, delta, step);
    for (size_t i = 0; i < rows.count; i++) {
        const real *image = own->images + (rows.from + i) * layer->in, *g = pass->dz + (rows.from + i) * layer->out;
        scale_patches(conv, own, image);
        output_of(conv, own, image, step, delta, effective + i * layer->out);
        self_factors(conv, own, image, factors + i * conv->positions);
        if (!split)
            continue;
        const real *scaled_g = scale_gradient(conv->positions, conv->channels, own->scaled, g, scaled);
        kernel_gradient(conv, own, image, g, scaled_g, 0, gradient);
        multiply(layer->parameter_count, (real)-rule->learning_rate, gradient);
        correlation_prepare(&conv->correlation, gradient, own->prepared);
        output_of(conv, own, image, own->prepared, gradient, own_sample + i * layer->out);
    }
    *ret_update = (struct site_update){
        .rows = rows.count,
        .size = layer->out,
        .positions = conv->positions,
        .gradient = pass->dz + rows.from * layer->out,
        .effective = effective,
        .input = pass->x + rows.from * layer->in,
        .input_size = layer->in,
        .factors = factors,
        .own_sample = own_sample,
    };
    return STATUS_OK;
}

static void sample_factors(const struct layer *layer, const struct layer_pass *pass, size_t site, size_t row,
                           struct sample_factors *ret_factors)
{
    (void)site;
    const struct conv *conv = layer->detail;
    const struct conv_pass *own = pass->kept;
    const real *image = own->images + row * layer->in;
    scale_patches(conv, own, image);
    unfold_image(&conv->correlation.unfold, image, own->scratch, conv->patch);
    finish_output(conv->positions, conv->patch, own->scaled, NULL, NULL, own->scratch);
    *ret_factors = (struct sample_factors){
        .f = {.u = matrix_of(own->scratch, conv->positions, conv->patch),
              .bias = conv->bias,
              .constant = own->constant},
        .g = pass->dz + row * layer->out,
        .out = conv->channels,
    };
}

/* ------------------------------------------------------------------ what a change of the input does */

/* How r of a patch changes. */
static struct inverse_root scale_change(const struct conv *conv, double squares, double change)
{
    if (conv->scale == SCALE_NONE)
        return (struct inverse_root){1, 0};
    if (conv->scale == SCALE_AFFINE_LIKE)
        return inverse_root_change(1 + squares, change);
    struct inverse_root r = inverse_norm_change(squares, change);
    return (struct inverse_root){conv->length * r.after, conv->length * r.change};
}

/* Memory for one sample's change, and the kernels prepared: θ and Δθ. */
struct conv_change {
    real *before, *moved; /* W x_p; ΔW x_p + (W + ΔW) dx_p */
    double *change;       /* of ‖x_p‖² */
    real *kernels[2];
};

/*
 * One sample's dz = r'(ΔW x_p + (W + ΔW) dx_p) + Δr W x_p + c'Δb + Δc b. Where neither the image nor the parameters
 * change, their NULL leaves the terms out.
 */
static void sample_change(const struct conv *conv, const struct conv_pass *own, const real *image,
                          const real *image_change, const real *theta, const real *delta, const struct conv_change *m,
                          real *ret_dz)
{
    size_t weights = conv->patch * conv->channels, count = conv->positions * conv->channels;
    memset(m->moved, 0, count * sizeof *m->moved);
    if (delta)
        correlation_forward(&conv->correlation, image, m->kernels[1], own->scratch, m->moved);
    for (int k = 0; image_change && k < (delta ? 2 : 1); k++) {
        correlation_forward(&conv->correlation, image_change, m->kernels[k], own->scratch, ret_dz);
        blas_add(count, 1, ret_dz, m->moved);
    }
    correlation_forward(&conv->correlation, image, m->kernels[0], own->scratch, m->before);
    window_squares(conv, own, image, NULL, own->squares);
    memset(m->change, 0, conv->positions * sizeof *m->change);
    if (image_change)
        window_squares(conv, own, image, image_change, m->change);
    for (size_t p = 0; p < conv->positions; p++) {
        struct inverse_root r = scale_change(conv, own->squares[p], m->change[p]);
        bool scaled = conv->scale == SCALE_AFFINE_LIKE;
        real after = (real)r.after, change = (real)r.change;
        for (size_t k = 0; k < conv->channels; k++) {
            size_t at = p * conv->channels + k;
            ret_dz[at] = after * m->moved[at] + change * m->before[at];
            if (conv->bias && delta)
                ret_dz[at] += (scaled ? after : 1) * delta[weights + k];
            if (conv->bias && scaled)
                ret_dz[at] += change * theta[weights + k];
        }
    }
}

static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    const struct conv *conv = layer->detail;
    struct conv_pass *own = pass->kept;
    const real *changes = dx;
    const struct conv_change m = {
        .before = arena_reals(pass->arena, layer->out),
        .moved = arena_reals(pass->arena, layer->out),
        .change = arena_take(pass->arena, conv->positions * sizeof *m.change),
        .kernels = {arena_reals(pass->arena, correlation_prepared_size(&conv->correlation)),
                    arena_reals(pass->arena, correlation_prepared_size(&conv->correlation))},
    };
    if (!m.before || !m.moved || !m.change || !m.kernels[0] || !m.kernels[1])
        return error_no_memory(err);
    correlation_prepare(&conv->correlation, pass->parameters, m.kernels[0]);
    if (delta)
        correlation_prepare(&conv->correlation, delta, m.kernels[1]);
    if (dx && conv->normaliser.map) {
        real *normalised = arena_reals(pass->arena, pass->rows * layer->in);
        if (!normalised)
            return error_no_memory(err);
        conv->normaliser.map->difference(&own->normalised, dx, normalised, NULL);
        changes = normalised;
    }
    for (size_t i = 0; i < pass->rows; i++)
        sample_change(conv, own, own->images + i * layer->in, changes ? changes + i * layer->in : NULL,
                      pass->parameters, delta, &m, ret_dz + i * layer->out);
    return STATUS_OK;
}

/* Doubles count as two reals of single precision. */
#define REALS_OF(type, count) ((count) * sizeof(type) / sizeof(real))

static struct layer_memory memory(const struct layer *layer)
{
    const struct conv *conv = layer->detail;
    const struct unfold *u = &conv->correlation.unfold;
    size_t prepared = correlation_prepared_size(&conv->correlation);
    struct layer_memory m = {
        .forward = layer->out,
        .forward_fixed = correlation_scratch(&conv->correlation) + prepared + REALS_OF(struct conv_pass, 1) +
                         conv->positions + REALS_OF(double, conv->positions + u->height * u->width),
        .backward = layer->in,
        .backward_fixed = layer->out + correlation_turned_size(&conv->correlation),
        .change_fixed = 2 * layer->out + 2 * prepared + REALS_OF(double, conv->positions),
    };
    if (conv->normaliser.map) {
        m.forward += layer->in + conv->normaliser.vectors;
        m.forward_fixed += conv->normaliser.n;
        m.backward += layer->in;
        m.change += layer->in;
    }
    return m;
}

static double flops(const struct layer *layer)
{
    const struct conv *conv = layer->detail;
    return layer_map_flops(layer, (double)conv->positions * (double)conv->patch * (double)conv->channels);
}

static json_t *describe_variants(void)
{
    json_t *list = json_array();
    for (const struct conv_variant *v = variants; list && v < variants + VARIANTS; v++)
        if (!variant_describe(list, v->name, v->formula, v->features, v->self_factor)) {
            json_decref(list);
            return NULL;
        }
    return list;
}

const struct layer_ops layer_conv = {
    .type = "conv",
    .formula = "z_p = W̃ u(x_p) for every patch x_p",
    .options = options,
    .detail_size = sizeof(struct conv),
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .effective_update = effective_update,
    .sample_factors = sample_factors,
    .difference = difference,
    .flops = flops,
    .memory = memory,
    .describe_variants = describe_variants,
};
