#include "server/sqlite_util.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_TIMEOUT_MS = 5000, INSTRUCTIONS = 10000 /* of SQLite's machine, a millisecond or less */ };

/* Primary result codes that mean something of their own; every other failure is STATUS_IO. */
static const struct {
    int code;
    enum status status;
} code_statuses[] = {
    {SQLITE_BUSY, STATUS_BUSY},           {SQLITE_LOCKED, STATUS_BUSY},       {SQLITE_FULL, STATUS_NO_SPACE},
    {SQLITE_NOMEM, STATUS_NO_MEMORY},     {SQLITE_CORRUPT, STATUS_CORRUPT},   {SQLITE_NOTADB, STATUS_CORRUPT},
    {SQLITE_CONSTRAINT, STATUS_CONFLICT}, {SQLITE_INTERRUPT, STATUS_STOPPED},
};

/* A full disk is told by SQLITE_FULL where a file is written, but not where one is made or shared memory grows. */
static enum status status_of(sqlite3 *db, int code)
{
    bool system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    if (code == SQLITE_IOERR_SHMSIZE || (system && sqlite3_system_errno(db) == ENOSPC))
        return STATUS_NO_SPACE;
    for (size_t i = 0; i < sizeof code_statuses / sizeof *code_statuses; i++)
        if (code_statuses[i].code == (code & 0xff))
            return code_statuses[i].status;
    return STATUS_IO;
}

enum status db_error(sqlite3 *db, struct error *err, const char *what)
{
    enum { SHOWN = 120 }; /* of a statement, or a whole migration: enough to know which */
    int code = sqlite3_extended_errcode(db);
    size_t line = strcspn(what, "\n"), shown = line < SHOWN ? line : SHOWN;
    return error_set(err, status_of(db, code), "%.*s%s: %s (SQLite code %d)", (int)shown, what, what[shown] ? "…" : "",
                     sqlite3_errmsg(db), code);
}

/* A path as a URI, with the characters escaped that end the path there. */
static char *uri_of(const char *path, bool immutable)
{
    char *uri = malloc(strlen(path) * 3 + 32);
    if (!uri)
        return NULL;
    char *to = uri + sprintf(uri, "file:");
    for (const char *from = path; *from; from++) {
        if (strchr("%?#", *from))
            to += sprintf(to, "%%%02X", (unsigned)(unsigned char)*from);
        else
            *to++ = *from;
    }
    sprintf(to, "%s", immutable ? "?immutable=1" : "");
    return uri;
}

static atomic_bool reading_stopped; /* of the process, as its end is */

void db_stop_reading(void)
{
    reading_stopped = true;
}

static int is_stopped(void *context)
{
    (void)context;
    return reading_stopped;
}

static enum status configure(sqlite3 *db, struct error *err)
{
    sqlite3_extended_result_codes(db, 1);
    if (sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS) != SQLITE_OK)
        return db_error(db, err, "cannot configure a connection");
    return db_execute(db, "PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON", err);
}

enum status db_open(const char *path, enum db_mode mode, sqlite3 **ret_db, struct error *err)
{
    attribute_cleanup(cleanup_free) char *uri = uri_of(path, mode == DB_IMMUTABLE);
    if (!uri)
        return error_no_memory(err);
    int flags = mode == DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    int code = sqlite3_open_v2(uri, &db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if (!db)
        return error_no_memory(err);
    if (code != SQLITE_OK)
        return error_prefix(err, db_error(db, err, "cannot open"), "%s: ", path);
    enum status status = configure(db, err);
    if (status != STATUS_OK)
        return error_prefix(err, status, "%s: ", path);
    if (mode != DB_WRITE)
        sqlite3_progress_handler(db, INSTRUCTIONS, is_stopped, NULL);
    *ret_db = db;
    db = NULL;
    return STATUS_OK;
}

void cleanup_db(sqlite3 **db)
{
    sqlite3_close_v2(*db); /* nothing for NULL */
    *db = NULL;
}

enum status db_use_wal(sqlite3 *db, const char *synchronous, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "PRAGMA journal_mode = WAL", &statement, err);
    if (status != STATUS_OK)
        return status;
    if (sqlite3_step(statement) != SQLITE_ROW)
        return db_error(db, err, "cannot switch to a write-ahead log");
    const char *mode = (const char *)sqlite3_column_text(statement, 0);
    if (!mode || strcmp(mode, "wal") != 0)
        return error_set(err, STATUS_IO,
                         "the file system cannot hold a write-ahead log (journal mode stays %s); use a local disk",
                         mode ? mode : "unknown");
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA synchronous = %s", synchronous);
    return db_execute(db, sql, err);
}

