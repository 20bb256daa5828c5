/*
 * `plumbline check`: whether a spec is right, what it becomes, and what it would cost.
 */
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "server/command.h"
#include "server/commands.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/spec_load.h"

struct check_options {
    const char *data;
    struct text_list datasets;
    bool json;
};

static const struct argument arguments[] = {
    DATA_ARGUMENT(struct check_options, data),
    DATASETS_ARGUMENT(struct check_options, datasets),
    {"json", ARGUMENT_SWITCH, offsetof(struct check_options, json),
     .help = "print one JSON object: valid, spec, spec_hash, cost; of a wrong spec valid and errors"},
    {0},
};

/* "28 × 28" of a JSON array. */
static void shape_text(const json_t *shape, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(shape) && used < size; i++) {
        int n = snprintf(text + used, size - used, "%s%lld", i ? " x " : "",
                         (long long)json_integer_value(json_array_get(shape, i)));
        used += n > 0 ? (size_t)n : 0;
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static int print_layers(const json_t *cost)
{
    size_t i;
    const json_t *layer;
    int written = printf("\n\n%-8s %-12s %-18s %-20s %12s %14s %12s\n", "layer", "type", "variant", "output",
                         "parameters", "flops a step", "memory, MB");
    json_array_foreach(json_object_get(cost, "layers"), i, layer)
    {
        char shape[64];
        shape_text(json_object_get(layer, "shape"), shape, sizeof shape);
        if (written >= 0)
            written = printf("%-8s %-12s %-18s %-20s %12.0f %14.3g %12.1f\n", text_of(layer, "index"),
                             text_of(layer, "type"), text_of(layer, "variant"), shape, number_of(layer, "parameters"),
                             number_of(layer, "flops"), number_of(layer, "memory") / 1e6);
    }
    return written;
}

static int print_cost(const struct spec *spec, const json_t *cost)
{
    size_t all = json_array_size(json_object_get(cost, "sites"));
    int written = print_layers(cost);
    if (written >= 0)
        written =
            printf("\n%.0f parameters, %.0f steps (%.0f an epoch), %.3g flops a step\n", number_of(cost, "parameters"),
                   number_of(cost, "steps"), number_of(cost, "steps_per_epoch"), number_of(cost, "flops_per_step"));
    if (written >= 0)
        written = printf("%.0f probed steps at %zu sites: up to %.0f rows, about %.1f MB\n",
                         number_of(cost, "probed_steps"), spec->probe.sites ? spec->probe.site_count : all,
                         number_of(cost, "probe_rows"), number_of(cost, "probe_rows") * 146 / 1e6);
    const json_t *memory = json_object_get(cost, "memory");
    if (written >= 0)
        written = printf("about %.0f MB of memory: samples %.1f, parameters %.1f, a step %.1f, measuring %.1f, "
                         "evaluation %.1f, saving %.1f\n",
                         number_of(memory, "total") / 1e6, number_of(memory, "samples") / 1e6,
                         number_of(memory, "parameters") / 1e6, number_of(memory, "step") / 1e6,
                         number_of(memory, "probe") / 1e6, number_of(memory, "evaluation") / 1e6,
                         number_of(memory, "saving") / 1e6);
    size_t i;
    const json_t *warning;
    json_array_foreach(json_object_get(cost, "warnings"), i, warning)
    {
        if (written >= 0)
            written = printf("warning: %s\n", json_string_value(warning));
    }
    return written;
}

static int print_checked(const struct check_options *o, const struct spec *spec, json_t *cost)
{
    if (o->json) {
        attribute_cleanup(cleanup_json) json_t *all = json_pack("{s:b, s:O, s:s, s:O}", "valid", 1, "spec",
                                                                spec->expanded, "spec_hash", spec->hash, "cost", cost);
        return command_json(all);
    }
    attribute_cleanup(cleanup_free) char *text = json_text(spec->expanded, JSON_INDENT(2));
    return !text || fputs(text, stdout) == EOF || print_cost(spec, cost) < 0 || command_flush() != 0;
}

static int check(const struct check_options *o, const char *path)
{
    struct error err = {""};
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    attribute_cleanup(cleanup_string_list) char **folders = NULL;
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    attribute_cleanup(cleanup_json) json_t *cost = NULL;
    attribute_cleanup(cleanup_free) char *weights = NULL;
    enum status status = o->data ? STATUS_OK : data_default(&fallback, &err);
    const char *data = o->data ? o->data : fallback;
    if (status == STATUS_OK)
        status = dataset_search_list(o->datasets.items, data, &folders, &err);
    if (status == STATUS_OK) {
        weights = path_join(data, "weights");
        status = weights ? STATUS_OK : error_no_memory(&err);
    }
    if (status != STATUS_OK) {
        fprintf(stderr, "plumbline check: %s\n", err.text);
        return 1;
    }
    const struct dataset_folders searched = {(const char *const *)folders, weights};
    attribute_cleanup(cleanup_json) json_t *faults = NULL;
    if (spec_load("check", path, &searched, &spec, &cost, &faults) == STATUS_OK)
        return print_checked(o, spec, cost);
    return o->json ? command_faults(faults) : 1;
}

static int run(const void *options, const struct text_list *operands)
{
    return check(options, operands->items[0]);
}

const struct command check_command = {
    .name = "check",
    .operands = "SPEC.json",
    .summary = "check a spec, print it with all defaults and what it costs",
    .description = "Checks a spec with its data set. Prints it with every default written out, each layer's output "
                   "shape, parameters and operations, and what the run would cost; or what is wrong, where, and what "
                   "would be right.",
    .failure = "the spec is not right",
    .arguments = arguments,
    .options_size = sizeof(struct check_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_FILE,
    .run = run,
};
