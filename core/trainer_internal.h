/* The trainer's state, shared by trainer.c and checkpoint.c. */
#ifndef PLUMBLINE_CORE_TRAINER_INTERNAL_H
#define PLUMBLINE_CORE_TRAINER_INTERNAL_H

#include "core/arena.h"
#include "core/network.h"
#include "core/optimiser.h"
#include "core/probe.h"
#include "core/trainer.h"

struct trainer {
    const struct spec *spec;
    const struct dataset *dataset;
    size_t batch;
    struct network *network;
    struct optimiser optimiser;
    struct probe probe;
    struct training_plan plan;
    struct site_info *sites;
    struct arena arena, evaluation_arena; /* of one step; of one evaluation batch */
    /* what a checkpoint holds besides parameters, buffers and the optimiser's memory */
    size_t step;          /* completed */
    double epoch_loss;    /* sum of the mini-batches' losses in this epoch */
    size_t epoch_correct; /* right predictions in this epoch */
    /* the present mini-batch, or evaluation batch: a row each */
    real *x;
    uint32_t *indices, *labels, *predicted;
    double *losses;
    uint32_t *order;    /* of the training samples in epoch `order_epoch` */
    size_t order_epoch; /* 0: none yet */
    /* since the last figures of speed */
    double clock_start, clock_probe;
    size_t clock_steps;
};

#endif
