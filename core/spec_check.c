/* What needs the machine and the data set: which steps are probed, and whether the spec fits. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "core/network_plan.h"
#include "core/optimiser.h"
#include "core/safetensors.h"
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

size_t spec_probed_steps(const struct spec *spec, size_t steps)
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

int spec_most_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 && cores < INT_MAX ? (int)cores : INT_MAX;
}

static void check_threads(const struct spec *spec, struct problem_list *problems)
{
    if (spec->threads > spec_most_threads())
        problem_add(problems, "/threads", "Must be at most %d, the processor cores of this machine; found %d.",
                    spec_most_threads(), spec->threads);
}

/* A pass is over the batch and the watched samples, or over an evaluation batch. */
static void check_rows(const struct spec *spec, const struct dataset_info *info, const struct network *network,
                       struct problem_list *problems)
{
    size_t most = network->most_rows, values = LAYER_MOST_VALUES / (most > 0 ? most : 1);
    size_t rows = spec->batch_size + spec->probe.watch_count;
    if (rows > most)
        problem_add(
            problems, "/batch_size",
            "Must be at most %zu with the watched samples, for %zu values of each sample in a layer; found %zu.", most,
            values, rows);
    if (info->test_count > 0 && EVALUATION_ROWS > most)
        problem_add(problems, "/model/layers",
                    "Must have at most %zu values of a sample in a layer, for evaluation takes %d samples at once.",
                    LAYER_MOST_VALUES / EVALUATION_ROWS, EVALUATION_ROWS);
}

/* A run's file holds a checkpoint in one row. */
static void check_checkpoint(const struct spec *spec, const struct network *network, struct problem_list *problems)
{
    double remembered = (double)optimiser_memory_size(&spec->optimiser, network->parameter_count);
    double bytes = sizeof(real) * ((double)network->parameter_count + (double)network->buffer_count + remembered);
    if (bytes > CHECKPOINT_MOST_BYTES)
        problem_add(
            problems, "/model/layers",
            "Has %zu parameters, which with what the optimiser remembers are %.0f bytes in a checkpoint: at most "
            "%.0f are possible.",
            network->parameter_count, bytes, CHECKPOINT_MOST_BYTES);
}

static const struct network_site *find_site(const struct network *network, const char *name)
{
    for (size_t i = 0; i < network->site_count; i++)
        if (strcmp(network->sites[i].name, name) == 0)
            return &network->sites[i];
    return NULL;
}

static void check_site_names(const struct spec *spec, const struct network *network, struct problem_list *problems)
{
    char names[400] = "";
    for (size_t i = 0, used = 0; i < network->site_count && used + 1 < sizeof names; i++) {
        if (!network->sites[i].moves)
            continue;
        int n = snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", network->sites[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < spec->probe.site_count; i++) {
        attribute_cleanup(cleanup_free) char *place = pointer_item("/probe/sites", i);
        const struct network_site *site = find_site(network, spec->probe.sites[i]);
        if (!site)
            problem_add(problems, place, "The model has no site \"%.60s\"; it has %s.", spec->probe.sites[i], names);
        else if (!site->moves && !spec->probe.network_view)
            problem_add(problems, place,
                        "\"%.60s\" has no parameters, so it moves in the network view only: add \"network\" to "
                        "/probe/views.",
                        spec->probe.sites[i]);
    }
}

enum status spec_inspect_dataset(const struct dataset_spec *dataset, const struct dataset_folders *folders,
                                 struct dataset_info *ret_info, struct problem_list *problems, struct error *err)
{
    struct error reason = {""};
    enum status status = dataset_inspect(dataset, folders, ret_info, &reason);
    if (status == STATUS_OK)
        return status;
    bool by_path = status != STATUS_NOT_FOUND && dataset->path;
    problem_add(problems, by_path ? "/dataset/path" : "/dataset/name", "%s", reason.text);
    return error_set(err, status, "%s", reason.text);
}

/* Initial weights are there, and are this model's. */
static enum status check_weights(const struct spec *spec, const struct dataset_folders *folders,
                                 const struct network *network, struct problem_list *problems, struct error *err)
{
    if (!spec->weights || !folders->weights)
        return STATUS_OK;
    attribute_cleanup(cleanup_free) char *path = text_format("%s/%s", folders->weights, spec->weights);
    attribute_cleanup(tensor_list_clear) struct tensor_list list = {0};
    struct error reason = {""};
    if (!path)
        return error_no_memory(err);
    enum status status = safetensors_inspect(path, &list, &reason);
    if (status == STATUS_OK)
        status = network_fits(network, &list, &reason);
    if (status == STATUS_NO_MEMORY)
        return error_no_memory(err);
    if (status != STATUS_OK)
        problem_add(problems, "/weights", "%s", reason.text);
    return STATUS_OK;
}

enum status spec_check(const struct spec *spec, const struct dataset_folders *folders, json_t **ret_cost,
                       struct problem_list *problems, struct error *err)
{
    struct dataset_info info = {0};
    attribute_cleanup(cleanup_network) struct network *network = NULL;
    size_t before = problem_list_count(problems);
    check_threads(spec, problems);
    enum status status = spec_inspect_dataset(&spec->dataset, folders, &info, problems, err);
    if (status != STATUS_OK)
        return status;
    check_counts(spec, &info, problems);
    status = network_plan(spec->layers, &info.shape, info.classes, &network, problems, err);
    if (status == STATUS_OK) {
        check_site_names(spec, network, problems);
        check_rows(spec, &info, network, problems);
        check_checkpoint(spec, network, problems);
        status = check_weights(spec, folders, network, problems, err);
    }
    if (spec->preset)
        spec_preset_faults(spec->preset, problems, before);
    if ((status == STATUS_OK || status == STATUS_INVALID) && problem_list_count(problems) > before)
        status = spec_problems_error(problems, before, err);
    return status == STATUS_OK && ret_cost ? spec_cost(spec, &info, network, ret_cost, err) : status;
}
