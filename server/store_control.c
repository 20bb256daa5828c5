/*
 * What people do to jobs: they ask for a cancel or a pause, change names, try again, throw away; and keys by which a
 * request that is sent twice makes one job.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "server/clock.h"
#include "server/job_tag.h"
#include "server/json_util.h"
#include "server/sqlite_util.h"
#include "server/store_internal.h"

enum { KEY_SECONDS = 24 * 3600 };

/* Runs `sql` with the job's id as ?1 and `text` as ?2. */
static enum status update(sqlite3 *db, const char *sql, int64_t id, const char *text, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, sql, &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    if (sqlite3_bind_parameter_count(statement) > 1)
        db_bind_text(statement, 2, text);
    status = db_run(statement, err);
    if (status == STATUS_OK && sqlite3_changes(db) == 0)
        return store_unknown_job(id, err);
    return status;
}

enum status store_job_ask_cancel(sqlite3 *db, int64_t id, const char *reason, struct error *err)
{
    return update(db, "UPDATE job SET cancel_reason = ?2, pause_reason = NULL, reason = 'cancelling' WHERE id = ?1", id,
                  reason, err);
}

enum status store_job_ask_pause(sqlite3 *db, int64_t id, const char *reason, struct error *err)
{
    return update(db, "UPDATE job SET pause_reason = ?2, reason = iif(?2 IS NULL, NULL, 'pausing') WHERE id = ?1", id,
                  reason, err);
}

enum status store_job_seconds(sqlite3 *db, int64_t id, double seconds, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "UPDATE job SET seconds = ?2 WHERE id = ?1", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_double(statement, 2, seconds);
    return db_run(statement, err);
}

enum status store_job_retry(sqlite3 *db, int64_t id, int64_t *ret_id, struct error *err)
{
    char now[CLOCK_TEXT_SIZE];
    enum status status = update(db,
                                "INSERT INTO job (name, tags, note, state, priority, spec, spec_hash, created_at, "
                                "retry_of) SELECT name, tags, note, 'queued', priority, spec, spec_hash, ?2, id FROM "
                                "job WHERE id = ?1",
                                id, clock_now(now), err);
    if (status != STATUS_OK)
        return status;
    int64_t made = sqlite3_last_insert_rowid(db);
    char reason[64];
    snprintf(reason, sizeof reason, "tries job %" PRId64 " again", id);
    status = store_record_state(db, made, reason, err);
    if (status == STATUS_OK)
        *ret_id = made;
    return status;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static enum status tags_text(const json_t *tags, char **ret_text, struct error *err)
{
    size_t i;
    const json_t *tag;
    if (!json_is_array(tags))
        return error_set(err, STATUS_INVALID, "tags must be an array of texts");
    json_array_foreach(tags, i, tag)
    {
        if (!json_is_string(tag))
            return error_set(err, STATUS_INVALID, "tags must be an array of texts; item %zu is none", i);
    }
    *ret_text = json_text(tags, JSON_COMPACT);
    return *ret_text ? STATUS_OK : error_no_memory(err);
}

static enum status record_priority(sqlite3 *db, int64_t id, int priority, struct error *err)
{
    char reason[64];
    snprintf(reason, sizeof reason, "priority set to %d", priority);
    return store_record_state(db, id, reason, err);
}

static enum status check_tag(sqlite3 *db, int64_t id, const char *wanted, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    char tag[JOB_TAG_SIZE] = "";
    enum status status = store_job_json(db, id, &job, err);
    if (status == STATUS_OK)
        status = job_tag(job, tag, err);
    if (status != STATUS_OK || job_tag_is_wanted(wanted, tag))
        return status;
    return error_set(err, STATUS_CONFLICT, "job %" PRId64 " was changed meanwhile: its tag is %s now, not %.60s", id,
                     tag, wanted);
}

enum status store_job_patch(sqlite3 *db, int64_t id, const struct job_patch *patch, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *tags = NULL;
    enum status status = patch->tags ? tags_text(patch->tags, &tags, err) : STATUS_OK;
    if (status == STATUS_OK && patch->if_match)
        status = check_tag(db, id, patch->if_match, err);
    if (status == STATUS_OK)
        status = db_prepare(db,
                            "UPDATE job SET name = coalesce(?2, name), note = coalesce(?3, note), tags = coalesce(?4, "
                            "tags), priority = coalesce(?5, priority) WHERE id = ?1",
                            &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, patch->name);
    db_bind_text(statement, 3, patch->note);
    db_bind_text(statement, 4, tags);
    if (patch->priority)
        sqlite3_bind_int(statement, 5, *patch->priority);
    status = db_run(statement, err);
    if (status == STATUS_OK && sqlite3_changes(db) == 0)
        return store_unknown_job(id, err);
    return status == STATUS_OK && patch->priority ? record_priority(db, id, *patch->priority, err) : status;
}

/* --- the trash --------------------------------------------------------------------------------------------------- */

enum status store_job_trash(sqlite3 *db, int64_t id, bool trashed, struct error *err)
{
    char now[CLOCK_TEXT_SIZE];
    enum status status =
        update(db, "UPDATE job SET trashed_at = ?2 WHERE id = ?1", id, trashed ? clock_now(now) : NULL, err);
    if (status == STATUS_OK)
        status = store_record_state(db, id, trashed ? "moved to the trash" : "restored from the trash", err);
    return status;
}

/* A request that is sent again with the key that made the job then makes another. */
enum status store_job_delete(sqlite3 *db, int64_t id, struct error *err)
{
    static const char *const rows[] = {"DELETE FROM job_state WHERE job = ?",
                                       "DELETE FROM submission WHERE what = 'job' AND made = ?"};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == STATUS_OK; i++) {
        attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
        status = db_prepare(db, rows[i], &statement, err);
        if (status != STATUS_OK)
            return status;
        sqlite3_bind_int64(statement, 1, id);
        status = db_run(statement, err);
    }
    return status == STATUS_OK ? update(db, "DELETE FROM job WHERE id = ?1", id, NULL, err) : status;
}

