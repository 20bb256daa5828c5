/*
 * A copy of a data directory, taken while the daemon runs.
 *
 * The copy holds the catalog as of one moment, every run that the catalog then knew, and the initial weights; not the
 * data sets. Restoring is copying it to where the data directory was: a run that went on meanwhile is gone on with from
 * the checkpoint in its copy.
 */
#ifndef PLUMBLINE_SERVER_BACKUP_H
#define PLUMBLINE_SERVER_BACKUP_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct backup_report {
    int64_t jobs;
    size_t sealed;  /* runs copied as files */
    size_t live;    /* runs copied as databases that are being written */
    size_t missing; /* runs that were purged meanwhile, or that cannot be read */
    size_t weights; /* files */
    int64_t bytes;
};

/*
 * Copies the data directory `data` to `target`, which must not exist, or be an empty folder. The copy is made as
 * "<target>.part" and renamed when it is whole and on the disk. STATUS_CONFLICT where either is in the way,
 * STATUS_NO_SPACE where it does not fit; what was begun is removed then. From any thread or process.
 */
enum status backup_make(const char *data, const char *target, struct backup_report *ret_report, struct error *err);

#endif
