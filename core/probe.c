/*
 * How a step is measured.
 *
 * The layer view of a linear site is taken some rows at a time: Δz of a few samples is made, all its sums are taken
 * while it is in the cache, and its memory is given back. A site that is not linear in its parameters (attention's
 * logits, context and output, a residual) moves by its layer's `difference` with the input held fixed, which gives all
 * sites of the layer at once for all rows. The network view is one `difference` through the whole network, before the
 * sites.
 */
#include "core/probe.h"

#include <stdlib.h>
#include <string.h>

#include "core/contributors.h"
#include "core/loss.h"

enum { HISTOGRAM_RECORD = 6, DENSITY_RECORD = 8 };

/* Bytes for all histograms and densities of one site. */
static size_t encoded_size(size_t rows)
{
    return rows * (COLUMN_COUNT * HISTOGRAM_RECORD + DENSITY_COUNT * DENSITY_RECORD);
}

size_t probe_chunk_rows(const struct network_site *site)
{
    enum { CHUNK_REALS = 1 << 15, THICK = 128 };
    size_t rows = CHUNK_REALS / site->size;
    bool single = site->moves && site->layer->sites[site->index].positions == 1;
    size_t least = single ? THICK : 1;
    return rows > least ? rows : least;
}

size_t probe_row_bytes(size_t contributors)
{
    return sizeof(size_t) + sizeof(struct divergence_row) + sizeof(double) + sizeof(uint32_t) + encoded_size(1) +
           (contributors * (sizeof(uint32_t) + sizeof(double))) + (LIKELIEST * (sizeof(uint32_t) + sizeof(float)));
}

size_t probe_batch_rows(const struct probe_spec *spec, size_t batch)
{
    return spec->samples < batch ? spec->samples : batch;
}

bool probe_takes_site(const struct probe_spec *spec, const struct network_site *site)
{
    if (!spec->sites)
        return site->moves;
    for (size_t i = 0; i < spec->site_count; i++)
        if (strcmp(spec->sites[i], site->name) == 0)
            return site->moves || spec->network_view;
    return false;
}

static bool allocate(struct probe *probe, size_t site_count)
{
    size_t rows = probe->capacity, others = rows * probe->contributors;
    probe->sites = calloc(site_count + 1, sizeof *probe->sites);
    probe->picked = calloc(rows, sizeof *probe->picked);
    probe->rows = calloc(rows, sizeof *probe->rows);
    probe->scratch = calloc(rows, sizeof *probe->scratch);
    probe->bins = calloc(rows, sizeof *probe->bins);
    probe->bytes = malloc(encoded_size(rows));
    probe->others = calloc(others + 1, sizeof *probe->others);
    probe->parts = calloc(others + 1, sizeof *probe->parts);
    return probe->sites && probe->picked && probe->rows && probe->scratch && probe->bins && probe->bytes &&
           probe->others && probe->parts;
}

enum status probe_init(struct probe *probe, const struct probe_spec *spec, const struct network *network, size_t batch,
                       struct error *err)
{
    *probe = (struct probe){
        .watch = spec->watch,
        .watch_count = spec->watch_count,
        .batch_rows = probe_batch_rows(spec, batch),
        .split = true,
        .loss_after = true,
        .layer_view = spec->layer_view,
        .network_view = spec->network_view,
        .contributors = spec->contributors < batch ? spec->contributors : batch - 1,
    };
    probe->capacity = probe->batch_rows + probe->watch_count;
    if (!allocate(probe, network->site_count)) {
        probe_free(probe);
        return error_no_memory(err);
    }
    for (size_t i = 0; i < network->site_count; i++)
        if (probe_takes_site(spec, &network->sites[i]))
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
    free(probe->others);
    free(probe->parts);
    *probe = (struct probe){0};
}

/* ------------------------------------------------------------------ rows */

static bool watched(const struct probe *probe, uint32_t sample)
{
    for (size_t i = 0; i < probe->watch_count; i++)
        if (probe->watch[i] == sample)
            return true;
    return false;
}

/* Chooses the rows of the pass that are measured, in their order; returns how many. */
static size_t pick_rows(struct probe *probe, const struct probed_step *step)
{
    size_t count = 0;
    for (size_t row = 0; row < step->rows; row++)
        if (row < probe->batch_rows || row >= step->batch || watched(probe, step->samples[row]))
            probe->picked[count++] = row;
    return count;
}

