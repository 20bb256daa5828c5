#include "core/contributors.h"

#include <math.h>
#include <string.h>

#include "core/linear.h"
#include "core/vector.h"

/* One search: the site, and memory for some rows' parts. */
struct search {
    const struct layer *layer;
    const struct layer_pass *pass;
    size_t site;
    size_t positions, width, out;
    bool learned_place;
    size_t block;    /* rows done at a time */
    double *parts;   /* block × batch: ⟨γ_i, γ_j⟩ */
    real *features;  /* u of the row at hand, at most width; NULL with several positions */
    real *gradients; /* block × (width · out): γ of the block's rows; NULL with one position */
    real *gradient;  /* γ of the row at hand; likewise */
};

static struct sample_factors factors_of(const struct search *s, size_t row)
{
    struct sample_factors f;
    s->layer->ops->sample_factors(s->layer, s->pass, s->site, row, &f);
    return f;
}

static size_t row_bytes(const struct search *s)
{
    return s->pass->batch * sizeof(double) + (s->positions > 1 ? s->width * s->out * sizeof(real) : 0);
}

static enum status search_begin(struct search *s, const size_t *rows, size_t count, struct error *err)
{
    struct arena *arena = s->pass->arena;
    struct sample_factors first = factors_of(s, rows[0]);
    s->positions = first.f.u.rows;
    s->width = feature_rows_width(&first.f);
    s->out = first.out;
    s->learned_place = first.learned_place;
    s->block = CONTRIBUTORS_MEMORY / row_bytes(s);
    s->block = s->block < 1 ? 1 : s->block > count ? count : s->block;
    s->parts = arena_take(arena, s->block * s->pass->batch * sizeof *s->parts);
    if (s->positions == 1) {
        s->features = arena_reals(arena, s->width);
        return s->parts && s->features ? STATUS_OK : error_no_memory(err);
    }
    s->gradients = arena_reals(arena, s->block * s->width * s->out);
    s->gradient = arena_reals(arena, s->width * s->out);
    return s->parts && s->gradients && s->gradient ? STATUS_OK : error_no_memory(err);
}

MULTIVERSION
static double dot(size_t n, const real *a, const real *b)
{
    return vector_dot(n, a, b);
}

static void make_gradient(const struct search *s, size_t row, real *ret_gradient)
{
    struct sample_factors f = factors_of(s, row);
    linear_gradient(&f.f, f.g, f.out, 0, ret_gradient);
}

/* What learned positions add: token by token, each with a feature of its own. */
static double place_part(const struct search *s, size_t i, size_t j)
{
    if (!s->learned_place)
        return 0;
    return dot(s->positions * s->out, factors_of(s, i).g, factors_of(s, j).g);
}

/* The constant's feature of a single position; 0 where there is none. */
static real constant_of(const struct feature_rows *f)
{
    return !f->bias ? 0 : f->constant ? f->constant[0] : 1;
}

/* One position: (u_i·u_j)(g_i·g_j), with a learned place (u_i·u_j + 1). Features are valid until the next are made. */
static void find_parts_of_vectors(const struct search *s, const size_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sample_factors a = factors_of(s, rows[i]);
        size_t n = a.f.u.cols;
        double constant = (double)constant_of(&a.f), place = s->learned_place ? 1 : 0;
        memcpy(s->features, a.f.u.values, n * sizeof *s->features);
        for (size_t j = 0; j < s->pass->batch; j++) {
            struct sample_factors b = factors_of(s, j);
            double kernel = dot(n, s->features, b.f.u.values) + constant * (double)constant_of(&b.f) + place;
            s->parts[i * s->pass->batch + j] = kernel * dot(s->out, a.g, b.g);
        }
    }
}

/* Several positions: ⟨γ_i, γ_j⟩, each γ_j made once for all rows of the block. */
static void find_parts_of_positions(const struct search *s, const size_t *rows, size_t count)
{
    size_t size = s->width * s->out;
    for (size_t i = 0; i < count; i++)
        make_gradient(s, rows[i], s->gradients + i * size);
    for (size_t j = 0; j < s->pass->batch; j++) {
        make_gradient(s, j, s->gradient);
        for (size_t i = 0; i < count; i++)
            s->parts[i * s->pass->batch + j] =
                dot(size, s->gradients + i * size, s->gradient) + place_part(s, rows[i], j);
    }
}

/* Inserts a part among the strongest so far, `held` of them, if it is one. Returns how many there are then. */
static size_t keep_strongest(size_t held, size_t most, uint32_t other, double part, uint32_t *others, double *parts)
{
    size_t at = held;
    while (at > 0 && fabs(part) > fabs(parts[at - 1]))
        at--;
    if (at == most)
        return held;
    size_t moved = (held < most ? held : most - 1) - at;
    memmove(parts + at + 1, parts + at, moved * sizeof *parts);
    memmove(others + at + 1, others + at, moved * sizeof *others);
    parts[at] = part;
    others[at] = other;
    return held < most ? held + 1 : most;
}

static void choose(const struct search *s, size_t row, const double *of_row, size_t most, uint32_t *ret_others,
                   double *ret_parts, double *ret_rest)
{
    struct sample_factors f = factors_of(s, row);
    double square = dot(s->positions * s->out, f.g, f.g), all = 0, kept = 0;
    size_t held = 0;
    for (size_t j = 0; j < s->pass->batch; j++) {
        if (j == row)
            continue;
        double part = square > 0 ? of_row[j] / square : NAN;
        all += part;
        held = keep_strongest(held, most, (uint32_t)j, part, ret_others, ret_parts);
    }
    for (size_t k = 0; k < held; k++)
        kept += ret_parts[k];
    *ret_rest = all - kept;
}

enum status contributors_find(const struct layer *layer, const struct layer_pass *pass, size_t site, const size_t *rows,
                              size_t count, size_t most, uint32_t *ret_others, double *ret_parts, double *ret_rest,
                              struct error *err)
{
    struct search s = {.layer = layer, .pass = pass, .site = site};
    struct arena_mark mark = arena_mark(pass->arena);
    enum status status = search_begin(&s, rows, count, err);
    for (size_t from = 0; status == STATUS_OK && from < count; from += s.block) {
        size_t done = count - from < s.block ? count - from : s.block;
        if (s.positions == 1)
            find_parts_of_vectors(&s, rows + from, done);
        else
            find_parts_of_positions(&s, rows + from, done);
        for (size_t i = from; i < from + done; i++)
            choose(&s, rows[i], s.parts + (i - from) * pass->batch, most, ret_others + i * most, ret_parts + i * most,
                   ret_rest + i);
    }
    arena_rewind(pass->arena, mark);
    return status;
}
