/*
 * Training as a whole: the same spec gives the same bits, going on from a checkpoint gives the same bits, what is told
 * keeps the identities of theory.md §5, and a step allocates nothing.
 */
#include "core/trainer.h"
#include "core/trainer_internal.h"
#include "tests/support.h"

/* A run's told figures as one growing text of bits, times left out. */
struct record {
    uint64_t hash;
    size_t scalars, measurements, rows, samples;
    size_t last_step;
    size_t stop_at; /* step_done asks for a stop here */
    double gradient_norm, rate, predicted;
    double worst_identity;
    struct trainer *trainer;
};

static void mix(struct record *r, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        r->hash = (r->hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
}

static enum status on_samples(void *context, const struct step_samples *s, struct error *err)
{
    (void)err;
    struct record *r = context;
    r->samples += s->count;
    r->predicted = 0;
    mix(r, s->samples, s->count * sizeof *s->samples);
    mix(r, s->losses, s->count * sizeof *s->losses);
    mix(r, s->predicted, s->count * sizeof *s->predicted);
    return STATUS_OK;
}

static enum status on_measurement(void *context, const struct site_measurement *m, struct error *err)
{
    (void)err;
    struct record *r = context;
    r->measurements++;
    r->rows += m->row_count;
    r->predicted += m->figures.predicted_decrease;
    for (size_t i = 0; i < m->row_count; i++) {
        const double *v = m->rows[i].values;
        for (int c = 0; c < COLUMN_COUNT; c++)
            if (!isnan(v[c])) /* the sign of a NaN means nothing */
                mix(r, &v[c], sizeof v[c]);
        double ratio = v[COLUMN_EFFECTIVE_NORM] / v[COLUMN_IDEAL_NORM];
        double square = ratio * ratio - 2 * v[COLUMN_SCALE] + 1, divergence = v[COLUMN_DIVERGENCE];
        if (!isnan(divergence))
            r->worst_identity =
                fmax(r->worst_identity, fabs(divergence * divergence - square) / fmax(1, ratio * ratio));
        if (i < m->batch_rows && !isnan(v[COLUMN_SCALE_ACROSS]))
            r->worst_identity =
                fmax(r->worst_identity, fabs(v[COLUMN_SCALE] - v[COLUMN_SELF_FACTOR] - v[COLUMN_SCALE_ACROSS]) /
                                            fmax(1, fabs(v[COLUMN_SCALE])));
    }
    return STATUS_OK;
}

static enum status on_scalars(void *context, size_t step, const struct scalar *scalars, size_t count, struct error *err)
{
    (void)err;
    struct record *r = context;
    assert_true(step == r->last_step + 1);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(scalars[i].key, "steps_per_second") == 0 || strcmp(scalars[i].key, "probe_share") == 0)
            continue;
        r->scalars++;
        mix(r, scalars[i].key, strlen(scalars[i].key));
        mix(r, &scalars[i].value, sizeof scalars[i].value);
        if (strcmp(scalars[i].key, "gradient_norm") == 0)
            r->gradient_norm = scalars[i].value;
        if (strcmp(scalars[i].key, "learning_rate") == 0)
            r->rate = scalars[i].value;
    }
    return STATUS_OK;
}

static enum status on_step_done(void *context, size_t step, size_t epoch, struct error *err)
{
    struct record *r = context;
    assert_true(epoch >= 1);
    r->last_step = step;
    return step == r->stop_at ? error_set(err, STATUS_STOPPED, "asked to") : STATUS_OK;
}

static struct training_observer observer_of(struct record *r)
{
    return (struct training_observer){r, on_samples, on_measurement, on_scalars, on_step_done};
}

