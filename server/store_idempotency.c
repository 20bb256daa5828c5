#include "server/store_idempotency.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "server/clock.h"
#include "server/sqlite_util.h"

#define FINGERPRINT_SIZE (crypto_generichash_BYTES * 2 + 1)

static enum status fingerprint(const struct spec *spec, char ret_hex[FINGERPRINT_SIZE], struct error *err)
{
    unsigned char hash[crypto_generichash_BYTES];
    attribute_cleanup(cleanup_free) char *text =
        json_dumps(spec->expanded, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    if (!text)
        return error_no_memory(err);
    crypto_generichash(hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
    sodium_bin2hex(ret_hex, FINGERPRINT_SIZE, hash, sizeof hash);
    return STATUS_OK;
}

static enum status check_key(const char *key, struct error *err)
{
    size_t length = strlen(key);
    bool printable = true;
    for (const char *at = key; *at; at++)
        printable = printable && *at > ' ' && *at <= '~';
    if (length > 0 && length <= IDEMPOTENCY_MOST_KEY && printable)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "an idempotency key is 1 to %d printable ASCII characters without spaces",
                     IDEMPOTENCY_MOST_KEY);
}

enum status store_idempotency_find(sqlite3 *db, int64_t owner, const char *key, const struct spec *spec,
                                   int64_t *ret_job, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char hex[FINGERPRINT_SIZE], since[CLOCK_TEXT_SIZE];
    bool row = false;
    enum status status = check_key(key, err);
    if (status == STATUS_OK)
        status = fingerprint(spec, hex, err);
    if (status == STATUS_OK)
        status = db_prepare(db,
                            "SELECT job, fingerprint = ?4 FROM idempotency WHERE owner = ?1 AND key = ?2 AND "
                            "created_at >= ?3",
                            &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, owner);
    db_bind_text(statement, 2, key);
    db_bind_text(statement, 3, clock_ago(IDEMPOTENCY_SECONDS, since));
    db_bind_text(statement, 4, hex);
    status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    int64_t job = row ? sqlite3_column_int64(statement, 0) : 0;
    if (row && !sqlite3_column_int(statement, 1))
        return error_set(err, STATUS_CONFLICT,
                         "this idempotency key made job %" PRId64 " of another spec: take a new key for a new job",
                         job);
    *ret_job = job;
    return STATUS_OK;
}

static enum status forget_old(sqlite3 *db, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char since[CLOCK_TEXT_SIZE];
    enum status status = db_prepare(db, "DELETE FROM idempotency WHERE created_at < ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, clock_ago(IDEMPOTENCY_SECONDS, since));
    return db_run(statement, err);
}

enum status store_idempotency_keep(sqlite3 *db, int64_t owner, const char *key, const struct spec *spec, int64_t job,
                                   struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char hex[FINGERPRINT_SIZE], now[CLOCK_TEXT_SIZE];
    enum status status = forget_old(db, err);
    if (status == STATUS_OK)
        status = fingerprint(spec, hex, err);
    if (status == STATUS_OK)
        status =
            db_prepare(db, "INSERT INTO idempotency (owner, key, fingerprint, job, created_at) VALUES (?, ?, ?, ?, ?)",
                       &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, owner);
    db_bind_text(statement, 2, key);
    db_bind_text(statement, 3, hex);
    sqlite3_bind_int64(statement, 4, job);
    db_bind_text(statement, 5, clock_now(now));
    return db_run(statement, err);
}
