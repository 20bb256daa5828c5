/*
 * Going on with a run that was interrupted.
 *
 * A checkpoint is a row of the run's own database, committed together with the rows of its step, so the two can never
 * disagree. A worker that dies leaves behind whatever it had committed since: rows of steps that the next attempt will
 * make again. The next attempt deletes them in the transaction that makes the run its own, and the deterministic
 * training writes the same rows once more. Whoever reads the file sees the rows of before or those up to the
 * checkpoint, never a step twice and never half of one.
 *
 * Kept are the lines of the log, which say what really happened, and the start of the first attempt. Every table with a
 * column `step` is taken back, so that a new one needs no line here.
 */
#include "server/run_writer_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blas.h"
#include "server/clock.h"
#include "server/json_util.h"
#include "server/results.h"
#include "server/version.h"

/* --- the checkpoint --------------------------------------------------------------------------------------------- */

/* Behind the trainer's bytes stands their BLAKE2b: a checkpoint of which a part is lost or changed is told apart. */
enum { DIGEST_SIZE = crypto_generichash_BYTES };

static void digest_of(const uint8_t *bytes, size_t size, uint8_t ret_digest[DIGEST_SIZE])
{
    crypto_generichash(ret_digest, DIGEST_SIZE, bytes, size, NULL, 0);
}

static enum status insert_checkpoint(sqlite3 *db, size_t step, const uint8_t *bytes, size_t size, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    char now[CLOCK_TEXT_SIZE];
    enum status status = db_prepare(db, "INSERT INTO checkpoints VALUES (?, ?, ?)", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)step);
    db_bind_text(statement, 2, clock_now(now));
    if (sqlite3_bind_blob64(statement, 3, bytes, size, SQLITE_STATIC) != SQLITE_OK)
        return error_set(err, STATUS_NO_SPACE, "a checkpoint of %zu bytes is too large for a row", size);
    return db_run(statement, err);
}

enum status run_writer_checkpoint(struct run_writer *writer, size_t step, const void *bytes, size_t size,
                                  struct error *err)
{
    attribute_cleanup(cleanup_free) uint8_t *signed_bytes = malloc(size + DIGEST_SIZE);
    if (!signed_bytes)
        return error_no_memory(err);
    memcpy(signed_bytes, bytes, size);
    digest_of(signed_bytes, size, signed_bytes + size);
    enum status status = db_execute(writer->db, "DELETE FROM checkpoints", err);
    if (status == STATUS_OK)
        status = insert_checkpoint(writer->db, step, signed_bytes, size + DIGEST_SIZE, err);
    return status;
}

/* A blob as it was written by run_writer_checkpoint; *ret_size is of the trainer's bytes. */
static enum status check_digest(const uint8_t *blob, size_t size, size_t step, size_t *ret_size, struct error *err)
{
    uint8_t digest[DIGEST_SIZE];
    if (size < DIGEST_SIZE)
        return error_set(err, STATUS_CORRUPT, "the checkpoint of step %zu is torn: %zu bytes are left", step, size);
    digest_of(blob, size - DIGEST_SIZE, digest);
    if (memcmp(digest, blob + size - DIGEST_SIZE, DIGEST_SIZE) != 0)
        return error_set(err, STATUS_CORRUPT, "the checkpoint of step %zu is torn: its checksum is another", step);
    *ret_size = size - DIGEST_SIZE;
    return STATUS_OK;
}

enum status run_writer_checkpoint_read(struct run_writer *writer, size_t *ret_step, uint8_t **ret_bytes,
                                       size_t *ret_size, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status =
        db_prepare(writer->db, "SELECT step, state FROM checkpoints ORDER BY step DESC LIMIT 1", &statement, err);
    if (status == STATUS_OK)
        status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    if (!row)
        return error_set(err, STATUS_NOT_FOUND, "no checkpoint was made");
    size_t step = (size_t)sqlite3_column_int64(statement, 0), size = 0;
    const uint8_t *blob = sqlite3_column_blob(statement, 1);
    status = check_digest(blob, blob ? (size_t)sqlite3_column_bytes(statement, 1) : 0, step, &size, err);
    if (status != STATUS_OK)
        return status;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return error_no_memory(err);
    memcpy(bytes, blob, size);
    *ret_bytes = bytes;
    *ret_size = size;
    *ret_step = step;
    return STATUS_OK;
}

/* --- taking back ------------------------------------------------------------------------------------------------ */

/* A table with a column `site` has it first in its key: one seek a site, in place of a walk through all rows. */
#define STEP_TABLES_SQL                                                                                                \
    "SELECT format('DELETE FROM \"%w\" WHERE %sstep > %lld', t.name, iif(EXISTS (SELECT 1 FROM "                       \
    "pragma_table_info(t.name) "                                                                                       \
    "AS "                                                                                                              \
    "c WHERE c.name = 'site'), 'site IN (SELECT site FROM sites) AND ', ''), ?1) FROM sqlite_schema AS t WHERE type "  \
    "= "                                                                                                               \
    "'table' AND t.name <> 'checkpoints' AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.name = "     \
    "'step')"

