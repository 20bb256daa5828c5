/* One step of plain SGD of a small network on random samples, with everything at hand, for tests. */
#ifndef PLUMBLINE_TESTS_EXPERIMENT_H
#define PLUMBLINE_TESTS_EXPERIMENT_H

#include "tests/support.h"

#include "core/loss.h"
#include "core/update.h"

struct experiment {
    struct network *network;
    struct arena arena;
    struct network_pass pass;
    size_t rows, in; /* samples, values of each */
    real *x, *g;     /* samples, ∂L/∂output */
    real *delta;     /* −η ∂L/∂θ */
    double rate;
};

/* Layers from JSON text, normal samples of deviation `spread`, random gradients at the output, all from `seed`. */
static inline void experiment_begin(struct experiment *e, const char *layers, struct shape shape, size_t rows,
                                    double spread, double rate, uint64_t seed)
{
    struct rng rng;
    json_error_t error;
    json_t *list = json_loads(layers, 0, &error);
    if (!list)
        fail_msg("%s: %s", layers, error.text);
    *e = (struct experiment){.rows = rows, .in = shape_size(&shape), .rate = rate};
    e->network = make_network(list, shape, 0);
    json_decref(list);
    e->x = calloc(rows * e->in, sizeof *e->x);
    e->g = calloc(rows * e->network->classes, sizeof *e->g);
    e->delta = calloc(e->network->parameter_count, sizeof *e->delta);
    assert_true(e->x && e->g && e->delta);
    rng_seed(&rng, seed, 77);
    fill_normal(&rng, e->x, rows * e->in, spread);
    fill_normal(&rng, e->g, rows * e->network->classes, 1 / (double)rows);
    fill_normal(&rng, e->network->parameters, e->network->parameter_count, 0.4);
}

/* Forward, backward, and the step; the parameters stay as they were. */
static inline void experiment_run(struct experiment *e)
{
    struct error err;
    assert_ok(network_forward(e->network, &e->arena, PASS_MEASURE, e->x, e->rows, e->rows, &e->pass, &err));
    for (size_t i = 0; i < e->network->all_count; i++)
        e->pass.all[i]->skip_dx = false;
    assert_ok(network_backward(e->network, &e->pass, e->g, &err));
    for (size_t i = 0; i < e->network->parameter_count; i++)
        e->delta[i] = (real)-e->rate * e->network->gradient[i];
}

static inline void experiment_end(struct experiment *e)
{
    arena_free(&e->arena);
    network_free(e->network);
    free(e->x);
    free(e->g);
    free(e->delta);
}

static inline struct step_rule experiment_rule(const struct experiment *e)
{
    return (struct step_rule){.learning_rate = e->rate, .plain = true, .step = 1};
}

/* The update of all rows at one site, in the layer view, and in the network view where that was recorded. */
static inline struct site_update update_of_site(const struct network_site *site, const struct network_pass *pass,
                                                const real *delta, const struct step_rule *rule)
{
    const struct layer *layer = site->layer;
    struct layer_pass *own = pass->all[layer->id];
    struct site_update update = {
        .rows = pass->rows,
        .size = site->size,
        .positions = 1,
        .gradient = layer_pass_gradient(own, site->index),
        .input = own->x,
        .input_size = layer->in,
    };
    struct error err;
    if (site->moves && layer->sites[site->index].linear) {
        assert_ok(layer->ops->effective_update(layer, own, site->index, (struct row_range){0, pass->rows},
                                               delta + site->parameter_offset, rule, &update, &err));
    } else if (site->moves) {
        struct layer_pass held = *own;
        real *change = arena_reals(own->arena, pass->rows * layer->out);
        assert_non_null(change);
        held.record = true;
        held.changes[0] = change;
        assert_ok(layer->ops->difference(layer, &held, NULL, delta + site->parameter_offset, change, &err));
        update.effective = held.changes[site->index];
    }
    update.network = own->changes[site->index];
    return update;
}

static inline struct site_update experiment_update(const struct experiment *e, size_t index)
{
    const struct step_rule rule = experiment_rule(e);
    return update_of_site(&e->network->sites[index], &e->pass, e->delta, &rule);
}

static inline void experiment_measure(struct experiment *e, size_t index, struct divergence_row *ret_rows)
{
    const struct step_rule rule = experiment_rule(e);
    struct site_update update = experiment_update(e, index);
    for (size_t i = 0; i < e->rows; i++)
        update_measure(&update, i, true, &rule, &ret_rows[i]);
}

/* Relative to the larger of `want` and `floor`. */
static inline double relative_error(double got, double want, double floor)
{
    return fabs(got - want) / fmax(fabs(want), floor);
}

#endif
