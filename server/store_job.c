/*
 * Table `job`, and `job_state` with every change.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "server/clock.h"
#include "server/json_util.h"
#include "server/scheduler.h"
#include "server/sqlite_util.h"
#include "server/store_internal.h"

enum status store_unknown_job(int64_t id, struct error *err)
{
    return error_set(err, STATUS_NOT_FOUND, "there is no job %" PRId64, id);
}

enum status store_record_state(sqlite3 *db, int64_t id, const char *reason, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db,
                                    "INSERT INTO job_state (job, at, state, attempt, reason) "
                                    "SELECT id, ?2, state, attempt, coalesce(?3, reason) FROM job WHERE id = ?1",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, clock_now(now));
    db_bind_text(statement, 3, reason);
    return db_run(statement, err);
}

enum status store_job_insert(sqlite3 *db, const struct spec *spec, int64_t *ret_id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *text = json_text(spec->expanded, JSON_COMPACT);
    const json_t *list = json_object_get(spec->expanded, "tags");
    attribute_cleanup(cleanup_free) char *tags = list ? json_text(list, JSON_COMPACT) : strdup("[]");
    if (!text || !tags)
        return error_no_memory(err);
    enum status status = db_prepare(db,
                                    "INSERT INTO job (name, tags, state, priority, spec, spec_hash, created_at) "
                                    "VALUES (?, ?, 'queued', ?, ?, ?, ?)",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    db_bind_text(statement, 1, spec->name ? spec->name : "");
    db_bind_text(statement, 2, tags);
    sqlite3_bind_int(statement, 3, spec->priority);
    db_bind_text(statement, 4, text);
    db_bind_text(statement, 5, spec->hash);
    db_bind_text(statement, 6, clock_now(now));
    status = db_run(statement, err);
    int64_t id = sqlite3_last_insert_rowid(db);
    if (status == STATUS_OK)
        status = store_record_state(db, id, NULL, err);
    if (status == STATUS_OK)
        *ret_id = id;
    return status;
}

/* Going back to the queue starts a new attempt only where this one has begun. */
#define CHANGE_SQL                                                                                                     \
    "UPDATE job SET state = ?2, reason = ?3, "                                                                         \
    "attempt = attempt + (?4 AND EXISTS (SELECT 1 FROM job_state AS s WHERE s.job = ?1 AND s.state = 'running' AND "   \
    "s.attempt = job.attempt)), "                                                                                      \
    "crashes = CASE WHEN ?5 THEN crashes + 1 WHEN ?4 THEN 0 ELSE crashes END, "                                        \
    "started_at = CASE WHEN ?6 THEN coalesce(started_at, ?8) ELSE started_at END, "                                    \
    "ended_at = CASE WHEN ?7 THEN ?8 ELSE NULL END, pause_reason = NULL, waits_for_space = ?9 WHERE id = ?1"

enum status store_job_change(sqlite3 *db, int64_t id, const struct job_change *change, struct error *err)
{
    struct job_row row;
    enum status status = store_job_row(db, id, &row, err);
    if (status != STATUS_OK)
        return status;
    enum job_state from = row.state;
    job_row_clear(&row);
    if (!job_may_change(from, change->to))
        return error_set(err, STATUS_CONFLICT, "job %" PRId64 " is %s and cannot become %s", id, job_state_name(from),
                         job_state_name(change->to));
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    status = db_prepare(db, CHANGE_SQL, &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, job_state_name(change->to));
    db_bind_text(statement, 3, change->reason);
    sqlite3_bind_int(statement, 4, change->to == JOB_QUEUED);
    sqlite3_bind_int(statement, 5, change->crashed);
    sqlite3_bind_int(statement, 6, change->to == JOB_RUNNING);
    sqlite3_bind_int(statement, 7, job_state_is_final(change->to));
    db_bind_text(statement, 8, clock_now(now));
    sqlite3_bind_int(statement, 9, change->for_space);
    status = db_run(statement, err);
    return status == STATUS_OK ? store_record_state(db, id, NULL, err) : status;
}

enum status store_job_progress(sqlite3 *db, int64_t id, const json_t *progress, const json_t *results,
                               struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *progress_text = progress ? json_text(progress, JSON_COMPACT) : NULL;
    attribute_cleanup(cleanup_free) char *results_text = results ? json_text(results, JSON_COMPACT) : NULL;
    if ((progress && !progress_text) || (results && !results_text))
        return error_no_memory(err);
    enum status status = db_prepare(
        db, "UPDATE job SET progress = coalesce(?2, progress), results = coalesce(?3, results) WHERE id = ?1",
        &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, progress_text);
    db_bind_text(statement, 3, results_text);
    return db_run(statement, err);
}

void job_row_clear(struct job_row *row)
{
    free(row->cancel_reason);
    free(row->pause_reason);
    free(row->spec);
    *row = (struct job_row){0};
}

static enum status copy_text(sqlite3_stmt *statement, int column, char **ret_text, struct error *err)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    char *copy = text ? strdup(text) : NULL;
    if (!copy && sqlite3_column_type(statement, column) != SQLITE_NULL)
        return error_no_memory(err);
    *ret_text = copy;
    return STATUS_OK;
}

