/*
 * A worker's lines to the scheduler, on descriptor WORKER_LINES_FD, and the heartbeat between them.
 *
 * Once a second a thread of its own writes {"event":"alive"}, so that a process that was stopped or is stuck in the
 * kernel is told from one whose step takes long. It ends the process when nobody reads any more.
 */
#ifndef PLUMBLINE_SERVER_WORKER_LINES_H
#define PLUMBLINE_SERVER_WORKER_LINES_H

#include <jansson.h>

#include "core/status.h"

/* Starts the heartbeat. */
enum status worker_lines_begin(struct error *err);

/* Writes one line; STATUS_STOPPED where nobody reads them any more. `context` is not used: fits struct run_job. */
enum status worker_line_write(void *context, const json_t *line, struct error *err);

/* Ends the heartbeat; no line follows. */
void worker_lines_end(void);

#endif
