/*
 * Tokens: who may do what. A token is shown once, when it is made, and kept as a hash.
 *
 * "plumbline_<id>_<secret>": the id finds the row, the secret is 32 random bytes (base64, for URLs), of which the row
 * has the BLAKE2b-256. A secret of that length needs no salt and no slow hash. It is compared in constant time, and an
 * unknown id takes the same way.
 */
#ifndef PLUMBLINE_SERVER_TOKEN_H
#define PLUMBLINE_SERVER_TOKEN_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "server/list.h"

/* Each may do what the one before may: read; submit and change jobs, studies and views; all else. */
enum token_role { ROLE_VIEWER, ROLE_SUBMITTER, ROLE_ADMIN, ROLE_COUNT };

/* "viewer", "submitter", "admin". */
const char *token_role_name(enum token_role role);

/* The role of that name, or ROLE_COUNT. */
enum token_role token_role_parse(const char *name);

#define TOKEN_TEXT_SIZE 80
enum { TOKEN_MOST_NAME = 100 };

/* Makes a token, within the caller's transaction. `ret_text` is shown once and kept nowhere. */
enum status token_create(sqlite3 *db, const char *name, enum token_role role, int64_t *ret_id,
                         char ret_text[TOKEN_TEXT_SIZE], struct error *err);

/* The role of a token that someone presents. STATUS_NOT_FOUND for one that is none, or was revoked; the sentence does
 * not say which. */
enum status token_check(sqlite3 *db, const char *text, int64_t *ret_id, enum token_role *ret_role, struct error *err);

/* Notes that the token was used, within the caller's transaction. Once a minute is enough: token_is_stale tells. */
enum status token_touch(sqlite3 *db, int64_t id, struct error *err);

/* Whether its last use was noted more than a minute ago, or never. */
enum status token_is_stale(sqlite3 *db, int64_t id, bool *ret_stale, struct error *err);

/* Ends a token, within the caller's transaction; one that is revoked stays so. STATUS_NOT_FOUND. */
enum status token_revoke(sqlite3 *db, int64_t id, struct error *err);

/* STATUS_NOT_FOUND where the token was revoked since it was shown. */
enum status token_stands(sqlite3 *db, int64_t id, struct error *err);

/* How many tokens of at least this role are in force. */
enum status token_count(sqlite3 *db, enum token_role at_least, int64_t *ret_count, struct error *err);

/* {"id", "name", "role", "created_at", "last_used_at", "revoked_at"}, by the same names but role's order is of text. */
extern const struct list token_list;

#endif
