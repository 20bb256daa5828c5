/*
 * The writing side of a run's database.
 *
 * One transaction is always open, begun IMMEDIATE; run_writer_commit ends it and begins the next. The rows of thousands
 * of samples go into one transaction, through statements that are prepared once: a transaction a row would be two
 * hundred times slower.
 */
#include "server/run_writer_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/clock.h"
#include "server/json_util.h"
#include "server/migrate.h"
#include "server/run_lock.h"

static const char *const kept_sql[KEPT_COUNT] = {
    [KEPT_SITE] = "INSERT OR REPLACE INTO sites VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [KEPT_SCALAR] = "INSERT OR REPLACE INTO scalars (step, key, value, nonfinite) VALUES (?, ?, ?, ?)",
    [KEPT_ROW] = "INSERT INTO divergence VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [KEPT_SUMMARY] = "INSERT INTO divergence_summary VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [KEPT_BATCH] = "INSERT INTO divergence_batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [KEPT_DENSITY] = "INSERT INTO density VALUES (?, ?, ?, ?)",
    [KEPT_CONTRIBUTOR] = "INSERT INTO contributors VALUES (?, ?, ?, ?, ?)",
    [KEPT_SAMPLE] = "INSERT INTO sample_steps VALUES (?, ?, ?, ?, ?, ?, ?)",
    [KEPT_LOG] = "INSERT INTO log (at, level, text) VALUES (?, ?, ?)",
};

static void writer_free(struct run_writer *writer)
{
    if (!writer)
        return;
    for (int i = 0; i < KEPT_COUNT; i++)
        cleanup_statement(&writer->kept[i]);
    if (writer->db)
        db_rollback(writer->db);
    cleanup_db(&writer->db);
    if (writer->path)
        run_lock_release(writer->path, writer->lock);
    free(writer->path);
    free(writer);
}

static void cleanup_writer(struct run_writer **writer)
{
    writer_free(*writer);
}

static bool exists_beside(const char *path, const char *suffix)
{
    attribute_cleanup(cleanup_free) char *beside = text_format("%s%s", path, suffix);
    return !beside || file_exists(beside); /* without memory: a check too many */
}

/*
 * Whether there is a write-ahead log: the last writer has died, or is at work. One that closes the file takes it away.
 */
static bool has_wal(const char *path)
{
    return exists_beside(path, "-wal");
}

/* Takes the lock and opens the migrated database; no transaction is open. */
static enum status open_database(const char *path, struct run_writer **ret_writer, struct error *err)
{
    attribute_cleanup(cleanup_writer) struct run_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return error_no_memory(err);
    writer->lock = -1;
    writer->path = strdup(path);
    int version;
    enum status status = writer->path ? run_lock_take(path, &writer->lock, err) : error_no_memory(err);
    bool check = status == STATUS_OK && has_wal(path);
    if (status == STATUS_OK)
        status = db_open(path, DB_WRITE, &writer->db, err);
    if (status == STATUS_OK)
        status = migrate_check(writer->db, &run_schema, &version, err); /* before a foreign file is changed */
    if (status == STATUS_OK && check)
        status = db_check_damage(writer->db, "quick_check", err);
    if (status == STATUS_OK)
        status = db_use_wal(writer->db, "NORMAL", err);
    if (status == STATUS_OK)
        status = migrate(writer->db, &run_schema, err);
    /* A larger WAL is folded in less often: each time costs two waits for the disk. */
    if (status == STATUS_OK)
        status = db_execute(writer->db, "PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8000", err);
    if (status != STATUS_OK)
        return error_prefix(err, status, "run file %s: ", path);
    *ret_writer = writer;
    writer = NULL;
    return STATUS_OK;
}

enum status run_writer_open(const char *path, const struct run_identity *identity, struct run_writer **ret_writer,
                            struct error *err)
{
    attribute_cleanup(cleanup_writer) struct run_writer *writer = NULL;
    enum status status = open_database(path, &writer, err);
    if (status != STATUS_OK)
        return status;
    for (int i = 0; i < KEPT_COUNT && status == STATUS_OK; i++)
        status = db_prepare_kept(writer->db, kept_sql[i], &writer->kept[i], err);
    if (status == STATUS_OK)
        status = db_begin(writer->db, err);
    if (status == STATUS_OK)
        status = run_resume(writer, identity, err);
    if (status == STATUS_OK)
        status = run_writer_commit(writer, err);
    if (status != STATUS_OK)
        return error_prefix(err, status, "run file %s: ", path);
    *ret_writer = writer;
    writer = NULL;
    return STATUS_OK;
}

#define SHAPE_JSON_SIZE (SHAPE_MAX_RANK * 21 + 3)