/* A small spec on synthetic data; `more` is merged over it. */
static struct spec *make_spec(const char *variant, const char *more)
{
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    json_t *json =
        json_pack("{s:{s:s, s:i, s:i, s:i, s:i, s:s}, s:{s:s, s:i, s:i, s:s}, s:{s:f}, s:i, s:i, s:{s:s}}", "dataset",
                  "name", "synthetic", "classes", 3, "features", 12, "train", 53, "test", 300, "scaling", "standard",
                  "model", "preset", "mlp", "width", 9, "depth", 2, "variant", variant, "optimiser", "learning_rate",
                  0.1, "batch_size", 8, "epochs", 3, "probe", "schedule", "every");
    json_error_t error;
    json_t *over = json_loads(more, 0, &error);
    assert_non_null(over);
    json_object_update_recursive(json, over);
    assert_ok(problem_list_init(&problems, &err));
    enum status status = spec_parse(json, &spec, &problems, &err);
    if (status != STATUS_OK)
        fail_msg("%s", json_dumps(problems.items, 0));
    problem_list_clear(&problems);
    json_decref(over);
    json_decref(json);
    return spec;
}

static struct dataset *load(const struct spec *spec)
{
    static const char *const nowhere[] = {NULL};
    const struct dataset_folders folders = {nowhere};
    struct dataset *dataset = NULL;
    struct error err;
    assert_ok(dataset_load(&spec->dataset, &folders, &dataset, &err));
    return dataset;
}

/* Trains to the end and returns what was told; the weights' bits are mixed in. */
static struct record train(const struct spec *spec, const struct dataset *dataset)
{
    struct record r = {0};
    struct trainer *trainer = NULL;
    struct error err;
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    r.trainer = trainer;
    const struct training_observer observer = observer_of(&r);
    assert_ok(trainer_run(trainer, SIZE_MAX, &observer, &err));
    mix(&r, trainer->network->parameters, trainer->network->parameter_count * sizeof(real));
    trainer_free(trainer);
    return r;
}

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

/* N steps, saved, loaded into another trainer, N more: the same as 2N, in what is told and in the weights. */
static void going_on_from_a_checkpoint_gives_the_same_bits(void **state)
{
    (void)state;
    static const char *const more[] = {
        "{}",
        "{\"optimiser\": {\"momentum\": 0.9, \"weight_decay\": 0.001}}",
        "{\"optimiser\": {\"momentum\": 0.9, \"nesterov\": true}, \"probe\": {\"schedule\": \"log\", \"watch\": [3, "
        "50]}}",
    };
    static const char *const variants[] = {"affine", "batch", "affine-like"};
    for (size_t v = 0; v < 3; v++)
        for (size_t cut = 1; cut < 18; cut += 4) {
            struct spec *spec = make_spec(variants[v], more[v]);
            struct dataset *dataset = load(spec);
            struct record whole = train(spec, dataset), parts = {.stop_at = cut};
            struct trainer *before = NULL, *after = NULL;
            struct error err;
            uint8_t *bytes;
            size_t size;
            const struct training_observer observer = observer_of(&parts);
            assert_ok(trainer_create(spec, dataset, NULL, &before, &err));
            assert_int_equal(trainer_run(before, SIZE_MAX, &observer, &err), STATUS_STOPPED);
            assert_int_equal(trainer_step(before), cut);
            assert_ok(trainer_save(before, &bytes, &size, &err));
            trainer_free(before);
            assert_ok(trainer_create(spec, dataset, NULL, &after, &err));
            assert_ok(trainer_restore(after, bytes, size, &err));
            parts.stop_at = 0;
            assert_ok(trainer_run(after, SIZE_MAX, &observer, &err));
            mix(&parts, after->network->parameters, after->network->parameter_count * sizeof(real));
            assert_true(parts.hash == whole.hash);
            assert_int_equal(parts.scalars, whole.scalars);
            trainer_free(after);
            free(bytes);
            dataset_free(dataset);
            spec_free(spec);
        }
}

