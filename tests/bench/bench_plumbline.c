/*
 * Times training steps in short blocks, in turn without the probe and with the probe at every step and its rows written
 * to SQLite: the rows that the peer writes, the summaries and histograms besides, the split of the interference
 * besides, and all of it with the loss after the step. Prints one JSON line; see bench.mjs.
 *
 *     bench_plumbline MODEL DATASETS RUN.db BLOCKS SECONDS     MODEL: mlp, cnn, patchnorm or vit
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/trainer_internal.h"
#include "server/run_file.h"

struct model {
    const char *name, *model, *sites; /* as in a spec */
    int batch;
};

#define VIT_BLOCK                                                                                                      \
    "{\"type\": \"residual\", \"layers\": [{\"type\": \"attention\", \"heads\": 4}]}, {\"type\": \"residual\", "       \
    "\"layers\": [{\"type\": \"dense\", \"units\": 256}, {\"type\": \"leaky-relu\"}, {\"type\": \"dense\", "           \
    "\"units\": 64}]}"
#define VIT_SITES(block, next)                                                                                         \
    "\"" block ".0.attention.q\", \"" block ".0.attention.k\", \"" block ".0.attention.v\", \"" block                  \
    ".0.attention.o\", \"" next ".0.dense\", \"" next ".2.dense\""

/* The peer's networks, and the sites that it measures. */
static const struct model models[] = {
    {"mlp",
     "{\"preset\": \"mlp\", \"width\": 128, \"depth\": 3, \"activation\": \"leaky-relu\", \"variant\": \"affine\"}",
     "\"all\"", 128},
    {"cnn", "{\"preset\": \"cnn\", \"channels\": [32, 64], \"variant\": \"affine\"}", "\"all\"", 64},
    {"patchnorm", "{\"preset\": \"cnn\", \"channels\": [32, 64], \"variant\": \"patch-affine-like\"}", "\"all\"", 64},
    {"vit",
     "{\"layers\": [{\"type\": \"patch-embed\", \"patch\": 4, \"dim\": 64, \"positions\": true}, " VIT_BLOCK
     ", " VIT_BLOCK ", {\"type\": \"mean-tokens\"}, {\"type\": \"dense\", \"units\": 10}]}",
     "[\"0.patch-embed\", " VIT_SITES("1", "2") ", " VIT_SITES("3", "4") ", \"6.dense\"]", 64},
};

