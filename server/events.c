/*
 * Ids come from one counter: the newest committed id and the appended ones after it, so a rollback leaves no gap.
 *
 * The newest events are kept in a ring, from which streams that are up to date read; one that comes back after a while
 * reads from the catalog, over a read-only connection that the readers share.
 */
#include "server/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/json_text.h"
#include "server/array.h"
#include "server/clock.h"
#include "server/sqlite_util.h"

enum { RING = 1024, KEPT_EVENTS = 100000, KEPT_SECONDS = 24 * 3600, TRIM_EVERY = 1000 };

struct events {
    /* the scheduler's thread alone */
    sqlite3 *db;
    sqlite3_stmt *insert;
    struct event *pending; /* appended in the open transaction */
    size_t pending_count, pending_capacity;
    int untrimmed; /* published since the last trim */

    pthread_mutex_t mutex; /* what follows */
    pthread_cond_t changed;
    struct event ring[RING]; /* event `id` is at id % RING */
    int64_t last, first;     /* the newest and the oldest that is kept; last 0 when there are none */
    int64_t ring_first;      /* the oldest in the ring */
    bool stopped;

    pthread_mutex_t reader_mutex; /* the shared reading connection; never held while waiting for `mutex` */
    sqlite3 *reader;
    sqlite3_stmt *select;
};

static void drop_pending(struct events *events)
{
    for (size_t i = 0; i < events->pending_count; i++)
        free(events->pending[i].text);
    events->pending_count = 0;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    drop_pending(events);
    free(events->pending);
    cleanup_statement(&events->insert);
    cleanup_statement(&events->select);
    cleanup_db(&events->reader);
    for (int i = 0; i < RING; i++)
        free(events->ring[i].text);
    pthread_cond_destroy(&events->changed);
    pthread_mutex_destroy(&events->mutex);
    pthread_mutex_destroy(&events->reader_mutex);
    free(events);
}

/* The oldest id that is kept, and the newest. */
static enum status read_ids(struct events *events, struct error *err)
{
    enum status status = db_integer(events->db, "SELECT coalesce(max(id), 0) FROM event", &events->last, err);
    if (status == STATUS_OK)
        status = db_integer(events->db, "SELECT coalesce(min(id), 1) FROM event", &events->first, err);
    events->ring_first = events->last + 1;
    return status;
}

static enum status prepare(struct events *events, struct error *err)
{
    const char *path = sqlite3_db_filename(events->db, "main");
    enum status status = db_prepare_kept(events->db, "INSERT INTO event VALUES (?, ?, ?, ?, ?)", &events->insert, err);
    if (status == STATUS_OK && (!path || !*path))
        status = error_set(err, STATUS_INVALID, "events need a catalog in a file");
    if (status == STATUS_OK)
        status = db_open(path, DB_READ, &events->reader, err);
    if (status == STATUS_OK)
        status =
            db_prepare_kept(events->reader, "SELECT id, type, job, data FROM event WHERE id > ? ORDER BY id LIMIT 1",
                            &events->select, err);
    return status == STATUS_OK ? read_ids(events, err) : status;
}

enum status events_create(sqlite3 *db, struct events **ret_events, struct error *err)
{
    struct events *events = calloc(1, sizeof *events);
    if (!events)
        return error_no_memory(err);
    events->db = db;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&events->mutex, NULL); /* these three cannot fail on Linux */
    pthread_mutex_init(&events->reader_mutex, NULL);
    pthread_cond_init(&events->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    enum status status = prepare(events, err);
    if (status != STATUS_OK) {
        events_free(events);
        return status;
    }
    *ret_events = events;
    return STATUS_OK;
}

static enum status reserve(struct events *events, struct error *err)
{
    struct event *pending =
        array_room(events->pending, events->pending_count, &events->pending_capacity, sizeof *pending);
    if (!pending)
        return error_no_memory(err);
    events->pending = pending;
    return STATUS_OK;
}

enum status events_append(struct events *events, const char *type, int64_t job, const json_t *data, struct error *err)
{
    enum status status = reserve(events, err);
    if (status != STATUS_OK)
        return status;
    /* `last` is changed by this thread alone, so it is read here without the lock. */
    struct event event = {.id = events->last + (int64_t)events->pending_count + 1, .job = job};
    snprintf(event.type, sizeof event.type, "%s", type);
    event.text = json_text(data, JSON_COMPACT);
    if (!event.text)
        return error_no_memory(err);
    char now[CLOCK_TEXT_SIZE];
    sqlite3_bind_int64(events->insert, 1, event.id);
    db_bind_text(events->insert, 2, clock_now(now));
    db_bind_text(events->insert, 3, event.type);
    sqlite3_bind_int64(events->insert, 4, job);
    db_bind_text(events->insert, 5, event.text);
    status = db_run(events->insert, err);
    if (status != STATUS_OK) {
        free(event.text);
        return status;
    }
    events->pending[events->pending_count++] = event;
    return STATUS_OK;
}

