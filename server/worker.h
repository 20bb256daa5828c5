/*
 * The process that does the work: `plumbline work`, which the scheduler starts.
 */
#ifndef PLUMBLINE_SERVER_WORKER_H
#define PLUMBLINE_SERVER_WORKER_H

#include <stdbool.h>

/* The descriptor that `plumbline work` writes its lines to. */
enum { WORKER_LINES_FD = 3 };

/*
 * argv[0] is the command's name; returns its exit code.
 * `plumbline work --run RUN.db --job ID --attempt N --data DIR [--datasets DIR]… [--seconds N]`: the expanded spec on
 * standard input, lines of run_job.h on descriptor 3. 0 when an end line was written, 1 otherwise, 2 for wrong use.
 * `plumbline work --seal --run RUN.db --state STATE [--reason TEXT]`: seals the run of a worker that is gone.
 * `plumbline work --migrate --data DIR`: brings the run files of older versions to the present schema.
 */
int command_work(int argc, char **argv);

/* Makes SIGTERM and SIGINT ask for a stop; a second one ends the process at once. */
void stop_signals_install(void);

/* Whether one of them came. */
bool stop_signals_seen(void);

#endif
