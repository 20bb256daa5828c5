/*
 * Convolution: the affine layer applied to every patch with shared parameters (theory.md §3), in the variants of the
 * table there. A variant is a normaliser of the whole input, or a feature map of each patch, never both.
 *
 * Samples are taken one at a time, so that the patches stay in cache; they are unfolded again where they are needed
 * again (backward, effective update), which is cheaper than keeping them.
 */
#include <assert.h>
#include <string.h>

#include "core/layers.h"
#include "core/linear.h"
#include "core/normaliser.h"
#include "core/unfold.h"

/* A row of the table of theory.md §3. */
struct conv_variant {
    const char *name, *normaliser, *patch_map; /* maps of theory.md §2; NULL: none */
    const char *formula, *features, *self_factor;
};

static const struct conv_variant variants[] = {
    {"affine", NULL, "affine", "W·x_p + b", "[x_p; 1]", "‖x_p‖² + 1"},
    {"patch-affine-like", NULL, "affine-like", "(W·x_p + b) / √(1 + ‖x_p‖²)", "[x_p; 1] / √(1 + ‖x_p‖²)", "1"},
    {"patch-l2", NULL, "l2", "W·x_p/‖x_p‖ + b", "[x_p/‖x_p‖; 1]", "2"},
    {"patch-rms", NULL, "rms", "W·√m x_p/‖x_p‖ + b", "[√m x_p/‖x_p‖; 1]", "m + 1"},
    {"batch", "batch", "affine", "W·BN(x)_p + b", "[BN(x)_p; 1]", "read off the patch"},
    {"layer", "layer", "affine", "W·LN(x)_p + b", "[LN(x)_p; 1]", "read off the patch"},
    {"rms", "rms", "affine", "W·(√n x/‖x‖)_p + b", "[(√n x/‖x‖)_p; 1]", "read off the patch"},
    {"l2", "l2", "affine", "W·(x/‖x‖)_p + b", "[(x/‖x‖)_p; 1]", "read off the patch"},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

const char *const conv_variant_names[] = {
    "affine", "patch-affine-like", "patch-l2", "patch-rms", "batch", "layer", "rms", "l2", NULL};

struct conv {
    struct normaliser normaliser; /* its map NULL: none */
    size_t buffers;
    const struct feature_map *map; /* of each patch */
    bool bias;
    struct unfold unfold;
    size_t channels; /* of the output */
};

/* What a pass keeps: the normalised input, and the place where one sample's patches are made. */
struct conv_pass {
    struct features normalised;
    const real *images;    /* the normalised input, or the input itself */
    struct features patch; /* of the sample at hand */
    real *patches;         /* x of the patch map: the same as u for affine, which changes nothing */
    size_t stride;         /* between rows of patches */
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
    conv->unfold = unfold_make(dims[0], dims[1], dims[2], kernel, (size_t)option_integer(spec, "stride"),
                               (size_t)option_integer(spec, "padding"));
    if (unfold_positions(&conv->unfold) == 0)
        return refuse(layer, pointer, kernel, problems, err);
    const struct conv_variant *variant = variants;
    while (strcmp(variant->name, option_string(spec, "variant")) != 0)
        variant++;
    conv->channels = (size_t)option_integer(spec, "channels");
    conv->bias = option_boolean(spec, "bias");
    conv->map = feature_map_find(variant->patch_map);
    layer->variant = variant->name;
    layer->output = (struct shape){3, {conv->channels, conv->unfold.out_height, conv->unfold.out_width}};
    layer_add_site(layer, (struct layer_site){.part = "", .linear = true});
    struct layer_tensor *weight =
        layer_add_tensor(layer, "weight", true, 4, (size_t[]){conv->channels, dims[0], kernel, kernel});
    weight->transposed = weight->drawn = true;
    if (conv->bias)
        layer_add_tensor(layer, "bias", true, 1, (size_t[]){conv->channels});
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
    struct conv_pass *own = arena_take(pass->arena, sizeof *own);
    if (!own)
        return error_no_memory(err);
    size_t positions = unfold_positions(&conv->unfold), length = unfold_length(&conv->unfold);
    size_t width = length + (conv->bias ? 1 : 0);
    bool plain = strcmp(conv->map->name, "affine") == 0;
    *own = (struct conv_pass){.images = pass->x, .stride = plain ? width : length};
    own->patch = (struct features){
        .map = conv->map,
        .rows = positions,
        .counted = positions,
        .n = length,
        .bias = conv->bias,
        .u = arena_reals(pass->arena, positions * width),
        .factors = arena_reals(pass->arena, positions),
    };
    own->patches = plain ? own->patch.u : arena_reals(pass->arena, positions * length);
    own->patch.x = own->patches;
    if (!own->patch.u || !own->patch.factors || !own->patches)
        return error_no_memory(err);
    if (plain && conv->bias) /* unfolding leaves the constant's feature alone */
        for (size_t p = 0; p < positions; p++)
            own->patch.u[p * width + length] = 1;
    *ret_own = own;
    return STATUS_OK;
}

/* The features of all patches of sample i: positions × width. */
static struct matrix sample_features(const struct layer *layer, struct conv_pass *own, size_t i)
{
    const struct conv *conv = layer->detail;
    unfold_image(&conv->unfold, own->images + i * layer->in, own->patches, own->stride);
    if (own->patches != own->patch.u)
        own->patch.map->apply(&own->patch, STATISTICS_BATCH, (struct running_statistics){0});
    return matrix_of(own->patch.u, own->patch.rows, features_width(&own->patch));
}

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
    for (size_t i = 0; i < pass->rows; i++)
        linear_forward(sample_features(layer, own, i), pass->parameters, conv->channels, pass->z + i * layer->out);
    return STATUS_OK;
}