/* Deletes what is too old, but never the newest. A failure leaves more than need be, till the next time. */
static void trim(struct events *events)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char cutoff[CLOCK_TEXT_SIZE];
    int64_t first;
    /* The events to delete come first, so the search by time ends at the first that stays. */
    if (db_prepare(events->db,
                   "DELETE FROM event WHERE id < ?1 AND id < max(?1 - ?2, "
                   "coalesce((SELECT id FROM event WHERE at >= ?3 ORDER BY id LIMIT 1), ?1))",
                   &statement, NULL) != STATUS_OK)
        return;
    sqlite3_bind_int64(statement, 1, events->last);
    sqlite3_bind_int64(statement, 2, KEPT_EVENTS - 1);
    db_bind_text(statement, 3, clock_ago(KEPT_SECONDS, cutoff));
    if (db_run(statement, NULL) == STATUS_OK &&
        db_integer(events->db, "SELECT min(id) FROM event", &first, NULL) == STATUS_OK) {
        pthread_mutex_lock(&events->mutex);
        events->first = first;
        pthread_mutex_unlock(&events->mutex);
    }
}

void events_publish(struct events *events)
{
    if (events->pending_count == 0)
        return;
    pthread_mutex_lock(&events->mutex);
    for (size_t i = 0; i < events->pending_count; i++) {
        struct event *slot = &events->ring[events->pending[i].id % RING];
        free(slot->text);
        *slot = events->pending[i];
    }
    events->last += (int64_t)events->pending_count;
    if (events->ring_first < events->last - RING + 1)
        events->ring_first = events->last - RING + 1;
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->mutex);
    events->untrimmed += (int)events->pending_count;
    events->pending_count = 0;
    if (events->untrimmed >= TRIM_EVERY) {
        events->untrimmed = 0;
        trim(events);
    }
}

void events_discard(struct events *events)
{
    drop_pending(events);
}

/* Waits till there is an event after `after`; the mutex is held. */
static enum status wait_for(struct events *events, int64_t after, int timeout_ms, struct error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!events->stopped && events->last == after)
        if (pthread_cond_timedwait(&events->changed, &events->mutex, &until) != 0)
            return events->stopped         ? error_set(err, STATUS_STOPPED, "the event log has stopped")
                   : events->last == after ? error_set(err, STATUS_BUSY, "no event within %d ms", timeout_ms)
                                           : STATUS_OK;
    return events->stopped ? error_set(err, STATUS_STOPPED, "the event log has stopped") : STATUS_OK;
}

static enum status forgotten(int64_t after, struct error *err)
{
    return error_set(err, STATUS_NOT_FOUND, "what came after event %" PRId64 " is no longer kept", after);
}

/* From the ring: *ret_found says whether it was there. The mutex is held. */
static enum status from_ring(struct events *events, int64_t after, struct event *ret_event, bool *ret_found,
                             struct error *err)
{
    *ret_found = after + 1 >= events->ring_first;
    if (!*ret_found)
        return STATUS_OK;
    struct event event = events->ring[(after + 1) % RING];
    event.text = strdup(event.text);
    if (!event.text)
        return error_no_memory(err);
    *ret_event = event;
    return STATUS_OK;
}

static enum status from_catalog(struct events *events, int64_t after, struct event *ret_event, struct error *err)
{
    bool row = false;
    struct event event = {0};
    pthread_mutex_lock(&events->reader_mutex);
    sqlite3_stmt *select = events->select;
    sqlite3_bind_int64(select, 1, after);
    enum status status = db_row(select, &row, err);
    if (status == STATUS_OK && row && sqlite3_column_int64(select, 0) == after + 1) {
        const char *type = (const char *)sqlite3_column_text(select, 1);
        const char *text = (const char *)sqlite3_column_text(select, 3);
        event.id = after + 1;
        event.job = sqlite3_column_int64(select, 2);
        snprintf(event.type, sizeof event.type, "%s", type ? type : "");
        event.text = text ? strdup(text) : NULL;
        status = event.text ? STATUS_OK : error_no_memory(err);
    } else if (status == STATUS_OK) {
        status = forgotten(after, err); /* trimmed since `first` was looked at */
    }
    sqlite3_reset(select);
    pthread_mutex_unlock(&events->reader_mutex);
    if (status == STATUS_OK)
        *ret_event = event;
    return status;
}

enum status events_next(struct events *events, int64_t after, int timeout_ms, struct event *ret_event,
                        struct error *err)
{
    bool found = false;
    pthread_mutex_lock(&events->mutex);
    enum status status = STATUS_OK;
    if (after < 0 || after + 1 < events->first || after > events->last) /* later than all: of another catalog */
        status = forgotten(after, err);
    if (status == STATUS_OK)
        status = wait_for(events, after, timeout_ms, err);
    if (status == STATUS_OK)
        status = from_ring(events, after, ret_event, &found, err);
    pthread_mutex_unlock(&events->mutex);
    if (status == STATUS_OK && !found)
        status = from_catalog(events, after, ret_event, err);
    return status;
}

int64_t events_last(struct events *events)
{
    pthread_mutex_lock(&events->mutex);
    int64_t last = events->last;
    pthread_mutex_unlock(&events->mutex);
    return last;
}

void events_stop(struct events *events)
{
    pthread_mutex_lock(&events->mutex);
    events->stopped = true;
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->mutex);
}
