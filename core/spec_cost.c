/*
 * What a run would cost: steps, rows, floating-point operations and memory, told before it is started.
 *
 * Memory is what the layers say they take from the arena at most (layer_memory_of), which is held against what they do
 * take by a test that walks the table of layers.
 */
#include <math.h>

#include "core/contributors.h"
#include "core/divergence_stats.h"
#include "core/network.h"
#include "core/optimiser.h"
#include "core/probe.h"
#include "core/spec_internal.h"

/* Everything is computed in double: a spec may ask for more than any machine has. */
static double reals(double count)
{
    return count * (double)sizeof(real);
}

static size_t count_sites(const struct spec *spec, const struct network *network)
{
    size_t count = 0;
    for (size_t i = 0; i < network->site_count; i++)
        count += probe_takes_site(&spec->probe, &network->sites[i]);
    return count;
}

/* Samples of a probed step that are measured, at most: watched ones may be in the batch, and are counted apart. */
static double measured_rows(const struct spec *spec)
{
    return (double)(probe_batch_rows(&spec->probe, spec->batch_size) + spec->probe.watch_count);
}

/* Rows of a pass that is probed. */
static double pass_rows(const struct spec *spec)
{
    return (double)spec->batch_size + (double)spec->probe.watch_count;
}

/* ------------------------------------------------------------------ memory */

static double step_bytes(const struct layer *layer, double rows)
{
    struct layer_memory m = layer_memory_of(layer);
    return reals(rows * (double)(m.forward + m.backward) + (double)m.forward_fixed + (double)m.backward_fixed);
}

/* Of the layers that the network holds itself; a residual's memory is that of its own layers too. */
static double all_layers(const struct network *network, double rows, double (*bytes)(const struct layer *, double))
{
    double sum = 0;
    for (size_t i = 0; i < network->stack.count; i++)
        sum += bytes(&network->stack.layers[i], rows);
    return sum;
}

static double forward_bytes(const struct layer *layer, double rows)
{
    struct layer_memory m = layer_memory_of(layer);
    return reals(rows * (double)m.forward + (double)m.forward_fixed);
}

static double change_bytes(const struct layer *layer, double rows)
{
    struct layer_memory m = layer_memory_of(layer);
    return reals(rows * (double)(m.change + layer->out) + (double)m.change_fixed);
}

/* Of measuring one site: some rows of a linear one, all rows of its layer of another. */
static double site_bytes(const struct spec *spec, const struct network_site *site)
{
    const struct layer_site *moved = site->moves ? &site->layer->sites[site->index] : NULL;
    if (!moved || !spec->probe.layer_view)
        return 0;
    if (!moved->linear)
        return change_bytes(site->layer, pass_rows(spec));
    double rows = fmin((double)probe_chunk_rows(site), measured_rows(spec));
    double found = spec->probe.contributors > 0
                       ? (double)CONTRIBUTORS_MEMORY + reals(2 * (double)site->layer->parameter_count) +
                             sizeof(double) * (double)spec->batch_size
                       : 0;
    double kernel = moved->positions == 1 ? rows * (double)spec->batch_size + (double)site->size : 0;
    double update = reals(rows * 2 * (double)site->size + (double)moved->scratch + kernel) +
                    rows * (double)moved->positions * (double)sizeof(double);
    return fmax(update, found);
}

/* What the probe takes besides the pass that it measures: the network view, then the largest site, or the forward pass
 * of the loss after the step; and its own tables. */
static double probe_bytes(const struct spec *spec, const struct network *network)
{
    double network_view = spec->probe.network_view ? all_layers(network, pass_rows(spec), change_bytes) : 0,
           largest = 0;
    for (size_t i = 0; i < network->site_count; i++)
        if (probe_takes_site(&spec->probe, &network->sites[i]))
            largest = fmax(largest, site_bytes(spec, &network->sites[i]));
    double after = all_layers(network, (double)spec->batch_size, forward_bytes);
    return fmax(network_view + largest, after) +
           measured_rows(spec) * (double)probe_row_bytes(spec->probe.contributors);
}

/* θ, its gradient, Δθ and what the optimiser remembers. */
static double parameter_bytes(const struct spec *spec, const struct network *network)
{
    size_t count = network->parameter_count, remembered = optimiser_memory_size(&spec->optimiser, count);
    return reals(3 * (double)count + (double)remembered + (double)network->buffer_count);
}

