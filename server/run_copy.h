/*
 * A run's file as one file that can be sent away, and one that came from elsewhere looked at before it is taken in.
 */
#ifndef PLUMBLINE_SERVER_RUN_COPY_H
#define PLUMBLINE_SERVER_RUN_COPY_H

#include <jansson.h>

#include "core/spec.h"
#include "core/status.h"
#include "server/job.h"

/*
 * Copies a run file to `destination`, which must not exist: consistent, of one moment, sealed (one file, no write-ahead
 * log), whether its worker lives, has died, or is long done. STATUS_NOT_FOUND without a file or before its first rows,
 * STATUS_BUSY when it is being sealed for longer than some seconds, STATUS_CONFLICT where the destination exists,
 * STATUS_NO_SPACE where it does not fit; what was begun is removed then. The copy is not forced to the disk.
 */
enum status run_file_copy(const char *path, const char *destination, struct error *err);

/* A run that may be taken in. */
struct run_import {
    struct spec *spec;           /* as it ran; its `threads` may be more than this machine has */
    enum job_state state;        /* running: it was copied before it ended */
    char *reason;                /* NULL where there is none */
    char *started_at, *ended_at; /* ended_at NULL where it had not ended */
    int attempt;
    json_t *progress, *results; /* as the catalog has them of a job */
};
void run_import_clear(struct run_import *import);

/*
 * Looks at a file that someone sent: nothing in it is trusted, nothing in it is run, and nothing is written to it or
 * beside it. STATUS_CORRUPT for what is no run file of Plumbline, is damaged or cut short, has a spec that is not of
 * its hash (see spec_hash), or holds tables, views or triggers that a run file does not have; STATUS_CONFLICT for one
 * of a newer Plumbline; STATUS_INVALID for a spec that this version does not take. The caller clears the result.
 *
 * An older file passes; store_run_prepare migrates it.
 */
enum status run_import_check(const char *path, struct run_import *ret_import, struct error *err);

#endif
