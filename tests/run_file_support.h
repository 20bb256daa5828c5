/* A run that is told the same values whenever it is written, for the tests of its writer and of its reader. */
#ifndef PLUMBLINE_TESTS_RUN_FILE_SUPPORT_H
#define PLUMBLINE_TESTS_RUN_FILE_SUPPORT_H

#include "core/rng.h"
#include "server/json_util.h"
#include "server/migrate.h"
#include "server/run_file.h"
#include "tests/store_support.h"

#include <fcntl.h>

enum { SITES = 3, STEPS = 5, SAMPLES = 16, WATCHED = 2, ROWS = SAMPLES + WATCHED };

static const struct site_info sites[SITES] = {
    {"0.dense", "dense", NULL, "affine", 40, {1, {4}}, {1, {8}}},
    {"2.conv", "conv", NULL, "patch-l2", 100, {3, {1, 28, 28}}, {3, {2, 14, 14}}},
    {"3.attention.q", "attention", "q", NULL, 10, {2, {7, 4}}, {2, {7, 4}}},
};
static const struct training_plan plan = {STEPS, STEPS, 1, STEPS, 150, sites, SITES};

/* A value of a run, the same whenever it is asked for: signed, over several decades, undefined now and then. */
static inline double value_of(size_t site, size_t step, size_t row, int column)
{
    struct rng rng;
    rng_seed(&rng, site * 1000003 + step * 1009 + row, (uint64_t)column);
    if (column == COLUMN_NETWORK_SCALE)
        return NAN; /* a column that no site has */
    if (column == COLUMN_SCALE && rng_uniform(&rng) < 0.1)
        return NAN;
    if (column == COLUMN_COSINE)
        return 2 * rng_uniform(&rng) - 1;
    return rng_normal(&rng) * pow(10, 4 * rng_uniform(&rng) - 2);
}

static inline uint32_t sample_of(size_t step, size_t row)
{
    return (uint32_t)((row * 7 + step * 3) % 1000); /* in no order, each once */
}

/* What a probe would tell, made from value_of. */
struct told {
    struct divergence_row rows[ROWS];
    uint32_t samples[ROWS];
    struct column_summary summaries[COLUMN_COUNT];
    uint8_t histograms[COLUMN_COUNT][SAMPLES * 6];
    uint8_t densities[DENSITY_COUNT][SAMPLES * 8];
    struct site_measurement measurement;
};

static inline void make_measurement(struct told *told, size_t site, size_t step)
{
    double scratch[SAMPLES];
    uint32_t bins[SAMPLES];
    struct site_measurement *m = &told->measurement;
    *m = (struct site_measurement){.step = step,
                                   .site = site,
                                   .samples = told->samples,
                                   .rows = told->rows,
                                   .row_count = ROWS,
                                   .batch_rows = SAMPLES,
                                   .batch_size = SAMPLES,
                                   .summaries = told->summaries,
                                   .figures = {(double)step, 0.5, NAN, 0.25}};
    for (size_t row = 0; row < ROWS; row++) {
        told->samples[row] = sample_of(step, row);
        for (int column = 0; column < COLUMN_COUNT; column++)
            told->rows[row].values[column] = value_of(site, step, row, column);
    }
    for (int column = 0; column < COLUMN_COUNT; column++) {
        const double *values = &told->rows[0].values[column];
        column_summarise(values, COLUMN_COUNT, SAMPLES, scratch, &told->summaries[column]);
        m->histograms[column] = told->histograms[column];
        if (column != COLUMN_NETWORK_SCALE)
            m->histogram_sizes[column] = histogram_encode(values, COLUMN_COUNT, SAMPLES, told->histograms[column]);
    }
    for (int pair = 0; pair < DENSITY_COUNT; pair++) {
        m->densities[pair] = told->densities[pair];
        m->density_sizes[pair] =
            density_encode((enum density_pair)pair, told->rows, SAMPLES, told->densities[pair], bins);
    }
}

static inline struct run_writer *open_writer(const char *path, int attempt)
{
    const struct run_identity identity = {
        .spec_text = "{}", .spec_hash = "abc", .name = "a run", .attempt = attempt, .threads = 2};
    struct run_writer *writer;
    struct error err;
    assert_ok(run_writer_open(path, &identity, &writer, &err));
    return writer;
}

static inline void write_step(struct run_writer *writer, size_t step)
{
    struct told told;
    struct error err;
    double losses[ROWS];
    uint32_t labels[ROWS], predicted[ROWS];
    bool in_batch[ROWS];
    make_measurement(&told, 0, step);
    for (size_t row = 0; row < ROWS; row++) {
        losses[row] = row == 3 ? INFINITY : 0.1 * (double)row;
        labels[row] = (uint32_t)row % 10;
        predicted[row] = (uint32_t)(row + 1) % 10;
        in_batch[row] = row < SAMPLES;
    }
    const uint32_t classes[2 * ROWS] = {7, 300};
    const float probabilities[2 * ROWS] = {0.75F, 0.125F};
    const struct step_samples samples = {step,     told.samples, losses, labels,  predicted,
                                         in_batch, ROWS,         2,      classes, probabilities};
    assert_ok(run_writer_samples(writer, &samples, &err));
    for (size_t site = 0; site < SITES; site++) {
        make_measurement(&told, site, step);
        assert_ok(run_writer_measurement(writer, &told.measurement, &err));
    }
    assert_ok(run_writer_scalar(writer, step, "train/loss", 1.0 / (double)step, &err));
}

/* A whole run at `path`, sealed. */
static inline void write_run(const char *path)
{
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_ok(run_writer_plan(writer, &plan, &err));
    for (size_t step = 1; step <= STEPS; step++)
        write_step(writer, step);
    assert_ok(run_writer_log(writer, "info", "one", &err));
    assert_ok(run_writer_log(writer, "warning", "two", &err));
    assert_ok(run_writer_log(writer, "info", "three", &err));
    assert_ok(run_writer_checkpoint(writer, 2, "old", 3, &err));
    assert_ok(run_writer_checkpoint(writer, 4, "newer", 5, &err));
    assert_ok(run_writer_weights(writer, "tensors", 7, &err));
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
}

static inline struct run_reader *open_reader(const char *path)
{
    struct run_reader *reader;
    struct error err;
    assert_ok(run_reader_open(path, &reader, &err));
    return reader;
}

static inline struct divergence_query any(void)
{
    return (struct divergence_query){.sample = -1};
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