enum status store_ended_jobs(sqlite3 *db, json_t **ret_jobs, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_json) json_t *jobs = json_array();
    enum status status = jobs ? db_prepare(db,
                                           "SELECT id, name, state, ended_at, trashed_at FROM job WHERE ended_at IS "
                                           "NOT NULL ORDER BY ended_at, id",
                                           &statement, err)
                              : error_no_memory(err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        json_t *job = NULL;
        status = row_json(statement, &(struct row_shape){.count = 5}, &job, err);
        if (status == STATUS_OK)
            status = json_add(jobs, job, err);
    }
    if (status == STATUS_OK)
        *ret_jobs = json_incref(jobs);
    return status;
}

/* --- keys of requests -------------------------------------------------------------------------------------------- */

#define KEY_SQL "?1 || ':' || ?2" /* keys of two tokens are two */

enum status store_submission_find(sqlite3 *db, const struct submission_key *key, const char *what, int64_t *ret_made,
                                  struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char cutoff[CLOCK_TEXT_SIZE];
    bool row = false;
    *ret_made = 0;
    if (!key)
        return STATUS_OK;
    enum status status = db_prepare(
        db, "SELECT made, request = ?3 AND what = ?4, what FROM submission WHERE key = " KEY_SQL " AND at >= ?5",
        &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, key->token);
    db_bind_text(statement, 2, key->text);
    db_bind_text(statement, 3, key->request);
    db_bind_text(statement, 4, what);
    db_bind_text(statement, 5, clock_ago(KEY_SECONDS, cutoff));
    status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    if (row && !sqlite3_column_int(statement, 1))
        return error_set(err, STATUS_CONFLICT, "the key \"%.128s\" was used for another request, which made %s %lld",
                         key->text, (const char *)sqlite3_column_text(statement, 2),
                         (long long)sqlite3_column_int64(statement, 0));
    *ret_made = row ? sqlite3_column_int64(statement, 0) : 0;
    return STATUS_OK;
}

static enum status forget_old_keys(sqlite3 *db, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char cutoff[CLOCK_TEXT_SIZE];
    enum status status = db_prepare(db, "DELETE FROM submission WHERE at < ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, clock_ago(KEY_SECONDS, cutoff));
    return db_run(statement, err);
}

enum status store_submission_add(sqlite3 *db, const struct submission_key *key, const char *what, int64_t made,
                                 struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char now[CLOCK_TEXT_SIZE];
    if (!key)
        return STATUS_OK;
    enum status status = forget_old_keys(db, err);
    if (status == STATUS_OK)
        status =
            db_prepare(db, "INSERT INTO submission (key, request, what, made, at) VALUES (" KEY_SQL ", ?3, ?4, ?5, ?6)",
                       &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, key->token);
    db_bind_text(statement, 2, key->text);
    db_bind_text(statement, 3, key->request);
    db_bind_text(statement, 4, what);
    sqlite3_bind_int64(statement, 5, made);
    db_bind_text(statement, 6, clock_now(now));
    return db_run(statement, err);
}
