#include "server/token.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/sqlite_util.h"

enum { SECRET_BYTES = 32, HASH_BYTES = 32, USE_SECONDS = 60 };
#define PREFIX "plumbline_"
#define BASE64_SIZE sodium_base64_ENCODED_LEN(SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)

static const char *const role_names[ROLE_COUNT] = {"viewer", "submitter", "admin"};

const char *token_role_name(enum token_role role)
{
    return role_names[role];
}

enum token_role token_role_parse(const char *name)
{
    int role = 0;
    while (role < ROLE_COUNT && (!name || strcmp(role_names[role], name) != 0))
        role++;
    return (enum token_role)role;
}

static void hash_secret(const unsigned char secret[SECRET_BYTES], unsigned char ret_hash[HASH_BYTES])
{
    crypto_generichash(ret_hash, HASH_BYTES, secret, SECRET_BYTES, NULL, 0);
}

static enum status unknown_token(struct error *err)
{
    return error_set(err, STATUS_NOT_FOUND, "the token is not known, or was revoked");
}

enum status token_create(sqlite3 *db, const char *name, enum token_role role, int64_t *ret_id,
                         char ret_text[TOKEN_TEXT_SIZE], struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    unsigned char secret[SECRET_BYTES], hash[HASH_BYTES];
    char base64[BASE64_SIZE], now[CLOCK_TEXT_SIZE];
    if (strlen(name) > TOKEN_MOST_NAME)
        return error_set(err, STATUS_INVALID, "a token's name has at most %d bytes; found %zu", TOKEN_MOST_NAME,
                         strlen(name));
    if (sodium_init() < 0)
        return error_set(err, STATUS_IO, "libsodium cannot be initialised");
    enum status status =
        db_prepare(db, "INSERT INTO token (name, role, hash, created_at) VALUES (?, ?, ?, ?)", &statement, err);
    if (status != STATUS_OK)
        return status;
    randombytes_buf(secret, sizeof secret);
    hash_secret(secret, hash);
    sodium_bin2base64(base64, sizeof base64, secret, sizeof secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    db_bind_text(statement, 1, name);
    db_bind_text(statement, 2, role_names[role]);
    sqlite3_bind_blob(statement, 3, hash, sizeof hash, SQLITE_STATIC);
    db_bind_text(statement, 4, clock_now(now));
    status = db_run(statement, err);
    if (status == STATUS_OK) {
        *ret_id = sqlite3_last_insert_rowid(db);
        snprintf(ret_text, TOKEN_TEXT_SIZE, PREFIX "%" PRId64 "_%s", *ret_id, base64);
    }
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(base64, sizeof base64);
    return status;
}

/* The id and the secret of a token's text; false for what is none. */
static bool read_text(const char *text, int64_t *ret_id, unsigned char ret_secret[SECRET_BYTES])
{
    /* libsodium's decoder takes some bytes above 127 for letters */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t prefix = strlen(PREFIX), size = 0, length = strnlen(text, TOKEN_TEXT_SIZE);
    char *end;
    if (length == TOKEN_TEXT_SIZE || strncmp(text, PREFIX, prefix) != 0 || text[prefix] < '1' || text[prefix] > '9')
        return false;
    *ret_id = strtoll(text + prefix, &end, 10);
    size_t rest = strlen(end);
    return rest == BASE64_SIZE && *end == '_' && strspn(end + 1, alphabet) == rest - 1 &&
           sodium_base642bin(ret_secret, SECRET_BYTES, end + 1, rest - 1, NULL, &size, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           size == SECRET_BYTES;
}

/* The hash and the role of a token in force; where there is none, a hash that no secret has. */
static enum status find_token(sqlite3 *db, int64_t id, unsigned char ret_hash[HASH_BYTES], enum token_role *ret_role,
                              struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status =
        db_prepare(db, "SELECT hash, role FROM token WHERE id = ? AND revoked_at IS NULL", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    const void *hash = row ? sqlite3_column_blob(statement, 0) : NULL;
    *ret_role = row ? token_role_parse((const char *)sqlite3_column_text(statement, 1)) : ROLE_COUNT;
    if (hash && sqlite3_column_bytes(statement, 0) == HASH_BYTES)
        memcpy(ret_hash, hash, HASH_BYTES);
    else
        randombytes_buf(ret_hash, HASH_BYTES);
    return STATUS_OK;
}

enum status token_check(sqlite3 *db, const char *text, int64_t *ret_id, enum token_role *ret_role, struct error *err)
{
    unsigned char secret[SECRET_BYTES], hash[HASH_BYTES], stored[HASH_BYTES];
    enum token_role role = ROLE_COUNT;
    int64_t id = 0;
    if (sodium_init() < 0)
        return error_set(err, STATUS_IO, "libsodium cannot be initialised");
    if (!read_text(text, &id, secret))
        return unknown_token(err);
    enum status status = find_token(db, id, stored, &role, err);
    if (status != STATUS_OK)
        return status;
    hash_secret(secret, hash);
    sodium_memzero(secret, sizeof secret);
    if (sodium_memcmp(hash, stored, HASH_BYTES) != 0 || role == ROLE_COUNT)
        return unknown_token(err);
    *ret_id = id;
    *ret_role = role;
    return STATUS_OK;
}

/* Writes the present time into a column of one token, where `condition` holds. */
static enum status set_time(sqlite3 *db, const char *sql, int64_t id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char now[CLOCK_TEXT_SIZE];
    enum status status = db_prepare(db, sql, &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, clock_now(now));
    status = db_run(statement, err);
    if (status == STATUS_OK && sqlite3_changes(db) == 0)
        return error_set(err, STATUS_NOT_FOUND, "there is no token %" PRId64, id);
    return status;
}

enum status token_touch(sqlite3 *db, int64_t id, struct error *err)
{
    return set_time(db, "UPDATE token SET last_used_at = ?2 WHERE id = ?1", id, err);
}

enum status token_revoke(sqlite3 *db, int64_t id, struct error *err)
{
    return set_time(db, "UPDATE token SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1", id, err);
}

enum status token_is_stale(sqlite3 *db, int64_t id, bool *ret_stale, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char since[CLOCK_TEXT_SIZE];
    bool row = false;
    enum status status =
        db_prepare(db, "SELECT 1 FROM token WHERE id = ? AND coalesce(last_used_at, '') < ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, clock_ago(USE_SECONDS, since));
    status = db_row(statement, &row, err);
    if (status == STATUS_OK)
        *ret_stale = row;
    return status;
}

enum status token_stands(sqlite3 *db, int64_t id, struct error *err)
{
    unsigned char hash[HASH_BYTES];
    enum token_role role = ROLE_COUNT;
    enum status status = find_token(db, id, hash, &role, err);
    return status == STATUS_OK && role == ROLE_COUNT ? unknown_token(err) : status;
}

enum status token_count(sqlite3 *db, enum token_role at_least, int64_t *ret_count, struct error *err)
{
    static const char *const queries[ROLE_COUNT] = {
        "SELECT count(*) FROM token WHERE revoked_at IS NULL",
        "SELECT count(*) FROM token WHERE revoked_at IS NULL AND role IN ('submitter', 'admin')",
        "SELECT count(*) FROM token WHERE revoked_at IS NULL AND role = 'admin'"};
    return db_integer(db, queries[at_least], ret_count, err);
}

static const struct list_field token_fields[] = {
    {"id", "token.id", FIELD_INTEGER, true},
    {"name", "token.name", FIELD_TEXT, false},
    {"role", "token.role", FIELD_TEXT, false},
    {"created_at", "token.created_at", FIELD_TIME, true},
    {"last_used_at", "token.last_used_at", FIELD_TIME, false},
    {"revoked_at", "token.revoked_at", FIELD_TIME, false},
    {NULL, NULL, FIELD_TEXT, false},
};

const struct list token_list = {.name = "tokens",
                                .from = "token",
                                .columns = "id, name, role, created_at, last_used_at, revoked_at",
                                .condition = "1",
                                .fields = token_fields,
                                .order_by = "id",
                                .shape = {.count = 6}};
