#include "server/store_import.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "core/json_text.h"
#include "server/clock.h"
#include "server/data_paths.h"
#include "server/file_copy.h"
#include "server/job.h"
#include "server/run_file.h"
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
    attribute_cleanup(cleanup_free) char *progress = json_text(import->progress, JSON_COMPACT);
    attribute_cleanup(cleanup_free) char *results = json_text(import->results, JSON_COMPACT);
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

enum status store_run_prepare(const char *file, struct error *err)
{
    enum status status = run_file_migrate(file, err);
    return status == STATUS_OK ? file_sync(file, err) : status;
}

static char *run_place(const char *data, int64_t id)
{
    return text_format("%s/runs/%" PRId64 ".db", data, id);
}

enum status store_run_take_in(sqlite3 *db, const char *data, const struct run_import *import, const char *file,
                              int64_t *ret_id, struct error *err)
{
    int64_t id = 0;
    enum status status = store_job_import(db, import, &id, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *runs = path_join(data, "runs");
    attribute_cleanup(cleanup_free) char *place = run_place(data, id);
    if (!runs || !place)
        return error_no_memory(err);
    if (rename(file, place) != 0)
        return error_set(err, STATUS_IO, "cannot move the run to %s: %s", place, strerror(errno));
    *ret_id = id;
    return file_sync(runs, err);
}

void store_run_take_back(const char *data, int64_t id)
{
    attribute_cleanup(cleanup_free) char *place = id > 0 ? run_place(data, id) : NULL;
    if (id > 0 && (!place || unlink(place) != 0))
        fprintf(stderr, "plumbline: the file of a run that was not imported stays at %s/runs/%" PRId64 ".db\n", data,
                id);
}

/* --- numbers that are not given yet ------------------------------------------------------------------------------- */

/* The largest id there may be: a JSON number holds no larger one exactly. */
static const int64_t LARGEST_ID = ((int64_t)1 << 53) - 1;

/* The number of a run file; 0 of any other name. */
static int64_t run_number(const char *name)
{
    char *end = NULL;
    long long number = strspn(name, "0123456789") > 0 ? strtoll(name, &end, 10) : 0;
    return number > 0 && number < LARGEST_ID && strcmp(end, ".db") == 0 ? number : 0;
}

/* The largest number above `given`, or 0. */
static enum status find_largest(const char *data, int64_t given, int64_t *ret_largest, struct error *err)
{
    attribute_cleanup(cleanup_free) char *path = path_join(data, "runs");
    DIR *runs = path ? opendir(path) : NULL;
    if (!runs)
        return !path             ? error_no_memory(err)
               : errno == ENOENT ? STATUS_OK
                                 : error_set(err, STATUS_IO, "cannot read the folder %s: %s", path, strerror(errno));
    for (struct dirent *entry = readdir(runs); entry; entry = readdir(runs)) {
        int64_t number = run_number(entry->d_name);
        if (number <= given)
            continue;
        fprintf(stderr, "plumbline: %s/%s is the run of no job; `plumbline import` takes in a copy of it\n", path,
                entry->d_name);
        if (number > *ret_largest)
            *ret_largest = number;
    }
    closedir(runs);
    return STATUS_OK;
}

enum status store_unknown_runs(sqlite3 *db, const char *data, int64_t *ret_largest, struct error *err)
{
    int64_t given = 0;
    enum status status =
        db_integer(db, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'job'", &given, err);
    *ret_largest = 0;
    return status == STATUS_OK ? find_largest(data, given, ret_largest, err) : status;
}

enum status store_ids_pass(sqlite3 *db, int64_t largest, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_execute(db,
                                    "INSERT INTO sqlite_sequence (name, seq) SELECT 'job', 0 WHERE NOT EXISTS "
                                    "(SELECT 1 FROM sqlite_sequence WHERE name = 'job')",
                                    err);
    if (status == STATUS_OK)
        status = db_prepare(db, "UPDATE sqlite_sequence SET seq = ? WHERE name = 'job'", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, largest);
    return db_run(statement, err);
}
