#include "server/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/data_paths.h"
#include "server/file_copy.h"
#include "server/run_copy.h"
#include "server/run_file.h"
#include "server/sqlite_util.h"

struct backup {
    const char *data, *part;
    struct backup_report report;
};

static enum status system_error(struct error *err, const char *what, const char *path)
{
    return error_set(err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot %s %s: %s", what, path,
                     strerror(errno));
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static enum status copy_file(const char *from, const char *to, int64_t *ret_bytes, struct error *err)
{
    attribute_cleanup(cleanup_descriptor) int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return errno == ENOENT ? error_set(err, STATUS_NOT_FOUND, "%s is gone", from) : system_error(err, "open", from);
    attribute_cleanup(cleanup_descriptor) int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (target < 0)
        return system_error(err, "make", to);
    int64_t bytes = 0;
    enum status status = file_copy(source, from, target, to, &bytes, err);
    *ret_bytes += bytes;
    return status != STATUS_OK || fsync(target) == 0 ? status : system_error(err, "write", to);
}

static enum status make_folder(const char *path, struct error *err)
{
    return mkdir(path, 0700) == 0 ? STATUS_OK : system_error(err, "make the folder", path);
}

/* --- databases --------------------------------------------------------------------------------------------------- */

static int64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_size : 0;
}

static enum status copy_catalog(struct backup *b, struct error *err)
{
    attribute_cleanup(cleanup_free) char *from = path_join(b->data, "catalog.db");
    attribute_cleanup(cleanup_free) char *to = path_join(b->part, "catalog.db");
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    if (!from || !to)
        return error_no_memory(err);
    if (!file_exists(from))
        return error_set(err, STATUS_NOT_FOUND, "%s is no data directory: it has no catalog.db", b->data);
    enum status status = db_open(from, DB_READ, &db, err);
    if (status == STATUS_OK)
        status = db_prepare(db, "VACUUM INTO ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, to);
    status = db_run(statement, err);
    b->report.bytes += size_of(to);
    return status == STATUS_OK ? file_sync(to, err) : status;
}

static enum status copy_run(struct backup *b, int64_t job, struct error *err)
{
    attribute_cleanup(cleanup_free) char *from = text_format("%s/runs/%" PRId64 ".db", b->data, job);
    attribute_cleanup(cleanup_free) char *to = text_format("%s/runs/%" PRId64 ".db", b->part, job);
    if (!from || !to)
        return error_no_memory(err);
    if (!file_exists(from))
        return STATUS_OK; /* it has not begun, or is purged */
    bool sealed = run_file_is_sealed(from);
    enum status status = run_file_copy(from, to, err);
    if (status == STATUS_OK)
        status = file_sync(to, err);
    if (status == STATUS_OK) {
        b->report.sealed += sealed;
        b->report.live += !sealed;
        b->report.bytes += size_of(to);
        return STATUS_OK;
    }
    if (status != STATUS_NOT_FOUND && status != STATUS_CORRUPT)
        return error_prefix(err, status, "job %" PRId64 ": ", job);
    b->report.missing++;
    return STATUS_OK;
}

/* Of the jobs that the copied catalog knows. */
static enum status copy_runs(struct backup *b, struct error *err)
{
    attribute_cleanup(cleanup_free) char *catalog = path_join(b->part, "catalog.db");
    attribute_cleanup(cleanup_free) char *runs = path_join(b->part, "runs");
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = catalog && runs ? make_folder(runs, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = db_open(catalog, DB_READ, &db, err);
    if (status == STATUS_OK)
        status = db_prepare(db, "SELECT id FROM job ORDER BY id", &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        b->report.jobs++;
        status = copy_run(b, sqlite3_column_int64(statement, 0), err);
    }
    return status == STATUS_OK ? file_sync(runs, err) : status;
}

/* --- weights ----------------------------------------------------------------------------------------------------- */

/* Copies a folder's files and folders; what is neither is passed over. */
static enum status copy_folder(struct backup *b, const char *from, const char *to, struct error *err)
{
    DIR *folder = opendir(from);
    if (!folder)
        return errno == ENOENT ? STATUS_OK : system_error(err, "read the folder", from);
    enum status status = make_folder(to, err);
    for (struct dirent *entry = readdir(folder); entry && status == STATUS_OK; entry = readdir(folder)) {
        attribute_cleanup(cleanup_free) char *source = path_join(from, entry->d_name);
        attribute_cleanup(cleanup_free) char *target = path_join(to, entry->d_name);
        struct stat info;
        if (!source || !target)
            status = error_no_memory(err);
        else if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || lstat(source, &info) != 0)
            continue;
        else if (S_ISDIR(info.st_mode))
            status = copy_folder(b, source, target, err);
        else if (S_ISREG(info.st_mode)) {
            status = copy_file(source, target, &b->report.bytes, err);
            b->report.weights++;
        }
    }
    closedir(folder);
    return status == STATUS_OK ? file_sync(to, err) : status;
}

static enum status copy_weights(struct backup *b, struct error *err)
{
    attribute_cleanup(cleanup_free) char *from = path_join(b->data, "weights");
    attribute_cleanup(cleanup_free) char *to = path_join(b->part, "weights");
    return from && to ? copy_folder(b, from, to, err) : error_no_memory(err);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static enum status copy_all(struct backup *b, struct error *err)
{
    enum status status = copy_catalog(b, err);
    if (status == STATUS_OK)
        status = copy_runs(b, err);
    if (status == STATUS_OK)
        status = copy_weights(b, err);
    return status == STATUS_OK ? file_sync(b->part, err) : status;
}

/* The folder that holds a path. */
static enum status sync_parent(const char *path, struct error *err)
{
    attribute_cleanup(cleanup_free) char *parent = strdup(path);
    if (!parent)
        return error_no_memory(err);
    char *slash = strrchr(parent, '/');
    if (slash)
        *(slash == parent ? slash + 1 : slash) = '\0';
    return file_sync(slash ? parent : ".", err);
}

/* An empty folder may be given, as a mount point is one; rename takes its place. */
static enum status check_target(const char *target, struct error *err)
{
    struct stat info;
    if (lstat(target, &info) != 0)
        return STATUS_OK;
    if (!S_ISDIR(info.st_mode) || rmdir(target) != 0)
        return error_set(err, STATUS_CONFLICT, "%s is there already: name a new folder", target);
    return STATUS_OK;
}

enum status backup_make(const char *data, const char *target, struct backup_report *ret_report, struct error *err)
{
    size_t length = strlen(target);
    attribute_cleanup(cleanup_free) char *name = strdup(target);
    while (name && length > 1 && name[length - 1] == '/')
        name[--length] = '\0';
    attribute_cleanup(cleanup_free) char *part = name ? text_format("%s.part", name) : NULL;
    struct backup backup = {.data = data, .part = part};
    enum status status = part ? check_target(name, err) : error_no_memory(err);
    if (status == STATUS_OK && mkdir(part, 0700) != 0)
        return errno == EEXIST ? error_set(err, STATUS_CONFLICT,
                                           "%s is there: another backup is being made, or was broken off", part)
                               : system_error(err, "make the folder", part);
    if (status != STATUS_OK)
        return status;
    status = copy_all(&backup, err);
    if (status == STATUS_OK && rename(part, name) != 0)
        status = system_error(err, "rename", part);
    if (status != STATUS_OK) {
        nftw(part, remove_entry, 16, FTW_DEPTH | FTW_PHYS); /* what stays is told of by the next backup */
        return status;
    }
    status = sync_parent(name, err);
    if (status == STATUS_OK)
        *ret_report = backup.report;
    return status;
}
