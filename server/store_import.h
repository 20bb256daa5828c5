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

#endif