static const char *shape_json(const struct shape *shape, char text[SHAPE_JSON_SIZE])
{
    char *to = text;
    *to++ = '[';
    for (int i = 0; i < shape->rank; i++)
        to += sprintf(to, i ? ",%zu" : "%zu", shape->dims[i]);
    *to++ = ']';
    *to = '\0';
    return text;
}

static enum status insert_site(sqlite3_stmt *statement, size_t index, const struct site_info *site, struct error *err)
{
    char input[SHAPE_JSON_SIZE], output[SHAPE_JSON_SIZE];
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)index);
    db_bind_text(statement, 2, site->name);
    db_bind_text(statement, 3, site->type);
    db_bind_text(statement, 4, site->part);
    db_bind_text(statement, 5, site->variant);
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)site->parameters);
    db_bind_text(statement, 7, shape_json(&site->input, input));
    db_bind_text(statement, 8, shape_json(&site->output, output));
    return db_run(statement, err);
}

enum status run_writer_plan(struct run_writer *writer, const struct training_plan *plan, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(
        writer->db,
        "UPDATE run SET steps = ?, steps_per_epoch = ?, epochs = ?, probed_steps = ?, parameters = ? WHERE id = 1",
        &statement, err);
    if (status != STATUS_OK)
        return status;
    const size_t figures[] = {plan->steps, plan->steps_per_epoch, plan->epochs, plan->probed_steps, plan->parameters};
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(statement, i + 1, (sqlite3_int64)figures[i]);
    status = db_run(statement, err);
    for (size_t i = 0; i < plan->site_count && status == STATUS_OK; i++)
        status = insert_site(writer->kept[KEPT_SITE], i, &plan->sites[i], err);
    return status;
}

static void put_little_endian(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Of one sample; NULL where there are none. The bytes must outlive the next step: a copy of SQLite's own would, where
 * memory runs out, leave NULL without a word. */
static void bind_likeliest(sqlite3_stmt *statement, int index, const struct step_samples *samples, size_t sample,
                           uint8_t bytes[LIKELIEST * LIKELIEST_BYTES])
{
    const size_t count = samples->likeliest < LIKELIEST ? samples->likeliest : LIKELIEST;
    for (size_t i = 0; i < count; i++) {
        size_t at = sample * samples->likeliest + i;
        uint32_t probability;
        memcpy(&probability, &samples->probabilities[at], sizeof probability);
        put_little_endian(bytes + i * LIKELIEST_BYTES, samples->classes[at]);
        put_little_endian(bytes + i * LIKELIEST_BYTES + 4, probability);
    }
    if (count > 0)
        sqlite3_bind_blob(statement, index, bytes, (int)count * LIKELIEST_BYTES, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, index);
}

enum status run_writer_samples(struct run_writer *writer, const struct step_samples *samples, struct error *err)
{
    sqlite3_stmt *statement = writer->kept[KEPT_SAMPLE];
    uint8_t bytes[LIKELIEST * LIKELIEST_BYTES];
    enum status status = STATUS_OK;
    for (size_t i = 0; i < samples->count && status == STATUS_OK; i++) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)samples->step);
        sqlite3_bind_int64(statement, 2, samples->samples[i]);
        db_bind_number(statement, 3, samples->losses[i]);
        sqlite3_bind_int64(statement, 4, samples->labels[i]);
        sqlite3_bind_int64(statement, 5, samples->predicted[i]);
        sqlite3_bind_int(statement, 6, samples->in_batch[i]);
        bind_likeliest(statement, 7, samples, i, bytes);
        status = db_run(statement, err);
    }
    return status;
}

static enum status insert_rows(sqlite3_stmt *statement, const struct site_measurement *measurement, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < measurement->row_count && status == STATUS_OK; i++) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)measurement->site);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)measurement->step);
        sqlite3_bind_int64(statement, 3, measurement->samples[i]);
        for (int column = 0; column < COLUMN_COUNT; column++)
            db_bind_number(statement, 4 + column, measurement->rows[i].values[column]);
        status = db_run(statement, err);
    }
    return status;
}

static enum status insert_summary(sqlite3_stmt *statement, const struct site_measurement *measurement, int column,
                                  struct error *err)
{
    const struct column_summary *summary = &measurement->summaries[column];
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)measurement->site);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)measurement->step);
    db_bind_text(statement, 3, divergence_columns[column].name);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)summary->count);
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)summary->undefined);
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)summary->nonpositive);
    db_bind_number(statement, 7, summary->mean);
    db_bind_number(statement, 8, summary->deviation);
    db_bind_number(statement, 9, summary->minimum);
    db_bind_number(statement, 10, summary->maximum);
    for (int q = 0; q < QUANTILE_COUNT; q++)
        db_bind_number(statement, 11 + q, summary->quantiles[q]);
    sqlite3_bind_blob64(statement, 11 + QUANTILE_COUNT, measurement->histograms[column],
                        measurement->histogram_sizes[column], SQLITE_STATIC);
    return db_run(statement, err);
}