static void a_foreign_checkpoint_is_refused(void **state)
{
    (void)state;
    struct spec *spec = make_spec("affine", "{}"), *other = make_spec("l2", "{}");
    struct dataset *dataset = load(spec);
    struct trainer *from = NULL, *to = NULL;
    struct error err;
    uint8_t *bytes;
    size_t size;
    assert_ok(trainer_create(spec, dataset, NULL, &from, &err));
    assert_ok(trainer_create(other, dataset, NULL, &to, &err));
    assert_ok(trainer_save(from, &bytes, &size, &err));
    assert_int_equal(trainer_restore(to, bytes, size, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "another spec"));
    for (size_t cut = 0; cut < size; cut += size / 7 + 1)
        assert_int_equal(trainer_restore(from, bytes, cut, &err), STATUS_CORRUPT);
    bytes[0] ^= 1;
    assert_int_equal(trainer_restore(from, bytes, size, &err), STATUS_CORRUPT);
    free(bytes);
    trainer_free(from);
    trainer_free(to);
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

/* AddressSanitizer's allocator calls these; gcc does not ship the header that declares it. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static int allocations;

static void count_allocation(const volatile void *pointer, size_t size)
{
    (void)pointer;
    (void)size;
    allocations++;
}

static void ignore_free(const volatile void *pointer)
{
    (void)pointer;
}

static enum status note_allocations(void *context, size_t step, size_t epoch, struct error *err)
{
    (void)err;
    (void)epoch;
    int *at = context;
    at[step] = allocations;
    return STATUS_OK;
}

/* Not after the first step, nor in it: probes, evaluation and epochs' ends are in the range. */
static void a_step_allocates_nothing(void **state)
{
    (void)state;
    struct spec *spec = make_spec("batch", "{\"probe\": {\"watch\": [1, 2]}, \"optimiser\": {\"momentum\": 0.5}}");
    struct dataset *dataset = load(spec);
    struct trainer *trainer = NULL;
    struct error err;
    int at[19] = {0};
    const struct training_observer observer = {.context = at, .step_done = note_allocations};
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    assert_int_not_equal(__sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_free), 0);
    void *volatile one = malloc(1); /* the hook is there */
    free(one);
    assert_int_equal(allocations, 1);
    assert_ok(trainer_run(trainer, SIZE_MAX, &observer, &err));
    assert_int_equal(at[18], 1);
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
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

/* Weights leave in PyTorch's shape and come back as the same bits; what does not fit is refused by name. */
static void weights_go_out_and_in(void **state)
{
    (void)state;
    struct spec *spec = make_spec("batch", "{}"), *other = make_spec("affine", "{}");
    struct dataset *dataset = load(spec);
    struct trainer *trainer = NULL, *again = NULL;
    struct tensor_list list;
    struct error err;
    const struct training_observer nobody = {0};
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    assert_ok(trainer_run(trainer, 7, &nobody, &err));
    assert_ok(trainer_weights(trainer, &list, &err));
    const struct named_tensor *weight = tensor_list_find(&list, "layers.1.weight");
    assert_non_null(weight);
    assert_int_equal(weight->dims[0], 9);
    assert_int_equal(weight->dims[1], 12);
    assert_non_null(tensor_list_find(&list, "layers.3.running_var"));
    /* out × in: value (o, i) is the parameter at row i, column o */
    assert_true(weight->values[2 * 12 + 5] == trainer->network->parameters[5 * 9 + 2]);
    assert_ok(trainer_create(spec, dataset, &list, &again, &err));
    assert_memory_equal(again->network->parameters, trainer->network->parameters,
                        trainer->network->parameter_count * sizeof(real));
    assert_memory_equal(again->network->buffers, trainer->network->buffers,
                        trainer->network->buffer_count * sizeof(real));
    trainer_free(again);
    again = NULL;
    assert_int_equal(trainer_create(other, dataset, &list, &again, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "running_mean"));
    char *name = list.items[0].name;
    list.items[0].name = strdup("layers.1.wieght");
    assert_int_equal(trainer_create(spec, dataset, &list, &again, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "layers.1.wieght"));
    free(list.items[0].name);
    list.items[0].name = name;
    list.items[0].dims[0] = 8;
    assert_int_equal(trainer_create(spec, dataset, &list, &again, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "9×12"));
    tensor_list_clear(&list);
    trainer_free(trainer);
    dataset_free(dataset);
    spec_free(spec);
    spec_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_spec_gives_the_same_bits),
        cmocka_unit_test(going_on_from_a_checkpoint_gives_the_same_bits),
        cmocka_unit_test(a_foreign_checkpoint_is_refused),
        cmocka_unit_test(what_is_told_keeps_the_identities),
        cmocka_unit_test(watched_samples_are_followed),
        cmocka_unit_test(divergence_names_step_and_site),
        cmocka_unit_test(rms_is_l2_in_other_units),
        cmocka_unit_test(weights_go_out_and_in),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests_name("trainer (" REAL_NAME ")", tests, NULL, NULL);
}