/* From picked row `at` on, the rows that follow each other in the pass, at most `most`. */
static struct row_range next_rows(const struct probe *probe, size_t at, size_t count, size_t most)
{
    struct row_range rows = {probe->picked[at], 1};
    while (rows.count < most && at + rows.count < count && probe->picked[at + rows.count] == rows.from + rows.count)
        rows.count++;
    return rows;
}

/* ------------------------------------------------------------------ one site */

/* One site being measured at one step. */
struct measuring {
    struct probe *probe;
    const struct network_site *site;
    const struct layer_pass *pass; /* of the site's layer */
    const struct layer_pass
        *held; /* the layer moved with its input held fixed; NULL before the first such site of it */
    const struct probed_step *step;
    const struct step_samples *told;
};

/* The site without anything that moves. */
static struct site_update still(const struct measuring *m, struct row_range rows)
{
    const struct layer *layer = m->site->layer;
    return (struct site_update){
        .rows = rows.count,
        .size = m->site->size,
        .positions = 1,
        .gradient = layer_pass_gradient(m->pass, m->site->index) + rows.from * m->site->size,
        .input = m->pass->x + rows.from * layer->in,
        .input_size = layer->in,
    };
}

/* The update of some rows, in both views as they are asked for. */
static enum status update_rows(const struct measuring *m, struct row_range rows, struct site_update *ret_update,
                               struct error *err)
{
    const struct layer *layer = m->site->layer;
    size_t index = m->site->index;
    enum status status = STATUS_OK;
    bool moves = m->probe->layer_view && m->site->moves, linear = moves && layer->sites[index].linear;
    if (linear)
        status = layer->ops->effective_update(layer, m->pass, index, rows, m->step->delta + m->site->parameter_offset,
                                              &m->step->rule, ret_update, err);
    else
        *ret_update = still(m, rows);
    if (status == STATUS_OK && moves && !linear)
        ret_update->effective = m->held->changes[index] + rows.from * m->site->size;
    if (status == STATUS_OK && m->probe->network_view)
        ret_update->network = m->pass->changes[index] + rows.from * m->site->size;
    return status;
}

