/*
 * The figures of a run that lists show: its newest and best values, gathered as they come.
 *
 * A results object: {"test/accuracy", "test/loss", "train/loss", "train/accuracy", "epoch/train/loss",
 * "epoch/train/accuracy", "best/test/accuracy", "accuracy_series": [test accuracy by epoch],
 * "median_scale": {site: value}, "median_self_factor": {site: value}, "seconds", "steps_per_second", "probe_share"};
 * a key is absent while it is unknown. A value that is not finite is a word ("NaN"), an undefined median null.
 */
#ifndef PLUMBLINE_SERVER_RESULTS_H
#define PLUMBLINE_SERVER_RESULTS_H

#include <jansson.h>
#include <sqlite3.h>

#include "core/status.h"

/* Takes note of one scalar; one that lists do not show is passed over. */
enum status results_scalar(json_t *results, const char *key, double value, struct error *err);

/* Takes note of the medians of a site at its newest probed step. */
enum status results_site(json_t *results, const char *site, double median_scale, double median_self_factor,
                         struct error *err);

/* Takes note of all that a run's database holds. */
enum status results_of_run(sqlite3 *db, json_t *results, struct error *err);

#endif
