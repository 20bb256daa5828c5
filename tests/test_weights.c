/* A trainer's weights as tensors; test_pytorch.c has every layer's read by PyTorch. */
#include <string.h>

#include "core/trainer.h"
#include "core/trainer_internal.h"
#include "tests/training.h"

/* A training of some steps, and its weights. */
struct trained {
    struct spec *spec;
    struct dataset *dataset;
    struct trainer *trainer;
    struct tensor_list weights;
};

static struct trained begin(void)
{
    struct trained t = {.spec = make_spec("batch", "{}")};
    const struct training_observer nobody = {0};
    struct error err;
    t.dataset = load(t.spec);
    assert_ok(trainer_create(t.spec, t.dataset, NULL, &t.trainer, &err));
    assert_ok(trainer_run(t.trainer, 7, &nobody, &err));
    assert_ok(trainer_weights(t.trainer, &t.weights, &err));
    return t;
}

static void end(struct trained *t)
{
    tensor_list_clear(&t->weights);
    trainer_free(t->trainer);
    dataset_free(t->dataset);
    spec_free(t->spec);
}

/* They leave in PyTorch's shape and come back as the same bits. */
static void weights_go_out_and_in(void **state)
{
    (void)state;
    struct trained t = begin();
    const struct network *network = t.trainer->network;
    struct trainer *again = NULL;
    struct error err;
    const struct named_tensor *weight = tensor_list_find(&t.weights, "layers.1.weight");
    assert_non_null(weight);
    assert_int_equal(weight->dims[0], 9);
    assert_int_equal(weight->dims[1], 12);
    assert_non_null(tensor_list_find(&t.weights, "layers.3.running_var"));
    /* out × in: value (o, i) is the parameter at row i, column o */
    assert_true(weight->values[2 * 12 + 5] == network->parameters[5 * 9 + 2]);
    assert_ok(trainer_create(t.spec, t.dataset, &t.weights, &again, &err));
    assert_memory_equal(again->network->parameters, network->parameters, network->parameter_count * sizeof(real));
    assert_memory_equal(again->network->buffers, network->buffers, network->buffer_count * sizeof(real));
    trainer_free(again);
    end(&t);
}

static void expect_refused(const struct spec *spec, const struct trained *t, const char *words)
{
    struct trainer *none = NULL;
    struct error err;
    assert_int_equal(trainer_create(spec, t->dataset, &t->weights, &none, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, words));
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
    (void)state;
    struct trained t = begin();
    struct spec *other = make_spec("affine", "{}");
    expect_refused(other, &t, "running_mean");
    char *name = t.weights.items[0].name;
    t.weights.items[0].name = strdup("layers.1.wieght");
    expect_refused(t.spec, &t, "layers.1.wieght");
    free(t.weights.items[0].name);
    t.weights.items[0].name = name;
    t.weights.items[0].dims[0] = 8;
    expect_refused(t.spec, &t, "9×12");
    spec_free(other);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_go_out_and_in),
        cmocka_unit_test(what_does_not_fit_is_refused_by_name),
    };
    return cmocka_run_group_tests_name("weights (" REAL_NAME ")", tests, NULL, NULL);
}
