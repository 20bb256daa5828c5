/*
 * The event log: what happened, with ids that have no gaps, kept in the catalog and replayed to who reconnects.
 *
 * Events are appended by the scheduler's thread alone, inside its transactions, and become visible to readers after
 * the commit. Readers (event streams) wait on a condition variable; all functions but events_append are safe from any
 * thread.
 */
#ifndef PLUMBLINE_SERVER_EVENTS_H
#define PLUMBLINE_SERVER_EVENTS_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

struct events; /* opaque */

/* `db` is the catalog's writing connection, used by the scheduler's thread only. */
enum status events_create(sqlite3 *db, struct events **ret_events, struct error *err);
void events_free(struct events *events);

/* Scheduler's thread: adds an event within the open transaction. `type` as product.md ("job.state"); `job` 0 for
 * none; `data` is borrowed. */
enum status events_append(struct events *events, const char *type, int64_t job, const json_t *data, struct error *err);

/* Scheduler's thread, after COMMIT: shows the appended events to the readers and trims what is too old. */
void events_publish(struct events *events);

/* Scheduler's thread, after ROLLBACK: forgets the appended ones. */
void events_discard(struct events *events);

/* One event as a reader gets it: `text` is the compact JSON of the data. */
struct event {
    int64_t id;
    int64_t job;
    char type[24];
    char *text; /* owned by the reader: free() */
};

/*
 * The next event after `after`, waiting at most `timeout_ms`. STATUS_OK with an event; STATUS_BUSY when the time is
 * over without one; STATUS_NOT_FOUND when `after` is older than what is kept (the reader sends `reset`);
 * STATUS_STOPPED once events_stop was called.
 */
enum status events_next(struct events *events, int64_t after, int timeout_ms, struct event *ret_event,
                        struct error *err);

/* The id of the newest published event; 0 when there was none ever. */
int64_t events_last(struct events *events);

/* Wakes all readers for good. */
void events_stop(struct events *events);

#endif
