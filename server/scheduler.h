/*
 * The scheduler: the one thread that owns the queue, the workers and the catalog's writing connection.
 *
 * It spawns `plumbline work` processes (posix_spawn, at most `workers` at once, by priority then age), reads their
 * progress pipes, moves jobs through their states (see job.h) and appends events. Other threads ask it by the calls
 * below, each of which waits until the change is committed.
 */
#ifndef PLUMBLINE_SERVER_SCHEDULER_H
#define PLUMBLINE_SERVER_SCHEDULER_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/spec.h"
#include "core/status.h"
#include "server/events.h"

struct scheduler; /* opaque */

/* What is kept of jobs in a final state; 0 is no bound. */
struct retention {
    double max_age_seconds; /* since their end */
    int64_t max_count;
    int64_t max_bytes; /* of their run files */
};

struct scheduler_settings {
    const char *program;                /* the binary to run as worker */
    const char *data;                   /* the data directory, locked by the caller */
    int workers;                        /* how many jobs at once */
    int grace_seconds;                  /* between SIGTERM and SIGKILL */
    const char *const *dataset_folders; /* NULL-terminated; handed to the workers */
    double heartbeat_seconds;           /* a worker that is silent for so long is killed; 0: 6 */
    double hang_seconds;                /* one that makes no step for so long as well; 0: 900 */
    struct retention retention;         /* applied at the start and every hour; all 0: never */
};

/*
 * Opens and migrates DATA/catalog.db, marks the jobs that an earlier daemon left running as interrupted and queues
 * them again, and starts the thread.
 */
enum status scheduler_start(const struct scheduler_settings *settings, struct scheduler **ret_scheduler,
                            struct error *err);

/* Begins to stop: workers are told (SIGTERM), waited for, then killed; their jobs go back to `queued` with a reason.
 * Returns at once. Changes are refused from here on (STATUS_STOPPED); what is read can be read until scheduler_stop. */
void scheduler_ask_stop(struct scheduler *scheduler);

/* The same, and returns when no worker lives and the catalog is closed. Within 4 s of the first of these two. */
void scheduler_stop(struct scheduler *scheduler);

/*
 * Every call below returns when its change is durable. STATUS_NO_SPACE where the disk is full and nothing was changed,
 * STATUS_STOPPED where the server is stopping.
 */

/*
 * Queues a job. *ret_id is the new job's id. The same key (store.h; NULL: none) with the same request within a day
 * makes no second job, but answers with the first one's id, *ret_again true. STATUS_CONFLICT where the key came with
 * another request.
 */
struct submission_key;
enum status scheduler_submit(struct scheduler *scheduler, const struct spec *spec, const struct submission_key *key,
                             int64_t *ret_id, bool *ret_again, struct error *err);

/* What can be done to a job, to one or to many. */
enum job_action {
    ACTION_CANCEL,  /* a job that has not ended; its worker gets its grace for the last rows */
    ACTION_PAUSE,   /* a queued or running one; its worker makes a checkpoint first */
    ACTION_RESUME,  /* a paused one, back into the queue; it goes on from its checkpoint */
    ACTION_RETRY,   /* one that has ended: a new job of the same spec, with retry_of */
    ACTION_TRASH,   /* one that does not run; if it has not ended it is cancelled */
    ACTION_RESTORE, /* out of the trash */
    ACTION_PURGE,   /* one that has ended, in the trash or not: its run file and its rows are gone for good */
    ACTION_COUNT
};

/* The action of a name ("cancel", …); ACTION_COUNT for an unknown one. */
enum job_action job_action_parse(const char *name);

/* What came of an action on one job. */
struct job_outcome {
    int64_t id;
    enum status status;
    int64_t made;  /* of ACTION_RETRY: the new job */
    int64_t bytes; /* of ACTION_PURGE: what was freed on the disk */
    char detail[256];
};

/*
 * Does it to one job. `reason` is recorded with the change; NULL says who (a user). `ret_outcome` may be NULL.
 * STATUS_NOT_FOUND; STATUS_CONFLICT in a state that has no such way; STATUS_BUSY while the job's file is being closed.
 */