enum status db_execute(sqlite3 *db, const char *sql, struct error *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_error(db, err, sql);
    return STATUS_OK;
}

static enum status prepare(sqlite3 *db, const char *sql, unsigned flags, sqlite3_stmt **ret_statement,
                           struct error *err)
{
    if (sqlite3_prepare_v3(db, sql, -1, flags, ret_statement, NULL) != SQLITE_OK)
        return db_error(db, err, sql);
    return STATUS_OK;
}

enum status db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *err)
{
    return prepare(db, sql, 0, ret_statement, err);
}

enum status db_prepare_kept(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *err)
{
    return prepare(db, sql, SQLITE_PREPARE_PERSISTENT, ret_statement, err);
}

void cleanup_statement(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement); /* nothing for NULL */
    *statement = NULL;
}

enum status db_begin(sqlite3 *db, struct error *err)
{
    return db_execute(db, "BEGIN IMMEDIATE", err);
}

enum status db_commit(sqlite3 *db, struct error *err)
{
    enum status status = db_execute(db, "COMMIT", err);
    if (status != STATUS_OK)
        db_rollback(db);
    return status;
}

void db_rollback(sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

enum status db_begin_read(sqlite3 *db, struct error *err)
{
    return db_execute(db, "BEGIN", err);
}

void db_end_read(sqlite3 **db)
{
    db_rollback(*db);
}

enum status db_run(sqlite3_stmt *statement, struct error *err)
{
    enum status status = STATUS_OK;
    if (sqlite3_step(statement) != SQLITE_DONE)
        status = db_error(sqlite3_db_handle(statement), err, sqlite3_sql(statement));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

enum status db_row(sqlite3_stmt *statement, bool *ret_row, struct error *err)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        *ret_row = code == SQLITE_ROW;
        return STATUS_OK;
    }
    enum status status = db_error(sqlite3_db_handle(statement), err, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return status;
}

enum status db_integer(sqlite3 *db, const char *sql, int64_t *ret_value, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(db, sql, &statement, err);
    if (status == STATUS_OK)
        status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    if (!row)
        return error_set(err, STATUS_NOT_FOUND, "no rows: %s", sql);
    *ret_value = sqlite3_column_int64(statement, 0);
    return STATUS_OK;
}

enum status db_check_damage(sqlite3 *db, const char *check, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    char sql[40];
    snprintf(sql, sizeof sql, "PRAGMA %s(1)", check);
    enum status status = db_prepare(db, sql, &statement, err);
    if (status == STATUS_OK)
        status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    const char *verdict = row ? (const char *)sqlite3_column_text(statement, 0) : "no answer";
    if (!verdict || strcmp(verdict, "ok") != 0)
        return error_set(err, STATUS_CORRUPT, "damaged: %s", verdict ? verdict : "no answer");
    return STATUS_OK;
}

void db_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

void db_bind_number(sqlite3_stmt *statement, int index, double value)
{
    if (isfinite(value))
        sqlite3_bind_double(statement, index, value);
    else
        sqlite3_bind_null(statement, index);
}

double db_number(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NAN : sqlite3_column_double(statement, column);
}

json_t *db_json(sqlite3_stmt *statement, int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT: {
        double value = sqlite3_column_double(statement, column);
        return isfinite(value) ? json_real(value) : json_null();
    }
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        return text ? json_string(text) : NULL;
    }
    default:
        return json_null();
    }
}
