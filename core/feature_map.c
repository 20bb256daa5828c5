#include "core/feature_map.h"

#include <math.h>
#include <string.h>

#include "core/inverse_root.h"
#include "core/vector.h"

/* ‖x + dx‖² − ‖x‖² = 2 x·dx + ‖dx‖². */
static double squares_change(size_t n, const real *x, const real *dx)
{
    return 2 * vector_dot(n, x, dx) + vector_squares(n, dx);
}

/* du = dx · after + x · change, by element: the change of x/√q. */
static void scaled_change(size_t n, const real *x, const real *dx, struct inverse_root r, double length, real *du)
{
    for (size_t k = 0; k < n; k++)
        du[k] = (real)(length * ((double)dx[k] * r.after + (double)x[k] * r.change));
}

/* ------------------------------------------------------------------ affine: u = x, and 1 */

static void affine_apply(const struct features *f, enum statistics_mode mode, struct running_statistics running)
{
    (void)f; /* u is x */
    (void)mode;
    (void)running;
}

static void affine_pull_back(const struct features *f, const real *du, const real *dconstant, real *ret_dx)
{
    (void)dconstant;
    if (du != ret_dx)
        memcpy(ret_dx, du, f->rows * f->n * sizeof(real));
}

static void affine_difference(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant)
{
    (void)ret_dconstant;
    memcpy(ret_du, dx, f->rows * f->n * sizeof(real));
}

/* ------------------------------------------------------------------ affine-like: u = x/s and 1/s, s = √(1 + ‖x‖²) */

MULTIVERSION
static void affine_like_apply(const struct features *f, enum statistics_mode mode, struct running_statistics running)
{
    (void)mode;
    (void)running;
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *x = f->x + i * n;
        real *u = f->u + i * n;
        real inverse = (real)(1 / sqrt(1 + vector_squares(n, x)));
        f->factors[i] = inverse;
        for (size_t k = 0; k < n; k++)
            u[k] = x[k] * inverse;
        if (f->constant)
            f->constant[i] = inverse;
    }
}

/* dx = (du − u (du·u)) / s, the constant's feature counted in du·u (theory.md §2, backward of affine-like). */
MULTIVERSION
static void affine_like_pull_back(const struct features *f, const real *du, const real *dconstant, real *ret_dx)
{
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *d = du + i * n, *u = f->u + i * n;
        real *dx = ret_dx + i * n;
        double constant = dconstant ? (double)dconstant[i] * (double)f->constant[i] : 0;
        real inverse = f->factors[i], along = (real)(vector_dot(n, d, u) + constant);
        for (size_t k = 0; k < n; k++)
            dx[k] = (d[k] - u[k] * along) * inverse;
    }
}

static void affine_like_difference(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant)
{
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *x = f->x + i * n, *d = dx + i * n;
        struct inverse_root r = inverse_root_change(1 + vector_squares(n, x), squares_change(n, x, d));
        scaled_change(n, x, d, r, 1, ret_du + i * n);
        if (ret_dconstant)
            ret_dconstant[i] = (real)r.change;
    }
}

/* ------------------------------------------------------------------ l2 and rms: u = c·x/‖x‖ and 1, c = 1 or √n */

MULTIVERSION
static void direction_apply(const struct features *f, double length)
{
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *x = f->x + i * n;
        real *u = f->u + i * n;
        double norm = sqrt(vector_squares(n, x));
        real inverse = norm < FEATURE_ZERO_NORM ? 0 : (real)(length / norm);
        f->factors[i] = inverse;
        for (size_t k = 0; k < n; k++)
            u[k] = x[k] * inverse;
    }
}

/* dx = (c/‖x‖) (du − x̂ (du·x̂)), and 0 where x counts as zero. */
MULTIVERSION
static void direction_pull_back(const struct features *f, const real *du, real *ret_dx, double length)
{
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *d = du + i * n, *u = f->u + i * n;
        real *dx = ret_dx + i * n;
        real inverse = f->factors[i], along = (real)(vector_dot(n, d, u) / (length * length));
        for (size_t k = 0; k < n; k++)
            dx[k] = (d[k] - u[k] * along) * inverse;
    }
}