static enum status insert_batch(sqlite3_stmt *statement, const struct site_measurement *measurement, struct error *err)
{
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)measurement->site);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)measurement->step);
    db_bind_number(statement, 3, measurement->figures.batch_scale);
    db_bind_number(statement, 4, measurement->figures.batch_cosine);
    db_bind_number(statement, 5, measurement->figures.predicted_decrease);
    db_bind_number(statement, 6, measurement->figures.own_share);
    sqlite3_bind_int64(statement, 7, (sqlite3_int64)measurement->batch_rows);
    sqlite3_bind_int64(statement, 8, (sqlite3_int64)measurement->batch_size);
    return db_run(statement, err);
}

static enum status insert_density(sqlite3_stmt *statement, const struct site_measurement *measurement, int pair,
                                  struct error *err)
{
    char name[64];
    snprintf(name, sizeof name, "%s,%s", density_pairs[pair].x, density_pairs[pair].y);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)measurement->site);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)measurement->step);
    db_bind_text(statement, 3, name);
    sqlite3_bind_blob64(statement, 4, measurement->densities[pair], measurement->density_sizes[pair], SQLITE_STATIC);
    return db_run(statement, err);
}

enum status run_writer_measurement(struct run_writer *writer, const struct site_measurement *measurement,
                                   struct error *err)
{
    enum status status = insert_rows(writer->kept[KEPT_ROW], measurement, err);
    for (int column = 0; column < COLUMN_COUNT && status == STATUS_OK; column++)
        if (measurement->histogram_sizes[column] > 0)
            status = insert_summary(writer->kept[KEPT_SUMMARY], measurement, column, err);
    if (status == STATUS_OK)
        status = insert_batch(writer->kept[KEPT_BATCH], measurement, err);
    for (int pair = 0; pair < DENSITY_COUNT && status == STATUS_OK; pair++)
        if (measurement->density_sizes[pair] > 0)
            status = insert_density(writer->kept[KEPT_DENSITY], measurement, pair, err);
    return status;
}

static enum status insert_contributor(sqlite3_stmt *statement, const struct site_contributors *contributors, size_t row,
                                      sqlite3_int64 other, double part, struct error *err)
{
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)contributors->site);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)contributors->step);
    sqlite3_bind_int64(statement, 3, contributors->samples[row]);
    sqlite3_bind_int64(statement, 4, other);
    db_bind_number(statement, 5, part);
    return db_run(statement, err);
}

enum status run_writer_contributors(struct run_writer *writer, const struct site_contributors *contributors,
                                    struct error *err)
{
    sqlite3_stmt *statement = writer->kept[KEPT_CONTRIBUTOR];
    enum status status = STATUS_OK;
    for (size_t row = 0; row < contributors->row_count && status == STATUS_OK; row++) {
        for (size_t k = 0; k < contributors->count && status == STATUS_OK; k++) {
            size_t at = row * contributors->count + k;
            status = insert_contributor(statement, contributors, row, contributors->others[at], contributors->parts[at],
                                        err);
        }
        if (status == STATUS_OK)
            status = insert_contributor(statement, contributors, row, -1, contributors->rest[row], err);
    }
    return status;
}

enum status run_writer_scalar(struct run_writer *writer, size_t step, const char *key, double value, struct error *err)
{
    sqlite3_stmt *statement = writer->kept[KEPT_SCALAR];
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)step);
    db_bind_text(statement, 2, key);
    db_bind_number(statement, 3, value);
    db_bind_text(statement, 4, nonfinite_word(value));
    return db_run(statement, err);
}

enum status run_writer_log(struct run_writer *writer, const char *level, const char *text, struct error *err)
{
    sqlite3_stmt *statement = writer->kept[KEPT_LOG];
    char now[CLOCK_TEXT_SIZE];
    db_bind_text(statement, 1, clock_now(now));
    db_bind_text(statement, 2, level);
    db_bind_text(statement, 3, text);
    return db_run(statement, err);
}

