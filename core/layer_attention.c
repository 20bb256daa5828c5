/*
 * Multi-head self-attention with its seven sites (theory.md §4): the projections q, k, v, o, each with any feature map,
 * and the logits, the context and the output, which are not linear in the parameters.
 *
 * q and k are sites before qk_norm. The layer view lets all four projections step and holds the layer's input fixed.
 */
#include <assert.h>
#include <string.h>

#include "core/attention.h"
#include "core/layers.h"
#include "core/projection.h"

enum { Q, K, V, O, PROJECTIONS, LOGITS = PROJECTIONS, CONTEXT, OUTPUT };

static const char *const parts[] = {"q", "k", "v", "o", "logits", "context", "output"};
static const char *const projections[] = {"q", "k", "v", "o", NULL};
static const struct projection_names names[PROJECTIONS] = {
    {"q.weight", "q.bias", "q.running_mean", "q.running_var"},
    {"k.weight", "k.bias", "k.running_mean", "k.running_var"},
    {"v.weight", "v.bias", "v.running_mean", "v.running_var"},
    {"o.weight", "o.bias", "o.running_mean", "o.running_var"},
};
static const char *const qk_norms[] = {"none", "l2", NULL};

struct attention {
    struct projection projections[PROJECTIONS];
    struct attention_shape shape;
    bool qk_norm;
};

/* What a pass keeps. */
struct attention_pass {
    struct features *features[PROJECTIONS];
    real *values[PROJECTIONS];     /* Q, K, V before qk_norm, and the output */
    struct features normalised[2]; /* of Q and K, with qk_norm */
    const real *q, *k;             /* as they enter the logits */
    real *weights, *context;
};

static const struct option options[] = {
    {"heads", OPTION_INTEGER, "1", 1, 1024, .help = "a divisor of the tokens' length"},
    {"variant", OPTION_PARTS, "{\"q\": \"affine\", \"k\": \"affine\", \"v\": \"affine\", \"o\": \"affine\"}",
     .choices = feature_map_names, .parts = projections,
     .help = "feature map of the projections: one for all, or one each"},
    {"qk_norm", OPTION_CHOICE, "\"none\"", .choices = qk_norms, .help = "each query and key divided by its norm"},
    {"causal", OPTION_BOOLEAN, "false", .help = "a token attends to itself and those before"},
    {"bias", OPTION_BOOLEAN, "true", .help = "whether the projections learn a bias"},
    OPTION_END,
};

static enum status refuse(const struct layer *layer, const char *pointer, size_t heads, struct problem_list *problems,
                          struct error *err)
{
    char shape[SHAPE_TEXT_SIZE];
    attribute_cleanup(cleanup_free) char *place = pointer_member(pointer, "heads");
    if (layer->input.rank != 2)
        problem_add(problems, pointer, "Takes tokens × features, its input is %s: put a patch-embed layer before it.",
                    shape_format(&layer->input, shape));
    else
        problem_add(problems, place ? place : pointer,
                    "%zu heads do not divide the tokens' length %zu: take a divisor.", heads, layer->input.dims[1]);
    return error_set(err, STATUS_INVALID, "the layers do not fit together");
}

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    struct attention *at = layer->detail;
    size_t heads = (size_t)option_integer(spec, "heads"), tokens = layer->input.dims[0], n = layer->input.dims[1];
    const json_t *variants = json_object_get(spec, "variant");
    if (layer->input.rank != 2 || n % heads != 0)
        return refuse(layer, pointer, heads, problems, err);
    at->shape = (struct attention_shape){tokens, heads, n / heads, option_boolean(spec, "causal")};
    at->qk_norm = strcmp(option_string(spec, "qk_norm"), "l2") == 0;
    layer->output = layer->input;
    for (int p = 0; p < PROJECTIONS; p++) {
        const struct feature_map *map = feature_map_find(option_string(variants, parts[p]));
        assert(map);
        at->projections[p] = (struct projection){
            .map = map, .bias = option_boolean(spec, "bias"), .positions = tokens, .n = n, .units = n};
        projection_add_tensors(&at->projections[p], layer, &names[p]);
        layer->variant = p == 0 ? map->name : layer->variant == map->name ? map->name : "mixed";
    }
    for (int site = 0; site <= OUTPUT; site++)
        layer_add_site(layer, (struct layer_site){
                                  .part = parts[site],
                                  .variant = site < PROJECTIONS ? at->projections[site].map->name : NULL,
                                  .size = site == LOGITS ? heads * tokens * tokens : tokens * n,
                                  .linear = site < PROJECTIONS,
                                  .positions = tokens,
                                  .scratch = site < PROJECTIONS ? projection_scratch(&at->projections[site]) : 0,
                              });
    return STATUS_OK;
}