/* Where x or x + dx counts as zero, its normalised part is 0. */
static void direction_difference(const struct features *f, const real *dx, real *ret_du, double length)
{
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *x = f->x + i * n, *d = dx + i * n;
        struct inverse_root r = inverse_norm_change(vector_squares(n, x), squares_change(n, x, d));
        scaled_change(n, x, d, r, length, ret_du + i * n);
    }
}

static void l2_apply(const struct features *f, enum statistics_mode mode, struct running_statistics running)
{
    (void)mode;
    (void)running;
    direction_apply(f, 1);
}

static void l2_pull_back(const struct features *f, const real *du, const real *dconstant, real *ret_dx)
{
    (void)dconstant;
    direction_pull_back(f, du, ret_dx, 1);
}

static void l2_difference(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant)
{
    (void)ret_dconstant;
    direction_difference(f, dx, ret_du, 1);
}

static void rms_apply(const struct features *f, enum statistics_mode mode, struct running_statistics running)
{
    (void)mode;
    (void)running;
    direction_apply(f, sqrt((double)f->n));
}

static void rms_pull_back(const struct features *f, const real *du, const real *dconstant, real *ret_dx)
{
    (void)dconstant;
    direction_pull_back(f, du, ret_dx, sqrt((double)f->n));
}

static void rms_difference(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant)
{
    (void)ret_dconstant;
    direction_difference(f, dx, ret_du, sqrt((double)f->n));
}

/* ---------------------------------------------------------------- layer: u = (x − mean)/√(var + ε) by sample, and 1 */

MULTIVERSION
static void layer_apply(const struct features *f, enum statistics_mode mode, struct running_statistics running)
{
    (void)mode;
    (void)running;
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *x = f->x + i * n;
        real *u = f->u + i * n;
        real mean = (real)(vector_sum(n, x) / (double)n);
        for (size_t k = 0; k < n; k++)
            u[k] = x[k] - mean;
        real inverse = (real)(1 / sqrt(vector_squares(n, u) / (double)n + FEATURE_EPSILON));
        f->factors[i] = inverse;
        for (size_t k = 0; k < n; k++)
            u[k] *= inverse;
    }
}

/* dx = (du − mean(du) − u mean(du·u)) / √(var + ε). */
MULTIVERSION
static void layer_pull_back(const struct features *f, const real *du, const real *dconstant, real *ret_dx)
{
    (void)dconstant;
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        const real *d = du + i * n, *u = f->u + i * n;
        real *dx = ret_dx + i * n;
        real mean = (real)(vector_sum(n, d) / (double)n), along = (real)(vector_dot(n, d, u) / (double)n);
        for (size_t k = 0; k < n; k++)
            dx[k] = (d[k] - mean - u[k] * along) * f->factors[i];
    }
}

/* The change of (x − m)/√(v + ε) over `count` values `stride` apart; what is behind `counted` makes no statistics. */
static void standardised_change(size_t count, size_t counted, size_t stride, const real *x, const real *dx,
                                size_t du_stride, real *ret_du)
{
    double mean = 0, shift = 0, variance = 0, change = 0;
    for (size_t i = 0; i < counted; i++) {
        mean += (double)x[i * stride];
        shift += (double)dx[i * stride];
    }
    mean /= (double)counted;
    shift /= (double)counted;
    for (size_t i = 0; i < counted; i++) {
        double centred = (double)x[i * stride] - mean, moved = (double)dx[i * stride] - shift;
        variance += centred * centred;
        change += moved * (2 * centred + moved);
    }
    struct inverse_root r = inverse_root_change(variance / (double)counted + FEATURE_EPSILON, change / (double)counted);
    for (size_t i = 0; i < count; i++)
        ret_du[i * du_stride] =
            (real)(((double)dx[i * stride] - shift) * r.after + ((double)x[i * stride] - mean) * r.change);
}

