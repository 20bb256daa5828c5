/*
 * Idempotency keys: a submission that its client named is made once, however often it is sent.
 *
 * The keys of each token are its own. A key is kept for a day, and goes with its job.
 */
#ifndef PLUMBLINE_SERVER_STORE_IDEMPOTENCY_H
#define PLUMBLINE_SERVER_STORE_IDEMPOTENCY_H

#include <sqlite3.h>
#include <stdint.h>

#include "core/spec.h"
#include "core/status.h"

enum { IDEMPOTENCY_MOST_KEY = 200, IDEMPOTENCY_SECONDS = 24 * 3600 };

/*
 * The job that this key made; 0 where it is new. `owner` is the token's id, 0 without one. STATUS_INVALID for a key that
 * is empty, longer than IDEMPOTENCY_MOST_KEY, or not printable ASCII; STATUS_CONFLICT where it came with another spec
 * (the whole expanded one: its name and tags count).
 */
enum status store_idempotency_find(sqlite3 *db, int64_t owner, const char *key, const struct spec *spec,
                                   int64_t *ret_job, struct error *err);

/* Notes what the key made, within the transaction that made it; keys older than a day are forgotten. */
enum status store_idempotency_keep(sqlite3 *db, int64_t owner, const char *key, const struct spec *spec, int64_t job,
                                   struct error *err);

#endif
