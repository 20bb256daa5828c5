/*
 * A child process with its pipes: lines of JSON from descriptor 3, the last words of its standard error.
 *
 * Spawn from a thread that lives as long as the children shall: a worker's parent-death signal fires when the thread
 * that spawned it ends. The descriptors are non-blocking and close on exec; one thread's.
 */
#ifndef PLUMBLINE_SERVER_WORKER_PROCESS_H
#define PLUMBLINE_SERVER_WORKER_PROCESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/status.h"

enum { WORKER_LAST_WORDS = 2048 };

struct worker_process {
    pid_t pid;
    int pidfd;    /* readable when the process has ended; −1 once it was reaped */
    int lines;    /* −1 at its end */
    int errors;   /* standard error; −1 at its end */
    char *buffer; /* what came of a line that is not complete */
    size_t used, capacity;
    char last_words[WORKER_LAST_WORDS + 1]; /* the end of its standard error */
    size_t last_size;
};

/* `argv` ends with NULL, argv[0] is the program's path; `input` is what it reads, NULL for nothing; `threads` is for
 * OpenBLAS, which starts its threads as it is loaded. */
enum status worker_spawn(char *const *argv, const char *input, int threads, struct worker_process *ret_process,
                         struct error *err);

/* Closes and frees; the process must have been reaped. */
void worker_clear(struct worker_process *process);

/*
 * Reads what is there and calls `handle` for each complete line. STATUS_CORRUPT when a line is no JSON object or is
 * longer than a megabyte; what handle returns if that is not STATUS_OK.
 */
enum status worker_read_lines(struct worker_process *process,
                              enum status (*handle)(void *context, const json_t *line, struct error *err),
                              void *context, struct error *err);

/* Reads what is there of its standard error, keeps the end, and passes it on to the standard error of this process. */
void worker_read_errors(struct worker_process *process);

void worker_signal(const struct worker_process *process, int signal);

/* Whether it has ended; then it is reaped and `text` says how ("killed by SIGSEGV", "exited with code 1"), if that is
 * known. */
bool worker_reap(struct worker_process *process, char *text, size_t size);

/* The last lines of its standard error on one line, UTF-8 whatever it wrote; "" if there was nothing. */
const char *worker_last_words(struct worker_process *process);

#endif
