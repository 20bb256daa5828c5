#include "server/migrate.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/clock.h"
#include "server/sqlite_util.h"

#define CHECKSUM_SIZE (crypto_hash_sha256_BYTES * 2 + 1)

static void checksum(const char *sql, char ret_hex[CHECKSUM_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)sql, strlen(sql));
    sodium_bin2hex(ret_hex, CHECKSUM_SIZE, hash, sizeof hash);
}

/* Every migration up to `version` is recorded with the checksum that the program has for it. */
static enum status check_recorded(sqlite3 *db, const struct schema *schema, int version, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "SELECT checksum FROM migration WHERE number = ?", &statement, err);
    for (int i = 0; i < version && status == STATUS_OK; i++) {
        const struct migration *migration = &schema->migrations[i];
        char expected[CHECKSUM_SIZE];
        bool row = false;
        checksum(migration->sql, expected);
        sqlite3_bind_int(statement, 1, migration->number);
        status = db_row(statement, &row, err);
        if (status != STATUS_OK)
            return status;
        const char *found = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (!found || strcmp(found, expected) != 0)
            status = error_set(err, STATUS_CORRUPT,
                               "migration %d (%s) of this %s %s; the program's has the checksum %.12s…, the file was "
                               "made by another build",
                               migration->number, migration->name, schema->what,
                               found ? "was a different one" : "is not recorded", expected);
        sqlite3_reset(statement);
    }
    return status;
}

enum status migrate_check(sqlite3 *db, const struct schema *schema, int *ret_version, struct error *err)
{
    int64_t id, version, tables;
    /* All that is read is of one state of the file: another process may be making its tables just now. */
    enum status status = db_begin_read(db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = db;
    status = db_integer(reading, "PRAGMA application_id", &id, err);
    if (status == STATUS_OK)
        status = db_integer(db, "PRAGMA user_version", &version, err);
    if (status == STATUS_OK)
        status = db_integer(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (status != STATUS_OK)
        return status;
    if (id == 0 && version == 0 && tables == 0) {
        *ret_version = 0;
        return STATUS_OK;
    }
    if (id != schema->application_id)
        return error_set(err, STATUS_CORRUPT, "a database, but not a %s of Plumbline (application_id %lld, not %d)",
                         schema->what, (long long)id, schema->application_id);
    if (version > (int64_t)schema->count)
        return error_set(err, STATUS_CONFLICT,
                         "this %s has schema version %lld, made by a newer Plumbline; this program knows versions up "
                         "to %zu",
                         schema->what, (long long)version, schema->count);
    status = check_recorded(db, schema, (int)version, err);
    if (status == STATUS_OK)
        *ret_version = (int)version;
    return status;
}

static enum status record(sqlite3 *db, const struct migration *migration, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "INSERT INTO migration VALUES (?, ?, ?, ?)", &statement, err);
    if (status != STATUS_OK)
        return status;
    char hex[CHECKSUM_SIZE], now[CLOCK_TEXT_SIZE];
    checksum(migration->sql, hex);
    sqlite3_bind_int(statement, 1, migration->number);
    db_bind_text(statement, 2, migration->name);
    db_bind_text(statement, 3, hex);
    db_bind_text(statement, 4, clock_now(now));
    return db_run(statement, err);
}

static enum status apply(sqlite3 *db, const struct schema *schema, const struct migration *migration, struct error *err)
{
    char pragmas[96];
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d", schema->application_id,
             migration->number);
    enum status status = STATUS_OK;
    if (migration->number == 1)
        status = db_execute(db,
                            "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                            "checksum TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT",
                            err);
    if (status == STATUS_OK)
        status = db_execute(db, migration->sql, err);
    if (status == STATUS_OK)
        status = record(db, migration, err);
    if (status == STATUS_OK)
        status = db_execute(db, pragmas, err);
    if (status != STATUS_OK)
        return error_prefix(err, status, "migration %d (%s) of the %s: ", migration->number, migration->name,
                            schema->what);
    return STATUS_OK;
}

/* Migrations `first` … `end` − 1 in one transaction. */
static enum status apply_together(sqlite3 *db, const struct schema *schema, size_t first, size_t end, struct error *err)
{
    enum status status = db_begin(db, err);
    if (status != STATUS_OK)
        return status;
    for (size_t i = first; i < end && status == STATUS_OK; i++)
        status = apply(db, schema, &schema->migrations[i], err);
    if (status == STATUS_OK)
        status = db_commit(db, err);
    if (status != STATUS_OK)
        db_rollback(db);
    return status;
}

enum status migrate(sqlite3 *db, const struct schema *schema, struct error *err)
{
    int version;
    enum status status = migrate_check(db, schema, &version, err);
    if (status == STATUS_OK && version == 0)
        return apply_together(db, schema, 0, schema->count, err);
    for (size_t i = 0; i < schema->count && status == STATUS_OK; i++)
        if (schema->migrations[i].number > version)
            status = apply_together(db, schema, i, i + 1, err);
    return status;
}
