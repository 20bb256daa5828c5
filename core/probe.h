/*
 * The probe: at chosen steps it measures, for every sample and site, the ideal update against the effective one
 * (theory.md §5), and summarises them as plots will read them.
 *
 * It takes x, g and u from the pass that the step was computed from, and Δθ from the optimiser; it changes nothing but
 * the pass's record of changes. Its memory is bounded: some rows of one site at a time, all rows of one layer where a
 * site is not linear in its parameters, all changes of one pass in the network view, and the arena is left as it was.
 */
#ifndef PLUMBLINE_CORE_PROBE_H
#define PLUMBLINE_CORE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/network.h"
#include "core/spec.h"
#include "core/status.h"
#include "core/trainer.h"
#include "core/update.h"

struct probe {
    size_t *sites; /* indices of network->sites that are measured */
    size_t site_count;
    const uint32_t *watch; /* samples of the training set that are always measured; borrowed */
    size_t watch_count;
    size_t batch_rows; /* of the batch's rows, the first so many are measured and summarised */
    size_t capacity;   /* rows at most: batch_rows + watch_count */
    bool layer_view, network_view;
    /* True unless what they cost is being measured: */
    bool split;          /* interference into within and across */
    bool loss_after;     /* the loss on the mini-batch after the step */
    size_t contributors; /* of each sample so many others are told; 0: none */
    size_t *picked;      /* the measured rows of the pass: the batch's, then the watched ones */
    /* reused for each site */
    struct divergence_row *rows;
    double *scratch;
    uint32_t *bins;
    uint8_t *bytes;
    uint32_t *others; /* of contributors */
    double *parts;
};

/* Where a probed step's rows came from: rows 0 … batch−1 are the mini-batch, the others watched samples besides. */
struct probed_step {
    size_t step;
    size_t rows, batch;
    const uint32_t *samples; /* index in the training set, one a row */
    const uint32_t *labels, *predicted;
    const double *losses;
    struct step_rule rule;
    const real *delta; /* Δθ of the whole network */
};

/*
 * Rows of one site whose Δz is made at a time: as many as stay in the second-level cache, but not so few that a product
 * with a layer's whole step would be thin.
 */
size_t probe_chunk_rows(const struct network_site *site);

/* Bytes of the probe's own tables for each row that it can measure. */
size_t probe_row_bytes(size_t contributors);

/* Whether a site of the network is measured; how many rows of a mini-batch are, besides the watched samples. */
bool probe_takes_site(const struct probe_spec *spec, const struct network_site *site);
size_t probe_batch_rows(const struct probe_spec *spec, size_t batch);

/* For mini-batches of `batch`; `spec` lives as long. The caller frees by probe_free. */
enum status probe_init(struct probe *probe, const struct probe_spec *spec, const struct network *network, size_t batch,
                       struct error *err);
void probe_free(struct probe *probe);

/*
 * Measures all sites after the backward pass, with the parameters still those that the step starts from, and tells the
 * observer: samples first, then site by site.
 */
enum status probe_measure(struct probe *probe, const struct network *network, struct network_pass *pass,
                          const struct probed_step *step, const struct training_observer *observer, struct error *err);

#endif
