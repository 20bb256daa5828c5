/*
 * Training as a whole: the same spec gives the same bits, and what is told keeps the identities of theory.md §5.
 */
#include <float.h>
#include <string.h>

#include "core/trainer.h"
#include "core/trainer_internal.h"
#include "tests/training.h"

static void the_same_spec_gives_the_same_bits(void **state)
{
    (void)state;
    struct spec *spec = make_spec("affine-like", "{}"), *other = make_spec("affine-like", "{\"seed\": 2}");
    struct dataset *dataset = load(spec);
    struct record first = train(spec, dataset), second = train(spec, dataset), different = train(other, dataset);
    assert_true(first.hash == second.hash);
    assert_true(first.hash != different.hash);
    assert_int_equal(first.last_step, 3 * (53 / 8)); /* the incomplete last mini-batch is dropped */
    assert_int_equal(first.measurements, 18 * 3);
    assert_int_equal(first.rows, 18 * 3 * 8);
    assert_int_equal(first.samples, 18 * 8);
    /* four a step, two a probed step, four an epoch */
    assert_int_equal(first.scalars, 18 * 6 + 3 * 4);
    dataset_free(dataset);
    spec_free(spec);
    spec_free(other);
}

/* divergence² = (‖e‖/‖a‖)² − 2·scale + 1, scale = self + across, and Σ e·a/η = η‖∂L/∂θ‖² summed over all layers. */
static void what_is_told_keeps_the_identities(void **state)
{
    (void)state;
    static const char *const variants[] = {"affine", "l2", "rms", "layer", "batch", "affine-like"};
    for (size_t v = 0; v < 6; v++) {
        struct spec *spec = make_spec(variants[v], "{\"epochs\": 1}");
        struct dataset *dataset = load(spec);
        struct record r = train(spec, dataset);
        double want = r.rate * r.gradient_norm * r.gradient_norm;
        assert_true(r.worst_identity < (sizeof(real) == 8 ? 1e-9 : 2e-5));
        assert_true(fabs(r.predicted - want) < (sizeof(real) == 8 ? 1e-9 : 2e-5) * want);
        dataset_free(dataset);
        spec_free(spec);
    }
}

/* What an optimiser leaves undefined is NULL in every row, and has neither summary nor 2-D counts (theory.md §5). */
struct expected {
    bool plain, adaptive;
};

static enum status expect_defined(void *context, const struct site_measurement *m, struct error *err)
{
    (void)err;
    const struct expected *expected = context;
    for (size_t i = 0; i < m->row_count; i++) {
        const double *v = m->rows[i].values;
        assert_false(isnan(v[COLUMN_SCALE]) || isnan(v[COLUMN_COSINE]) || isnan(v[COLUMN_DIVERGENCE]));
        assert_int_equal(isnan(v[COLUMN_SELF_FACTOR]) != 0, expected->adaptive);
        assert_int_equal(isnan(v[COLUMN_INTERFERENCE]) != 0, !expected->plain);
        assert_int_equal(isnan(v[COLUMN_SCALE_ACROSS]) != 0, !expected->plain);
    }
    assert_int_equal(m->histogram_sizes[COLUMN_SELF_FACTOR] > 0, !expected->adaptive);
    assert_int_equal(m->histogram_sizes[COLUMN_INTERFERENCE] > 0, expected->plain);
    assert_int_equal(m->density_sizes[DENSITY_SELF_SCALE] > 0, !expected->adaptive);
    assert_int_equal(m->density_sizes[DENSITY_COSINE_INTERFERENCE] > 0, expected->plain);
    double own = 0, all = 0; /* Σ self_factor ‖a‖² and Σ e·a */
    for (size_t i = 0; i < m->batch_rows; i++) {
        const double *v = m->rows[i].values, square = v[COLUMN_IDEAL_NORM] * v[COLUMN_IDEAL_NORM];
        own += v[COLUMN_SELF_FACTOR] * square;
        all += v[COLUMN_SCALE] * square;
    }
    assert_int_equal(isnan(m->figures.own_share) != 0, expected->adaptive);
    assert_true(expected->adaptive || fabs(m->figures.own_share - own / all) <= 1e-9 * fabs(own / all));
    return STATUS_OK;
}

