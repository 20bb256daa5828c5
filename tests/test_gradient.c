/*
 * One check that walks the table of layers, in double precision: a layer that is registered is checked in every
 * variant, on samples of every rank it takes, with and without each of its switches.
 *
 * Gradients against central differences; effective updates against the difference of two forwards.
 */
#include "core/layer_registry.h"
#include "core/layout.h"
#include "core/network_plan.h"
#include "core/update.h"
#include "tests/support.h"

enum { ROWS = 6, BATCH = 4 };

static const struct shape shapes[] = {{1, {7}}, {2, {5, 6}}, {3, {3, 6, 5}}, {3, {3, 4, 8}}};

struct check {
    char what[256];
    struct network *network;
    struct arena arena;
    real *x, *weights; /* the loss is Σ weights·z */
    size_t in, out;
    size_t comparisons;
};

/* Σ weights·z over rows from … to, of a pass with the present parameters. */
static double loss(struct check *c, size_t from, size_t to)
{
    struct network_pass pass;
    struct error err;
    arena_reset(&c->arena);
    assert_ok(network_forward(c->network, &c->arena, PASS_MEASURE, c->x, ROWS, BATCH, &pass, &err));
    double sum = 0;
    for (size_t i = from * c->out; i < to * c->out; i++)
        sum += (double)(c->weights[i] * pass.logits[i]);
    return sum;
}

static double slope(struct check *c, real *at, size_t from, size_t to)
{
    const double h = 1e-5;
    real saved = *at;
    *at = saved + (real)h;
    double above = loss(c, from, to);
    *at = saved - (real)h;
    double below = loss(c, from, to);
    *at = saved;
    return (above - below) / (2 * h);
}

static void compare(struct check *c, const char *of, size_t place, double got, double want)
{
    c->comparisons++;
    if (!(fabs(got - want) <= 1e-6 * fmax(1, fabs(want))))
        fail_msg("%s: gradient of %s %zu is %.12g, by differences %.12g", c->what, of, place, got, want);
}

/* The rows behind the batch are watched only: they add nothing to ∂L/∂θ, and to no other row's ∂L/∂x. */
static void check_gradients(struct check *c)
{
    struct network_pass pass;
    struct error err;
    struct arena arena = {0};
    assert_ok(network_forward(c->network, &arena, PASS_MEASURE, c->x, ROWS, BATCH, &pass, &err));
    for (size_t i = 0; i < c->network->all_count; i++)
        pass.all[i]->skip_dx = false;
    pass.whole.skip_dx = false;
    assert_ok(network_backward(c->network, &pass, c->weights, &err));
    for (size_t i = 0; i < c->network->parameter_count; i++)
        compare(c, "parameter", i, (double)c->network->gradient[i], slope(c, &c->network->parameters[i], 0, BATCH));
    real *dx = arena_reals(&arena, ROWS * c->in);
    assert_non_null(dx);
    memcpy(dx, pass.whole.dx, ROWS * c->in * sizeof *dx);
    if (network_reorders(c->network))
        layout_channels_first(&c->network->input, ROWS, pass.whole.dx, dx);
    for (size_t i = 0; i < ROWS * c->in; i++) {
        size_t row = i / c->in;
        double want = row < BATCH ? slope(c, &c->x[i], 0, BATCH) : slope(c, &c->x[i], row, row + 1);
        compare(c, "input", i, (double)dx[i], want);
    }
    arena_free(&arena);
}

static double output_gap(size_t count, const real *got, const real *after, const real *before)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)(got[i] - (after[i] - before[i]))));
    return worst;
}

/* The whole network's change for a random step of parameters and samples, against the difference of two forwards. */
static void check_difference(struct check *c, const real *delta, const real *dx)
{
    struct network_pass before, after;
    struct error err;
    struct arena arena = {0};
    size_t count = ROWS * c->out;
    const struct network *network = c->network;
    const real *change = NULL;
    assert_ok(network_forward(network, &arena, PASS_MEASURE, c->x, ROWS, BATCH, &before, &err));
    if (dx) {
        real *inside = arena_reals(&arena, ROWS * c->in);
        assert_non_null(inside);
        memcpy(inside, dx, ROWS * c->in * sizeof *dx);
        if (network_reorders(network))
            layout_channels_last(&network->input, ROWS, dx, inside);
        change = inside;
    }
    real *got = arena_reals(&arena, count);
    assert_non_null(got);
    assert_ok(
        layer_stack_difference(network->stack.layers, network->stack.count, &before.whole, change, delta, got, &err));
    for (size_t i = 0; delta && i < network->parameter_count; i++)
        network->parameters[i] += delta[i];
    for (size_t i = 0; dx && i < ROWS * c->in; i++)
        c->x[i] += dx[i];
    assert_ok(network_forward(network, &arena, PASS_MEASURE, c->x, ROWS, BATCH, &after, &err));
    for (size_t i = 0; delta && i < network->parameter_count; i++)
        network->parameters[i] -= delta[i];
    for (size_t i = 0; dx && i < ROWS * c->in; i++)
        c->x[i] -= dx[i];
    double worst = output_gap(count, got, after.logits, before.logits);
    if (!(worst < 1e-11))
        fail_msg("%s: the difference (%s%s) is off by %.3g", c->what, delta ? "parameters " : "", dx ? "input" : "",
                 worst);
    arena_free(&arena);
}

