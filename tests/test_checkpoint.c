/* Going on from a checkpoint gives the same bits as never having stopped, whatever the optimiser and the layers. */
#include "tests/training.h"

/*
 * N steps, saved, loaded into another trainer, and the rest: the same as all at once, in what is told and the weights.
 */
static void expect_same_bits(const struct spec *spec, const struct dataset *dataset, size_t cut)
{
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
    mix(&parts, after->network->buffers, after->network->buffer_count * sizeof(real));
    assert_true(parts.hash == whole.hash);
    assert_int_equal(parts.scalars, whole.scalars);
    trainer_free(after);
    free(bytes);
}

static const char *const optimisers[] = {
    "{}",
    "{\"optimiser\": {\"momentum\": 0.9, \"weight_decay\": 0.001}}",
    "{\"optimiser\": {\"momentum\": 0.9, \"nesterov\": true}, \"probe\": {\"schedule\": \"log\", \"watch\": [3, 20]}}",
    "{\"optimiser\": {\"name\": \"adam\", \"learning_rate\": 0.01, \"schedule\": \"cosine\", \"warmup_steps\": 3}}",
    ("{\"optimiser\": {\"name\": \"adamw\", \"learning_rate\": 0.01, \"weight_decay\": 0.1, \"schedule\": \"step\", "
     "\"step_every\": 4}}"),
};
enum { OPTIMISERS = sizeof optimisers / sizeof *optimisers };

static void going_on_from_a_checkpoint_gives_the_same_bits(void **state)
{
    (void)state;
    static const char *const variants[OPTIMISERS] = {"affine", "batch", "affine-like", "batch", "layer"};
    for (size_t v = 0; v < OPTIMISERS; v++)
        for (size_t cut = 1; cut < 18; cut += 4) {
            struct spec *spec = make_spec(variants[v], optimisers[v]);
            struct dataset *dataset = load(spec);
            expect_same_bits(spec, dataset, cut);
            dataset_free(dataset);
            spec_free(spec);
        }
}

/* Running statistics, gains and positions are in the checkpoint too. */
static void networks_of_all_layers_go_on(void **state)
{
    (void)state;
    char root[TEST_PATH_SIZE];
    images_begin(root);
    for (size_t n = 0; n < sizeof image_networks / sizeof *image_networks; n++)
        for (size_t v = 0; v < OPTIMISERS; v++) {
            struct spec *spec = make_image_spec(image_networks[n], optimisers[v]);
            struct dataset *dataset = load_from(spec, root);
            expect_same_bits(spec, dataset, 5);
            dataset_free(dataset);
            spec_free(spec);
        }
    files_end(root);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(going_on_from_a_checkpoint_gives_the_same_bits),
        cmocka_unit_test(networks_of_all_layers_go_on),
        cmocka_unit_test(a_foreign_checkpoint_is_refused),
    };
    return cmocka_run_group_tests_name("checkpoint (" REAL_NAME ")", tests, NULL, NULL);
}
