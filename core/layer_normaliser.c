/*
 * The stand-alone normaliser, any map of theory.md §2 but without a constant, with an optional gain: z = γ · u(x).
 *
 * Without a gain it has no parameters and no site. With one its effective update Δγ · u is measured from the real step;
 * it has no self factor (theory.md §5). A gain per feature is one a channel for images.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/layers.h"
#include "core/normaliser.h"

struct detail {
    struct normaliser normaliser;
    size_t buffers;
    size_t gains; /* 0: none; 1: a scalar; else one a feature */
    size_t features;
};

/* Every map but the identity. */
#define KINDS (feature_map_names + 1)

static const char *const gains[] = {"none", "scalar", "per-feature", NULL};

static const struct option options[] = {
    {"kind", OPTION_CHOICE, NULL, .choices = KINDS, .help = "what is divided by"},
    {"gain", OPTION_CHOICE, "\"none\"", .choices = gains, .help = "a learned factor of the result"},
    {"axes", OPTION_CHOICE, "\"all\"", .choices = normaliser_axes,
     .help = "of images: a whole sample, or each position"},
    OPTION_END,
};

static enum status plan(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err)
{
    (void)pointer;
    (void)problems;
    (void)err;
    struct detail *d = layer->detail;
    const struct shape *input = &layer->input;
    const char *gain = option_string(spec, "gain");
    const struct feature_map *map = feature_map_find(option_string(spec, "kind"));
    assert(map && !map->identity);
    d->normaliser = normaliser_make(map, input, strcmp(option_string(spec, "axes"), "channel") == 0);
    d->buffers = normaliser_add_tensors(&d->normaliser, layer);
    d->features = input->dims[input->rank == 2 ? 1 : 0];
    d->gains = strcmp(gain, "none") == 0 ? 0 : strcmp(gain, "scalar") == 0 ? 1 : d->features;
    layer->output = layer->input;
    layer->variant = map->name;
    if (d->gains > 0) {
        layer_add_tensor(layer, "gain", true, 1, (size_t[]){d->gains})->start = 1;
        layer_add_site(layer, (struct layer_site){.part = "", .linear = true, .positions = 1});
    }
    return STATUS_OK;
}

/* z = gain · u over all rows; a feature's gain is the same at each position. */
static void multiply(const struct detail *d, size_t count, const real *gain, const real *u, real *ret_z)
{
    for (size_t i = 0; i < count; i++)
        ret_z[i] = u[i] * gain[d->gains == 1 ? 0 : i % d->features];
}

static enum status forward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct detail *d = layer->detail;
    struct features *f = arena_take(pass->arena, sizeof *f);
    if (!f)
        return error_no_memory(err);
    enum status status = normaliser_apply(&d->normaliser, pass, d->buffers, f, err);
    if (status != STATUS_OK)
        return status;
    pass->kept = f;
    pass->z = f->u;
    if (d->gains == 0)
        return STATUS_OK;
    pass->z = arena_reals(pass->arena, pass->rows * layer->out);
    if (!pass->z)
        return error_no_memory(err);
    multiply(d, pass->rows * layer->out, pass->parameters, f->u, pass->z);
    return STATUS_OK;
}

static enum status backward(const struct layer *layer, struct layer_pass *pass, struct error *err)
{
    const struct detail *d = layer->detail;
    const struct features *f = pass->kept;
    const real *du = pass->dz;
    size_t count = pass->rows * layer->out;
    if (d->gains > 0) {
        double *sums = arena_take(pass->arena, d->gains * sizeof *sums);
        real *scaled = arena_reals(pass->arena, count);
        if (!sums || !scaled)
            return error_no_memory(err);
        memset(sums, 0, d->gains * sizeof *sums);
        for (size_t i = 0; i < pass->batch * layer->out; i++)
            sums[d->gains == 1 ? 0 : i % d->features] += (double)pass->dz[i] * (double)f->u[i];
        for (size_t k = 0; k < d->gains; k++)
            pass->gradient[k] = (real)sums[k];
        multiply(d, count, pass->parameters, pass->dz, scaled);
        du = scaled;
    }
    if (pass->skip_dx)
        return STATUS_OK;
    pass->dx = arena_reals(pass->arena, count);
    if (!pass->dx)
        return error_no_memory(err);
    f->map->pull_back(f, du, NULL, pass->dx);
    return STATUS_OK;
}

static enum status effective_update(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err)
{
    (void)site;
    (void)rule;
    const struct features *f = pass->kept;
    real *effective = arena_reals(pass->arena, rows.count * layer->out);
    if (!effective)
        return error_no_memory(err);
    multiply(layer->detail, rows.count * layer->out, delta, f->u + rows.from * layer->out, effective);
    *ret_update = (struct site_update){
        .rows = rows.count,
        .size = layer->out,
        .positions = 1,
        .gradient = pass->dz + rows.from * layer->out,
        .effective = effective,
        .input = pass->x + rows.from * layer->in,
        .input_size = layer->in,
    };
    return STATUS_OK;
}

/* (γ + Δγ)(u + du) − γu = Δγ·u + (γ + Δγ)·du. */
static enum status difference(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err)
{
    const struct detail *d = layer->detail;
    const struct features *f = pass->kept;
    size_t count = pass->rows * layer->out;
    memset(ret_dz, 0, count * sizeof *ret_dz);
    if (dx)
        f->map->difference(f, dx, ret_dz, NULL);
    for (size_t i = 0; d->gains > 0 && i < count; i++) {
        size_t k = d->gains == 1 ? 0 : i % d->features;
        real step = delta ? delta[k] : 0;
        ret_dz[i] = step * f->u[i] + (pass->parameters[k] + step) * ret_dz[i];
    }
    (void)err;
    return STATUS_OK;
}

static struct layer_memory memory(const struct layer *layer)
{
    const struct detail *d = layer->detail;
    size_t gained = d->gains > 0 ? layer->out : 0;
    return (struct layer_memory){
        .forward = layer->in + d->normaliser.vectors + gained,
        .forward_fixed = d->normaliser.n + sizeof(struct features) / sizeof(real),
        .backward = layer->in + gained,
        .backward_fixed = d->gains * sizeof(double) / sizeof(real),
    };
}

/* The maps that are kinds; a gain leaves no self factor, and without one nothing moves. */
static json_t *describe_variants(void)
{
    json_t *list = json_array();
    for (const char *const *kind = KINDS; list && *kind; kind++) {
        const struct feature_map *map = feature_map_find(*kind);
        char formula[64];
        snprintf(formula, sizeof formula, "γ · %s", map->normalised);
        if (!variant_describe(list, map->name, formula, map->normalised, NULL)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

const struct layer_ops layer_normaliser = {
    .type = "normaliser",
    .formula = "z = γ · u(x) without the constant",
    .options = options,
    .detail_size = sizeof(struct detail),
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .effective_update = effective_update,
    .difference = difference,
    .memory = memory,
    .describe_variants = describe_variants,
};