static enum status delete_steps(sqlite3 *db, size_t step, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *tables = NULL;
    attribute_cleanup(cleanup_json) json_t *list = json_array(); /* read to the end before anything is deleted */
    enum status status = list ? db_prepare(db, STEP_TABLES_SQL, &tables, err) : error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(tables, 1, (sqlite3_int64)step);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(tables, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = json_add(list, db_json(tables, 0), err);
    }
    sqlite3_reset(tables);
    for (size_t i = 0; i < json_array_size(list) && status == STATUS_OK; i++)
        status = db_execute(db, json_string_value(json_array_get(list, i)), err);
    return status;
}

enum status run_writer_rewind(struct run_writer *writer, size_t step, struct error *err)
{
    enum status status = delete_steps(writer->db, step, err);
    if (status == STATUS_OK)
        status = db_execute(writer->db, "DELETE FROM weights", err);
    if (status == STATUS_OK && step == 0)
        status = db_execute(writer->db, "DELETE FROM checkpoints; DELETE FROM sites", err);
    return status;
}

/* --- taking over ------------------------------------------------------------------------------------------------ */

/* The run's own row, made or taken over: it keeps the time at which the first attempt began. */
static enum status write_identity(sqlite3 *db, const struct run_identity *identity, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(
        db,
        "INSERT INTO run (id, name, spec, spec_hash, version, build, blas, blas_kernel, threads, attempt, state, "
        "started_at) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, spec = excluded.spec, spec_hash = excluded.spec_hash, "
        "version = excluded.version, "
        "build = excluded.build, blas = excluded.blas, blas_kernel = excluded.blas_kernel, "
        "threads = excluded.threads, attempt = excluded.attempt, state = 'running', reason = NULL, ended_at = NULL",
        &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    db_bind_text(statement, 1, identity->name ? identity->name : "");
    db_bind_text(statement, 2, identity->spec_text);
    db_bind_text(statement, 3, identity->spec_hash);
    db_bind_text(statement, 4, PLUMBLINE_VERSION);
    db_bind_text(statement, 5, PLUMBLINE_BUILD);
    db_bind_text(statement, 6, blas_version());
    db_bind_text(statement, 7, blas_kernel());
    sqlite3_bind_int(statement, 8, identity->threads);
    sqlite3_bind_int(statement, 9, identity->attempt);
    db_bind_text(statement, 10, clock_now(now));
    return db_run(statement, err);
}

/* The bits of a product are those of the program and the processor's kernel: a change between attempts is told. */
static enum status note_other_program(struct run_writer *writer, size_t step, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(writer->db,
                                    "SELECT version || ' (' || build || ') with ' || blas_kernel FROM run WHERE "
                                    "version || build || blas || blas_kernel <> ?1 || ?2 || ?3 || ?4",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, PLUMBLINE_VERSION);
    db_bind_text(statement, 2, PLUMBLINE_BUILD);
    db_bind_text(statement, 3, blas_version());
    db_bind_text(statement, 4, blas_kernel());
    status = db_row(statement, &row, err);
    if (status != STATUS_OK || !row)
        return status;
    char text[512];
    snprintf(text, sizeof text,
             "what is logged until step %zu was made by %.200s, what follows by %s (%s) with %s: the last bits of the "
             "results may be others than those of one program alone",
             step, (const char *)sqlite3_column_text(statement, 0), PLUMBLINE_VERSION, PLUMBLINE_BUILD, blas_kernel());
    return run_writer_log(writer, "warning", text, err);
}

/* Whether the file holds an earlier attempt at this very spec. */
static enum status has_earlier(sqlite3 *db, const struct run_identity *identity, bool *ret_earlier, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "SELECT 1 FROM run WHERE spec_hash IN (?, ?)", &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, identity->spec_hash);
    db_bind_text(statement, 2, identity->former_hash);
    status = db_row(statement, ret_earlier, err);
    *ret_earlier = *ret_earlier && !identity->anew;
    return status;
}

/* The step to go on from: 0, with the reason in the log, where the checkpoint cannot be read. */
static enum status find_step(struct run_writer *writer, size_t *ret_step, struct error *err)
{
    attribute_cleanup(cleanup_free) uint8_t *bytes = NULL;
    size_t step = 0, size = 0;
    struct error fault = {""};
    char text[sizeof fault.text + 64];
    enum status status = run_writer_checkpoint_read(writer, &step, &bytes, &size, &fault);
    if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
        *ret_step = step;
        return STATUS_OK;
    }
    if (status != STATUS_CORRUPT)
        return error_set(err, status, "%s", fault.text);
    *ret_step = 0;
    snprintf(text, sizeof text, "%s; the run starts over", fault.text);
    return run_writer_log(writer, "warning", text, err);
}

enum status run_resume(struct run_writer *writer, const struct run_identity *identity, struct error *err)
{
    bool earlier = false;
    size_t step = 0;
    enum status status = has_earlier(writer->db, identity, &earlier, err);
    if (status == STATUS_OK && !earlier)
        status = db_execute(writer->db, "DELETE FROM run; DELETE FROM log", err);
    if (status == STATUS_OK && earlier)
        status = find_step(writer, &step, err);
    if (status == STATUS_OK)
        status = run_writer_rewind(writer, step, err);
    if (status == STATUS_OK && step > 0)
        status = note_other_program(writer, step, err);
    return status == STATUS_OK ? write_identity(writer->db, identity, err) : status;
}

enum status run_writer_results(struct run_writer *writer, json_t *results, struct error *err)
{
    return results_of_run(writer->db, results, err);
}
