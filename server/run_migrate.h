/*
 * Run files of older versions of the program, brought to the present schema.
 *
 * A worker migrates the file that it writes. Those of jobs that have ended are migrated here, at the start of a newer
 * daemon or by `plumbline migrate`; till then they are not read.
 */
#ifndef PLUMBLINE_SERVER_RUN_MIGRATE_H
#define PLUMBLINE_SERVER_RUN_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

/* Whether any run file below DATA/runs is of an older schema. Reads a few bytes of each. */
bool run_files_are_old(const char *data);

struct migration_report {
    size_t files, migrated;
    size_t busy;   /* being written: their workers do it */
    size_t failed; /* each told of on standard error */
};

/* Migrates the run file at `path` if it needs that, and counts it; one that is none is passed over. */
void run_file_bring_up(const char *path, struct migration_report *report);

/* The same of a file that a person names: what is no run file has failed, and why is told. */
void run_file_bring_up_named(const char *path, struct migration_report *report);

/* Migrates all run files below DATA/runs that need it. STATUS_IO where the folder cannot be read. */
enum status run_files_migrate(const char *data, struct migration_report *ret_report, struct error *err);

#endif
