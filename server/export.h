/*
 * Everything that runs have measured, streamed in constant memory: complete, never thinned or capped.
 *
 * What:     "divergence"  a row for each (site, step, sample): site, step, sample, in_batch, loss, label, predicted and
 *                         the columns of theory.md §5. Rows with in_batch 1 are those that the summaries are of.
 *           "metrics"     a row for each scalar: key, step, value.
 *           "summary"     a row for each (site, column, step): site, step, column, count, undefined, nonpositive, mean,
 *                         sd, minimum, maximum, q01 … q99.
 *           "batch"       a row for each (site, step) with the figures of the whole batch.
 * Of several runs each row begins with the column `job`.
 *
 * Formats:  "csv"       a header, then a line a row; what is undefined is empty, a scalar that is not finite its word.
 *           "ndjson"    an object a line; what is undefined is null, a scalar that is not finite its word.
 *           "npz"       an array for each column, all of the same length: int64 (missing: −1), float64 (what is
 *                       undefined is NaN, infinities are infinities) or text. At most EXPORT_MOST_NPZ_RUNS runs.
 *           "tfevents"  one run's scalars and histograms of `scale` as TensorBoard reads them; `what` is not looked at.
 *                       Every event has the run's start as its time, for a run keeps no time of a step.
 */
#ifndef PLUMBLINE_SERVER_EXPORT_H
#define PLUMBLINE_SERVER_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "server/sink.h"

/* An NPZ is written column by column, with all its runs held open. */
enum { EXPORT_MOST_NPZ_RUNS = 200 };

struct export_run {
    int64_t job;
    const char *path; /* of its run file */
};

struct export_table;
struct export_format;

struct export_request {
    const struct export_table *table;
    const struct export_format *format;
    const struct export_run *runs; /* in the order they are to come */
    size_t run_count;
    bool with_job; /* the column `job`: for several runs */
};

/* "csv", "ndjson", "npz", "tfevents"; NULL behind the last. */
extern const char *const export_format_names[];

/* By their names. STATUS_INVALID lists what there is. */
enum status export_table_find(const char *name, const struct export_table **ret_table, struct error *err);
enum status export_format_find(const char *name, const struct export_format **ret_format, struct error *err);

/* "text/csv; charset=utf-8", …; "csv", … for a file's name ("tfevents" files are found by TensorBoard by that word). */
const char *export_media_type(const struct export_format *format);
const char *export_extension(const struct export_format *format);
bool export_is_text(const struct export_format *format);

/*
 * Writes all runs to the sink, in pieces of SINK_BUFFER_BYTES. Each run is read in one transaction, so that of a live
 * one all rows are of one moment. With the column `job` a run that has not begun to write has no rows; a single one is
 * STATUS_NOT_FOUND. Where the first run cannot be opened nothing has been written.
 */
enum status export_write(const struct export_request *request, const struct sink *sink, struct error *err);

#endif
