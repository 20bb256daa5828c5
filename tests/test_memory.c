/* The memory of a training: what is told before it begins is what it takes, and a step allocates nothing. */
#include <dlfcn.h>
#include <execinfo.h>
#include <string.h>

#include "core/trainer.h"
#include "core/trainer_internal.h"
#include "tests/training.h"

static double memory_of(const json_t *cost, const char *part)
{
    return json_number_value(json_object_get(json_object_get(cost, "memory"), part));
}

/* What is told before a run is at least what it takes, and not much more. */
static void memory_is_told_before(void **state)
{
    (void)state;
    static const char *const more[] = {
        "{\"probe\": {\"schedule\": \"none\"}}",
        "{}",
        "{\"probe\": {\"watch\": [3, 4], \"views\": [\"layer\", \"network\"]}}",
        "{\"probe\": {\"sites\": [\"0.patch-embed\", \"0.conv\"], \"views\": [\"network\"]}}",
    };
    char root[TEST_PATH_SIZE];
    images_begin(root);
    const struct dataset_folders folders = {.paths = (const char *const[]){root, NULL}};
    for (size_t m = 0; m < sizeof more / sizeof *more; m++)
        for (size_t n = 0; n < sizeof image_networks / sizeof *image_networks; n++) {
            char *options = strdup(more[m]), *wrong = strstr(options, n ? "\"0.conv\"" : "\"0.patch-embed\", ");
            if (wrong) /* only one of the networks has it */
                memset(n ? wrong - 2 : wrong, ' ', n ? strlen("\"0.conv\"") + 2 : strlen("\"0.patch-embed\", "));
            struct spec *spec = make_image_spec(image_networks[n], options);
            struct dataset *dataset = load_from(spec, root);
            struct trainer *trainer = NULL;
            struct problem_list problems;
            struct error err;
            json_t *cost = NULL;
            assert_ok(problem_list_init(&problems, &err));
            assert_ok(spec_check(spec, &folders, &cost, &problems, &err));
            assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
            double step = memory_of(cost, "step"), probe = memory_of(cost, "probe");
            double taken = (double)trainer->arena.peak, evaluation = (double)trainer->evaluation_arena.peak;
            double spare = 64 * 200; /* each of some two hundred allocations is rounded up */
            if (step + probe + spare < taken || (m > 0 && step + probe > 1.6 * taken + spare))
                fail_msg("network %zu with %s takes %.0f bytes a step, %.0f + %.0f were told", n, options, taken, step,
                         probe);
            assert_true(memory_of(cost, "evaluation") + spare >= evaluation);
            assert_true(memory_of(cost, "evaluation") < 1.5 * evaluation + spare);
            free(options);
            json_decref(cost);
            problem_list_clear(&problems);
            trainer_free(trainer);
            dataset_free(dataset);
            spec_free(spec);
        }
    files_end(root);
}

/* AddressSanitizer's allocator calls these; gcc does not ship the header that declares it. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static int allocations;

/* OpenBLAS's kernel for small products allocates on some processors; that is its own. */
static bool is_of_blas(void)
{
    void *frames[12];
    int count = backtrace(frames, 12);
    Dl_info place;
    for (int i = 0; i < count; i++)
        if (dladdr(frames[i], &place) && place.dli_fname && strstr(place.dli_fname, "openblas"))
            return true;
    return false;
}

static void count_allocation(const volatile void *pointer, size_t size)
{
    (void)pointer;
    (void)size;
    allocations += !is_of_blas();
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

/* Not after the first step, nor in it: probes of all kinds, evaluation and epochs' ends are in the range. */
static void expect_no_allocation(const struct spec *spec, const struct dataset *dataset)
{
    struct trainer *trainer = NULL;
    struct error err;
    int at[32] = {0};
    const struct training_observer observer = {.context = at, .step_done = note_allocations};
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    size_t steps = trainer_plan(trainer)->steps;
    assert_in_range(steps, 8, 31);
    int before = allocations;
    assert_ok(trainer_run(trainer, SIZE_MAX, &observer, &err));
    assert_int_equal(at[steps], before);
    trainer_free(trainer);
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    static const char *const more[] = {
        "{\"probe\": {\"watch\": [1, 2]}, \"optimiser\": {\"momentum\": 0.5}}",
        "{\"probe\": {\"watch\": [1, 2], \"views\": [\"layer\", \"network\"], \"contributors\": 3}}",
    };
    char root[TEST_PATH_SIZE];
    images_begin(root);
    (void)is_of_blas(); /* what it takes to look is loaded before */
    assert_int_not_equal(__sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_free), 0);
    void *volatile one = malloc(1); /* the hook is there */
    free(one);
    assert_int_equal(allocations, 1);
    for (size_t m = 0; m < 2; m++) {
        struct spec *spec = make_spec("batch", more[m]);
        struct dataset *dataset = load(spec);
        expect_no_allocation(spec, dataset);
        dataset_free(dataset);
        spec_free(spec);
        for (size_t n = 0; n < sizeof image_networks / sizeof *image_networks; n++) {
            spec = make_image_spec(image_networks[n], more[m]);
            dataset = load_from(spec, root);
            expect_no_allocation(spec, dataset);
            dataset_free(dataset);
            spec_free(spec);
        }
    }
    files_end(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_told_before),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests_name("memory (" REAL_NAME ")", tests, NULL, NULL);
}