enum status scheduler_act(struct scheduler *scheduler, enum job_action action, int64_t id, const char *reason,
                          struct job_outcome *ret_outcome, struct error *err);

/*
 * Does it to many, in one transaction: outcomes[i] says what came of ids[i]; one that is refused does not hinder the
 * others. Any other failure than those three changes nothing and is returned. A purge removes files as it goes: those
 * of jobs before the failure are gone, and these jobs can be purged again.
 */
enum status scheduler_act_many(struct scheduler *scheduler, enum job_action action, const int64_t *ids, size_t count,
                               const char *reason, struct job_outcome *outcomes, struct error *err);

/* Changes name, note, tags or priority (store.h); a job that is queued takes its new place at once. */
struct job_patch;
enum status scheduler_patch(struct scheduler *scheduler, int64_t id, const struct job_patch *patch, struct error *err);

/*
 * Purges what `retention` does not keep of the jobs that have ended: those in the trash first, then those that ended
 * first. With `dry_run` nothing is purged, only told. *ret_report is
 * {"dry_run", "items": [{"id", "name", "state", "ended_at", "trashed_at", "bytes", "why": "age" | "count" | "bytes"}],
 * "bytes": their sum, "kept": number, "kept_bytes"}.
 */
enum status scheduler_retain(struct scheduler *scheduler, const struct retention *retention, bool dry_run,
                             json_t **ret_report, struct error *err);

/* --- what else the catalog holds: studies, views, tokens (scheduler_catalog.c) ----------------------------------- */

/* A read or a change of the catalog by a module of its own. */
typedef enum status catalog_use(sqlite3 *db, void *context, struct error *err);

/* Runs `change` in a transaction of its own on the scheduler's thread; whatever it returns but STATUS_OK undoes it. */
enum status scheduler_write(struct scheduler *scheduler, catalog_use *change, void *context, struct error *err);

/* The same for a change that adds something: STATUS_NO_SPACE while the disk is full. */
enum status scheduler_add(struct scheduler *scheduler, catalog_use *change, void *context, struct error *err);

/* Runs `read` on a read-only connection, on the caller's thread. */
enum status scheduler_read(struct scheduler *scheduler, catalog_use *read, void *context, struct error *err);

/* The jobs that a filter (filter.h) wants, ascending, those in the trash only `with_trash`; the caller frees *ret_ids.
 * STATUS_INVALID for a filter that is none, and for one that wants more than `most`. */
enum status scheduler_job_ids(struct scheduler *scheduler, const char *filter, bool with_trash, size_t most,
                              int64_t **ret_ids, size_t *ret_count, struct error *err);

/* Takes in a run that run_import_check has found good and store_run_prepare made ready, from `file` below DATA/tmp, as
 * a job that has ended. What else of it is the caller's stays so. */
struct run_import;
enum status scheduler_import(struct scheduler *scheduler, const struct run_import *import, const char *file,
                             int64_t *ret_id, struct error *err);

/*
 * Adds a study and its jobs, `specs` in the order of its points, in one transaction. *ret_id is the study's id; the
 * jobs' are what store_study_rows tells. `key` and *ret_again as scheduler_submit's.
 */
struct study;
enum status scheduler_submit_study(struct scheduler *scheduler, const struct study *study, struct spec *const *specs,
                                   const struct submission_key *key, int64_t *ret_id, bool *ret_again,
                                   struct error *err);

/* Reads, from any thread, of committed state. */

/* The job as the API shows it (product.md "A job"); STATUS_NOT_FOUND. */
enum status scheduler_job(struct scheduler *scheduler, int64_t id, json_t **ret_job, struct error *err);

/* {"workers", "running", "queued", "states": {state: count}} */
enum status scheduler_queue(struct scheduler *scheduler, json_t **ret_queue, struct error *err);

/* What workers have done since the start, as they have told it. */
struct work_done {
    int64_t steps, rows; /* of training; of divergence */
};
struct work_done scheduler_work_done(struct scheduler *scheduler);

struct events *scheduler_events(struct scheduler *scheduler);

/* The path of a job's run file; the caller frees. The file may not exist yet. */
enum status scheduler_run_path(struct scheduler *scheduler, int64_t id, char **ret_path, struct error *err);

#endif
