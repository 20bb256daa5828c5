/* What the files that write the table `job` share: store_job.c (its life), store_control.c (what people do to it). */
#ifndef PLUMBLINE_SERVER_STORE_INTERNAL_H
#define PLUMBLINE_SERVER_STORE_INTERNAL_H

#include "server/store.h"

/* STATUS_NOT_FOUND with its sentence. */
enum status store_unknown_job(int64_t id, struct error *err);

/* Adds a row to job_state: the job's present state, with `reason`, or with the job's own where that is NULL. */
enum status store_record_state(sqlite3 *db, int64_t id, const char *reason, struct error *err);

#endif
