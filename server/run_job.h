/*
 * One job from its spec to a sealed run file: what `plumbline work` and `plumbline run` share.
 *
 * What happens is told as the lines of the worker's protocol, JSON objects with a key "event":
 *   started     step (0, or that of the checkpoint), epoch, results till there, steps, steps_per_epoch, epochs,
 *               parameters, blas, kernel
 *   progress    step, epoch, rows (of divergence that this attempt has written), steps_per_second, probe_share; at most
 *               four a second
 *   metric      step, values {key: value}; at most four a second, those of an epoch's end always
 *   divergence  step, sites {name: {median_scale, median_self_factor}}; at most four a second, the last always
 *   log         level, text
 *   end         state (finished, diverged, failed, stopped, full, busy), reason, step, results; the last one
 * A job whose state is "stopped" (it was asked to), "full" (no space was left on the disk) or "busy" (another attempt
 * is still writing the run) goes on in another attempt, from its last checkpoint. A stopped one makes a checkpoint
 * first. A scalar that is not finite is a word ("NaN"), an undefined median null.
 */
#ifndef PLUMBLINE_SERVER_RUN_JOB_H
#define PLUMBLINE_SERVER_RUN_JOB_H

#include <jansson.h>
#include <stdbool.h>

#include "core/dataset.h"
#include "core/spec.h"
#include "core/status.h"

struct run_job {
    const struct spec *spec;
    const char *path; /* of the run file; an earlier attempt at the spec that it holds is gone on with */
    bool anew;        /* it is not: the run starts over */
    bool own_file;    /* a damaged run file is set aside as "<path>.damaged", and the run starts over */
    int attempt;
    double seconds;   /* that earlier attempts ran: they count for the time limit */
    const char *data; /* the data directory: initial weights are below its weights/ */
    struct dataset_folders folders;
    bool seal_stopped; /* a stopped run is over ("cancelled"), and does not go on in another attempt */

    void *context;
    /* Told each line but the end; borrowed. Anything but STATUS_OK stops the run. */
    enum status (*tell)(void *context, const json_t *line, struct error *err);
    /* Asked after each step whether to stop. */
    bool (*stop)(void *context);
};

/*
 * Runs the job to its end. STATUS_OK with the end line in *ret_end (the caller's), whatever that says: a fault of the
 * spec, the data or the disk is state "failed". Another status only where memory for the line runs out.
 */
enum status run_job(const struct run_job *job, json_t **ret_end, struct error *err);

#endif
