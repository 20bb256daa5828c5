/* Jobs that came as a run file from elsewhere. */
#ifndef PLUMBLINE_SERVER_STORE_IMPORT_H
#define PLUMBLINE_SERVER_STORE_IMPORT_H

#include <sqlite3.h>
#include <stdint.h>

#include "core/status.h"
#include "server/run_copy.h"

/*
 * Adds a job in the final state of an imported run, with a new id, within the caller's transaction: the file goes to
 * its place (runs/<id>.db) before the commit. A run that had not ended is cancelled, with that reason.
 */
enum status store_job_import(sqlite3 *db, const struct run_import *import, int64_t *ret_id, struct error *err);

/*
 * Makes a file that run_import_check has found good ready to be taken in: it is brought to the present schema, and what
 * it holds is on the disk. Till then nothing but the file is changed.
 */
enum status store_run_prepare(const char *file, struct error *err);

/*
 * Adds its job, as store_job_import, and moves the file to its place below the data directory (on the same file
 * system). *ret_id is set as soon as the file is there: where the transaction is not committed after all, the caller
 * has store_run_take_back remove it.
 */
enum status store_run_take_in(sqlite3 *db, const char *data, const struct run_import *import, const char *file,
                              int64_t *ret_id, struct error *err);

/* Removes the file of a job that was not added; nothing for 0. */
void store_run_take_back(const char *data, int64_t id);

/*
 * The largest number of a run file that no job was given yet, 0 where there is none; each is told of on standard error.
 * Such a file is there after a crash in the middle of an import, or beside a catalog that was put back from a backup.
 */
enum status store_unknown_runs(sqlite3 *db, const char *data, int64_t *ret_largest, struct error *err);

/* Makes the next job's id larger than that: no job takes such a file for its own. Within the caller's transaction. */
enum status store_ids_pass(sqlite3 *db, int64_t largest, struct error *err);

#endif
