/*
 * What a study's jobs have given: figures over seeds for each point of the grid, and variants compared seed by seed.
 *
 * Only jobs that finished count, and of these only finite figures; how many jobs of a point are in which state stands
 * beside them, so that diverged ones are seen. No figure is ever without its n.
 */
#ifndef PLUMBLINE_SERVER_STUDY_STATISTICS_H
#define PLUMBLINE_SERVER_STUDY_STATISTICS_H

#include <jansson.h>
#include <stddef.h>

#include "core/status.h"

/* NaN where undefined: all without values, sd and standard error with one. */
struct sample_statistics {
    size_t n;
    double mean;
    double sd;             /* divisor n − 1 */
    double standard_error; /* sd / √n */
    double minimum, maximum;
};

void sample_statistics(const double *values, size_t count, struct sample_statistics *ret_statistics);

/*
 * `rows` is an array of {"job", "point", "state", "results"} in the order of the grid (store_study_rows); `keys` ends
 * with NULL and names figures of results ("test/accuracy", "median_scale/1.dense"); `compare` is a key of the grid, or
 * NULL for no comparison. STATUS_INVALID where no row has that key, and for the seed.
 *
 * {"keys": […],
 *  "points": [{"point": {without "/seed"}, "jobs": [ids], "states": {"finished": 3, …},
 *              "figures": {key: {"n", "mean", "sd", "standard_error", "minimum", "maximum"}}}],
 *  "comparisons": [{"key": "/model/variant", "baseline": "affine", "value": "affine-like",
 *                   "point": {without "/seed" and the key},
 *                   "figures": {key: {"n": pairs, "mean", "sd", "standard_error", "minimum", "maximum", "higher"}}}]}
 *
 * A comparison is of the differences value − baseline within each seed; the baseline is the grid's first value;
 * "higher" counts the pairs in which the value's figure is above the baseline's. Undefined figures are null.
 */
enum status study_results(const json_t *rows, const char *const *keys, const char *compare, json_t **ret_results,
                          struct error *err);

#endif
