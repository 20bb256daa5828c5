/*
 * A run's own database, runs/<id>.db: written by one worker, read by anyone (product.md "What a run leaves").
 *
 * Writer: one connection, WAL, synchronous NORMAL, transactions by BEGIN IMMEDIATE, a commit at least once a second.
 * The writer holds a lock on the run, so that two attempts never live at once. Reader: read-only connections.
 * Neither type may be used by two threads at once.
 */
#ifndef PLUMBLINE_SERVER_RUN_FILE_H
#define PLUMBLINE_SERVER_RUN_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/trainer.h"
#include "server/list.h"

struct run_writer; /* opaque */

/* Who makes the run, written into its table `run`. Strings are borrowed for the call. */
struct run_identity {
    const char *spec_text;               /* the expanded spec, compact JSON */
    const char *spec_hash, *former_hash; /* a file with either goes on; NULL: there is no former one (struct spec) */
    const char *name;
    int attempt;
    int threads;
    bool anew; /* what an earlier attempt left is deleted in any case */
};

/*
 * Creates or opens the run file at `path` for writing, takes the run's lock (STATUS_BUSY if another attempt lives),
 * checks it for damage where the last writer died (STATUS_CORRUPT), migrates it, and writes table `run` with state
 * "running". What an earlier attempt at the same spec logged stays up to its checkpoint, in the same transaction.
 * Without a checkpoint that can be read, all of it but the log is deleted; of another spec, or with `anew`, the log as
 * well.
 */
enum status run_writer_open(const char *path, const struct run_identity *identity, struct run_writer **ret_writer,
                            struct error *err);

/* Writes table `sites` and the planned steps. */
enum status run_writer_plan(struct run_writer *writer, const struct training_plan *plan, struct error *err);

/* The observer's material; rows become visible by run_writer_commit. */
enum status run_writer_samples(struct run_writer *writer, const struct step_samples *samples, struct error *err);
enum status run_writer_measurement(struct run_writer *writer, const struct site_measurement *measurement,
                                   struct error *err);
enum status run_writer_contributors(struct run_writer *writer, const struct site_contributors *contributors,
                                    struct error *err);
enum status run_writer_scalar(struct run_writer *writer, size_t step, const char *key, double value, struct error *err);
enum status run_writer_log(struct run_writer *writer, const char *level, const char *text, struct error *err);

/* The checkpoint becomes visible, and durable, together with the rows of its step. It replaces the one before. */
enum status run_writer_checkpoint(struct run_writer *writer, size_t step, const void *bytes, size_t size,
                                  struct error *err);
enum status run_writer_weights(struct run_writer *writer, const void *safetensors, size_t size, struct error *err);

/* --- going on (run_resume.c) --- */

/* The checkpoint as it was written; the caller frees *ret_bytes. STATUS_NOT_FOUND where there is none, STATUS_CORRUPT
 * where it is torn. */
enum status run_writer_checkpoint_read(struct run_writer *writer, size_t *ret_step, uint8_t **ret_bytes,
                                       size_t *ret_size, struct error *err);

/* Deletes what was logged past `step`, but for the log's lines; 0 deletes the checkpoint and the sites as well. */
enum status run_writer_rewind(struct run_writer *writer, size_t step, struct error *err);

/* Adds to `results` (results.h) what the rows that stayed make of it. */
enum status run_writer_results(struct run_writer *writer, json_t *results, struct error *err);

/* --- committing and ending --- */

/* Commits what is open and begins anew. */
enum status run_writer_commit(struct run_writer *writer, struct error *err);

/* Writes the final state and reason, commits, seals the file (WAL folded in, journal_mode DELETE) and closes. A reader
 * that is in the way for a second leaves it unsealed (run_file_is_sealed), which is no failure: see run_file_seal. The
 * writer is freed whatever is returned. */
enum status run_writer_seal(struct run_writer *writer, const char *state, const char *reason, struct error *err);

/* Commits and closes without a final state (the run will go on in another attempt). The writer is freed. */
enum status run_writer_close(struct run_writer *writer, struct error *err);

/* Closes without committing what is open: the run goes on from what it holds. The writer is freed. */
void run_writer_abandon(struct run_writer *writer);

/* Whether the file at `path` alone is the whole run: sealed (bytes 18 and 19 of SQLite's header say that there is no
 * write-ahead log), with nothing beside it that is still to be folded in. Such a file is never written again. */
bool run_file_is_sealed(const char *path);

/* Brings a run file to the present schema and leaves it sealed if it was; STATUS_BUSY while it is being written. */
enum status run_file_migrate(const char *path, struct error *err);

/* Seals a run whose worker is gone (it crashed, or was told to stop): writes the final state and leaves the rows.
 * STATUS_BUSY while another writes it, or a reader is in the way: then the state is written, the file not sealed. */
enum status run_file_seal(const char *path, const char *state, const char *reason, struct error *err);

/* --- reading --- */

/* A record of sample_steps.likeliest: a 32-bit class and a 32-bit float, little-endian. */
enum { LIKELIEST_BYTES = 8 };

struct run_reader; /* opaque */

/* Opens read-only; a file newer than the program is refused with both version numbers. STATUS_NOT_FOUND when there is
 * no file, or its worker has not made the tables yet. Close it soon: a file with an open reader cannot be sealed. */
enum status run_reader_open(const char *path, struct run_reader **ret_reader, struct error *err);
void run_reader_close(struct run_reader *reader); /* nothing for NULL */
void cleanup_run_reader(struct run_reader **reader);

/* Each makes a new JSON value of the shape that the API answers with (the handlers pass it on). */