/* A copy of all that a checkpoint holds; at the end one of the weights, and their file. */
static double saving_bytes(const struct spec *spec, const struct network *network)
{
    double weights = (double)network->parameter_count + (double)network->buffer_count;
    double checkpoint = weights + (double)optimiser_memory_size(&spec->optimiser, network->parameter_count);
    return fmax(reals(checkpoint), reals(weights) + sizeof(float) * weights);
}

/* {"samples", "parameters", "step", "probe", "evaluation", "saving", "total"} in bytes. */
static json_t *make_memory(const struct spec *spec, const struct dataset_info *info, const struct network *network,
                           size_t probed)
{
    double input = (double)shape_size(&network->input), rows = pass_rows(spec);
    double gathered = info->test_count > 0 ? fmax(rows, EVALUATION_ROWS) : rows;
    /* with the labels, the order of an epoch, and the mini-batch as it is gathered */
    double samples = ((double)info->train_count + (double)info->test_count) * ((double)info->sample_bytes + 4) +
                     4 * (double)info->train_count + reals(gathered * input);
    double parameters = parameter_bytes(spec, network);
    /* the mini-batch as the layers have it, the loss's gradient, and the layers */
    double step = reals(rows * (input + (double)network->classes)) + all_layers(network, rows, step_bytes);
    double probe = probed > 0 ? probe_bytes(spec, network) : 0;
    double evaluation =
        info->test_count > 0 ? reals(EVALUATION_ROWS * input) + all_layers(network, EVALUATION_ROWS, forward_bytes) : 0;
    double saving = saving_bytes(spec, network);
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "samples", samples, "parameters", parameters, "step", step,
                     "probe", probe, "evaluation", evaluation, "saving", saving, "total",
                     samples + parameters + step + probe + evaluation + saving);
}

/* ------------------------------------------------------------------ the whole */

static double step_flops(const struct spec *spec, const struct layer *layer)
{
    return layer->ops->flops ? layer->ops->flops(layer) * (double)spec->batch_size : 0;
}

static json_t *make_layer(const struct spec *spec, const struct layer *layer)
{
    json_t *shape = json_array();
    for (int i = 0; i < layer->output.rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)layer->output.dims[i]));
    return json_pack("{s:s, s:s, s:s?, s:o, s:I, s:f, s:f}", "index", layer->path, "type", layer->ops->type, "variant",
                     layer->variant, "shape", shape, "parameters", (json_int_t)layer->parameter_count, "flops",
                     step_flops(spec, layer), "memory", step_bytes(layer, pass_rows(spec)));
}

/* The lists of layers and of sites; false when memory ran out. */
static bool fill_lists(const struct spec *spec, const struct network *network, json_t *layers, json_t *sites,
                       json_t *network_sites)
{
    bool whole = true;
    for (size_t i = 0; i < network->all_count; i++)
        whole = json_array_append_new(layers, make_layer(spec, network->all[i])) == 0 && whole;
    for (size_t i = 0; i < network->site_count; i++)
        whole = json_array_append_new(network->sites[i].moves ? sites : network_sites,
                                      json_string(network->sites[i].name)) == 0 &&
                whole;
    return whole;
}

enum status spec_cost(const struct spec *spec, const struct dataset_info *info, const struct network *network,
                      json_t **ret_cost, struct error *err)
{
    size_t per_epoch = spec_steps_per_epoch(spec, info->train_count), steps = per_epoch * spec->epochs;
    size_t probed = spec_probed_steps(spec, steps);
    double flops = 0, rows = (double)probed * (double)count_sites(spec, network) * measured_rows(spec);
    for (size_t i = 0; i < network->all_count; i++)
        flops += step_flops(spec, network->all[i]);
    json_t *layers = json_array(), *sites = json_array(), *network_sites = json_array();
    bool whole = fill_lists(spec, network, layers, sites, network_sites);
    json_t *cost = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "layers", layers, "sites",
                             sites, "network_sites", network_sites, "parameters", (json_int_t)network->parameter_count,
                             "steps", (json_int_t)steps, "steps_per_epoch", (json_int_t)per_epoch, "probed_steps",
                             (json_int_t)probed, "probe_rows", (json_int_t)fmin(rows, 0x1p53), "flops_per_step", flops,
                             "memory", make_memory(spec, info, network, probed), "warnings",
                             info->remark[0] ? json_pack("[s]", info->remark) : json_array());
    if (!cost || !whole) {
        json_decref(cost);
        return error_no_memory(err);
    }
    *ret_cost = cost;
    return STATUS_OK;
}
