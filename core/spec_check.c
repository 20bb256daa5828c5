/* What needs the data set: whether the spec fits it, and what the run would cost. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "core/network.h"
#include "core/spec_internal.h"

/* ------------------------------------------------------------------ steps */

size_t spec_steps_per_epoch(const struct spec *spec, size_t train_count)
{
    return train_count / spec->batch_size;
}

/* Entry j of schedule log: round(T^(j/(count−1))). */
static size_t log_step(const struct spec *spec, size_t j, size_t steps)
{
    return (size_t)llround(pow((double)steps, (double)j / (double)(spec->probe.count - 1)));
}

/*
 * Whether `step` is among the entries. If any entry gives it, then one beside the real j at which T^(j/(count−1)) is
 * `step` does; one more on each side allows for rounding.
 */
static bool is_log_step(const struct spec *spec, size_t step, size_t steps)
{
    size_t last = spec->probe.count - 1;
    if (step == 1 || step == steps)
        return true;
    size_t below = (size_t)(log((double)step) / log((double)steps) * (double)last);
    for (size_t j = below > 0 ? below - 1 : 0; j <= below + 2 && j <= last; j++)
        if (log_step(spec, j, steps) == step)
            return true;
    return false;
}

bool spec_step_is_probed(const struct spec *spec, size_t step, size_t steps, size_t steps_per_epoch)
{
    if (step < 1 || step > steps)
        return false;
    switch (spec->probe.schedule) {
    case PROBE_EVERY:
        return (step - 1) % spec->probe.every == 0;
    case PROBE_LOG:
        return is_log_step(spec, step, steps);
    case PROBE_EPOCHS:
        return step % steps_per_epoch == 0;
    case PROBE_NONE:
        break;
    }
    return false;
}

static size_t count_probed(const struct spec *spec, size_t steps)
{
    size_t count = 0, before = 0;
    if (steps == 0)
        return 0;
    switch (spec->probe.schedule) {
    case PROBE_EVERY:
        return (steps - 1) / spec->probe.every + 1;
    case PROBE_EPOCHS:
        return spec->epochs;
    case PROBE_LOG:
        for (size_t j = 0; j < spec->probe.count; j++) {
            size_t entry = log_step(spec, j, steps);
            count += entry != before;
            before = entry;
        }
        return count;
    case PROBE_NONE:
        break;
    }
    return 0;
}

/* ------------------------------------------------------------------ does it fit */

static void check_counts(const struct spec *spec, const struct dataset_info *info, struct problem_list *problems)
{
    size_t train = info->train_count;
    if (spec->batch_size > train)
        problem_add(problems, "/batch_size", "Must be at most %zu, the training samples; found %zu.", train,
                    spec->batch_size);
    for (size_t i = 0; i < spec->probe.watch_count; i++) {
        attribute_cleanup(cleanup_free) char *place = pointer_item("/probe/watch", i);
        if (spec->probe.watch[i] >= train)
            problem_add(problems, place, "Must be below %zu, the training samples used; found %u.", train,
                        spec->probe.watch[i]);
    }
}

static bool has_name(const json_t *sites, const char *name)
{
    for (size_t i = 0; i < json_array_size(sites); i++)
        if (strcmp(json_string_value(json_array_get(sites, i)), name) == 0)
            return true;
    return false;
}

/* `still` are the sites of layers without parameters. */
static void check_site_names(const struct spec *spec, const json_t *sites, const json_t *still,
                             struct problem_list *problems)
{
    char names[400] = "";
    for (size_t i = 0, used = 0; i < json_array_size(sites) && used + 1 < sizeof names; i++) {
        int n = snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                         json_string_value(json_array_get(sites, i)));
        used += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < spec->probe.site_count; i++) {
        attribute_cleanup(cleanup_free) char *place = pointer_item("/probe/sites", i);
        if (has_name(still, spec->probe.sites[i]) && !spec->probe.network_view)
            problem_add(problems, place,
                        "\"%.60s\" has no parameters, so it moves in the network view only: add \"network\" to "
                        "/probe/views.",
                        spec->probe.sites[i]);
        else if (!has_name(still, spec->probe.sites[i]) && !has_name(sites, spec->probe.sites[i]))
            problem_add(problems, place, "The model has no site \"%.60s\"; it has %s.", spec->probe.sites[i], names);
    }
}

static enum status inspect(const struct spec *spec, const struct dataset_folders *folders,
                           struct dataset_info *ret_info, struct problem_list *problems, struct error *err)
{
    struct error reason = {""};
    enum status status = dataset_inspect(&spec->dataset, folders, ret_info, &reason);
    if (status == STATUS_OK)
        return status;
    bool by_path = status != STATUS_NOT_FOUND && spec->dataset.path;
    problem_add(problems, by_path ? "/dataset/path" : "/dataset/name", "%s", reason.text);
    return error_set(err, status, "%s", reason.text);
}

/* ------------------------------------------------------------------ the cost */

/* Rows of the log at most: watched samples are counted apart from the batch, which may hold them. */
static double count_rows(const struct spec *spec, size_t probed, size_t sites)
{
    size_t named = spec->probe.site_count ? spec->probe.site_count : sites;
    size_t of_batch = spec->probe.samples < spec->batch_size ? spec->probe.samples : spec->batch_size;
    return fmin((double)probed * (double)named * (double)(of_batch + spec->probe.watch_count), 0x1p53);
}

static json_t *make_cost(const struct spec *spec, const struct dataset_info *info, const json_t *network)
{
    size_t per_epoch = spec_steps_per_epoch(spec, info->train_count), steps = per_epoch * spec->epochs;
    size_t probed = count_probed(spec, steps);
    const json_t *sites = json_object_get(network, "sites");
    double flops = json_number_value(json_object_get(network, "flops_per_sample")) * (double)spec->batch_size;
    return json_pack("{s:O, s:O, s:O, s:I, s:I, s:I, s:I, s:f}", "layers", json_object_get(network, "layers"), "sites",
                     sites, "parameters", json_object_get(network, "parameters"), "steps", (json_int_t)steps,
                     "steps_per_epoch", (json_int_t)per_epoch, "probed_steps", (json_int_t)probed, "probe_rows",
                     (json_int_t)count_rows(spec, probed, json_array_size(sites)), "flops_per_step", flops);
}

enum status spec_check(const struct spec *spec, const struct dataset_folders *folders, json_t **ret_cost,
                       struct problem_list *problems, struct error *err)
{
    struct dataset_info info;
    json_t *network = NULL;
    size_t before = problem_list_count(problems);
    enum status status = inspect(spec, folders, &info, problems, err);
    if (status != STATUS_OK)
        return status;
    check_counts(spec, &info, problems);
    status = network_check(spec->layers, &info.shape, info.classes, &network, problems, err);
    if (status == STATUS_OK)
        check_site_names(spec, json_object_get(network, "sites"), json_object_get(network, "network_sites"), problems);
    if ((status == STATUS_OK || status == STATUS_INVALID) && problem_list_count(problems) > before)
        status = spec_problems_error(problems, before, err);
    if (status == STATUS_OK && ret_cost) {
        json_t *cost = make_cost(spec, &info, network);
        if (cost)
            *ret_cost = cost;
        else
            status = error_no_memory(err);
    }
    json_decref(network);
    return status;
}
