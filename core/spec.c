/*
 * Parsing a spec: every part is checked by its table, and all faults are told at once.
 *
 * The expanded spec is one object with all keys in the order of spec_options:
 *   {"name": "", "tags": [],
 *    "dataset": {"name": "fashion-mnist", "train_limit": null, "test_limit": null, "scaling": "standard"},
 *    "model": {"layers": [{"type": "flatten"},
 *                         {"type": "dense", "units": 10, "variant": "affine", "bias": true}]},
 *    "weights": null,
 *    "optimiser": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.0, "nesterov": false, "weight_decay": 0.0,
 *                  "schedule": "constant", "warmup_steps": 0},
 *    "batch_size": 64, "epochs": 5, "seed": 1,
 *    "probe": {"schedule": "log", "every": 1, "count": 100, "views": ["layer"], "sites": "all", "samples": null,
 *              "watch": [], "contributors": 0},
 *    "threads": 1, "priority": 0, "checkpoint_every": 500}
 * Presets are gone from it, null means "all" or "none", whole numbers are JSON integers and all others reals, so that a
 * run has one expanded spec however it was written. Expanding it again gives itself.
 */
#include "core/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"
#include "core/option_problem.h"
#include "core/spec_internal.h"

/* ------------------------------------------------------------------ parts */

/* The object at `key`, or an empty one where the part may be left out. A new reference. */
static json_t *part_of(const json_t *json, const char *key)
{
    json_t *given = json_object_get(json, key);
    return given ? json_incref(given) : json_object();
}

static json_t *expand_dataset(const json_t *given, struct problem_list *problems)
{
    const json_t *name = json_object_get(given, "name");
    const struct dataset_loader *loader = dataset_loader_find(json_string_value(name));
    if (loader || !json_is_object(given))
        return options_expand(dataset_options(json_string_value(name)), given, "/dataset", problems);
    /* Which other keys there are depends on the name: without a good one only that is told. */
    json_t *only_name = name ? json_pack("{s:O}", "name", name) : json_object();
    json_t *never = options_expand(dataset_options(NULL), only_name, "/dataset", problems);
    json_decref(only_name);
    json_decref(never);
    return NULL;
}

static void check_path(const char *path, const char *pointer, struct problem_list *problems)
{
    const char *fault = path ? path_fault(path) : NULL;
    if (fault)
        problem_add(problems, pointer, "The path %s; found \"%.60s\".", fault, path);
}

static void check_optimiser(const json_t *optimiser, struct problem_list *problems)
{
    if (json_is_true(json_object_get(optimiser, "nesterov")) && !(option_number(optimiser, "momentum") > 0))
        problem_add(problems, "/optimiser/nesterov",
                    "Needs momentum above 0: set /optimiser/momentum, or leave it "
                    "out.");
}

/* "all", or names. Whether the network has such sites is seen once its shapes are known. */
static void check_sites(const json_t *sites, struct problem_list *problems)
{
    const char *word = json_string_value(sites);
    if (word && strcmp(word, "all") == 0)
        return;
    if (!json_is_array(sites) || json_array_size(sites) == 0) {
        problem_found(problems, "/probe/sites", "\"all\" or an array of at least one name", sites);
        return;
    }
    for (size_t i = 0; i < json_array_size(sites); i++) {
        attribute_cleanup(cleanup_free) char *place = pointer_item("/probe/sites", i);
        if (!json_is_string(json_array_get(sites, i)))
            problem_found(problems, place, "the name of a site, such as \"1.dense\"", json_array_get(sites, i));
    }
    problem_repeats(problems, "/probe/sites", sites);
}

static void check_probe(const json_t *probe, struct problem_list *problems)
{
    const json_t *views = json_object_get(probe, "views");
    if (json_array_size(views) == 0)
        problem_found(problems, "/probe/views", "an array of at least one view", views);
    check_sites(json_object_get(probe, "sites"), problems);
}

/* Who moved a sample is told apart under plain SGD alone: any memory of the optimiser would pass for other samples. */
static void check_contributors(const json_t *probe, const json_t *optimiser, struct problem_list *problems)
{
    bool plain = strcmp(option_string(optimiser, "name"), "sgd") == 0 &&
                 json_number_value(json_object_get(optimiser, "momentum")) == 0 &&
                 option_number(optimiser, "weight_decay") == 0;
    if (option_integer(probe, "contributors") > 0 && !plain)
        problem_add(problems, "/probe/contributors",
                    "Needs plain SGD: take the optimiser sgd without momentum and weight decay, or 0 here.");
}

