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
                       struct error *err)
{
    *probe = (struct probe){
        .watch = spec->watch,
        .watch_count = spec->watch_count,
        .batch_rows = spec->samples < batch ? spec->samples : batch,
    };
    probe->capacity = probe->batch_rows + probe->watch_count;
    probe->sites = calloc(network->site_count, sizeof *probe->sites);
    probe->picked = calloc(probe->capacity, sizeof *probe->picked);
    probe->rows = calloc(probe->capacity, sizeof *probe->rows);
    probe->scratch = calloc(probe->capacity, sizeof *probe->scratch);
    probe->bins = calloc(probe->capacity, sizeof *probe->bins);
    probe->bytes = malloc(encoded_size(probe->capacity));
    if (!probe->sites || !probe->picked || !probe->rows || !probe->scratch || !probe->bins || !probe->bytes) {
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
    free(probe->picked);
    free(probe->rows);
    free(probe->scratch);
    free(probe->bins);
    free(probe->bytes);
    *probe = (struct probe){0};
}

static bool watched(const struct probe *probe, uint32_t sample)
{
    for (size_t i = 0; i < probe->watch_count; i++)
        if (probe->watch[i] == sample)
            return true;
    return false;
}

/* Chooses the rows of the pass that are measured; returns how many. */
static size_t pick_rows(struct probe *probe, const struct probed_step *step)
{
    size_t count = 0;
    for (size_t row = 0; row < step->rows; row++)
        if (row < probe->batch_rows || row >= step->batch || watched(probe, step->samples[row]))
            probe->picked[count++] = row;
    return count;
}

/* The columns whose absence makes a pair of columns undefined throughout. */
static const enum column density_needs[DENSITY_COUNT] = {
    [DENSITY_SELF_SCALE] = COLUMN_SELF_FACTOR, [DENSITY_COSINE_INTERFERENCE] = COLUMN_INTERFERENCE};

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
        if (update_defines(update, rule, density_needs[d]))
            m->density_sizes[d] = density_encode((enum density_pair)d, m->rows, m->batch_rows, at, probe->bins);
        at += m->density_sizes[d];
    }
    m->summaries = summaries;
    m->figures = update_batch_figures(m->rows, m->batch_rows, rule);
}

static enum status measure_site(struct probe *probe, const struct network *network, const struct network_pass *pass,
                                const struct probed_step *step, size_t place, const struct step_samples *told,
                                const struct training_observer *observer, struct error *err)
{
    const struct network_site *site = &network->sites[probe->sites[place]];
    const struct layer *layer = site->layer;
    const struct layer_pass *layer_pass = pass->all[layer->id];
    struct site_update update;
    enum status status = layer->ops->effective_update(layer, layer_pass, site->index,
                                                      step->delta + site->parameter_offset, &step->rule, &update, err);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < told->count; i++)
        update_measure(&update, probe->picked[i], told->in_batch[i], &step->rule, &probe->rows[i]);
    struct column_summary summaries[COLUMN_COUNT];
    struct site_measurement measurement = {
        .step = step->step,
        .site = place,
        .samples = told->samples,
        .rows = probe->rows,
        .row_count = told->count,
        .batch_rows = probe->batch_rows,
        .batch_size = step->batch,
    };
    summarise(probe, &update, &step->rule, summaries, &measurement);
    return observer->measurement ? observer->measurement(observer->context, &measurement, err) : STATUS_OK;
}

enum status probe_measure(struct probe *probe, const struct network *network, const struct network_pass *pass,
                          const struct probed_step *step, const struct training_observer *observer, struct error *err)
{
    struct arena *arena = pass->whole.arena;
    size_t count = pick_rows(probe, step);
    uint32_t *samples = arena_take(arena, count * sizeof *samples), *labels = arena_take(arena, count * sizeof *labels);
    uint32_t *predicted = arena_take(arena, count * sizeof *predicted);
    double *losses = arena_take(arena, count * sizeof *losses);
    bool *in_batch = arena_take(arena, count * sizeof *in_batch);
    if (!samples || !labels || !predicted || !losses || !in_batch)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        size_t row = probe->picked[i];
        samples[i] = step->samples[row];
        labels[i] = step->labels[row];
        predicted[i] = step->predicted[row];
        losses[i] = step->losses[row];
        in_batch[i] = row < step->batch;
    }
    struct step_samples told = {step->step, samples, losses, labels, predicted, in_batch, count};
    enum status status = observer->samples ? observer->samples(observer->context, &told, err) : STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < probe->site_count; i++)
        status = measure_site(probe, network, pass, step, i, &told, observer, err);
    return status;
}