/* The layer view of a site that is not linear in its parameters. */
static const real *held_change(const struct layer *layer, struct layer_pass *pass, const real *delta)
{
    struct error err;
    real *change = arena_reals(pass->arena, pass->rows * layer->out);
    assert_non_null(change);
    assert_ok(layer->ops->difference(layer, pass, NULL, delta, change, &err));
    return change;
}

/* Every site's Δz for a random step, against f_{θ+Δθ}(x) − f_θ(x) with the layer's input held fixed. */
static void check_effective_update(struct check *c, struct rng *rng)
{
    const struct layer *layer = &c->network->stack.layers[0];
    struct network_pass before, after;
    struct site_update update;
    const struct step_rule rule = {.learning_rate = 0.1, .step = 1};
    struct error err;
    struct arena arena = {0};
    real *delta = arena_reals(&arena, c->network->parameter_count), *dx = arena_reals(&arena, ROWS * c->in);
    assert_true(delta && dx);
    fill_normal(rng, delta, c->network->parameter_count, 0.1);
    fill_normal(rng, dx, ROWS * c->in, 0.1);
    check_difference(c, delta, NULL);
    check_difference(c, NULL, dx);
    check_difference(c, delta, dx);
    if (c->network->stack.count == 1 && layer->site_count == 1) {
        assert_ok(network_forward(c->network, &arena, PASS_MEASURE, c->x, ROWS, BATCH, &before, &err));
        assert_ok(network_backward(c->network, &before, c->weights, &err));
        update.effective = NULL;
        if (layer->sites[0].linear)
            assert_ok(layer->ops->effective_update(layer, before.all[layer->id], 0, (struct row_range){0, ROWS}, delta,
                                                   &rule, &update, &err));
        else
            update.effective = held_change(layer, before.all[layer->id], delta);
        for (size_t i = 0; i < c->network->parameter_count; i++)
            c->network->parameters[i] += delta[i];
        assert_ok(network_forward(c->network, &arena, PASS_MEASURE, c->x, ROWS, BATCH, &after, &err));
        for (size_t i = 0; i < c->network->parameter_count; i++)
            c->network->parameters[i] -= delta[i];
        double worst = output_gap(ROWS * c->out, update.effective, after.logits, before.logits);
        if (!(worst < 1e-11))
            fail_msg("%s: the effective update is off by %.3g", c->what, worst);
    }
    arena_free(&arena);
}

static enum status plan_only(const json_t *layers, const struct shape *shape, struct problem_list *problems,
                             struct error *err)
{
    struct network *network = NULL;
    enum status status = network_plan(layers, shape, 0, &network, problems, err);
    network_free(network);
    return status;
}

/* What the layers take from the arena is what they say, at most, and not much less. */
static void check_memory(struct check *c)
{
    enum { TAKES = 64 }; /* each allocation is rounded up to 64 bytes, and passes take a little themselves */
    struct network_pass pass;
    struct error err;
    struct arena arena = {0};
    struct layer_memory said = {0};
    const struct network *network = c->network;
    size_t taken[3], own = ROWS * (network_reorders(network) ? c->in : 0);
    for (size_t i = 0; i < network->stack.count; i++) {
        struct layer_memory m = layer_memory_of(&network->stack.layers[i]);
        said.forward += ROWS * m.forward + m.forward_fixed;
        said.backward += ROWS * m.backward + m.backward_fixed;
        said.change += ROWS * (m.change + network->stack.layers[i].out) + m.change_fixed;
    }
    assert_ok(network_forward(network, &arena, PASS_MEASURE, c->x, ROWS, BATCH, &pass, &err));
    taken[0] = arena.total / sizeof(real) - own;
    for (size_t i = 0; i < network->all_count; i++)
        pass.all[i]->skip_dx = false;
    pass.whole.skip_dx = false;
    assert_ok(network_backward(network, &pass, c->weights, &err));
    taken[1] = arena.total / sizeof(real) - own - taken[0];
    size_t before = arena.total;
    real *change = arena_reals(&arena, ROWS * c->out), *dx = arena_reals(&arena, ROWS * c->in);
    assert_true(change && dx);
    memset(dx, 0, ROWS * c->in * sizeof *dx);
    size_t given = arena.total - before - ROWS * c->out * sizeof(real);
    assert_ok(layer_stack_difference(network->stack.layers, network->stack.count, &pass.whole, dx, c->network->gradient,
                                     change, &err));
    taken[2] = (arena.total - before - given) / sizeof(real);
    const size_t told[] = {said.forward, said.backward, said.change};
    for (int k = 0; k < 3; k++)
        if (taken[k] > told[k] + TAKES * 64 / sizeof(real) || (double)told[k] > 1.25 * (double)taken[k] + 64)
            fail_msg("%s: part %d takes %zu reals of the arena, and says %zu", c->what, k, taken[k], told[k]);
    arena_free(&arena);
}

