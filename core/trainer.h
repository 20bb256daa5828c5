/*
 * Training one network by a spec, with a probe that measures and an observer that is told.
 *
 * The trainer is one thread's. It writes nothing and logs nothing: all that leaves goes through the observer, in step
 * order. The same spec gives the same bits (times excepted).
 */
#ifndef PLUMBLINE_CORE_TRAINER_H
#define PLUMBLINE_CORE_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/blas.h"
#include "core/dataset.h"
#include "core/divergence.h"
#include "core/divergence_stats.h"
#include "core/safetensors.h"
#include "core/spec.h"
#include "core/status.h"

/* An activation that is measured. Names as product.md: "1.dense". Strings live as long as the trainer. */
struct site_info {
    const char *name;
    const char *type;    /* of the layer */
    const char *part;    /* "q", "logits", …; NULL where the layer has one site */
    const char *variant; /* NULL where it has none */
    size_t parameters;
    struct shape input, output; /* of one sample */
};

/* The plan, known before the first step. */
struct training_plan {
    size_t steps, steps_per_epoch, epochs, probed_steps;
    size_t parameters;
    const struct site_info *sites; /* the probed ones, in depth order */
    size_t site_count;
};

/* One value of a series: keys as product.md, "train/loss". */
struct scalar {
    const char *key;
    double value; /* may be NaN or infinite */
};

/* What was measured at one step and site. Valid during the call only. */
struct site_measurement {
    size_t step;
    size_t site; /* index into the plan's sites */
    /* The batch's samples that are measured, in batch order, then watched samples besides. */
    const uint32_t *samples; /* index in the training set */
    const struct divergence_row *rows;
    size_t row_count;
    size_t batch_rows; /* the first so many are of the batch; summaries, histograms and figures cover these */
    size_t batch_size; /* batch_rows < batch_size when probe.samples limits them */
    const struct column_summary *summaries; /* COLUMN_COUNT of them */
    const uint8_t *histograms[COLUMN_COUNT];
    size_t histogram_sizes[COLUMN_COUNT]; /* 0 where every value is undefined by definition of the site */
    const uint8_t *densities[DENSITY_COUNT];
    size_t density_sizes[DENSITY_COUNT];
    struct batch_figures figures;
};

/* Of a sample's classes so many are told, or all where there are fewer. */
enum { LIKELIEST = 5 };

/* What is the same for all sites of a probed step: one entry a measured sample. Valid during the call only. */
struct step_samples {
    size_t step;
    const uint32_t *samples;
    const double *losses; /* of the pass the step was computed from */
    const uint32_t *labels, *predicted;
    const bool *in_batch;
    size_t count;
    size_t likeliest; /* of each sample so many classes, likeliest first, with their probabilities */
    const uint32_t *classes;
    const float *probabilities;
};

/*
 * Who moved the measured samples at one step and site, along their ideal step: of each sample the strongest other
 * samples of the batch, strongest first, with their parts of its scale −η k_ij g_j·a_i/‖a_i‖² (theory.md §2), and the
 * sum of the parts of all the rest. Of a sample without a gradient all parts are NaN. Valid during the call only.
 */
struct site_contributors {
    size_t step;
    size_t site;
    const uint32_t *samples; /* index in the training set, one a row */
    size_t row_count;
    size_t count;           /* others a row */
    const uint32_t *others; /* row_count × count: indices in the training set */
    const double *parts;    /* row_count × count */
    const double *rest;     /* one a row */
};

/*
 * Told what happens. A callback that returns something else than STATUS_OK ends training with that status, its message
 * in `err`. Order within a step: samples, then measurement and contributors site by site, scalars, step_done. NULL
 * callbacks are skipped.
 */
struct training_observer {
    void *context;
    enum status (*samples)(void *context, const struct step_samples *samples, struct error *err);
    enum status (*measurement)(void *context, const struct site_measurement *measurement, struct error *err);
    /* Where the spec asks for contributors, at sites with a self factor. */
    enum status (*contributors)(void *context, const struct site_contributors *contributors, struct error *err);
    enum status (*scalars)(void *context, size_t step, const struct scalar *scalars, size_t count, struct error *err);
    /* After everything of `step` was told: the place to commit, to report progress, and to ask for a stop by
     * returning STATUS_STOPPED. `epoch` counts from 1. */
    enum status (*step_done)(void *context, size_t step, size_t epoch, struct error *err);
};

struct trainer; /* opaque */

/*
 * Builds network, optimiser and probe. `dataset` and `spec` are borrowed for the trainer's life. `weights` (may be
 * NULL) are initial values in place of the random ones; a tensor that is missing, superfluous or misshapen is refused
 * by name. Sets OpenBLAS's threads.
 */
enum status trainer_create(const struct spec *spec, const struct dataset *dataset, const struct tensor_list *weights,
                           struct trainer **ret_trainer, struct error *err);
void trainer_free(struct trainer *trainer);
void cleanup_trainer(struct trainer **trainer);

const struct training_plan *trainer_plan(const struct trainer *trainer);

/*
 * Trains from the present step to step `until` (SIZE_MAX: to the end). STATUS_NOT_FINITE: diverged, `err` names the
 * step and the site or quantity that first showed it; all earlier steps were told in full. After any failure but that
 * of step_done, which comes between two steps, the trainer is within a step and can only be freed.
 */
enum status trainer_run(struct trainer *trainer, size_t until, const struct training_observer *observer,
                        struct error *err);

/* The last step that was completed (0 before the first). */
size_t trainer_step(const struct trainer *trainer);

/*
 * The exact state after a completed step: weights, optimiser state, running statistics, random state, data position.
 * Restoring it in a trainer of the same spec and going on gives the same bits. The caller frees *ret_bytes.
 */
enum status trainer_save(const struct trainer *trainer, uint8_t **ret_bytes, size_t *ret_size, struct error *err);
enum status trainer_restore(struct trainer *trainer, const uint8_t *bytes, size_t size, struct error *err);

/* Copies of the parameters and buffers, named and shaped as PyTorch has them; the caller clears the list. */
enum status trainer_weights(const struct trainer *trainer, struct tensor_list *ret_list, struct error *err);

#endif