static void what_an_optimiser_leaves_defined(void **state)
{
    (void)state;
    static const struct {
        const char *optimiser;
        struct expected expected;
    } cases[] = {{"{}", {true, false}},
                 {"{\"optimiser\": {\"warmup_steps\": 4}}", {true, false}},
                 {"{\"optimiser\": {\"momentum\": 0.9}}", {false, false}},
                 {"{\"optimiser\": {\"weight_decay\": 0.01}}", {false, false}},
                 {"{\"optimiser\": {\"name\": \"adam\"}}", {false, true}},
                 {"{\"optimiser\": {\"name\": \"adamw\", \"weight_decay\": 0.01}}", {false, true}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec *spec = make_spec("affine-like", cases[i].optimiser);
        struct dataset *dataset = load(spec);
        struct trainer *trainer = NULL;
        struct error err;
        struct expected expected = cases[i].expected;
        const struct training_observer observer = {.context = &expected, .measurement = expect_defined};
        assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
        assert_ok(trainer_run(trainer, 5, &observer, &err));
        trainer_free(trainer);
        dataset_free(dataset);
        spec_free(spec);
    }
}

/* ------------------------------------------------------------------ views, contributors, the loss after a step */

struct seen {
    const struct training_plan *plan;
    size_t measured, still, contributed;
    double across[16];                            /* of the first row at each site */
    double train_loss[32], before[32], after[32]; /* by step */
};

static enum status see_measurement(void *context, const struct site_measurement *m, struct error *err)
{
    (void)err;
    struct seen *seen = context;
    bool moves = strcmp(seen->plan->sites[m->site].type, "leaky-relu") != 0;
    seen->measured++;
    seen->still += !moves;
    for (size_t i = 0; i < m->row_count; i++) {
        const double *v = m->rows[i].values;
        assert_false(isnan(v[COLUMN_NETWORK_SCALE]) || isnan(v[COLUMN_NETWORK_DIVERGENCE]));
        assert_false(isnan(v[COLUMN_IDEAL_NORM]) || isnan(v[COLUMN_INPUT_NORM]));
        assert_int_equal(isnan(v[COLUMN_SCALE]) != 0, !moves);
        assert_int_equal(isnan(v[COLUMN_EFFECTIVE_NORM]) != 0, !moves);
    }
    assert_true(m->histogram_sizes[COLUMN_NETWORK_SCALE] > 0);
    assert_int_equal(m->histogram_sizes[COLUMN_SCALE] > 0, moves);
    seen->across[m->site] = m->rows[0].values[COLUMN_SCALE_ACROSS];
    return STATUS_OK;
}

static enum status see_contributors(void *context, const struct site_contributors *c, struct error *err)
{
    (void)err;
    struct seen *seen = context;
    double sum = c->rest[0], largest = 0;
    seen->contributed++;
    assert_int_equal(c->count, 4);
    for (size_t i = 0; i < c->row_count * c->count; i++) {
        assert_true(c->others[i] < IMAGES);
        assert_true(c->others[i] != c->samples[i / c->count]);
        largest = fmax(largest, fabs(c->parts[i]));
    }
    for (size_t k = 0; k < c->count; k++)
        sum += c->parts[k];
    assert_true(fabs(sum - seen->across[c->site]) < 1e-4 * fmax(largest, 1));
    return STATUS_OK;
}

static enum status see_scalars(void *context, size_t step, const struct scalar *scalars, size_t count,
                               struct error *err)
{
    (void)err;
    struct seen *seen = context;
    for (size_t i = 0; i < count; i++) {
        double *to = strcmp(scalars[i].key, "train/loss") == 0    ? seen->train_loss
                     : strcmp(scalars[i].key, "loss_before") == 0 ? seen->before
                     : strcmp(scalars[i].key, "loss_after") == 0  ? seen->after
                                                                  : NULL;
        if (to)
            to[step] = scalars[i].value;
    }
    return STATUS_OK;
}

static void both_views_and_who_moved_whom(void **state)
{
    (void)state;
    char root[TEST_PATH_SIZE];
    struct error err;
    images_begin(root);
    struct spec *spec = make_image_spec(
        image_networks[0], "{\"batch_size\": 29, \"epochs\": 9, \"probe\": {\"views\": [\"network\", \"layer\"], "
                           "\"sites\": [\"7.dense\", \"0.conv\", \"1.leaky-relu\"], \"contributors\": 4}}");
    struct dataset *dataset = load_from(spec, root);
    struct trainer *trainer = NULL;
    struct seen seen = {0};
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    seen.plan = trainer_plan(trainer);
    assert_int_equal(seen.plan->site_count, 3); /* in depth order, however they were named */
    assert_string_equal(seen.plan->sites[0].name, "0.conv");
    assert_string_equal(seen.plan->sites[1].name, "1.leaky-relu");
    assert_string_equal(seen.plan->sites[2].name, "7.dense");
    const struct training_observer observer = {
        .context = &seen, .measurement = see_measurement, .contributors = see_contributors, .scalars = see_scalars};
    assert_ok(trainer_run(trainer, SIZE_MAX, &observer, &err));
    assert_int_equal(seen.measured, 9 * 3);
    assert_int_equal(seen.still, 9);
    assert_int_equal(seen.contributed, 9 * 2);
    /* the batch is the whole set: the loss after a step is the next step's, summed in another order */
    for (size_t step = 1; step < 9; step++) {
        assert_true(seen.before[step] == seen.train_loss[step]);
        assert_true(fabs(seen.after[step] - seen.train_loss[step + 1]) < 1e-5);
    }
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
    files_end(root);
}

/* A watched sample is measured at each probed step, once, whether the batch has it or not. */
struct watching {
    size_t probed, seen, in_batch, outside;
};

static enum status watch_samples(void *context, const struct step_samples *s, struct error *err)
{
    (void)err;
    struct watching *w = context;
    w->probed++;
    for (size_t i = 0; i < s->count; i++)
        if (s->samples[i] == 7) {
            w->seen++;
            w->in_batch += s->in_batch[i];
        }
    return STATUS_OK;
}

static enum status watch_rows(void *context, const struct site_measurement *m, struct error *err)
{
    (void)err;
    struct watching *w = context;
    assert_int_equal(m->batch_rows, 2);
    assert_int_equal(m->batch_size, 8);
    assert_int_equal(m->summaries[COLUMN_SCALE].count, 2);
    for (size_t i = 0; i < m->row_count; i++) {
        const double *v = m->rows[i].values;
        assert_false(isnan(v[COLUMN_SCALE]));
        w->outside += m->samples[i] == 7 && isnan(v[COLUMN_INTERFERENCE]);
    }
    return STATUS_OK;
}

static void watched_samples_are_followed(void **state)
{
    (void)state;
    struct spec *spec = make_spec("affine", "{\"probe\": {\"watch\": [7], \"samples\": 2}}");
    struct dataset *dataset = load(spec);
    struct trainer *trainer = NULL;
    struct error err;
    struct watching w = {0};
    const struct training_observer observer = {.context = &w, .samples = watch_samples, .measurement = watch_rows};
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    assert_ok(trainer_run(trainer, SIZE_MAX, &observer, &err));
    assert_int_equal(w.probed, 18);
    assert_int_equal(w.seen, 18);
    assert_true(w.in_batch >= 1 && w.in_batch <= 3); /* once an epoch, or in the dropped rest */
    assert_int_equal(w.outside, 3 * (18 - w.in_batch));
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
}

static void divergence_names_step_and_site(void **state)
{
    (void)state;
    struct spec *spec =
        make_spec("affine", "{\"optimiser\": {\"learning_rate\": 1e30}, \"model\": {\"activation\": \"relu\"}}");
    struct dataset *dataset = load(spec);
    struct trainer *trainer = NULL;
    struct error err;
    struct record r = {0};
    const struct training_observer observer = observer_of(&r);
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    enum status status = trainer_run(trainer, SIZE_MAX, &observer, &err);
    assert_int_equal(status, STATUS_NOT_FINITE);
    char until[64];
    snprintf(until, sizeof until, "Logged until step %zu.", r.last_step);
    assert_non_null(strstr(err.text, until));
    assert_non_null(strstr(err.text, "first at "));
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
}

static void expect_first(const struct network *network, const struct network_pass *pass, const real *delta,
                         const char *want)
{
    char text[NETWORK_NAME_SIZE];
    const char *got = network_first_nonfinite(network, pass, delta, text);
    if (!got || strcmp(got, want) != 0)
        fail_msg("the first is %s, expected %s", got ? got : "nowhere", want);
}

/* A value that is not finite spreads to all that is computed of it: the place named is the one before all others. */
static void divergence_is_found_where_it_began(void **state)
{
    (void)state;
    char root[TEST_PATH_SIZE];
    struct error err;
    images_begin(root);
    struct spec *spec = make_image_spec(image_networks[1], "{}");
    struct dataset *dataset = load_from(spec, root);
    struct trainer *trainer = NULL;
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    struct network *network = trainer->network;
    struct arena *arena = &trainer->arena;
    struct network_pass pass;
    char text[NETWORK_NAME_SIZE];
    real *gradient = arena_reals(arena, 7 * network->classes), *delta = trainer->optimiser.delta;
    assert_non_null(gradient);
    memset(gradient, 0, 7 * network->classes * sizeof *gradient);
    assert_ok(network_forward(network, arena, PASS_MEASURE, trainer->x, 7, 5, &pass, &err));
    assert_ok(network_backward(network, &pass, gradient, &err));
    assert_null(network_first_nonfinite(network, &pass, delta, text));
    gradient[6 * network->classes] = INFINITY; /* of a watched sample, which is no part of the step */
    assert_null(network_first_nonfinite(network, &pass, delta, text));
    delta[network->parameter_count - 1] = INFINITY;
    expect_first(network, &pass, delta, "7.dense");
    network->parameters[0] = delta[0] = (real)(sizeof(real) == 8 ? DBL_MAX : (double)FLT_MAX);
    expect_first(network, &pass, delta, "0.patch-embed");
    const struct layer *attention = &network->stack.layers[1].children[0];
    ((real *)pass.all[0]->dz)[3] = NAN;
    expect_first(network, &pass, delta, "0.patch-embed");
    ((real *)pass.all[attention->id]->gradients[1])[3] = NAN;
    expect_first(network, &pass, delta, "1.0.attention.k");
    ((real *)pass.all[attention->id]->gradients[4])[3] = NAN;
    expect_first(network, &pass, delta, "1.0.attention.logits");
    ((real *)pass.all[network->stack.layers[4].id]->dz)[0] = INFINITY;
    expect_first(network, &pass, delta, "4.relu");
    pass.all[network->stack.layers[5].id]->z[0] = INFINITY;
    expect_first(network, &pass, delta, "5.dense");
    pass.all[attention->id]->z[0] = INFINITY;
    expect_first(network, &pass, delta, "1.0.attention.output");
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
    files_end(root);
}

/* rms with W at η moves as l2 with √n W at nη does (theory.md §5, identities). */
static void rms_is_l2_in_other_units(void **state)
{
    (void)state;
    enum { N = 12 };
    struct error err;
    struct arena arena = {0};
    struct rng rng;
    rng_seed(&rng, 8, 0);
    real *x = arena_reals(&arena, 5 * N), *g = arena_reals(&arena, 5 * 4);
    assert_true(x && g);
    fill_normal(&rng, x, 5 * N, 1);
    fill_normal(&rng, g, 5 * 4, 0.2);
    struct network *networks[2];
    const double rates[2] = {0.05, 0.05 * N};
    for (int k = 0; k < 2; k++) {
        json_t *layers =
            json_pack("[{s:s, s:i, s:s, s:b}]", "type", "dense", "units", 4, "variant", k ? "l2" : "rms", "bias", 0);
        networks[k] = make_network(layers, (struct shape){1, {N}}, 4);
        json_decref(layers);
    }
    for (size_t i = 0; i < networks[0]->parameter_count; i++)
        networks[1]->parameters[i] = (real)sqrt(N) * networks[0]->parameters[i];
    for (int k = 0; k < 2; k++) {
        struct network_pass pass;
        assert_ok(network_forward(networks[k], &arena, PASS_TRAIN, x, 5, 5, &pass, &err));
        assert_ok(network_backward(networks[k], &pass, g, &err));
        for (size_t i = 0; i < networks[k]->parameter_count; i++)
            networks[k]->parameters[i] -= (real)rates[k] * networks[k]->gradient[i];
    }
    for (size_t i = 0; i < networks[0]->parameter_count; i++)
        assert_true(fabs((double)(networks[1]->parameters[i] - (real)sqrt(N) * networks[0]->parameters[i])) <
                    (sizeof(real) == 8 ? 1e-12 : 1e-5));
    network_free(networks[0]);
    network_free(networks[1]);
    arena_free(&arena);
}

/* ------------------------------------------------------------------ from θ to θ + Δθ */

enum { MOVED_SITES = 16, MOVED_ROWS = 7 };

/* How far each row of each site moved at one step, in both views; NaN where it is not told. */
struct moved {
    double layer[MOVED_SITES][MOVED_ROWS], network[MOVED_SITES][MOVED_ROWS];
};

/* The network view tells ratios: ‖e‖² = (divergence² + 2·scale − 1)‖a‖². */
static enum status note_moves(void *context, const struct site_measurement *m, struct error *err)
{
    (void)err;
    struct moved *moved = context;
    assert_true(m->site < MOVED_SITES && m->row_count <= MOVED_ROWS);
    for (size_t i = 0; i < m->row_count; i++) {
        const double *v = m->rows[i].values;
        double divergence = v[COLUMN_NETWORK_DIVERGENCE], scale = v[COLUMN_NETWORK_SCALE];
        moved->layer[m->site][i] = v[COLUMN_EFFECTIVE_NORM];
        moved->network[m->site][i] = v[COLUMN_IDEAL_NORM] * sqrt(divergence * divergence + 2 * scale - 1);
    }
    return STATUS_OK;
}

/* Holds what was told of one site against its layer's outputs before and after the step. */
static void expect_moves(const struct moved *moved, size_t place, const struct network_site *site, const real *before,
                         const real *after)
{
    for (size_t i = 0; i < MOVED_ROWS; i++) {
        double square = 0;
        for (size_t k = 0; k < site->size; k++)
            square += pow((double)(after[i * site->size + k] - before[i * site->size + k]), 2);
        double want = sqrt(square), network = moved->network[place][i], layer = moved->layer[place][i];
        double allowed = (sizeof(real) == 8 ? 1e-9 : 2e-3) * want;
        if (!isnan(network) && !(fabs(network - want) <= allowed))
            fail_msg("%s moved by %.9g in the network view, expected %.9g", site->name, network, want);
        if (place == 0 && !(fabs(layer - want) <= allowed))
            fail_msg("%s, the first, moved by %.9g in the layer view, expected %.9g", site->name, layer, want);
    }
}

/* Takes one step and holds its sites against the network before and after it. */
static void check_moves(const char *layers, const char *root)
{
    struct spec *spec = make_image_spec(
        layers, "{\"optimiser\": {\"learning_rate\": 0.5}, \"probe\": {\"views\": [\"layer\", \"network\"]}}");
    struct dataset *dataset = load_from(spec, root);
    struct trainer *trainer = NULL;
    struct arena arena = {0};
    struct error err;
    struct network_pass pass[2];
    struct moved moved;
    const struct training_observer observer = {.context = &moved, .measurement = note_moves};
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    struct network *network = trainer->network;
    real *start = arena_reals(&arena, network->parameter_count);
    assert_non_null(start);
    memcpy(start, network->parameters, network->parameter_count * sizeof *start);
    assert_ok(trainer_run(trainer, 1, &observer, &err));
    for (int after = 1; after >= 0; after--) {
        if (!after)
            memcpy(network->parameters, start, network->parameter_count * sizeof *start);
        assert_ok(
            network_forward(network, &arena, PASS_MEASURE, trainer->x, MOVED_ROWS, MOVED_ROWS, &pass[after], &err));
    }
    for (size_t place = 0; place < trainer->probe.site_count; place++) {
        const struct network_site *site = &network->sites[trainer->probe.sites[place]];
        const struct layer *layer = site->layer;
        if (site->index + 1 == layer->site_count) /* the last of several is the layer's output */
            expect_moves(&moved, place, site, pass[0].all[layer->id]->z, pass[1].all[layer->id]->z);
    }
    arena_free(&arena);
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
}

/*
 * What is told of a step leads from the network before it to the network after it, at every layer (theory.md §1); and
 * where the first layer is a residual, whose own layers all step at once, its layer view does too (§§4, 5).
 */
static void a_step_is_measured_from_where_it_starts(void **state)
{
    (void)state;
    static const char *const residual = "[{\"type\": \"residual\", \"layers\": [{\"type\": \"conv\", \"channels\": 4, "
                                        "\"padding\": 1}, {\"type\": \"tanh\"}, "
                                        "{\"type\": \"conv\", \"channels\": 3, \"padding\": 1, \"variant\": "
                                        "\"patch-affine-like\"}]}, {\"type\": \"flatten\"}, "
                                        "{\"type\": \"dense\", \"units\": 3}]";
    char root[TEST_PATH_SIZE];
    images_begin(root);
    check_moves(residual, root);
    for (size_t n = 0; n < sizeof image_networks / sizeof *image_networks; n++)
        check_moves(image_networks[n], root);
    files_end(root);
}

/* A spec that is checked on one machine may be trained on another: a job that goes on, a trainer without spec_check. */
static void a_machine_with_too_few_cores_is_refused(void **state)
{
    (void)state;
    struct spec *spec = make_spec("affine", "{\"threads\": 100000}");
    struct dataset *dataset = load(spec);
    struct trainer *trainer = NULL;
    struct error err;
    assert_int_equal(trainer_create(spec, dataset, NULL, &trainer, &err), STATUS_INVALID);
    assert_null(trainer);
    assert_non_null(strstr(err.text, "the spec's 100000 threads are more than this machine's"));
    dataset_free(dataset);
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_spec_gives_the_same_bits),  cmocka_unit_test(what_is_told_keeps_the_identities),
        cmocka_unit_test(what_an_optimiser_leaves_defined),   cmocka_unit_test(a_step_is_measured_from_where_it_starts),
        cmocka_unit_test(watched_samples_are_followed),       cmocka_unit_test(divergence_names_step_and_site),
        cmocka_unit_test(divergence_is_found_where_it_began), cmocka_unit_test(rms_is_l2_in_other_units),
        cmocka_unit_test(both_views_and_who_moved_whom),      cmocka_unit_test(a_machine_with_too_few_cores_is_refused),
    };
    return cmocka_run_group_tests_name("trainer (" REAL_NAME ")", tests, NULL, NULL);
}