static json_t *expand_part(const json_t *json, const char *key, const char *pointer, const struct option *options,
                           void (*check)(const json_t *part, struct problem_list *problems),
                           struct problem_list *problems)
{
    json_t *given = part_of(json, key);
    json_t *part = options_expand(options, given, pointer, problems);
    json_decref(given);
    if (part)
        check(part, problems);
    return part;
}

/* ------------------------------------------------------------------ the whole */

/* Puts a part, which may be NULL after a fault, into the whole; keys keep their places. */
static bool put(json_t *whole, const char *key, json_t *part)
{
    return json_object_set_new(whole, key, part) == 0;
}

/* Expands everything; NULL after faults, or without memory. */
static json_t *expand(const json_t *json, const struct dataset_folders *folders, struct problem_list *problems)
{
    size_t before = problem_list_count(problems);
    json_t *whole = options_expand(spec_options, json, "", problems);
    if (!json_is_object(json))
        return NULL;
    if (whole)
        check_path(option_string(whole, "weights"), "/weights", problems);
    json_t *dataset = json_object_get(json, "dataset"), *model = json_object_get(json, "model");
    struct dataset_spec dataset_spec;
    dataset = dataset ? expand_dataset(dataset, problems) : NULL;
    if (dataset) {
        dataset_spec_read(dataset, &dataset_spec);
        check_path(dataset_spec.path, "/dataset/path", problems);
    }
    model = model ? spec_expand_model(model, dataset ? &dataset_spec : NULL, folders, problems) : NULL;
    json_t *optimiser = expand_part(json, "optimiser", "/optimiser", spec_optimiser_options, check_optimiser, problems);
    json_t *probe = expand_part(json, "probe", "/probe", spec_probe_options, check_probe, problems);
    if (probe && optimiser)
        check_contributors(probe, optimiser, problems);
    /* Every one of these is tried, as each takes its part. */
    bool complete = put(whole, "dataset", dataset);
    complete = put(whole, "model", model) && complete;
    complete = put(whole, "optimiser", optimiser) && complete;
    complete = put(whole, "probe", probe) && complete;
    if (complete && problem_list_count(problems) == before)
        return whole;
    json_decref(whole);
    return NULL;
}

static int index_of(const char *const *names, const char *name)
{
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static void read_optimiser(const json_t *optimiser, struct optimiser_spec *ret_optimiser)
{
    *ret_optimiser = (struct optimiser_spec){
        .name = (enum optimiser_name)index_of(optimiser_names, option_string(optimiser, "name")),
        .learning_rate = option_number(optimiser, "learning_rate"),
        .weight_decay = option_number(optimiser, "weight_decay"),
        .momentum = json_number_value(json_object_get(optimiser, "momentum")),
        .nesterov = json_is_true(json_object_get(optimiser, "nesterov")),
        .beta1 = json_number_value(json_object_get(optimiser, "beta1")),
        .beta2 = json_number_value(json_object_get(optimiser, "beta2")),
        .epsilon = json_number_value(json_object_get(optimiser, "epsilon")),
        .schedule = (enum schedule_name)index_of(schedule_names, option_string(optimiser, "schedule")),
        .step_every = (size_t)json_integer_value(json_object_get(optimiser, "step_every")),
        .step_factor = json_number_value(json_object_get(optimiser, "step_factor")),
        .warmup_steps = (size_t)option_integer(optimiser, "warmup_steps"),
    };
}

static bool has_word(const json_t *array, const char *word)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (strcmp(json_string_value(json_array_get(array, i)), word) == 0)
            return true;
    return false;
}