/* {"name", "spec_hash", "version", "build", "blas", "blas_kernel", "threads", "attempt", "state", "reason",
 * "started_at", "ended_at", "steps", "steps_per_epoch", "epochs", "probed_steps", "parameters"}: the table `run` but
 * the spec. */
enum status run_reader_run(struct run_reader *reader, json_t **ret_json, struct error *err);

/* {"series": [{"key", "shown", "of", "steps": […], "values": […]}]}; `keys` ends with NULL, or is NULL for all; at most
 * max_points a series by min/max buckets (0: no limit). */
enum status run_reader_metrics(struct run_reader *reader, const char *const *keys, size_t max_points, json_t **ret_json,
                               struct error *err);

/* Adds to the array `values` the scalar's value at each step: a number, a word, null where there is none. */
enum status run_reader_values(struct run_reader *reader, const char *key, const int64_t *steps, size_t count,
                              json_t *values, struct error *err);

/* {"sites": […], "steps": [probed steps], "samples": rows a step, "columns": […]}; of a run that has not begun (NULL)
 * there are no sites yet. */
enum status run_reader_sites(struct run_reader *reader, json_t **ret_json, struct error *err);

/* What a query of divergence data asks for. Zero and NULL mean "any". */
struct divergence_query {
    const char *site;      /* by name */
    const char *column;    /* of a summary */
    const json_t *columns; /* of rows: an array of names; all where it has none */
    const char *filter;    /* of rows, by filter.h: site, depth, step, sample, the columns, loss, label, predicted */
    const char *order_by;  /* of rows, by order.h, of the same; NULL or blank is by depth, step and sample */
    int64_t step;          /* exactly this */
    int64_t step_from, step_to;
    size_t last;    /* only the last so many probed steps */
    int64_t sample; /* -1: any */
    size_t max_results;
    const char *page_token;
    bool pooled;       /* merge the steps: one item a site and column */
    size_t windows;    /* pooled: the steps in at most so many stretches, an item each; the answer is one page */
    bool cells;        /* summaries with their histograms */
    size_t max_points; /* thin each series over the steps to at most so many; the answer is one page */
    bool even_steps;   /* thinned by the steps alone, whatever was measured at them */
    bool log_steps;    /* windows, and stretches that are thinned, are equally long on a logarithmic axis of steps */
};

/* {"items": [{"site", "step", "sample", <columns>, "loss", "label", "predicted"}], "next_page_token"}. STATUS_INVALID
 * for a filter, an order or a token that is none. */
enum status run_reader_rows(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                            struct error *err);

/* {"items": [{"site", "step", "column", "count", "undefined", "nonpositive", "mean", "sd", "minimum", "maximum",
 * "quantiles": {"1": …, "99": …}}], "next_page_token"}; pooled items have "steps": [..] in place of "step". With
 * `cells` each also has "cells": [[bin, count], …] of divergence_stats.h's bins. With `max_points` the steps stay that
 * hold the lowest 5 % quantile, the lowest and highest median and the highest 95 % quantile of their stretch, and there
 * is also "series": [{"site", "column", "shown", "of", "count", "undefined", "nonpositive"}], which counts all
 * steps. */
enum status run_reader_summaries(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                                 struct error *err);

/* {"site", "x", "y", "steps", "count", "undefined", "y_nonpositive", "cells": [[x, y, count], …], "bins", "x_bins"}; of
 * a run that has not begun (NULL) there are no cells. */
enum status run_reader_density(struct run_reader *reader, const struct divergence_query *query, const char *x,
                               const char *y, json_t **ret_json, struct error *err);

/* {"items": [{"site", "step", "batch_scale", "batch_cosine", "predicted_decrease", "own_share", "rows",
 * "batch_size"}], "steps": [{"step", "loss_before", "loss_after"}], "shown", "of", "measured", "kept", "rose"} of
 * `site`, `step`, `step_from`, `step_to`, `last`; by site, then step. The last three count all steps, thinned or not:
 * where both losses are known, where the loss fell at least as far as predicted, where it rose. Thinned to
 * `max_points`, the steps stay that predict the least and the most of their stretch, and whose loss fell the least and
 * the most. */
enum status run_reader_batch(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                             struct error *err);

/* {"sample", "steps": [{"step", "loss", "label", "predicted", "in_batch", "likeliest": [[class, probability], …]}],
 * "rows": [{"step", "site", <columns>}]}: all that was measured of one sample, by step, then site. */
enum status run_reader_sample(struct run_reader *reader, int64_t sample, json_t **ret_json, struct error *err);

/* {"site", "step", "sample", "items": [{"sample", "part", "label"}], "rest": {"part"}}: whose parts of the sample's
 * step were the largest, in multiples of its ideal step. `step` 0 is the last one that has some. STATUS_NOT_FOUND where
 * the run kept none of this sample at the site. */
enum status run_reader_contributors(struct run_reader *reader, const char *site, int64_t step, int64_t sample,
                                    json_t **ret_json, struct error *err);

/* {"items": [{"at", "level", "text"}], "next_page_token"}: lines of the log, from the first unless asked otherwise; by
 * the fields id, at, level and text. STATUS_INVALID for a filter, an order or a token that is none. */
enum status run_reader_log(struct run_reader *reader, const struct list_query *query, json_t **ret_json,
                           struct error *err);

/* The final weights as safetensors bytes; STATUS_NOT_FOUND before they are there. The caller frees. */
enum status run_reader_weights(struct run_reader *reader, uint8_t **ret_bytes, size_t *ret_size, struct error *err);

#endif