enum status store_job_row(sqlite3 *db, int64_t id, struct job_row *ret_row, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool found = false;
    enum status status = db_prepare(db,
                                    "SELECT state, attempt, crashes, coalesce(json_extract(progress, '$.step'), 0), "
                                    "cancel_reason, spec, pause_reason, seconds, trashed_at IS NOT NULL, "
                                    "waits_for_space FROM job WHERE id = ?",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    status = db_row(statement, &found, err);
    if (status != STATUS_OK)
        return status;
    if (!found)
        return store_unknown_job(id, err);
    struct job_row row = {.id = id,
                          .state = job_state_parse((const char *)sqlite3_column_text(statement, 0)),
                          .attempt = sqlite3_column_int(statement, 1),
                          .crashes = sqlite3_column_int(statement, 2),
                          .step = sqlite3_column_int64(statement, 3),
                          .seconds = sqlite3_column_double(statement, 7),
                          .trashed = sqlite3_column_int(statement, 8),
                          .waits_for_space = sqlite3_column_int(statement, 9)};
    if (row.state == JOB_STATE_COUNT)
        return error_set(err, STATUS_CORRUPT, "job %" PRId64 " is in a state that there is none of", id);
    status = copy_text(statement, 4, &row.cancel_reason, err);
    if (status == STATUS_OK)
        status = copy_text(statement, 5, &row.spec, err);
    if (status == STATUS_OK)
        status = copy_text(statement, 6, &row.pause_reason, err);
    if (status != STATUS_OK) {
        job_row_clear(&row);
        return status;
    }
    *ret_row = row;
    return STATUS_OK;
}

static bool is_among(int64_t id, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

enum status store_next_queued(sqlite3 *db, const int64_t *except, size_t count, int64_t *ret_id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(db, "SELECT id FROM job WHERE state = 'queued' ORDER BY priority DESC, id", &statement, err);
    int64_t next = 0;
    for (bool row = true; status == STATUS_OK && next == 0;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        int64_t id = sqlite3_column_int64(statement, 0);
        next = is_among(id, except, count) ? 0 : id;
    }
    if (status == STATUS_OK)
        *ret_id = next;
    return status;
}

enum status store_first_running(sqlite3 *db, int64_t *ret_id, struct error *err)
{
    return db_integer(db, "SELECT coalesce(min(id), 0) FROM job WHERE state = 'running'", ret_id, err);
}

enum status store_first_waiting(sqlite3 *db, int64_t *ret_id, struct error *err)
{
    return db_integer(db, "SELECT coalesce(min(id), 0) FROM job WHERE state = 'paused' AND waits_for_space", ret_id,
                      err);
}

/* --- as JSON -------------------------------------------------------------------------------------------------- */

#define JOB_COLUMNS                                                                                                    \
    "id, name, tags, note, state, reason, attempt, priority, spec, spec_hash, created_at, started_at, ended_at, "      \
    "progress, results, retry_of, trashed_at"
static const char *const json_columns[] = {"tags", "spec", "progress", "results", NULL};
#define JOB_SHAPE                                                                                                      \
    {                                                                                                                  \
        .count = 17, .json = json_columns                                                                              \
    }

enum status store_job_json(sqlite3 *db, int64_t id, json_t **ret_job, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(db, "SELECT " JOB_COLUMNS " FROM job WHERE id = ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    status = db_row(statement, &row, err);
    if (status == STATUS_OK && !row)
        return store_unknown_job(id, err);
    if (status == STATUS_OK)
        status = row_json(statement, &job_list.shape, ret_job, err);
    return status == STATUS_OK ? status : error_prefix(err, status, "job %" PRId64 ": ", id);
}

/* Jobs in the trash have a list of their own. */
#define JOB_LIST(list_name, which)                                                                                     \
    {                                                                                                                  \
        .name = (list_name), .from = "job", .columns = JOB_COLUMNS, .condition = (which), .fields = job_fields,        \
        .shape = JOB_SHAPE, .order_by = "created_at DESC"                                                              \
    }
const struct list job_list = JOB_LIST("jobs", "job.trashed_at IS NULL");
const struct list trash_list = JOB_LIST("trash", "job.trashed_at IS NOT NULL");
const struct list all_jobs_list = JOB_LIST("all", "1");

enum status store_counts(sqlite3 *db, int64_t ret_counts[JOB_STATE_COUNT], struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(db, "SELECT state, count(*) FROM job WHERE trashed_at IS NULL GROUP BY state", &statement, err);
    int64_t counts[JOB_STATE_COUNT] = {0};
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        enum job_state state = job_state_parse((const char *)sqlite3_column_text(statement, 0));
        if (state < JOB_STATE_COUNT)
            counts[state] = sqlite3_column_int64(statement, 1);
    }
    if (status == STATUS_OK)
        memcpy(ret_counts, counts, sizeof counts);
    return status;
}
