/*
 * Copying a run: a sealed file as bytes, any other page by page under one read transaction.
 */
#include "server/run_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/clock.h"
#include "server/file_copy.h"
#include "server/migrate.h"
#include "server/run_file.h"
#include "server/sqlite_util.h"

static const double BUSY_SECONDS = 5; /* a worker seals its file in less */

static enum status not_made(const char *path, struct error *err)
{
    enum status status = errno == ENOSPC || errno == EDQUOT ? STATUS_NO_SPACE
                         : errno == EEXIST                  ? STATUS_CONFLICT
                         : errno == ENOENT                  ? STATUS_NOT_FOUND
                                                            : STATUS_IO;
    return error_set(err, status, "%s cannot be made: %s", path, strerror(errno));
}

/* All pages in one step: in several the copy would begin anew whenever the worker commits. */
static enum status copy_pages(sqlite3 *from, sqlite3 *to, struct error *err)
{
    double start = clock_seconds();
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return db_error(to, err, "the copy cannot begin");
    int code = sqlite3_backup_step(backup, -1);
    while ((code == SQLITE_BUSY || code == SQLITE_LOCKED) && clock_seconds() - start < BUSY_SECONDS) {
        clock_pause(0.02);
        code = sqlite3_backup_step(backup, -1);
    }
    sqlite3_backup_finish(backup);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return error_set(err, STATUS_BUSY, "the run is being sealed; try again in a few seconds");
    return code == SQLITE_DONE ? STATUS_OK : db_error(to, err, "the copy failed");
}

/* Of whatever version: a worker, or the server's next start, will migrate the run. */
static enum status open_live(const char *path, sqlite3 **ret_db, struct error *err)
{
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    int version = 0;
    enum status status = db_open(path, DB_READ, &db, err);
    if (status == STATUS_OK)
        status = migrate_check(db, &run_schema, &version, err);
    if (status == STATUS_OK && version == 0)
        status = error_set(err, STATUS_NOT_FOUND, "the run has not begun to write");
    if (status != STATUS_OK)
        return error_prefix(err, status, "run file %s: ", path);
    *ret_db = db;
    db = NULL;
    return STATUS_OK;
}

static enum status copy_live(const char *path, const char *destination, struct error *err)
{
    attribute_cleanup(cleanup_db) sqlite3 *run = NULL;
    attribute_cleanup(cleanup_db) sqlite3 *copy = NULL;
    enum status status = open_live(path, &run, err);
    if (status == STATUS_OK)
        status = db_open(destination, DB_WRITE, &copy, err);
    if (status == STATUS_OK) /* a copy that is lost with the machine is made again */
        status = db_execute(copy, "PRAGMA synchronous = OFF", err);
    if (status == STATUS_OK)
        status = copy_pages(run, copy, err);
    if (status == STATUS_OK)
        status = db_execute(copy, "PRAGMA journal_mode = DELETE", err);
    return status;
}

static enum status copy_sealed(const char *path, int target, const char *destination, struct error *err)
{
    attribute_cleanup(cleanup_descriptor) int source = -1;
    size_t size = 0;
    enum status status = file_open(path, &source, &size, err);
    return status == STATUS_OK ? file_copy(source, path, target, destination, NULL, err) : status;
}

/* A live run is opened by SQLite alone; see run_file_is_sealed. */
enum status run_file_copy(const char *path, const char *destination, struct error *err)
{
    attribute_cleanup(cleanup_descriptor) int target = -1;
    if (!file_exists(path))
        return error_set(err, STATUS_NOT_FOUND, "%s does not exist", path);
    target = open(destination, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (target < 0)
        return not_made(destination, err);
    enum status status = run_file_is_sealed(path) ? copy_sealed(path, target, destination, err)
                                                  : copy_live(path, destination, err); /* into the empty file */
    if (status != STATUS_OK)
        unlink(destination);
    return status;
}