/* Checks one layer with these keys on one shape; false where the layer does not take such samples. */
static bool check_layer(const json_t *spec, struct shape shape, size_t *comparisons)
{
    struct problem_list problems;
    struct error err;
    struct check c = {0};
    struct rng rng;
    json_t *expanded = expand_layer(spec), *layers = json_pack("[o]", expanded);
    char *text = json_dumps(expanded, JSON_COMPACT);
    assert_ok(problem_list_init(&problems, &err));
    enum status planned = plan_only(layers, &shape, &problems, &err);
    bool parameterless = planned == STATUS_INVALID && strstr(err.text, "no parameters");
    if (parameterless) { /* a network needs something to train: a gain before it, which keeps any shape */
        json_t *gain = json_pack("{s:s, s:s, s:s}", "type", "normaliser", "kind", "rms", "gain", "scalar");
        json_array_insert_new(layers, 0, expand_layer(gain));
        json_decref(gain);
        planned = plan_only(layers, &shape, &problems, &err);
    }
    if (planned == STATUS_OK) {
        assert_ok(network_create(layers, &shape, 0, 3, &c.network, &problems, &err));
        snprintf(c.what, sizeof c.what, "%s on rank %d", text, shape.rank);
        c.in = shape_size(&shape);
        c.out = c.network->classes;
        rng_seed(&rng, 11, 0);
        c.x = calloc(ROWS * c.in, sizeof *c.x);
        c.weights = calloc(ROWS * c.out, sizeof *c.weights);
        assert_true(c.x && c.weights);
        fill_normal(&rng, c.x, ROWS * c.in, 1);
        fill_normal(&rng, c.weights, ROWS * c.out, 1);
        fill_normal(&rng, c.network->parameters, c.network->parameter_count, 0.5);
        check_memory(&c);
        check_gradients(&c);
        check_effective_update(&c, &rng);
        *comparisons += c.comparisons;
    }
    arena_free(&c.arena);
    network_free(c.network);
    free(c.x);
    free(c.weights);
    free(text);
    problem_list_clear(&problems);
    json_decref(layers);
    return planned == STATUS_OK;
}

/* Sets the keys from `option` on in every way they can be, and checks each; returns how many were taken. */
static size_t walk_options(const struct option *option, json_t *spec, size_t *comparisons)
{
    size_t taken = 0;
    if (!option || !option->name) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            taken += check_layer(spec, shapes[s], comparisons);
        return taken;
    }
    if (option->kind == OPTION_LAYERS) { /* any that keep the shape */
        json_object_set_new(spec, option->name,
                            json_pack("[{s:s, s:s, s:s}, {s:s}, {s:s, s:[{s:s, s:s, s:s}]}]", "type", "normaliser",
                                      "kind", "layer", "gain", "per-feature", "type", "tanh", "type", "residual",
                                      "layers", "type", "normaliser", "kind", "l2", "gain", "scalar"));
        taken += walk_options(option + 1, spec, comparisons);
    } else if (option->kind == OPTION_CHOICE || option->kind == OPTION_PARTS) {
        for (const char *const *choice = option->choices; *choice; choice++) {
            json_object_set_new(spec, option->name, json_string(*choice));
            taken += walk_options(option + 1, spec, comparisons);
        }
    } else if (option->kind == OPTION_BOOLEAN) {
        for (int on = 0; on < 2; on++) {
            json_object_set_new(spec, option->name, json_boolean(on));
            taken += walk_options(option + 1, spec, comparisons);
        }
    } else {
        if (!option->fallback)
            json_object_set_new(spec, option->name, json_integer(4));
        taken += walk_options(option + 1, spec, comparisons);
    }
    json_object_del(spec, option->name);
    return taken;
}

static void every_layer_of_the_table(void **state)
{
    (void)state;
    for (const struct layer_ops *const *ops = layer_registry; *ops; ops++) {
        json_t *spec = json_pack("{s:s}", "type", (*ops)->type);
        size_t comparisons = 0;
        size_t taken = walk_options((*ops)->options, spec, &comparisons);
        print_message("%-12s %3zu forms, %6zu derivatives\n", (*ops)->type, taken, comparisons);
        if (taken == 0)
            fail_msg("layer \"%s\" took none of the shapes", (*ops)->type);
        json_decref(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_layer_of_the_table)};
    return cmocka_run_group_tests_name("gradient", tests, NULL, NULL);
}
