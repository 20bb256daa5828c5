#include "server/run_migrate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/data_paths.h"
#include "server/migrate.h"
#include "server/run_file.h"
#include "server/sqlite_util.h"

/* "12.db": a run, and not what stands beside one. */
static bool is_run_name(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && strcmp(name + digits, ".db") == 0;
}

/* user_version stands big-endian at byte 60 of a database; 0 for what cannot be read or has no tables yet. */
static uint32_t header_version(const char *path)
{
    uint8_t bytes[4] = {0};
    attribute_cleanup(cleanup_descriptor) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || pread(file, bytes, sizeof bytes, 60) != (ssize_t)sizeof bytes)
        return 0;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_old(const char *path)
{
    uint32_t version = header_version(path);
    return version > 0 && version < run_schema.count;
}

void run_file_bring_up(const char *path, struct migration_report *report)
{
    struct error err = {""};
    report->files++;
    if (!is_old(path))
        return;
    enum status status = run_file_migrate(path, &err);
    report->migrated += status == STATUS_OK;
    report->busy += status == STATUS_BUSY;
    if (status == STATUS_OK || status == STATUS_BUSY)
        return;
    report->failed++;
    fprintf(stderr, "plumbline: cannot migrate: %s\n", err.text);
}

void run_file_bring_up_named(const char *path, struct migration_report *report)
{
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    struct error err = {""};
    int version = 0;
    enum status status = db_open(path, DB_READ, &db, &err); /* whose sentence has the path */
    if (status == STATUS_OK) {
        status = migrate_check(db, &run_schema, &version, &err);
        if (status == STATUS_OK && version == 0)
            status = error_set(&err, STATUS_CORRUPT, "it is no run file");
        error_prefix(&err, status, "%s: ", path);
    }
    cleanup_db(&db);
    if (status == STATUS_OK) {
        run_file_bring_up(path, report);
        return;
    }
    report->files++;
    report->failed++;
    fprintf(stderr, "plumbline migrate: %s\n", err.text);
}

/* Calls `visit` for each run file till it returns false. */
static enum status walk(const char *data, bool (*visit)(void *context, const char *path), void *context,
                        struct error *err)
{
    attribute_cleanup(cleanup_free) char *runs = path_join(data, "runs");
    DIR *folder = runs ? opendir(runs) : NULL;
    if (!folder && runs && errno == ENOENT)
        return STATUS_OK; /* no job has begun */
    if (!folder)
        return runs ? error_set(err, STATUS_IO, "cannot read the folder %s: %s", runs, strerror(errno))
                    : error_no_memory(err);
    enum status status = STATUS_OK;
    bool more = true;
    for (struct dirent *entry = readdir(folder); entry && more && status == STATUS_OK; entry = readdir(folder)) {
        attribute_cleanup(cleanup_free) char *path = path_join(runs, entry->d_name);
        if (!path)
            status = error_no_memory(err);
        else if (is_run_name(entry->d_name))
            more = visit(context, path);
    }
    closedir(folder);
    return status;
}

static bool visit_old(void *context, const char *path)
{
    bool *old = context;
    *old = is_old(path);
    return !*old;
}

bool run_files_are_old(const char *data)
{
    bool old = false;
    (void)walk(data, visit_old, &old, NULL); /* what cannot be read is told of when it is migrated, or read */
    return old;
}

static bool visit_migrate(void *context, const char *path)
{
    run_file_bring_up(path, context);
    return true;
}

enum status run_files_migrate(const char *data, struct migration_report *ret_report, struct error *err)
{
    struct migration_report report = {0};
    enum status status = walk(data, visit_migrate, &report, err);
    if (status == STATUS_OK)
        *ret_report = report;
    return status;
}