static void layer_difference(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant)
{
    (void)ret_dconstant;
    size_t n = f->n;
    for (size_t i = 0; i < f->rows; i++) {
        standardised_change(n, n, 1, f->x + i * n, dx + i * n, 1, ret_du + i * n);
    }
}

/* ------------------------------------------------------------------ batch: the same by feature, over the batch */

/* Mean and variance (divisor: the number of rows) of feature k over the counted rows. */
static void feature_statistics(const struct features *f, size_t k, double *ret_mean, double *ret_variance)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < f->counted; i++)
        sum += (double)f->x[i * f->n + k];
    double mean = sum / (double)f->counted;
    for (size_t i = 0; i < f->counted; i++) {
        double centred = (double)f->x[i * f->n + k] - mean;
        squares += centred * centred;
    }
    *ret_mean = mean;
    *ret_variance = squares / (double)f->counted;
}

static void batch_apply(const struct features *f, enum statistics_mode mode, struct running_statistics running)
{
    size_t n = f->n, counted = f->counted;
    for (size_t k = 0; k < n; k++) {
        double mean, variance;
        if (mode == STATISTICS_RUNNING) {
            mean = (double)running.mean[k];
            variance = (double)running.variance[k];
        } else {
            feature_statistics(f, k, &mean, &variance);
        }
        if (mode == STATISTICS_BATCH_AND_TRACK) {
            double unbiased = counted > 1 ? variance * (double)counted / (double)(counted - 1) : variance;
            running.mean[k] += (real)(RUNNING_MOMENTUM * (mean - (double)running.mean[k]));
            running.variance[k] += (real)(RUNNING_MOMENTUM * (unbiased - (double)running.variance[k]));
        }
        double inverse = 1 / sqrt(variance + FEATURE_EPSILON);
        f->factors[k] = (real)inverse;
        for (size_t i = 0; i < f->rows; i++)
            f->u[i * n + k] = (real)(((double)f->x[i * n + k] - mean) * inverse);
    }
}

static void batch_pull_back(const struct features *f, const real *du, const real *dconstant, real *ret_dx)
{
    (void)dconstant;
    size_t n = f->n;
    for (size_t k = 0; k < n; k++) {
        double sum = 0, along = 0;
        for (size_t i = 0; i < f->counted; i++) {
            sum += (double)du[i * n + k];
            along += (double)du[i * n + k] * (double)f->u[i * n + k];
        }
        double mean = sum / (double)f->counted, inverse = (double)f->factors[k];
        along /= (double)f->counted;
        for (size_t i = 0; i < f->counted; i++)
            ret_dx[i * n + k] = (real)(((double)du[i * n + k] - mean - (double)f->u[i * n + k] * along) * inverse);
        for (size_t i = f->counted; i < f->rows; i++)
            ret_dx[i * n + k] = (real)((double)du[i * n + k] * inverse);
    }
}

static void batch_difference(const struct features *f, const real *dx, real *ret_du, real *ret_dconstant)
{
    (void)ret_dconstant;
    size_t n = f->n;
    for (size_t k = 0; k < n; k++)
        standardised_change(f->rows, f->counted, n, f->x + k, dx + k, n, ret_du + k);
}

/* ------------------------------------------------------------------ the table */

