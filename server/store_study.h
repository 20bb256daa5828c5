/*
 * Studies in the catalog: tables `study` and `study_job`. Functions that write take the writing connection, inside a
 * transaction that the caller has begun.
 */
#ifndef PLUMBLINE_SERVER_STORE_STUDY_H
#define PLUMBLINE_SERVER_STORE_STUDY_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdint.h>

#include "core/status.h"
#include "server/list.h"
#include "server/study.h"

/* Adds the study; its jobs are added one by one, each after store_job_insert. */
enum status store_study_insert(sqlite3 *db, const struct study *study, int64_t *ret_id, struct error *err);
enum status store_study_add_job(sqlite3 *db, int64_t study, size_t position, const json_t *point, int64_t job,
                                struct error *err);

/* A retry takes the place of the job it retries, where that is a study's. */
enum status store_study_retry(sqlite3 *db, int64_t job, int64_t retry, struct error *err);

/* Forgets the study; its jobs stay. STATUS_NOT_FOUND. */
enum status store_study_delete(sqlite3 *db, int64_t id, struct error *err);

/* Studies by id, name, note, created_at; an item is as store_study_json gives it, but without base and grid. */
extern const struct list study_list;

/* {"id", "name", "note", "created_at", "jobs", "states": {"finished": 3, …}, "base", "grid"}. STATUS_NOT_FOUND. */
enum status store_study_json(sqlite3 *db, int64_t id, json_t **ret_study, struct error *err);

/* {"items": [those of store_study_rows], "next_page_token"}: by the fields of jobs, in the grid's order unless asked
 * otherwise. STATUS_NOT_FOUND; STATUS_INVALID for a filter, an order or a token that is none. */
enum status store_study_jobs(sqlite3 *db, int64_t id, const struct list_query *query, json_t **ret_page,
                             struct error *err);

/* [{"job", "point", "state", "results", "progress", "started_at", "ended_at"}] in the grid's order: what
 * study_results takes. STATUS_NOT_FOUND. */
enum status store_study_rows(sqlite3 *db, int64_t id, json_t **ret_rows, struct error *err);

/*
 * How many floating-point operations of its steps a second a job did lately, measuring and all: the mean over the last
 * jobs that finished and whose data set is still there. 0 where there are none. A study's flops divided by it, and by
 * the number of workers, is about how long it will take.
 */
enum status store_recent_rate(sqlite3 *db, const struct dataset_folders *folders, double *ret_flops_per_second,
                              struct error *err);

#endif
