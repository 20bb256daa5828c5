/*
 * A study: a base spec and a grid of values for some of its places, one job for each point of the grid.
 *
 *   {"name": "…", "note": "…", "base": {…},
 *    "grid": {"/model/variant": ["affine", "affine-like"], "/batch_size": [16, 64], "/seed": [1, 2, 3]}}
 *
 * Keys of the grid are JSON pointers (RFC 6901) into the base spec; objects on the way that are missing are made, an
 * item of an array must be there. Points are counted from 0 in the order of the keys, the last varying fastest. The
 * values are put into the spec as it was written, so that a preset expands with them.
 */
#ifndef PLUMBLINE_SERVER_STUDY_H
#define PLUMBLINE_SERVER_STUDY_H

#include <jansson.h>
#include <stddef.h>

#include "core/spec.h"
#include "core/status.h"

enum { STUDY_MOST_KEYS = 8, STUDY_MOST_JOBS = 2000 };

struct study {
    json_t *whole; /* {"name", "note", "base", "grid"}; owned */
    const char *name, *note;
    const json_t *base, *grid; /* borrowed from `whole` */
    size_t job_count;
};

/*
 * Checks a study's own form (borrowed `json`), not yet its specs. STATUS_INVALID when `problems` has faults, each with
 * its pointer into the study: "/grid/~1batch_size".
 */
enum status study_parse(const json_t *json, struct study **ret_study, struct problem_list *problems, struct error *err);
void study_free(struct study *study); /* nothing for NULL */
void cleanup_study(struct study **study);

/* The point at a position: {"/model/variant": "affine", …}, a new reference. */
enum status study_point(const struct study *study, size_t position, json_t **ret_point, struct error *err);

/*
 * The checked spec of a position; the caller frees it. Where the grid does not set "/name" it is the base's name, or
 * the study's, with the point: "widths variant=affine seed=3". `folders` as spec_parse_given's. Faults are as
 * study_check adds them.
 */
enum status study_spec(const struct study *study, size_t position, const struct dataset_folders *folders,
                       struct spec **ret_spec, struct problem_list *problems, struct error *err);

/* What the whole study costs. */
struct study_estimate {
    size_t jobs;
    double steps, flops, probe_rows; /* in all; 0 where no data set was looked at */
};

/*
 * Expands every point and checks its spec; with `folders` (may be NULL) also against its data set (spec_check). A fault
 * is told once, at the first point that has it: its pointer is that of the grid's value, or of the place in the base,
 * and its detail ends with the point.
 */
enum status study_check(const struct study *study, const struct dataset_folders *folders,
                        struct study_estimate *ret_estimate, struct problem_list *problems, struct error *err);

#endif