static const struct feature_map map_affine = {
    .name = "affine",
    .formula = "W x + b",
    .features = "[x; 1]",
    .normalised = "x",
    .self_factor = "‖x‖² + 1",
    .identity = true,
    .apply = affine_apply,
    .pull_back = affine_pull_back,
    .difference = affine_difference,
};
static const struct feature_map map_affine_like = {
    .name = "affine-like",
    .formula = "(W x + b) / √(1 + ‖x‖²)",
    .features = "[x; 1] / √(1 + ‖x‖²)",
    .normalised = "x / √(1 + ‖x‖²)",
    .self_factor = "1",
    .scales_constant = true,
    .apply = affine_like_apply,
    .pull_back = affine_like_pull_back,
    .difference = affine_like_difference,
};
static const struct feature_map map_l2 = {
    .name = "l2",
    .formula = "W x/‖x‖ + b",
    .features = "[x/‖x‖; 1]",
    .normalised = "x/‖x‖",
    .self_factor = "2",
    .apply = l2_apply,
    .pull_back = l2_pull_back,
    .difference = l2_difference,
};
static const struct feature_map map_rms = {
    .name = "rms",
    .formula = "W √n x/‖x‖ + b",
    .features = "[√n x/‖x‖; 1]",
    .normalised = "√n x/‖x‖",
    .self_factor = "n + 1",
    .apply = rms_apply,
    .pull_back = rms_pull_back,
    .difference = rms_difference,
};
static const struct feature_map map_layer = {
    .name = "layer",
    .formula = "W LN(x) + b",
    .features = "[LN(x); 1]",
    .normalised = "LN(x)",
    .self_factor = "n σ²/(σ² + ε) + 1",
    .apply = layer_apply,
    .pull_back = layer_pull_back,
    .difference = layer_difference,
};
static const struct feature_map map_batch = {
    .name = "batch",
    .formula = "W BN(x) + b",
    .features = "[BN(x); 1]",
    .normalised = "BN(x)",
    .self_factor = "varies by sample; mean over the batch ≈ n + 1",
    .running_statistics = true,
    .apply = batch_apply,
    .pull_back = batch_pull_back,
    .difference = batch_difference,
};

/* Row: name, map. The first is the identity. */
#define FEATURE_MAP_TABLE(ROW)                                                                                         \
    ROW("affine", map_affine)                                                                                          \
    ROW("l2", map_l2)                                                                                                  \
    ROW("rms", map_rms)                                                                                                \
    ROW("layer", map_layer)                                                                                            \
    ROW("batch", map_batch)                                                                                            \
    ROW("affine-like", map_affine_like)

#define MAP_ADDRESS(name, map) &map,
const struct feature_map *const feature_maps[] = {FEATURE_MAP_TABLE(MAP_ADDRESS) NULL};
#undef MAP_ADDRESS

#define MAP_NAME(name, map) name,
const char *const feature_map_names[] = {FEATURE_MAP_TABLE(MAP_NAME) NULL};
#undef MAP_NAME

const struct feature_map *feature_map_find(const char *name)
{
    for (const struct feature_map *const *map = feature_maps; *map; map++)
        if (strcmp((*map)->name, name) == 0)
            return *map;
    return NULL;
}

enum status features_apply(struct features *f, enum statistics_mode mode, struct running_statistics running,
                           struct arena *arena, struct error *err)
{
    bool scaled = f->bias && f->map->scales_constant;
    f->u = f->map->identity ? (real *)f->x : arena_reals(arena, f->rows * f->n);
    f->constant = scaled ? arena_reals(arena, f->rows) : NULL;
    f->factors = arena_reals(arena, f->rows > f->n ? f->rows : f->n);
    if (!f->u || !f->factors || (scaled && !f->constant))
        return error_no_memory(err);
    f->map->apply(f, mode, running);
    return STATUS_OK;
}

bool variant_describe(json_t *list, const char *name, const char *formula, const char *features,
                      const char *self_factor)
{
    return json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?}", "name", name, "formula", formula, "features",
                                                 features, "self_factor", self_factor)) == 0;
}

json_t *feature_maps_describe(void)
{
    json_t *list = json_array();
    for (const struct feature_map *const *at = feature_maps; list && *at; at++) {
        const struct feature_map *map = *at;
        if (!variant_describe(list, map->name, map->formula, map->features, map->self_factor)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
