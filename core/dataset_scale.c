/*
 * Scaling: the figures of the training samples, and gathering mini-batches by them.
 *
 * Every scaling is out = (value − shift) · factor with a shift and a factor for the whole sample, for each channel, or
 * for each feature. It is computed in double where a large common part could cancel; bytes have none, and are scaled as
 * reals, twice as fast.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/dataset_internal.h"
#include "core/vector.h"

/* ------------------------------------------------------------------ one sample */

#define DEFINE_SCALE(name, type, work)                                                                                 \
    MULTIVERSION                                                                                                       \
    static void name(const struct scaler *scaler, const void *values, real *ret_scaled)                                \
    {                                                                                                                  \
        const double *shift = scaler->shift, *factor = scaler->factor;                                                 \
        size_t run = scaler->run;                                                                                      \
        for (size_t g = 0; g < scaler->groups; g++) {                                                                  \
            const type *x = (const type *)values + g * run;                                                            \
            real *restrict z = ret_scaled + g * run;                                                                   \
            if (scaler->repeated) {                                                                                    \
                for (size_t i = 0; i < run; i++)                                                                       \
                    z[i] = (real)(((work)x[i] - (work)shift[i]) * (work)factor[i]);                                    \
                continue;                                                                                              \
            }                                                                                                          \
            work a = (work)shift[g], b = (work)factor[g];                                                              \
            for (size_t i = 0; i < run; i++)                                                                           \
                z[i] = (real)(((work)x[i] - a) * b);                                                                   \
        }                                                                                                              \
    }

DEFINE_SCALE(scale_bytes, uint8_t, real)
DEFINE_SCALE(scale_floats, float, double)
DEFINE_SCALE(scale_doubles, double, double)

static const scale_function scale_functions[ELEMENT_COUNT] = {
    [ELEMENT_BYTE] = scale_bytes, [ELEMENT_FLOAT] = scale_floats, [ELEMENT_DOUBLE] = scale_doubles};

void dataset_gather(const struct dataset *dataset, enum split split, const uint32_t *indices, size_t count,
                    real *ret_samples, uint32_t *ret_labels)
{
    const struct dataset_split *from = &dataset->splits[split];
    size_t size = dataset->scaler.groups * dataset->scaler.run;
    for (size_t i = 0; i < count; i++) {
        assert(indices[i] < from->count);
        const char *values = (const char *)from->values + indices[i] * dataset->info.sample_bytes;
        dataset->scaler.scale(&dataset->scaler, values, ret_samples + i * size);
        ret_labels[i] = from->labels[indices[i]];
    }
}

/* ------------------------------------------------------------------ figures of the training samples */

/* What the samples say of each figure: a whole sample, a channel, or a feature. */
struct figures {
    size_t count;
    double *mean, *variance, *minimum, *maximum; /* views of one block */
};

static void cleanup_figures(struct figures *figures)
{
    free(figures->mean);
}

static enum status figures_init(struct figures *figures, size_t count, struct error *err)
{
    double *block = calloc(count, 4 * sizeof *block);
    if (!block)
        return error_no_memory(err);
    *figures = (struct figures){count, block, block + count, block + 2 * count, block + 3 * count};
    for (size_t i = 0; i < count; i++) {
        figures->minimum[i] = INFINITY;
        figures->maximum[i] = -INFINITY;
    }
    return STATUS_OK;
}

static double element_value(enum element element, const void *values, size_t i)
{
    switch (element) {
    case ELEMENT_BYTE:
        return ((const uint8_t *)values)[i];
    case ELEMENT_FLOAT:
        return (double)((const float *)values)[i];
    default:
        return ((const double *)values)[i];
    }
}

