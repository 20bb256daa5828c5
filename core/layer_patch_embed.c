/*
 * Patch embedding: an image cut into patches that do not overlap, each mapped by one projection to a token. A patch's
 * features are in channel, row, column order, as in files; with positions a learned vector is added to each token.
 */
#include <assert.h>
#include <string.h>

#include "core/layers.h"
#include "core/projection.h"

struct embed {
    struct projection projection;
    size_t side, columns;   /* of a patch; patches of a row */
    size_t channels, width; /* of the image */
    bool positions;
    size_t position_offset; /* of the learned vectors, into the layer's parameters */
};

/* What a pass keeps: the patches as tokens are x of the projection. */
struct embed_pass {
    real *patches;
    struct features *features;
};

static const struct option options[] = {
    {"patch", OPTION_INTEGER, "4", 1, 1024, .help = "side of the square patches"},
    {"dim", OPTION_INTEGER, NULL, 1, 65536, .help = "length of a token"},
    {"variant", OPTION_CHOICE, "\"affine\"", .choices = feature_map_names, .help = "feature map of a patch"},
    {"bias", OPTION_BOOLEAN, "true", .help = "whether a bias is learned"},
    {"positions", OPTION_BOOLEAN, "false",
     .help = "whether a vector is learned for each token, which adds 1 to the self factor"},
    OPTION_END,
};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    struct embed *e = layer->detail;
    const size_t *dims = layer->input.dims;
    size_t side = (size_t)option_integer(spec, "patch"), dim = (size_t)option_integer(spec, "dim");
    char shape[SHAPE_TEXT_SIZE];
    attribute_cleanup(cleanup_free) char *place = pointer_member(pointer, "patch");
    shape_format(&layer->input, shape);
    if (layer->input.rank != 3 || dims[1] % side != 0 || dims[2] % side != 0) {
        if (layer->input.rank != 3)
            problem_add(problems, pointer, "Takes channels × height × width, its input is %s.", shape);
        else
            problem_add(problems, place ? place : pointer,
                        "Patches of %zu×%zu do not tile its input of %zu×%zu: take a divisor of both.", side, side,
                        dims[1], dims[2]);
        return error_set(err, STATUS_INVALID, "the layers do not fit together");
    }
    size_t tokens = dims[1] / side * (dims[2] / side);
    e->side = side;
    e->columns = dims[2] / side;
    e->channels = dims[0];
    e->width = dims[2];
    e->positions = option_boolean(spec, "positions");
    e->projection = (struct projection){
        .map = feature_map_find(option_string(spec, "variant")),
        .bias = option_boolean(spec, "bias"),
        .positions = tokens,
        .n = dims[0] * side * side,
        .units = dim,
    };
    assert(e->projection.map);
    layer->output = (struct shape){2, {tokens, dim}};
    layer->variant = e->projection.map->name;
    layer_add_site(layer,
                   (struct layer_site){
                       .part = "", .linear = true, .positions = tokens, .scratch = projection_scratch(&e->projection)});
    projection_add_tensors(&e->projection, layer, &projection_names);
    e->position_offset = layer->parameter_count;
    if (e->positions)
        layer_add_tensor(layer, "position", true, 2, (size_t[]){tokens, dim});
    return STATUS_OK;
}

/*
 * Images to patches, or their gradients back (every pixel belongs to one patch). A patch's row of a channel is `side`
 * neighbouring values in the order of files, `channels` apart otherwise.
 */
static void move_patches(const struct layer *layer, size_t rows, const real *from, real *to, bool cut)
{
    const struct embed *e = layer->detail;
    size_t n = e->projection.n, height = layer->in / (e->width * e->channels);
    size_t along = layer->files_order ? 1 : e->channels;
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < e->projection.positions; t++)
            for (size_t c = 0; c < e->channels; c++)
                for (size_t y = 0; y < e->side; y++) {
                    size_t row = t / e->columns * e->side + y, column = t % e->columns * e->side;
                    size_t pixel = layer->files_order ? (c * height + row) * e->width + column
                                                      : (row * e->width + column) * e->channels + c;
                    size_t image = i * layer->in + pixel, patch = i * layer->in + t * n + (c * e->side + y) * e->side;
                    for (size_t x = 0; x < e->side; x++)
                        to[cut ? patch + x : image + x * along] = from[cut ? image + x * along : patch + x];
                }
}

