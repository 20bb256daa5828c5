/*
 * What `plumbline run` shows: a bar with the time left on a terminal, plain lines elsewhere, and a table at the end.
 */
#ifndef PLUMBLINE_SERVER_RUN_REPORT_H
#define PLUMBLINE_SERVER_RUN_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "core/status.h"
#include "server/terminal.h"

struct run_report {
    struct progress progress;
    long long steps, epochs;
    double loss, accuracy; /* newest of the training, and of the test set; NaN before */
};

/* `quiet` shows nothing but warnings and errors. */
void run_report_begin(struct run_report *report, bool quiet);

/* Takes a line of run_job.h; `context` is the report. */
enum status run_report_line(void *context, const json_t *line, struct error *err);

/* The same of a job as the API shows it. */
void run_report_job(struct run_report *report, const json_t *job);

/* Ends the bar's line. */
void run_report_clear(struct run_report *report);

/* Prints how it ended, and for each site what was measured in the last probed steps. */
enum status run_report_end(const json_t *end, const char *run_file, struct error *err);

#endif
