/*
 * A job's specification: what to train on what, and what to measure.
 *
 * A spec is JSON. spec_parse checks it, writes out every default, expands presets into layers, and gives the typed view
 * that the trainer reads. The expanded JSON is what is stored, hashed and shown.
 */
#ifndef PLUMBLINE_CORE_SPEC_H
#define PLUMBLINE_CORE_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/option.h"
#include "core/status.h"

enum optimiser_name { OPTIMISER_SGD, OPTIMISER_ADAM, OPTIMISER_ADAMW };
enum schedule_name { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_STEP };

/* What the name or the schedule does not take is 0. */
struct optimiser_spec {
    enum optimiser_name name;
    double learning_rate, weight_decay;
    double momentum; /* of sgd */
    bool nesterov;
    double beta1, beta2, epsilon; /* of adam and adamw */
    enum schedule_name schedule;
    size_t step_every; /* of SCHEDULE_STEP */
    double step_factor;
    size_t warmup_steps;
};

enum probe_schedule { PROBE_NONE, PROBE_EVERY, PROBE_LOG, PROBE_EPOCHS };

struct probe_spec {
    enum probe_schedule schedule;
    size_t every;          /* of PROBE_EVERY: steps 1, 1 + every, … */
    size_t count;          /* of PROBE_LOG, ≥ 2: distinct values of round(T^(j/(count−1))), j = 0 … count−1 */
    size_t samples;        /* the first so many of the shuffled batch; SIZE_MAX is all */
    const uint32_t *watch; /* indices of training samples measured at every probed step */
    size_t watch_count;
    const char *const *sites; /* names; NULL is all that move in the layer view */
    size_t site_count;
    bool layer_view, network_view;
    size_t contributors; /* of each sample and site, so many other samples that moved it most; 0: none */
};

struct spec {
    json_t *expanded; /* the whole spec with all defaults; owned */
    char hash[65];    /* SHA-256, lower-case hex, of `expanded` without what changes no result, see spec_hash */
    char former[65];  /* what its hash was while reals were hashed with 17 digits: earlier run files have that */
    const char *name;
    struct dataset_spec dataset;
    const json_t *layers;        /* the expanded array of layer objects, borrowed from `expanded` */
    const struct preset *preset; /* that they were given as (spec_internal.h); NULL where they were written out */
    struct optimiser_spec optimiser;
    size_t batch_size, epochs;
    uint64_t seed;
    struct probe_spec probe;
    int threads, priority;
    size_t checkpoint_every;
    int64_t memory_limit; /* bytes; 0: none */
    double time_limit;    /* seconds; 0: none */
    const char *weights;  /* a path below `weights/`, or NULL */
    /* owned storage of the typed view */
    uint32_t *watch_storage;
    const char **site_storage;
};

/*
 * Parses and expands `json` (borrowed). On success *ret_spec is owned by the caller (spec_free). STATUS_INVALID when
 * `problems` has faults; no data set is looked at.
 */
enum status spec_parse(const json_t *json, struct spec **ret_spec, struct problem_list *problems, struct error *err);

/*
 * The same as a person gives it, with the data sets at hand (`folders`; NULL: not): where a preset's data set does not
 * name its classes (npy), those that its files have make the width of the last layer.
 */
enum status spec_parse_given(const json_t *json, const struct dataset_folders *folders, struct spec **ret_spec,
                             struct problem_list *problems, struct error *err);

/*
 * Reads a spec that a person gives from a file (its text first: malformed JSON is STATUS_INVALID with line and
 * column).
 */
enum status spec_read(const char *path, const struct dataset_folders *folders, struct spec **ret_spec,
                      struct problem_list *problems, struct error *err);

/* SHA-256 in lower-case hex of what makes two runs the same: all but name, tags, priority, checkpoint_every,
 * memory_limit, time_limit. */
enum status spec_hash(const json_t *expanded, char ret_hash[65], char ret_former[65], struct error *err);

void spec_free(struct spec *spec);
void cleanup_spec(struct spec **spec);

/*
 * Checks what needs the machine, that it has as many cores as the spec wants threads, and the data set's shape: its
 * presence, that each layer fits its input, that the last layer gives one value a class, that batch_size ≤ training
 * samples, that probe.sites exist (those of layers without parameters in the network view only), that probe.watch lies
 * in the training set, and that initial weights are there and fit.
 *
 * `ret_cost` (may be NULL) gets a new object with "layers" [{"index", "type", "variant", "shape", "parameters",
 * "flops", "memory"}] (operations and bytes of a step), "sites" (names), "network_sites" (of layers without parameters,
 * which move in the network view only), "parameters", "steps", "steps_per_epoch", "probed_steps", "probe_rows" (at
 * most), "flops_per_step", "memory" {"samples", "parameters", "step", "probe", "evaluation", "saving", "total"} (bytes
 * at most, of this job besides what every worker takes), "warnings" [sentences].
 *
 * STATUS_NOT_FOUND where the data set is missing, STATUS_CORRUPT or STATUS_IO where its files cannot be used (each with
 * a fault at /dataset/name or /dataset/path), STATUS_INVALID for other faults. One of a preset's layers lies at the
 * preset's key of that name, such as /model/patch, else at /model, and says which layer it is.
 */
enum status spec_check(const struct spec *spec, const struct dataset_folders *folders, json_t **ret_cost,
                       struct problem_list *problems, struct error *err);

/* A checkpoint (trainer_save) is one row of a run's file, and SQLite's rows have at most a billion bytes. */
#define CHECKPOINT_MOST_BYTES 999e6

/* Samples of the test set that are evaluated at once. */
enum { EVALUATION_ROWS = 256 };

/*
 * The processor cores of this machine: OpenBLAS silently takes no more threads, and a spec with more would tell
 * something that was not so.
 */
int spec_most_threads(void);

/* The number of steps of an epoch (an incomplete last mini-batch is dropped) with `train_count` samples. */
size_t spec_steps_per_epoch(const struct spec *spec, size_t train_count);

/* Whether step `step` (from 1) of `steps` is probed. */
bool spec_step_is_probed(const struct spec *spec, size_t step, size_t steps, size_t steps_per_epoch);

/* How many of `steps`, all of the run, are probed. */
size_t spec_probed_steps(const struct spec *spec, size_t steps);

#endif
