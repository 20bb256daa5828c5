/*
 * Gaussian classes from a seed, so that something runs with no data at all.
 *
 * Class c has a mean of length MEAN_LENGTH in a random direction; sample i is of class i mod classes and is
 * (mean + noise) · exp(norm_spread · N(0,1)), the noise being N(0,1) in each feature. The spread makes sample norms as
 * unequal as those of natural data, which is what separates the variants of a layer.
 */
#include <stdlib.h>

#include "core/dataset_internal.h"
#include "core/file_util.h"
#include "core/rng.h"

/* Near enough for the classes to overlap: two means are about 4.2 apart, the noise between them has deviation 1. */
#define MEAN_LENGTH 3.0

/* Streams of the generator, far from those of weights and sample order: both seeds are 1 by default. */
#define STREAM_MEANS UINT64_C(0x5359000000000000)
#define STREAM_TRAIN UINT64_C(0x5359000000000001)
#define STREAM_TEST UINT64_C(0x5359000000000002)

static const struct option options[] = {
    DATASET_COMMON_OPTIONS,
    {"classes", OPTION_INTEGER, "10", 2, 65536, .help = "number of classes"},
    {"features", OPTION_INTEGER, "64", 1, 1048576, .help = "length of a sample"},
    {"train", OPTION_INTEGER, "10000", 1, UINT32_MAX, .help = "training samples made"},
    {"test", OPTION_INTEGER, "2000", 0, UINT32_MAX, .help = "test samples made"},
    {"norm_spread", OPTION_NUMBER, "0.5", 0, 10, .help = "sample norms are multiplied by exp(norm_spread N(0,1))"},
    {"seed", OPTION_INTEGER, "1", 0, 9007199254740991, .help = "seed of the samples, apart from the seed of training"},
    OPTION_END,
};

static enum status inspect(const struct dataset_spec *spec, const char *folder, struct dataset_info *ret_info,
                           struct error *err)
{
    (void)folder;
    (void)err;
    *ret_info = (struct dataset_info){
        .shape = {1, {spec->features}},
        .classes = spec->classes,
        .train_count = spec->train,
        .test_count = spec->test,
        .sample_bytes = spec->features * sizeof(float),
    };
    return STATUS_OK;
}

static void make_means(const struct dataset_spec *spec, double *means)
{
    struct rng rng;
    rng_seed(&rng, spec->seed, STREAM_MEANS);
    for (size_t c = 0; c < spec->classes; c++) {
        double *mean = means + c * spec->features, squares = 0;
        for (size_t i = 0; i < spec->features; i++) {
            mean[i] = rng_normal(&rng);
            squares += mean[i] * mean[i];
        }
        for (size_t i = 0; i < spec->features; i++)
            mean[i] *= squares > 0 ? MEAN_LENGTH / sqrt(squares) : 0;
    }
}

static enum status make_split(const struct dataset_spec *spec, const double *means, uint64_t stream, size_t count,
                              struct dataset_split *split, struct error *err)
{
    struct rng rng;
    rng_seed(&rng, spec->seed, stream);
    enum status status = dataset_split_allocate(split, count, spec->features * sizeof(float), err);
    if (status != STATUS_OK)
        return status;
    float *values = split->values;
    for (size_t s = 0; s < count; s++, values += spec->features) {
        const double *mean = means + s % spec->classes * spec->features;
        double length = exp(spec->norm_spread * rng_normal(&rng));
        split->labels[s] = (uint32_t)(s % spec->classes);
        for (size_t i = 0; i < spec->features; i++)
            values[i] = (float)((mean[i] + rng_normal(&rng)) * length);
    }
    return STATUS_OK;
}

static enum status load(const struct dataset_spec *spec, const char *folder, struct dataset *dataset, struct error *err)
{
    (void)folder;
    size_t count;
    attribute_cleanup(cleanup_free) double *means =
        size_multiply(spec->classes, spec->features, &count) ? calloc(count, sizeof *means) : NULL;
    if (!means)
        return error_no_memory(err);
    make_means(spec, means);
    dataset->element = ELEMENT_FLOAT;
    enum status status =
        make_split(spec, means, STREAM_TRAIN, dataset->info.train_count, &dataset->splits[SPLIT_TRAIN], err);
    if (status == STATUS_OK)
        status = make_split(spec, means, STREAM_TEST, dataset->info.test_count, &dataset->splits[SPLIT_TEST], err);
    return status;
}

const struct dataset_loader dataset_synthetic = {
    .name = "synthetic",
    .options = options,
    .remedy = "it is made from its seed",
    .inspect = inspect,
    .load = load,
};