/* ∂L/∂x of one sample's patches added into its image. */
static void add_image_gradient(const struct layer *layer, const struct layer_pass *pass, struct conv_pass *own,
                               const real *dz, real *du, real *patch_gradient, real *image)
{
    const struct conv *conv = layer->detail;
    size_t width = features_width(&own->patch);
    linear_input_gradient(dz, own->patch.rows, conv->channels, pass->parameters, matrix_of(du, own->patch.rows, width));
    if (own->patches == own->patch.u) {
        unfold_add(&conv->unfold, du, width, image);
        return;
    }
    own->patch.map->pull_back(&own->patch, du, patch_gradient);
    unfold_add(&conv->unfold, patch_gradient, own->patch.n, image);
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct conv *conv = layer->detail;
    struct conv_pass *own = pass->kept;
    size_t width = features_width(&own->patch);
    real *images = NULL, *du = NULL, *patch_gradient = NULL;
    if (!pass->skip_dx) {
        images = arena_reals(pass->arena, pass->rows * layer->in);
        du = arena_reals(pass->arena, own->patch.rows * width);
        patch_gradient = arena_reals(pass->arena, own->patch.rows * own->patch.n);
        if (!images || !du || !patch_gradient)
            return error_no_memory(err);
        memset(images, 0, pass->rows * layer->in * sizeof *images);
    }
    for (size_t i = 0; i < pass->rows; i++) {
        const real *dz = pass->dz + i * layer->out;
        struct matrix u = sample_features(layer, own, i);
        if (i < pass->batch)
            linear_gradient(u, dz, conv->channels, i > 0, pass->gradient);
        if (images)
            add_image_gradient(layer, pass, own, dz, du, patch_gradient, images + i * layer->in);
    }
    pass->dx = images;
    if (!images || !conv->normaliser.map)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    conv->normaliser.map->pull_back(&own->normalised, images, pass->dx);
    return STATUS_OK;
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err)
{
    (void)site;
    const struct conv *conv = layer->detail;
    struct conv_pass *own = pass->kept;
    size_t positions = own->patch.rows, width = features_width(&own->patch);
    const real *dz = pass->dz + rows.from * layer->out;
    bool split = rule->plain && !rule->whole && positions > 1;
    real *effective = arena_reals(pass->arena, rows.count * layer->out), *own_sample = NULL, *scratch = NULL;
    double *factors = arena_take(pass->arena, rows.count * positions * sizeof *factors);
    if (split) {
        own_sample = arena_reals(pass->arena, rows.count * layer->out);
        scratch = arena_reals(pass->arena, linear_own_sample_scratch(positions, width, conv->channels));
    }
    if (!effective || !factors || (split && (!own_sample || !scratch)))
        return error_no_memory(err);
    for (size_t i = 0; i < rows.count; i++) {
        struct matrix u = sample_features(layer, own, rows.from + i);
        linear_forward(u, delta, conv->channels, effective + i * layer->out);
        linear_factors(u, factors + i * positions);
        if (split)
            linear_own_sample(u, dz + i * layer->out, conv->channels, rule->learning_rate, scratch,
                              own_sample + i * layer->out);
    }
    *ret_update = (struct site_update){
        .rows = rows.count,
        .size = layer->out,
        .positions = positions,
        .gradient = dz,
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
    *ret_factors = (struct sample_factors){
        .u = sample_features(layer, pass->kept, row),
        .g = pass->dz + row * layer->out,
        .out = conv->channels,
    };
}

/* u(x + dx)(W̃ + ΔW̃)ᵀ − u(x) W̃ᵀ = u ΔW̃ᵀ + du (W̃ + ΔW̃)ᵀ, patch by patch. */
static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    const struct conv *conv = layer->detail;
    struct conv_pass *own = pass->kept;
    size_t positions = own->patch.rows, width = features_width(&own->patch), count = pass->rows * layer->in;
    real *image_change = arena_reals(pass->arena, count), *du = arena_reals(pass->arena, positions * width);
    real *patch_change = arena_reals(pass->arena, positions * own->patch.n);
    if (!image_change || !du || !patch_change)
        return error_no_memory(err);
    if (dx && conv->normaliser.map)
        conv->normaliser.map->difference(&own->normalised, dx, image_change);
    else if (dx)
        memcpy(image_change, dx, count * sizeof *dx);
    memset(ret_dz, 0, pass->rows * layer->out * sizeof *ret_dz);
    for (size_t i = 0; i < pass->rows; i++) {
        struct matrix u = sample_features(layer, own, i),
                      dz = matrix_of(ret_dz + i * layer->out, positions, conv->channels);
        if (delta)
            linear_forward(u, delta, conv->channels, dz.values);
        if (!dx)
            continue;
        struct features patch = own->patch; /* the map's view of x has contiguous rows */
        struct matrix change = matrix_of(du, positions, width);
        unfold_image(&conv->unfold, image_change + i * layer->in, patch_change, own->patch.n);
        patch.map->difference(&patch, patch_change, du);
        blas_multiply(change, PLAIN, matrix_of((real *)pass->parameters, width, conv->channels), PLAIN, 1, dz);
        if (delta)
            blas_multiply(change, PLAIN, matrix_of((real *)delta, width, conv->channels), PLAIN, 1, dz);
    }
    return STATUS_OK;
}

static double flops(const struct layer *layer)
{
    const struct conv *conv = layer->detail;
    return 6.0 * (double)unfold_positions(&conv->unfold) * (double)unfold_length(&conv->unfold) *
           (double)conv->channels;
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
    .describe_variants = describe_variants,
};
