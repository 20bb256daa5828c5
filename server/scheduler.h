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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/spec.h"
#include "core/status.h"
#include "server/events.h"

struct scheduler; /* opaque */

struct scheduler_settings {
    const char *program;                /* the binary to run as worker */
    const char *data;                   /* the data directory, locked by the caller */
    int workers;                        /* how many jobs at once */
    int grace_seconds;                  /* between SIGTERM and SIGKILL */
    const char *const *dataset_folders; /* NULL-terminated; handed to the workers */
};

/*
 * Opens and migrates DATA/catalog.db, marks the jobs that an earlier daemon left running as interrupted and queues
 * them again, and starts the thread.
 */
enum status scheduler_start(const struct scheduler_settings *settings, struct scheduler **ret_scheduler,
                            struct error *err);

/* Stops: workers are told (SIGTERM), waited for, then killed; their jobs go back to `queued` with a reason. Returns
 * when no worker lives and the catalog is closed. Within 4 s. */
void scheduler_stop(struct scheduler *scheduler);

/* Queues a job; returns when it is durable. *ret_id is the new job's id. */
enum status scheduler_submit(struct scheduler *scheduler, const struct spec *spec, int64_t *ret_id, struct error *err);

/* Cancels: a queued job at once, a running one by telling its worker. STATUS_NOT_FOUND, or STATUS_CONFLICT in a final
 * state. */
enum status scheduler_cancel(struct scheduler *scheduler, int64_t id, const char *reason, struct error *err);

/* Reads, from any thread, of committed state. */

/* The job as the API shows it (product.md "A job"); STATUS_NOT_FOUND. */
enum status scheduler_job(struct scheduler *scheduler, int64_t id, json_t **ret_job, struct error *err);

struct job_query {
    const char *state;      /* NULL: any */
    size_t max_results;     /* 1 … 1000 */
    const char *page_token; /* from the page before; NULL: the first */
    bool ascending;         /* oldest first; else newest first */
};

/* {"items": [jobs without `spec`'s long parts left whole], "next_page_token": text or null} */
enum status scheduler_jobs(struct scheduler *scheduler, const struct job_query *query, json_t **ret_page,
                           struct error *err);

/* {"workers", "running", "queued", "states": {state: count}} */
enum status scheduler_queue(struct scheduler *scheduler, json_t **ret_queue, struct error *err);

struct events *scheduler_events(struct scheduler *scheduler);

/* The path of a job's run file; the caller frees. The file may not exist yet. */
enum status scheduler_run_path(struct scheduler *scheduler, int64_t id, char **ret_path, struct error *err);

#endif