static void fail(const char *what, const struct error *err)
{
    fprintf(stderr, "bench_plumbline: %s: %s\n", what, err->text);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Without the probe; with the peer's rows; with summaries besides; with the split; with all that a run has. */
enum kind { PROBE_OFF, PROBE_ROWS, PROBE_SUMMARIES, PROBE_SPLIT, PROBE_WHOLE, KINDS };
static const char *const kind_names[KINDS] = {"off", "rows", "summaries", "split", "whole"};

struct bench {
    struct spec *spec;
    struct trainer *trainer;
    struct run_writer *writer;
    struct training_observer observer;
    enum kind kind;
};

/* ------------------------------------------------------------------ a run that is written */

static enum status on_samples(void *context, const struct step_samples *samples, struct error *err)
{
    struct bench *bench = context;
    return run_writer_samples(bench->writer, samples, err);
}

static enum status on_measurement(void *context, const struct site_measurement *measurement, struct error *err)
{
    struct bench *bench = context;
    struct site_measurement told = *measurement;
    if (bench->kind == PROBE_ROWS) { /* they are made all the same, and not written */
        memset(told.histogram_sizes, 0, sizeof told.histogram_sizes);
        memset(told.density_sizes, 0, sizeof told.density_sizes);
    }
    return run_writer_measurement(bench->writer, &told, err);
}

static enum status on_scalars(void *context, size_t step, const struct scalar *scalars, size_t count, struct error *err)
{
    struct bench *bench = context;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = run_writer_scalar(bench->writer, step, scalars[i].key, scalars[i].value, err);
    return status;
}

/* ------------------------------------------------------------------ timing */

/* Steps per second of wall and of processor time. */
struct speed {
    double wall, cpu;
};

static struct speed run_block(struct bench *bench, enum kind kind, double seconds)
{
    struct error err;
    bench->kind = kind;
    bench->spec->probe.schedule = kind == PROBE_OFF ? PROBE_NONE : PROBE_EVERY;
    bench->trainer->probe.split = kind >= PROBE_SPLIT;
    bench->trainer->probe.loss_after = kind == PROBE_WHOLE;
    double wall = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    size_t steps = 0;
    while (seconds_of(CLOCK_MONOTONIC) - wall < seconds) {
        if (trainer_run(bench->trainer, trainer_step(bench->trainer) + 1, &bench->observer, &err) != STATUS_OK)
            fail("a step", &err);
        steps++;
    }
    if (run_writer_commit(bench->writer, &err) != STATUS_OK)
        fail("a commit", &err);
    wall = seconds_of(CLOCK_MONOTONIC) - wall;
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    return (struct speed){(double)steps / wall, (double)steps / cpu};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* ------------------------------------------------------------------ making */

static struct spec *make_spec(const struct model *model)
{
    char text[4096];
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    snprintf(text, sizeof text,
             "{\"dataset\": {\"name\": \"cifar-10\", \"test_limit\": 0}, \"model\": %s, \"batch_size\": %d, "
             "\"optimiser\": {\"learning_rate\": 0.01}, \"epochs\": 1000, \"probe\": {\"schedule\": \"every\", "
             "\"sites\": %s}}",
             model->model, model->batch, model->sites);
    json_t *json = json_loads(text, 0, NULL);
    if (!json || problem_list_init(&problems, &err) != STATUS_OK)
        return NULL;
    if (spec_parse(json, &spec, &problems, &err) != STATUS_OK)
        fail("the spec", &err);
    problem_list_clear(&problems);
    json_decref(json);
    return spec;
}

static const struct model *find_model(const char *name)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct model *model = argc == 6 ? find_model(argv[1]) : NULL;
    int blocks = argc == 6 ? atoi(argv[4]) : 0;
    double seconds = argc == 6 ? atof(argv[5]) : 0;
    if (!model || blocks < 1 || blocks > 99 || !(seconds > 0)) {
        fprintf(stderr, "usage: bench_plumbline mlp|cnn|patchnorm|vit DATASETS RUN.db BLOCKS SECONDS\n");
        return 2;
    }
    const char *const paths[] = {argv[2], NULL};
    const struct dataset_folders folders = {.paths = paths};
    struct error err;
    struct dataset *dataset = NULL;
    struct bench bench = {.spec = make_spec(model)};
    if (dataset_load(&bench.spec->dataset, &folders, &dataset, &err) != STATUS_OK)
        fail("the data set", &err);
    if (trainer_create(bench.spec, dataset, NULL, &bench.trainer, &err) != STATUS_OK)
        fail("the trainer", &err);
    const struct run_identity identity = {
        .spec_text = "{}", .spec_hash = bench.spec->hash, .name = "bench", .attempt = 1};
    if (run_writer_open(argv[3], &identity, &bench.writer, &err) != STATUS_OK ||
        run_writer_plan(bench.writer, trainer_plan(bench.trainer), &err) != STATUS_OK)
        fail("the run file", &err);
    bench.observer = (struct training_observer){
        .context = &bench, .samples = on_samples, .measurement = on_measurement, .scalars = on_scalars};
    double wall[KINDS][99], cpu[KINDS][99];
    for (int block = -1; block < blocks; block++) /* the first is thrown away */
        for (int kind = 0; kind < KINDS; kind++) {
            struct speed speed = run_block(&bench, (enum kind)kind, seconds);
            if (block < 0)
                continue;
            wall[kind][block] = speed.wall;
            cpu[kind][block] = speed.cpu;
        }
    json_t *line = json_pack("{s:s, s:s}", "model", model->name, "kernel", blas_kernel());
    for (int kind = 0; kind < KINDS; kind++)
        json_object_set_new(line, kind_names[kind],
                            json_pack("{s:f, s:f}", "wall", median(wall[kind], (size_t)blocks), "cpu",
                                      median(cpu[kind], (size_t)blocks)));
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    puts(text ? text : "");
    free(text);
    json_decref(line);
    if (run_writer_seal(bench.writer, "finished", NULL, &err) != STATUS_OK)
        fail("sealing", &err);
    trainer_free(bench.trainer);
    dataset_free(dataset);
    spec_free(bench.spec);
    return 0;
}
