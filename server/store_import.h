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
 * The same, and moves the file, which run_import_check has found good, to its place below the data directory (on the
 * same file system). Where the transaction is not committed it is the caller's to take away again.
 */
enum status store_run_take_in(sqlite3 *db, const char *data, const struct run_import *import, const char *file,
                              int64_t *ret_id, struct error *err);

#endif