/* Calls `add(figures, figure, value)` for every element of the training samples. */
static inline void for_each_element(struct figures *figures, const struct dataset *dataset, const struct scaler *scaler,
                                    void (*add)(struct figures *figures, size_t figure, double value))
{
    const struct dataset_split *train = &dataset->splits[SPLIT_TRAIN];
    for (size_t s = 0; s < train->count; s++) {
        const char *values = (const char *)train->values + s * dataset->info.sample_bytes;
        for (size_t g = 0; g < scaler->groups; g++) {
            size_t group_figure = figures->count == 1 ? 0 : g;
            for (size_t i = 0; i < scaler->run; i++)
                add(figures, scaler->repeated ? i : group_figure,
                    element_value(dataset->element, values, g * scaler->run + i));
        }
    }
}

static inline void add_value(struct figures *figures, size_t figure, double value)
{
    figures->mean[figure] += value;
    figures->minimum[figure] = value < figures->minimum[figure] ? value : figures->minimum[figure];
    figures->maximum[figure] = value > figures->maximum[figure] ? value : figures->maximum[figure];
}

static inline void add_deviation(struct figures *figures, size_t figure, double value)
{
    double deviation = value - figures->mean[figure];
    figures->variance[figure] += deviation * deviation;
}

/* Two passes: means and bounds first, then the deviations from the means. */
static void figures_measure(struct figures *figures, const struct dataset *dataset, const struct scaler *scaler)
{
    size_t values = dataset->splits[SPLIT_TRAIN].count * (shape_size(&dataset->info.shape) / figures->count);
    for_each_element(figures, dataset, scaler, add_value);
    for (size_t f = 0; f < figures->count; f++)
        figures->mean[f] /= (double)values;
    for_each_element(figures, dataset, scaler, add_deviation);
    for (size_t f = 0; f < figures->count; f++)
        figures->variance[f] /= (double)values;
}

/* ------------------------------------------------------------------ setting the scaler */

/* How a sample is cut into runs, and how many figures it has. Returns the number of figures. */
static size_t set_layout(struct scaler *scaler, const struct shape *shape, enum scaling scaling)
{
    *scaler = (struct scaler){.groups = 1, .run = shape_size(shape)};
    if (scaling != SCALING_STANDARD || shape->rank == 1)
        return 1;
    scaler->groups = shape->dims[0];
    scaler->run = scaler->run / scaler->groups;
    scaler->repeated = shape->rank == 2;
    return scaler->repeated ? scaler->run : scaler->groups;
}

/* A figure that never varies is taken as having deviation 1 (and range 1): its samples become 0. */
static void set_from_figures(struct scaler *scaler, const struct figures *figures, enum scaling scaling)
{
    for (size_t f = 0; f < figures->count; f++) {
        bool varies = figures->maximum[f] > figures->minimum[f];
        double range = figures->maximum[f] - figures->minimum[f], deviation = sqrt(figures->variance[f]);
        double spread = scaling == SCALING_UNIT ? range : deviation;
        scaler->shift[f] = scaling == SCALING_UNIT || !varies ? figures->minimum[f] : figures->mean[f];
        scaler->factor[f] = varies && spread > 0 ? 1 / spread : 1;
    }
}

enum status dataset_scaler_init(struct dataset *dataset, enum scaling scaling, struct error *err)
{
    struct scaler *scaler = &dataset->scaler;
    size_t count = set_layout(scaler, &dataset->info.shape, scaling);
    scaler->scale = scale_functions[dataset->element];
    scaler->shift = calloc(count, sizeof *scaler->shift);
    scaler->factor = calloc(count, sizeof *scaler->factor);
    if (!scaler->shift || !scaler->factor)
        return error_no_memory(err);
    scaler->factor[0] = 1;
    if (scaling == SCALING_NONE)
        return STATUS_OK;
    if (scaling == SCALING_UNIT && dataset->element == ELEMENT_BYTE) {
        scaler->factor[0] = 1.0 / 255;
        return STATUS_OK;
    }
    attribute_cleanup(cleanup_figures) struct figures figures = {0};
    enum status status = figures_init(&figures, count, err);
    if (status != STATUS_OK)
        return status;
    figures_measure(&figures, dataset, scaler);
    set_from_figures(scaler, &figures, scaling);
    return STATUS_OK;
}
