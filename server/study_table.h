/*
 * A study's jobs as a table: a line for each in the order of the grid, with its point of the grid and what it has
 * given.
 *
 * The columns are job, state, each key of the grid, then each figure that some job's results have as a number or, where
 * it is not finite, a word ("test/accuracy", "test/loss", …); what a job does not have is empty in CSV, null in NDJSON.
 */
#ifndef PLUMBLINE_SERVER_STUDY_TABLE_H
#define PLUMBLINE_SERVER_STUDY_TABLE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/status.h"

/* `rows` is of store_study_rows. As CSV, or else as NDJSON; the caller frees *ret_text, which has no terminator. */
enum status study_table(const json_t *rows, bool csv, char **ret_text, size_t *ret_size, struct error *err);

#endif
