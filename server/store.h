/*
 * The catalog: DATA/catalog.db with its jobs. It knows no HTTP and no processes.
 *
 * Functions that write take the writing connection, inside a transaction that the caller has begun; those that read
 * take any connection. A store_pool hands out read-only connections to the threads that answer requests.
 */
#ifndef PLUMBLINE_SERVER_STORE_H
#define PLUMBLINE_SERVER_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/spec.h"
#include "core/status.h"
#include "server/job.h"
#include "server/list.h"

/* Opens the catalog for writing (synchronous FULL: what is committed survives a power cut), checks it for damage,
 * and migrates it. */
enum status store_open(const char *path, sqlite3 **ret_db, struct error *err);

/* --- writing ------------------------------------------------------------------------------------------------- */

/* Adds a queued job with its first row in job_state. */
enum status store_job_insert(sqlite3 *db, const struct spec *spec, int64_t *ret_id, struct error *err);

/* A change of state, as it is recorded. */
struct job_change {
    enum job_state to;
    const char *reason; /* may be NULL */
    bool crashed;   /* the worker ended unasked: one more in a row; any other change back to `queued` forgets them */
    bool for_space; /* paused because the disk is full */
};

/*
 * Moves a job along an arrow of job.h: STATUS_CONFLICT if there is none from its present state. Sets started_at at its
 * first start and ended_at at its end; back to `queued` the attempt is one higher if it had begun. A pause that was
 * asked for is done with. Adds the row to job_state.
 */
enum status store_job_change(sqlite3 *db, int64_t id, const struct job_change *change, struct error *err);

/* Records that a cancel was asked for, so that it survives the daemon; the reason shown is "cancelling". */
enum status store_job_ask_cancel(sqlite3 *db, int64_t id, const char *reason, struct error *err);

/* Records that a pause was asked for, shown as "pausing"; NULL takes it back. */
enum status store_job_ask_pause(sqlite3 *db, int64_t id, const char *reason, struct error *err);

/* How long the job's workers have run, all attempts together. */
enum status store_job_seconds(sqlite3 *db, int64_t id, double seconds, struct error *err);

/* `progress` and `results` as the API shows them; either may be NULL to stay as it is. */
enum status store_job_progress(sqlite3 *db, int64_t id, const json_t *progress, const json_t *results,
                               struct error *err);

/* A new queued job of the same spec, name, tags, note and priority, with retry_of. */
enum status store_job_retry(sqlite3 *db, int64_t id, int64_t *ret_id, struct error *err);

/* What a person may change of a job; NULL stays as it is. */
struct job_patch {
    const char *name, *note;
    const json_t *tags; /* an array of texts */
    const int *priority;
    const char *if_match; /* the header (job_tag.h): nothing is changed where it does not want the job's tag; or NULL */
};

/*
 * STATUS_NOT_FOUND; STATUS_CONFLICT for another tag; STATUS_INVALID for tags that are no texts. A change of priority
 * adds a row to job_state.
 */
enum status store_job_patch(sqlite3 *db, int64_t id, const struct job_patch *patch, struct error *err);

/* Into the trash, or out of it, with a row in job_state. */
enum status store_job_trash(sqlite3 *db, int64_t id, bool trashed, struct error *err);

/* Forgets a job and the changes of its state; its id is never used again. */
enum status store_job_delete(sqlite3 *db, int64_t id, struct error *err);

/* The key of a request that makes something once. */
struct submission_key {
    int64_t token;       /* whose key it is; 0 for none */
    const char *text;    /* as it was sent */
    const char *request; /* a digest of what was asked for */
};

/* What an earlier request with this key made, 0 where there was none; STATUS_CONFLICT where that request was another
 * one. `what` it is: "job" or "study". Keys are kept for a day. Without a key (NULL) there was none, and none is
 * kept. */
enum status store_submission_find(sqlite3 *db, const struct submission_key *key, const char *what, int64_t *ret_made,
                                  struct error *err);
enum status store_submission_add(sqlite3 *db, const struct submission_key *key, const char *what, int64_t made,
                                 struct error *err);

/* --- reading ------------------------------------------------------------------------------------------------- */

/* What the scheduler needs to know of a job. */
struct job_row {
    int64_t id;
    enum job_state state;
    int attempt, crashes;
    int64_t step;   /* of the last progress that was written */
    double seconds; /* that its workers ran */
    bool trashed, waits_for_space;
    char *cancel_reason; /* NULL where no cancel was asked for */
    char *pause_reason;  /* NULL where no pause was asked for */
    char *spec;          /* expanded, compact JSON */
};
void job_row_clear(struct job_row *row);

/* STATUS_NOT_FOUND for an unknown id. The caller clears the row. */
enum status store_job_row(sqlite3 *db, int64_t id, struct job_row *ret_row, struct error *err);

/* The id of the queued job that is next: highest priority, then oldest; 0 when none is queued but the `count` jobs of
 * `except`. */
enum status store_next_queued(sqlite3 *db, const int64_t *except, size_t count, int64_t *ret_id, struct error *err);

/* The id of a job that is in state `running`, or that waits for space on the disk; 0 when none is. */
enum status store_first_running(sqlite3 *db, int64_t *ret_id, struct error *err);
enum status store_first_waiting(sqlite3 *db, int64_t *ret_id, struct error *err);

/* The jobs in a final state, in the trash or not, those that ended first before the others: [{"id", "name", "state",
 * "ended_at", "trashed_at"}]. */
enum status store_ended_jobs(sqlite3 *db, json_t **ret_jobs, struct error *err);

/* The job as the API shows it. STATUS_NOT_FOUND. */
enum status store_job_json(sqlite3 *db, int64_t id, json_t **ret_job, struct error *err);

/* Jobs as lists (list.h): those that are not in the trash, those that are, and all. Newest first; of one time, the
 * higher id. */
extern const struct list job_list, trash_list, all_jobs_list;

/* How many jobs are in each state, those in the trash left out. */
enum status store_counts(sqlite3 *db, int64_t ret_counts[JOB_STATE_COUNT], struct error *err);

/* --- read-only connections ----------------------------------------------------------------------------------- */

struct store_pool; /* opaque; safe from any thread */

/* `path` of a catalog that exists. */
enum status store_pool_create(const char *path, struct store_pool **ret_pool, struct error *err);
void store_pool_free(struct store_pool *pool); /* after all connections were given back */

/* A connection that is the caller's until it gives it back. A few idle ones are kept. */
enum status store_pool_take(struct store_pool *pool, sqlite3 **ret_db, struct error *err);
void store_pool_give(struct store_pool *pool, sqlite3 *db); /* nothing for NULL */

#endif