static void add_positions(const struct layer *layer, size_t rows, const real *vectors, real *z)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < layer->out; k++)
            z[i * layer->out + k] += vectors[k];
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct embed *e = layer->detail;
    struct embed_pass *own = arena_take(pass->arena, sizeof *own);
    real *patches = arena_reals(pass->arena, pass->rows * layer->in);
    if (!own || !patches)
        return error_no_memory(err);
    *own = (struct embed_pass){.patches = patches};
    pass->kept = own;
    move_patches(layer, pass->rows, pass->x, patches, true);
    enum status status = projection_forward(&e->projection, pass, patches, &own->features, &pass->z, err);
    if (status == STATUS_OK && e->positions)
        add_positions(layer, pass->rows, pass->parameters + e->position_offset, pass->z);
    return status;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct embed *e = layer->detail;
    struct embed_pass *own = pass->kept;
    real *patches = NULL;
    enum status status =
        projection_backward(&e->projection, pass, own->features, pass->dz, pass->skip_dx ? NULL : &patches, err);
    if (status != STATUS_OK)
        return status;
    if (e->positions) {
        real *gradient = pass->gradient + e->position_offset;
        memset(gradient, 0, layer->out * sizeof *gradient);
        for (size_t i = 0; i < pass->batch; i++)
            for (size_t k = 0; k < layer->out; k++)
                gradient[k] += pass->dz[i * layer->out + k];
    }
    if (pass->skip_dx)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, pass->rows * layer->in);
    if (!pass->dx)
        return error_no_memory(err);
    move_patches(layer, pass->rows, patches, pass->dx, false);
    return STATUS_OK;
}

/*
 * Learned positions are one more feature, a 1 at the token's own place: they add 1 to k_pp, and to the effective update
 * of a token the same token's gradients of all samples.
 */
static void add_position_update(const struct layer *layer, const real *delta, const struct step_rule *rule,
                                struct site_update *update)
{
    const struct embed *e = layer->detail;
    add_positions(layer, update->rows, delta + e->position_offset, (real *)update->effective);
    for (size_t i = 0; i < update->rows * update->positions; i++)
        ((double *)update->factors)[i] += 1;
    for (size_t i = 0; update->own_sample && i < update->rows * layer->out; i++)
        ((real *)update->own_sample)[i] -= (real)rule->learning_rate * update->gradient[i];
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err)
{
    (void)site;
    const struct embed *e = layer->detail;
    const struct embed_pass *own = pass->kept;
    enum status status =
        projection_update(&e->projection, pass, own->features, pass->dz, rows, delta, rule, ret_update, err);
    if (status == STATUS_OK && e->positions)
        add_position_update(layer, delta, rule, ret_update);
    return status;
}

static void sample_factors(const struct layer *layer, const struct layer_pass *pass, size_t site, size_t row,
                           struct sample_factors *ret_factors)
{
    (void)site;
    const struct embed *e = layer->detail;
    const struct embed_pass *own = pass->kept;
    projection_sample_factors(&e->projection, own->features, pass->dz, row, ret_factors);
    ret_factors->learned_place = e->positions;
}

static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    const struct embed *e = layer->detail;
    const struct embed_pass *own = pass->kept;
    real *patches = NULL;
    if (dx) {
        patches = arena_reals(pass->arena, pass->rows * layer->in);
        if (!patches)
            return error_no_memory(err);
        move_patches(layer, pass->rows, dx, patches, true);
    }
    enum status status = projection_difference(&e->projection, pass, own->features, patches, delta, ret_dz, err);
    if (status == STATUS_OK && delta && e->positions)
        add_positions(layer, pass->rows, delta + e->position_offset, ret_dz);
    return status;
}

/* The patches besides, and the images that they came from. */
static struct layer_memory memory(const struct layer *layer)
{
    const struct embed *e = layer->detail;
    struct layer_memory m = projection_memory(&e->projection);
    m.forward += layer->in;
    m.backward += layer->in;
    m.change += layer->in;
    m.forward_fixed += sizeof(struct embed_pass) / sizeof(real);
    return m;
}

static double flops(const struct layer *layer)
{
    const struct embed *e = layer->detail;
    return layer_map_flops(layer, (double)layer->in * (double)e->projection.units);
}

const struct layer_ops layer_patch_embed = {
    .type = "patch-embed",
    .formula = "z_t = W̃ u(x_t) + position_t for every patch x_t",
    .options = options,
    .detail_size = sizeof(struct embed),
    .takes_files = true,
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