/* Q or K with each head's vector divided by its norm. */
static enum status normalise(const struct attention *at, const struct layer_pass *pass, const real *values,
                             struct features *ret_features, struct error *err)
{
    struct features f = {
        .map = feature_map_find("l2"),
        .rows = pass->rows * at->shape.tokens * at->shape.heads,
        .counted = pass->batch * at->shape.tokens * at->shape.heads,
        .n = at->shape.width,
        .x = values,
    };
    enum status status = features_apply(&f, STATISTICS_BATCH, (struct running_statistics){0}, pass->arena, err);
    if (status == STATUS_OK)
        *ret_features = f;
    return status;
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct attention *at = layer->detail;
    struct attention_pass *own = arena_take(pass->arena, sizeof *own);
    if (!own)
        return error_no_memory(err);
    *own = (struct attention_pass){
        .weights = arena_reals(pass->arena, pass->rows * layer->sites[LOGITS].size),
        .context = arena_reals(pass->arena, pass->rows * layer->out),
    };
    if (!own->weights || !own->context)
        return error_no_memory(err);
    pass->kept = own;
    enum status status = STATUS_OK;
    for (int p = Q; status == STATUS_OK && p <= V; p++)
        status = projection_forward(&at->projections[p], pass, pass->x, &own->features[p], &own->values[p], err);
    own->q = own->values[Q];
    own->k = own->values[K];
    for (int p = Q; status == STATUS_OK && at->qk_norm && p <= K; p++)
        status = normalise(at, pass, own->values[p], &own->normalised[p], err);
    if (status != STATUS_OK)
        return status;
    if (at->qk_norm) {
        own->q = own->normalised[Q].u;
        own->k = own->normalised[K].u;
    }
    attention_forward(&at->shape, pass->rows, own->q, own->k, own->values[V], own->weights, own->context);
    status = projection_forward(&at->projections[O], pass, own->context, &own->features[O], &own->values[O], err);
    pass->z = own->values[O];
    return status;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct attention *at = layer->detail;
    struct attention_pass *own = pass->kept;
    real *dz = (real *)pass->dz, *g[OUTPUT + 1] = {[O] = dz, [OUTPUT] = dz}, *dx[3] = {NULL};
    static const int made[] = {Q, K, V, LOGITS}; /* the context's comes from the projection behind it */
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        g[made[i]] = arena_reals(pass->arena, pass->rows * layer->sites[made[i]].size);
        if (!g[made[i]])
            return error_no_memory(err);
    }
    enum status status = projection_backward(&at->projections[O], pass, own->features[O], pass->dz, &g[CONTEXT], err);
    if (status != STATUS_OK)
        return status;
    attention_backward(&at->shape, pass->rows, own->q, own->k, own->values[V], own->weights, g[CONTEXT], g[Q], g[K],
                       g[V], g[LOGITS]);
    for (int p = Q; at->qk_norm && p <= K; p++) {
        real *before = arena_reals(pass->arena, pass->rows * layer->out);
        if (!before)
            return error_no_memory(err);
        own->normalised[p].map->pull_back(&own->normalised[p], g[p], NULL, before);
        g[p] = before;
    }
    for (int p = Q; status == STATUS_OK && p <= V; p++)
        status =
            projection_backward(&at->projections[p], pass, own->features[p], g[p], pass->skip_dx ? NULL : &dx[p], err);
    for (int site = 0; site <= OUTPUT; site++)
        pass->gradients[site] = g[site];
    if (status != STATUS_OK || pass->skip_dx)
        return status;
    pass->dx = dx[Q];
    for (size_t i = 0; i < pass->rows * layer->in; i++)
        pass->dx[i] += dx[K][i] + dx[V][i];
    return STATUS_OK;
}

