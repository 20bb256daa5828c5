#include "core/probe.h"

#include <stdlib.h>
#include <string.h>

enum { HISTOGRAM_RECORD = 6, DENSITY_RECORD = 8 };

/* Bytes for all histograms and densities of one site. */
static size_t encoded_size(size_t rows)
{
    return rows * (COLUMN_COUNT * HISTOGRAM_RECORD + DENSITY_COUNT * DENSITY_RECORD);
}

static bool site_wanted(const struct probe_spec *spec, const char *name)
{
    if (!spec->sites)
        return true;
    for (size_t i = 0; i < spec->site_count; i++)
        if (strcmp(spec->sites[i], name) == 0)
            return true;
    return false;
}

enum status probe_init(struct probe *probe, const struct probe_spec *spec, const struct network *network, size_t batch,
                       size_t extra, struct error *err)
{
    *probe = (struct probe){.batch_rows = spec->samples < batch ? spec->samples : batch};
    probe->capacity = probe->batch_rows + extra;
    probe->sites = calloc(network->site_count + 1, sizeof *probe->sites);
    probe->rows = calloc(probe->capacity + 1, sizeof *probe->rows);
    probe->scratch = calloc(probe->capacity + 1, sizeof *probe->scratch);
    probe->bins = calloc(probe->capacity + 1, sizeof *probe->bins);
    probe->bytes = malloc(encoded_size(probe->capacity + 1));
    if (!probe->sites || !probe->rows || !probe->scratch || !probe->bins || !probe->bytes) {
        probe_free(probe);
        return error_no_memory(err);
    }
    for (size_t i = 0; i < network->site_count; i++)
        if (site_wanted(spec, network->sites[i].name))
            probe->sites[probe->site_count++] = i;
    return STATUS_OK;
}

void probe_free(struct probe *probe)
{
    free(probe->sites);
    free(probe->rows);
    free(probe->scratch);
    free(probe->bins);
    free(probe->bytes);
    *probe = (struct probe){0};
}

/* Summaries, histograms and 2-D counts over the batch's rows, into `m`. */
static void summarise(struct probe *probe, const struct site_update *update, const struct step_rule *rule,
                      struct column_summary summaries[COLUMN_COUNT], struct site_measurement *m)
{
    const double *values = &m->rows[0].values[0];
    uint8_t *at = probe->bytes;
    for (int c = 0; c < COLUMN_COUNT; c++) {
        column_summarise(values + c, COLUMN_COUNT, m->batch_rows, probe->scratch, &summaries[c]);
        m->histograms[c] = at;
        if (update_defines(update, rule, (enum column)c))
            m->histogram_sizes[c] = histogram_encode(values + c, COLUMN_COUNT, m->batch_rows, at, probe->bins);
        at += m->histogram_sizes[c];
    }
    for (int d = 0; d < DENSITY_COUNT; d++) {
        m->densities[d] = at;
        if (update->self_factor)
            m->density_sizes[d] = density_encode((enum density_pair)d, m->rows, m->batch_rows, at, probe->bins);
        at += m->density_sizes[d];
    }
    m->summaries = summaries;
    m->figures = update_batch_figures(m->rows, m->batch_rows, rule);
}

static enum status measure_site(struct probe *probe, const struct network *network, const struct network_pass *pass,
                                const struct probed_step *step, size_t place, const uint32_t *samples,
                                const struct training_observer *observer, struct error *err)
{
    const struct network_site *site = &network->sites[probe->sites[place]];
    const struct layer *layer = site->layer;
    const struct layer_pass *layer_pass = &pass->layers[layer - network->layers];
    struct site_update update;
    enum status status = layer->ops->effective_update(layer, layer_pass, site->index,
                                                      step->delta + layer->parameter_offset, &update, err);
    if (status != STATUS_OK)
        return status;
    size_t watched = step->rows - step->batch;
    for (size_t i = 0; i < probe->batch_rows; i++)
        update_measure(&update, i, true, &step->rule, &probe->rows[i]);
    for (size_t i = 0; i < watched; i++)
        update_measure(&update, step->batch + i, false, &step->rule, &probe->rows[probe->batch_rows + i]);
    struct column_summary summaries[COLUMN_COUNT];
    struct site_measurement measurement = {
        .step = step->step,
        .site = place,
        .samples = samples,
        .rows = probe->rows,
        .row_count = probe->batch_rows + watched,
        .batch_rows = probe->batch_rows,
        .batch_size = step->batch,
    };
    summarise(probe, &update, &step->rule, summaries, &measurement);
    return observer->measurement ? observer->measurement(observer->context, &measurement, err) : STATUS_OK;
}

/* The measured rows' entries: those of the batch, then the watched ones. `pick` copies one array of them. */
static void pick(const struct probe *probe, const struct probed_step *step, size_t item, const void *from, void *to)
{
    memcpy(to, from, probe->batch_rows * item);
    memcpy((char *)to + probe->batch_rows * item, (const char *)from + step->batch * item,
           (step->rows - step->batch) * item);
}

enum status probe_measure(struct probe *probe, const struct network *network, const struct network_pass *pass,
                          const struct probed_step *step, const struct training_observer *observer, struct error *err)
{
    struct arena *arena = pass->layers[0].arena;
    size_t count = probe->batch_rows + step->rows - step->batch;
    uint32_t *samples = arena_take(arena, count * sizeof *samples), *labels = arena_take(arena, count * sizeof *labels);
    uint32_t *predicted = arena_take(arena, count * sizeof *predicted);
    double *losses = arena_take(arena, count * sizeof *losses);
    bool *in_batch = arena_take(arena, count * sizeof *in_batch);
    if (!samples || !labels || !predicted || !losses || !in_batch)
        return error_no_memory(err);
    pick(probe, step, sizeof *samples, step->samples, samples);
    pick(probe, step, sizeof *labels, step->labels, labels);
    pick(probe, step, sizeof *predicted, step->predicted, predicted);
    pick(probe, step, sizeof *losses, step->losses, losses);
    for (size_t i = 0; i < count; i++)
        in_batch[i] = i < probe->batch_rows;
    enum status status = STATUS_OK;
    if (observer->samples) {
        struct step_samples told = {step->step, samples, losses, labels, predicted, in_batch, count};
        status = observer->samples(observer->context, &told, err);
    }
    for (size_t i = 0; status == STATUS_OK && i < probe->site_count; i++)
        status = measure_site(probe, network, pass, step, i, samples, observer, err);
    return status;
}
