/* Optimisers against PyTorch's own steps, schedules against their definition, and what they leave defined. */
#include "tests/specs.h"

#include "core/optimiser.h"

/* The typed optimiser of a spec whose "optimiser" is `text`; the spec is freed, as it holds no strings. */
static struct optimiser_spec read_spec(const char *text)
{
    char whole[1024];
    snprintf(whole, sizeof whole,
             "{\"dataset\": {\"name\": \"synthetic\"}, \"model\": {\"preset\": \"mlp\"}, \"optimiser\": %s}", text);
    struct spec *spec = spec_from_text(whole);
    struct optimiser_spec optimiser = spec->optimiser;
    spec_free(spec);
    return optimiser;
}

static real item(const json_t *array, size_t i)
{
    return (real)json_number_value(json_array_get(array, i));
}

static void check_path(const json_t *test)
{
    char *text = json_dumps(json_object_get(test, "optimiser"), 0);
    const json_t *start = json_object_get(test, "start"), *gradients = json_object_get(test, "gradients");
    const json_t *path = json_object_get(test, "path");
    size_t count = json_array_size(start), steps = json_array_size(path);
    real theta[16], gradient[16];
    struct optimiser optimiser;
    struct error err;
    struct optimiser_spec spec = read_spec(text);
    assert_in_range(count, 1, 16);
    assert_ok(optimiser_init(&optimiser, &spec, count, &err));
    for (size_t i = 0; i < count; i++)
        theta[i] = item(start, i);
    for (size_t step = 1; step <= steps; step++) {
        struct step_rule rule = optimiser_rule(&optimiser, step, steps);
        for (size_t i = 0; i < count; i++)
            gradient[i] = item(json_array_get(gradients, step - 1), i);
        assert_true(optimiser_step(&optimiser, &rule, theta, gradient));
        optimiser_apply(&optimiser, theta);
        for (size_t i = 0; i < count; i++) {
            double want = json_number_value(json_array_get(json_array_get(path, step - 1), i));
            double error = fabs((double)theta[i] - want);
            if (!(error <= (sizeof(real) == 8 ? 1e-13 : 2e-6)))
                fail_msg("%s: parameter %zu is %.12g after step %zu, %.12g in PyTorch", text, i, (double)theta[i], step,
                         want);
        }
    }
    optimiser_free(&optimiser);
    free(text);
}

static void steps_are_those_of_pytorch(void **state)
{
    (void)state;
    json_t *file = read_fixture("optimisers.json"), *test;
    size_t index;
    assert_int_equal(json_array_size(json_object_get(file, "cases")), 12);
    json_array_foreach(json_object_get(file, "cases"), index, test)
    {
        check_path(test);
    }
    json_decref(file);
}

static double rate_at(const char *text, size_t step, size_t steps)
{
    struct optimiser_spec spec = read_spec(text);
    struct optimiser optimiser;
    struct error err;
    assert_ok(optimiser_init(&optimiser, &spec, 1, &err));
    struct step_rule rule = optimiser_rule(&optimiser, step, steps);
    optimiser_free(&optimiser);
    assert_int_equal(rule.step, step);
    return rule.learning_rate;
}

static void expect_rate(const char *text, size_t step, size_t steps, double want)
{
    double got = rate_at(text, step, steps);
    if (!(fabs(got - want) <= 1e-15))
        fail_msg("%s: %.17g at step %zu of %zu, expected %.17g", text, got, step, steps, want);
}

static void schedules_are_what_they_say(void **state)
{
    (void)state;
    const char *cosine = "{\"learning_rate\": 0.4, \"schedule\": \"cosine\"}";
    const char *warm_cosine = "{\"learning_rate\": 0.4, \"schedule\": \"cosine\", \"warmup_steps\": 10}";
    const char *stepped = "{\"learning_rate\": 0.4, \"schedule\": \"step\", \"step_every\": 5, \"step_factor\": 0.5}";
    const char *warm_stepped =
        "{\"learning_rate\": 0.4, \"schedule\": \"step\", \"step_every\": 5, \"step_factor\": 0.5, "
        "\"warmup_steps\": 4}";
    const char *warm = "{\"learning_rate\": 0.4, \"warmup_steps\": 8}";
    for (size_t step = 1; step <= 21; step++) {
        expect_rate("{\"learning_rate\": 0.4}", step, 21, 0.4);
        expect_rate(cosine, step, 21, 0.2 * (1 + cos(M_PI * (double)(step - 1) / 20)));
        expect_rate(warm_cosine, step, 21,
                    step <= 10 ? 0.04 * (double)step : 0.2 * (1 + cos(M_PI * (double)(step - 10) / 11)));
        expect_rate(stepped, step, 21, 0.4 * pow(0.5, floor((double)(step - 1) / 5)));
        expect_rate(warm_stepped, step, 21,
                    step < 4 ? 0.1 * (double)step : 0.4 * pow(0.5, floor((double)(step - 4) / 5)));
        expect_rate(warm, step, 21, step <= 8 ? 0.05 * (double)step : 0.4);
    }
    assert_true(rate_at(cosine, 21, 21) == 0); /* exactly */
    expect_rate(cosine, 1, 1, 0.4);
    expect_rate(warm_cosine, 5, 5, 0.2); /* the run ends while it warms up */
}

/* theory.md §5: interference under plain SGD alone, a self factor under all of SGD. */
static void only_plain_sgd_has_interference(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool plain, adaptive;
    } cases[] = {{"{}", true, false},
                 {"{\"schedule\": \"cosine\", \"warmup_steps\": 3}", true, false},
                 {"{\"momentum\": 0.1}", false, false},
                 {"{\"weight_decay\": 0.1}", false, false},
                 {"{\"name\": \"adam\"}", false, true},
                 {"{\"name\": \"adamw\"}", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct optimiser_spec spec = read_spec(cases[i].text);
        struct optimiser optimiser;
        struct error err;
        assert_ok(optimiser_init(&optimiser, &spec, 1, &err));
        struct step_rule rule = optimiser_rule(&optimiser, 2, 9);
        assert_int_equal(rule.plain, cases[i].plain);
        assert_int_equal(rule.adaptive, cases[i].adaptive);
        optimiser_free(&optimiser);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_pytorch),
        cmocka_unit_test(schedules_are_what_they_say),
        cmocka_unit_test(only_plain_sgd_has_interference),
    };
    return cmocka_run_group_tests_name("optimiser (" REAL_NAME ")", tests, NULL, NULL);
}