static enum status read_probe(const json_t *probe, struct spec *spec, struct error *err)
{
    const json_t *samples = json_object_get(probe, "samples"), *watch = json_object_get(probe, "watch");
    const json_t *sites = json_object_get(probe, "sites");
    size_t watched = json_array_size(watch), named = json_array_size(sites); /* 0 for "all" */
    spec->watch_storage = calloc(watched + 1, sizeof *spec->watch_storage);
    spec->site_storage = calloc(named + 1, sizeof *spec->site_storage);
    if (!spec->watch_storage || !spec->site_storage)
        return error_no_memory(err);
    for (size_t i = 0; i < watched; i++)
        spec->watch_storage[i] = (uint32_t)json_integer_value(json_array_get(watch, i));
    for (size_t i = 0; i < named; i++)
        spec->site_storage[i] = json_string_value(json_array_get(sites, i));
    spec->probe = (struct probe_spec){
        .schedule = (enum probe_schedule)index_of(probe_schedule_names, option_string(probe, "schedule")),
        .every = (size_t)option_integer(probe, "every"),
        .count = (size_t)option_integer(probe, "count"),
        .samples = json_is_null(samples) ? SIZE_MAX : (size_t)json_integer_value(samples),
        .watch = spec->watch_storage,
        .watch_count = watched,
        .sites = named ? spec->site_storage : NULL,
        .site_count = named,
        .layer_view = has_word(json_object_get(probe, "views"), "layer"),
        .network_view = has_word(json_object_get(probe, "views"), "network"),
        .contributors = (size_t)option_integer(probe, "contributors"),
    };
    return STATUS_OK;
}

/* The typed view of spec->expanded. */
static enum status read_view(struct spec *spec, struct error *err)
{
    const json_t *whole = spec->expanded;
    spec->name = option_string(whole, "name");
    dataset_spec_read(json_object_get(whole, "dataset"), &spec->dataset);
    spec->layers = json_object_get(json_object_get(whole, "model"), "layers");
    read_optimiser(json_object_get(whole, "optimiser"), &spec->optimiser);
    spec->batch_size = (size_t)option_integer(whole, "batch_size");
    spec->epochs = (size_t)option_integer(whole, "epochs");
    spec->seed = (uint64_t)option_integer(whole, "seed");
    spec->threads = (int)option_integer(whole, "threads");
    spec->priority = (int)option_integer(whole, "priority");
    spec->checkpoint_every = (size_t)option_integer(whole, "checkpoint_every");
    spec->memory_limit = json_integer_value(json_object_get(whole, "memory_limit")); /* 0 where there is none */
    spec->time_limit = json_number_value(json_object_get(whole, "time_limit"));
    spec->weights = option_string(whole, "weights");
    return read_probe(json_object_get(whole, "probe"), spec, err);
}

enum status spec_problems_error(const struct problem_list *problems, size_t before, struct error *err)
{
    const json_t *first = json_array_get(problems->items, before);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    const char *detail = json_string_value(json_object_get(first, "detail"));
    if (!detail) /* it was lost */
        return error_no_memory(err);
    size_t more = problem_list_count(problems) - before - 1;
    char rest[48] = "";
    if (more > 0)
        snprintf(rest, sizeof rest, " (and %zu more)", more);
    return error_set(err, STATUS_INVALID, "The spec is not valid at %s: %s%s",
                     pointer && *pointer ? pointer : "its top", detail, rest);
}

enum status spec_parse(const json_t *json, struct spec **ret_spec, struct problem_list *problems, struct error *err)
{
    return spec_parse_given(json, NULL, ret_spec, problems, err);
}

enum status spec_parse_given(const json_t *json, const struct dataset_folders *folders, struct spec **ret_spec,
                             struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_spec) struct spec *spec = calloc(1, sizeof *spec);
    size_t before = problem_list_count(problems);
    if (!spec)
        return error_no_memory(err);
    spec->expanded = expand(json, folders, problems);
    if (!spec->expanded)
        return problem_list_count(problems) > before ? spec_problems_error(problems, before, err)
                                                     : error_no_memory(err);
    const char *preset = json_string_value(json_object_get(json_object_get(json, "model"), "preset"));
    spec->preset = preset ? spec_preset_find(preset) : NULL;
    enum status status = read_view(spec, err);
    if (status == STATUS_OK)
        status = spec_hash(spec->expanded, spec->hash, spec->former, err);
    if (status != STATUS_OK)
        return status;
    *ret_spec = spec;
    spec = NULL;
    return STATUS_OK;
}

void spec_free(struct spec *spec)
{
    if (!spec)
        return;
    json_decref(spec->expanded);
    free(spec->watch_storage);
    free(spec->site_storage);
    free(spec);
}

void cleanup_spec(struct spec **spec)
{
    spec_free(*spec);
}
