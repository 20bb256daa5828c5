#include "server/store_import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/file_util.h"
#include "server/clock.h"
#include "server/job.h"
#include "server/sqlite_util.h"
#include "server/store.h"

#define IMPORT_SQL                                                                                                     \
    "UPDATE job SET state = ?2, reason = ?3, attempt = ?4, spec_hash = ?5, started_at = ?6, ended_at = ?7, "           \
    "progress = ?8, results = ?9 WHERE id = ?1"

static enum status record_import(sqlite3 *db, int64_t id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(db,
                   "UPDATE job_state SET (state, attempt, reason) = (SELECT state, attempt, 'imported' "
                   "FROM job WHERE id = ?1) WHERE job = ?1",
                   &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    return db_run(statement, err);
}

static enum status fill(sqlite3 *db, int64_t id, const struct run_import *import, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *progress = json_dumps(import->progress, JSON_COMPACT);
    attribute_cleanup(cleanup_free) char *results = json_dumps(import->results, JSON_COMPACT);
    enum status status = progress && results ? db_prepare(db, IMPORT_SQL, &statement, err) : error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    bool had_ended = job_state_is_final(import->state);
    char now[CLOCK_TEXT_SIZE];
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, job_state_name(had_ended ? import->state : JOB_CANCELLED));
    db_bind_text(statement, 3, had_ended ? import->reason : "imported before it had ended");
    sqlite3_bind_int(statement, 4, import->attempt);
    db_bind_text(statement, 5, import->spec->hash);
    db_bind_text(statement, 6, import->started_at);
    db_bind_text(statement, 7, import->ended_at ? import->ended_at : clock_now(now));
    db_bind_text(statement, 8, progress);
    db_bind_text(statement, 9, results);
    return db_run(statement, err);
}

enum status store_job_import(sqlite3 *db, const struct run_import *import, int64_t *ret_id, struct error *err)
{
    int64_t id = 0;
    enum status status = store_job_insert(db, import->spec, &id, err);
    if (status == STATUS_OK)
        status = fill(db, id, import, err);
    if (status == STATUS_OK)
        status = record_import(db, id, err);
    if (status == STATUS_OK)
        *ret_id = id;
    return status;
}

enum status store_run_take_in(sqlite3 *db, const char *data, const struct run_import *import, const char *file,
                              int64_t *ret_id, struct error *err)
{
    int64_t id = 0;
    enum status status = store_job_import(db, import, &id, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *place = text_format("%s/runs/%" PRId64 ".db", data, id);
    if (!place)
        return error_no_memory(err);
    if (rename(file, place) != 0)
        return error_set(err, STATUS_IO, "cannot move the run to %s: %s", place, strerror(errno));
    *ret_id = id;
    return STATUS_OK;
}