enum status run_writer_weights(struct run_writer *writer, const void *safetensors, size_t size, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(writer->db, "INSERT OR REPLACE INTO weights VALUES (1, ?, ?)", &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    db_bind_text(statement, 1, clock_now(now));
    if (sqlite3_bind_blob64(statement, 2, safetensors, size, SQLITE_STATIC) != SQLITE_OK)
        return error_set(err, STATUS_NO_SPACE, "weights of %zu bytes are too large for a row", size);
    return db_run(statement, err);
}

enum status run_writer_commit(struct run_writer *writer, struct error *err)
{
    enum status status = db_commit(writer->db, err);
    if (status == STATUS_OK)
        status = db_begin(writer->db, err);
    return status;
}

static enum status write_state(sqlite3 *db, const char *state, const char *reason, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(db,
                   "UPDATE run SET state = ?1, reason = coalesce(?2, CASE WHEN state = ?1 THEN reason END), "
                   "ended_at = coalesce(CASE WHEN state = ?1 THEN ended_at END, ?3) WHERE id = 1",
                   &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    db_bind_text(statement, 1, state);
    db_bind_text(statement, 2, reason);
    db_bind_text(statement, 3, clock_now(now));
    return db_run(statement, err);
}

/* Folds the WAL in and leaves WAL mode. A reader that stays open prevents it: after a second the file stays as it is,
 * complete but not sealed, and false is returned. */
static bool leave_wal(sqlite3 *db)
{
    double start = clock_seconds();
    sqlite3_busy_timeout(db, 500);
    sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    while (sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK) {
        if (clock_seconds() - start >= 1)
            return false;
        clock_pause(0.02);
    }
    return true;
}

/* *ret_sealed: or a reader was in the way. The writer is freed. */
static enum status seal(struct run_writer *writer, const char *state, const char *reason, bool *ret_sealed,
                        struct error *err)
{
    attribute_cleanup(cleanup_writer) struct run_writer *owned = writer;
    enum status status = STATUS_OK;
    if (sqlite3_get_autocommit(owned->db)) /* a failure, as of a full disk, has ended the transaction */
        status = db_begin(owned->db, err);
    if (status == STATUS_OK)
        status = write_state(owned->db, state, reason, err);
    if (status == STATUS_OK)
        status = db_commit(owned->db, err);
    if (status != STATUS_OK)
        return error_prefix(err, status, "run file %s: ", owned->path);
    for (int i = 0; i < KEPT_COUNT; i++)
        cleanup_statement(&owned->kept[i]);
    *ret_sealed = leave_wal(owned->db);
    return STATUS_OK;
}

enum status run_writer_seal(struct run_writer *writer, const char *state, const char *reason, struct error *err)
{
    bool sealed = false; /* what is left to do then, the server has done later */
    return seal(writer, state, reason, &sealed, err);
}

enum status run_writer_close(struct run_writer *writer, struct error *err)
{
    attribute_cleanup(cleanup_writer) struct run_writer *owned = writer;
    if (sqlite3_get_autocommit(owned->db))
        return STATUS_OK;
    enum status status = db_commit(owned->db, err);
    return status == STATUS_OK ? status : error_prefix(err, status, "run file %s: ", owned->path);
}

void run_writer_abandon(struct run_writer *writer)
{
    writer_free(writer);
}

/*
 * Bytes 18 and 19 of a database say by which kind of journal it is written and read: 1 is the sealed file's.
 *
 * What is written, or has readers of its write-ahead log, has that log beside it, and is not opened here: to close a
 * file drops all locks that this process has on it, those of SQLite's other connections too.
 */
bool run_file_is_sealed(const char *path)
{
    uint8_t kinds[2] = {0, 0};
    if (has_wal(path) || exists_beside(path, "-journal"))
        return false;
    attribute_cleanup(cleanup_descriptor) int file = open(path, O_RDONLY | O_CLOEXEC);
    return file >= 0 && pread(file, kinds, sizeof kinds, 18) == (ssize_t)sizeof kinds && kinds[0] == 1 && kinds[1] == 1;
}

enum status run_file_migrate(const char *path, struct error *err)
{
    attribute_cleanup(cleanup_writer) struct run_writer *writer = NULL;
    bool sealed = run_file_is_sealed(path);
    enum status status = open_database(path, &writer, err);
    if (status == STATUS_OK && sealed)
        (void)leave_wal(writer->db); /* it is sealed with the next start, if a reader is in the way */
    return status;
}

enum status run_file_seal(const char *path, const char *state, const char *reason, struct error *err)
{
    struct run_writer *writer;
    bool sealed = false;
    enum status status = open_database(path, &writer, err);
    if (status == STATUS_OK)
        status = seal(writer, state, reason, &sealed, err);
    if (status == STATUS_OK && !sealed)
        return error_set(err, STATUS_BUSY, "run file %s: it is being read, and cannot be sealed", path);
    return status;
}
