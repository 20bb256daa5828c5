/*
 * SQLite as this program uses it: how a connection is opened, and result codes as statuses with a sentence.
 *
 * Every connection is defensive (no schema tricks from a file that came from elsewhere), maps no memory, and belongs to
 * one thread at a time. Writing transactions begin IMMEDIATE: a deferred one that turns to writing fails with
 * SQLITE_BUSY_SNAPSHOT, which no timeout helps. Statements are reset as soon as they have been read, for an open SELECT
 * keeps the WAL from being folded in.
 */
#ifndef PLUMBLINE_SERVER_SQLITE_UTIL_H
#define PLUMBLINE_SERVER_SQLITE_UTIL_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum db_mode {
    DB_WRITE,     /* read and write, created when missing */
    DB_READ,      /* read-only */
    DB_IMMUTABLE, /* read-only without any locks: a sealed file where nothing may be written beside it */
};

/*
 * Opens a connection, which the caller closes by cleanup_db; ":memory:" is a database of its own. The statuses are
 * those of db_error, with the path in front.
 */
enum status db_open(const char *path, enum db_mode mode, sqlite3 **ret_db, struct error *err);
void cleanup_db(sqlite3 **db);

/* The process is about to end: from here on long queries of read-only connections, those that run now too, are broken
 * off with STATUS_STOPPED. Not within a single step of SQLite's machine, as a copy of all pages is. Of any thread. */
void db_stop_reading(void);

/* Switches to a write-ahead log; `synchronous` is "FULL" (each commit survives a power cut) or "NORMAL" (the file
 * stays consistent, the newest commits may be lost). */
enum status db_use_wal(sqlite3 *db, const char *synchronous, struct error *err);

/* Looks through the whole file for damage: STATUS_CORRUPT with the first that is found. `check` is "quick_check", or
 * "integrity_check", which also holds every index against its table. */
enum status db_check_damage(sqlite3 *db, const char *check, struct error *err);

/* The status for the connection's last error, with "<what>: <SQLite's sentence>" in `err`. */
enum status db_error(sqlite3 *db, struct error *err, const char *what);

/* One or more statements without parameters or results. */
enum status db_execute(sqlite3 *db, const char *sql, struct error *err);

/* One statement, which the caller finalises by cleanup_statement; what stands behind it in `sql` is passed over. The
 * statuses are those of db_error, with the beginning of the SQL in front. */
enum status db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *err);

/* The same, for a statement that is kept and used often. */
enum status db_prepare_kept(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *err);
void cleanup_statement(sqlite3_stmt **statement);

enum status db_begin(sqlite3 *db, struct error *err);  /* BEGIN IMMEDIATE */
enum status db_commit(sqlite3 *db, struct error *err); /* after a failure the transaction is rolled back */
void db_rollback(sqlite3 *db);                         /* nothing when none is open */

/* A read transaction: all SELECTs until db_end_read see one state of the file. */
enum status db_begin_read(sqlite3 *db, struct error *err);
void db_end_read(sqlite3 **db); /* fits attribute_cleanup */

/* Runs a statement that gives no rows, then resets it and forgets its parameters. */
enum status db_run(sqlite3_stmt *statement, struct error *err);

/* Steps a statement: STATUS_OK with *ret_row saying whether there is a row. */
enum status db_row(sqlite3_stmt *statement, bool *ret_row, struct error *err);

/* The single integer that a query without parameters gives; STATUS_NOT_FOUND without a row. */
enum status db_integer(sqlite3 *db, const char *sql, int64_t *ret_value, struct error *err);

/* Binds; NULL text binds NULL, a number that is not finite binds NULL. Text and blobs must outlive the next step. These
 * fail only when memory runs out or the index is wrong, and the statement then fails to make its row. */
void db_bind_text(sqlite3_stmt *statement, int index, const char *text);
void db_bind_number(sqlite3_stmt *statement, int index, double value);

/* A number; NaN where it is NULL. */
double db_number(sqlite3_stmt *statement, int column);

/* A column as new JSON: null, integer, number (null if not finite) or text. NULL when memory runs out. */
json_t *db_json(sqlite3_stmt *statement, int column);

#endif