/* Fills probe->rows. What the site defines is told by *ret_update, whose arrays are gone. */
static enum status measure_rows(const struct measuring *m, struct site_update *ret_update, struct error *err)
{
    struct arena *arena = m->pass->arena;
    size_t most = probe_chunk_rows(m->site);
    for (size_t at = 0; at < m->told->count;) {
        struct row_range rows = next_rows(m->probe, at, m->told->count, most);
        struct arena_mark mark = arena_mark(arena);
        enum status status = update_rows(m, rows, ret_update, err);
        if (status != STATUS_OK)
            return status;
        for (size_t i = 0; i < rows.count; i++, at++)
            update_measure(ret_update, i, m->told->in_batch[at], &m->step->rule, &m->probe->rows[at]);
        arena_rewind(arena, mark);
    }
    return STATUS_OK;
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
            m->histogram_sizes[c] = histogram_encode(values + c, COLUMN_COUNT, m->batch_rows, at);
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

/* Finds who moved the measured samples and tells the observer. */
static enum status tell_contributors(const struct measuring *m, size_t place, const struct training_observer *observer,
                                     struct error *err)
{
    struct probe *probe = m->probe;
    size_t count = m->told->count, most = probe->contributors;
    enum status status = contributors_find(m->site->layer, m->pass, m->site->index, probe->picked, count, most,
                                           probe->others, probe->parts, probe->scratch, err);
    for (size_t i = 0; status == STATUS_OK && i < count * most; i++)
        probe->others[i] = m->step->samples[probe->others[i]];
    const struct site_contributors contributors = {
        .step = m->step->step,
        .site = place,
        .samples = m->told->samples,
        .row_count = count,
        .count = most,
        .others = probe->others,
        .parts = probe->parts,
        .rest = probe->scratch,
    };
    if (status == STATUS_OK && observer->contributors)
        status = observer->contributors(observer->context, &contributors, err);
    return status;
}

static enum status measure_site(const struct measuring *m, size_t place, const struct training_observer *observer,
                                struct error *err)
{
    struct site_update update = {0};
    enum status status = measure_rows(m, &update, err);
    if (status != STATUS_OK)
        return status;
    struct column_summary summaries[COLUMN_COUNT];
    struct site_measurement measurement = {
        .step = m->step->step,
        .site = place,
        .samples = m->told->samples,
        .rows = m->probe->rows,
        .row_count = m->told->count,
        .batch_rows = m->probe->batch_rows,
        .batch_size = m->step->batch,
    };
    summarise(m->probe, &update, &m->step->rule, summaries, &measurement);
    if (observer->measurement)
        status = observer->measurement(observer->context, &measurement, err);
    if (status == STATUS_OK && m->probe->contributors > 0 && update.factors && m->step->rule.plain)
        status = tell_contributors(m, place, observer, err);
    return status;
}

/* ------------------------------------------------------------------ the whole step */

/*
 * Moves a layer with its input held fixed, in a copy of its pass, which takes the sites' changes. A residual's
 * difference overwrites the changes of the layers that it holds: their sites come before its own, so they have been
 * measured.
 */
static enum status hold_input(struct measuring *m, struct error *err)
{
    const struct layer *layer = m->site->layer;
    struct layer_pass *held = arena_take(m->pass->arena, sizeof *held);
    real *change = arena_reals(m->pass->arena, m->pass->rows * layer->out);
    if (!held || !change)
        return error_no_memory(err);
    *held = *m->pass;
    held->record = true;
    held->changes[0] = change;
    m->held = held;
    return layer->ops->difference(layer, held, NULL, m->step->delta + m->site->parameter_offset, change, err);
}

static enum status measure_sites(struct probe *probe, const struct network *network, const struct network_pass *pass,
                                 const struct probed_step *step, const struct step_samples *told,
                                 const struct training_observer *observer, struct error *err)
{
    struct measuring m = {.probe = probe, .step = step, .told = told};
    struct arena_mark mark = arena_mark(pass->whole.arena);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < probe->site_count; i++) {
        const struct network_site *site = &network->sites[probe->sites[i]];
        if (!m.site || m.site->layer != site->layer) {
            arena_rewind(pass->whole.arena, mark);
            m.held = NULL;
        }
        m.site = site;
        m.pass = pass->all[site->layer->id];
        bool linear = site->moves && site->layer->sites[site->index].linear;
        if (probe->layer_view && site->moves && !linear && !m.held)
            status = hold_input(&m, err);
        if (status == STATUS_OK)
            status = measure_site(&m, i, observer, err);
    }
    arena_rewind(pass->whole.arena, mark);
    return status;
}

enum status probe_measure(struct probe *probe, const struct network *network, struct network_pass *pass,
                          const struct probed_step *step, const struct training_observer *observer, struct error *err)
{
    struct arena *arena = pass->whole.arena;
    struct arena_mark mark = arena_mark(arena);
    size_t count = pick_rows(probe, step);
    struct probed_step split = *step;
    split.rule.whole = !probe->split;
    step = &split;
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
    const size_t likeliest = network->classes < LIKELIEST ? network->classes : LIKELIEST;
    uint32_t *classes = arena_take(arena, count * likeliest * sizeof *classes);
    float *probabilities = arena_take(arena, count * likeliest * sizeof *probabilities);
    if (!classes || !probabilities)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        loss_likeliest(pass->logits + probe->picked[i] * network->classes, network->classes, likeliest,
                       classes + i * likeliest, probabilities + i * likeliest);
    struct step_samples told = {.step = step->step,
                                .samples = samples,
                                .losses = losses,
                                .labels = labels,
                                .predicted = predicted,
                                .in_batch = in_batch,
                                .count = count,
                                .likeliest = likeliest,
                                .classes = classes,
                                .probabilities = probabilities};
    enum status status = observer->samples ? observer->samples(observer->context, &told, err) : STATUS_OK;
    if (status == STATUS_OK && probe->network_view)
        status = network_difference(network, pass, step->delta, err);
    if (status == STATUS_OK)
        status = measure_sites(probe, network, pass, step, &told, observer, err);
    arena_rewind(arena, mark);
    return status;
}