/* The changes of all seven sites, in the arena; `dx` NULL holds the input fixed. */
static enum status change_all(const struct layer *layer, const struct layer_pass *pass, const real *dx,
                              const real *delta, real *changes[OUTPUT + 1], struct error *err)
{
    const struct attention *at = layer->detail;
    const struct attention_pass *own = pass->kept;
    real *scratch = arena_reals(pass->arena, at->shape.tokens * at->shape.tokens);
    real *entering[2];
    enum status status = scratch ? STATUS_OK : error_no_memory(err);
    for (int site = 0; status == STATUS_OK && site <= OUTPUT; site++) {
        changes[site] = arena_reals(pass->arena, pass->rows * layer->sites[site].size);
        if (!changes[site])
            status = error_no_memory(err);
    }
    for (int p = Q; status == STATUS_OK && p <= V; p++)
        status = projection_difference(&at->projections[p], pass, own->features[p], dx, delta, changes[p], err);
    if (status != STATUS_OK)
        return status;
    for (int p = Q; p <= K; p++) {
        entering[p] = changes[p];
        if (!at->qk_norm)
            continue;
        entering[p] = arena_reals(pass->arena, pass->rows * layer->out);
        if (!entering[p])
            return error_no_memory(err);
        own->normalised[p].map->difference(&own->normalised[p], changes[p], entering[p], NULL);
    }
    attention_difference(&at->shape, pass->rows, own->q, own->k, own->values[V], own->weights, entering[Q], entering[K],
                         changes[V], scratch, changes[LOGITS], changes[CONTEXT]);
    status = projection_difference(&at->projections[O], pass, own->features[O], changes[CONTEXT], delta,
                                   changes[OUTPUT], err);
    memcpy(changes[O], changes[OUTPUT], pass->rows * layer->out * sizeof(real));
    return status;
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err)
{
    const struct attention *at = layer->detail;
    const struct attention_pass *own = pass->kept;
    assert(site < PROJECTIONS);
    return projection_update(&at->projections[site], pass, own->features[site], pass->gradients[site], rows, delta,
                             rule, ret_update, err);
}

static void sample_factors(const struct layer *layer, const struct layer_pass *pass, size_t site, size_t row,
                           struct sample_factors *ret_factors)
{
    const struct attention *at = layer->detail;
    const struct attention_pass *own = pass->kept;
    projection_sample_factors(&at->projections[site], own->features[site], pass->gradients[site], row, ret_factors);
}

static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    real *changes[OUTPUT + 1];
    enum status status = change_all(layer, pass, dx, delta, changes, err);
    if (status != STATUS_OK)
        return status;
    for (int site = 0; pass->record && site <= OUTPUT; site++)
        pass->changes[site] = changes[site];
    memcpy(ret_dz, changes[OUTPUT], pass->rows * layer->out * sizeof *ret_dz);
    return STATUS_OK;
}

static struct layer_memory memory(const struct layer *layer)
{
    const struct attention *at = layer->detail;
    size_t logits = layer->sites[LOGITS].size, rows = at->shape.tokens * at->shape.heads;
    struct layer_memory m = {
        .forward = logits + layer->out,
        .forward_fixed = sizeof(struct attention_pass) / sizeof(real),
        .backward = logits + 3 * layer->out,
        .change = logits + 6 * layer->out,
        .change_fixed = at->shape.tokens * at->shape.tokens,
    };
    for (int p = 0; p < PROJECTIONS; p++) {
        struct layer_memory one = projection_memory(&at->projections[p]);
        m.forward += one.forward;
        m.forward_fixed += one.forward_fixed;
        m.backward += one.backward;
        m.change += one.change;
    }
    if (at->qk_norm) { /* queries and keys, and their factors */
        m.forward += 2 * (layer->out + rows);
        m.forward_fixed += 2 * at->shape.width;
        m.backward += 2 * layer->out;
        m.change += 2 * layer->out;
    }
    return m;
}

static double flops(const struct layer *layer)
{
    const struct attention *at = layer->detail;
    double tokens = (double)at->shape.tokens, n = (double)layer->input.dims[1];
    return layer_map_flops(layer, 3 * tokens * n * n) + 6 * tokens * n * n + 12 * tokens * tokens * n;
}

const struct layer_ops layer_attention = {
    .type = "attention",
    .formula = "S = QKᵀ/√d, A = softmax(S), C = AV, z = W̃_o u([C_1 … C_H])",
    .options = options,
    .detail_size = sizeof(struct attention),
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
