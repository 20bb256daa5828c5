/*
 * Writing a run's database: what the writer is told comes back from SQL, only what is committed is seen, two attempts
 * never meet, and an attempt goes on from the checkpoint.
 */
#include "server/run_copy.h"
#include "tests/run_file_support.h"

#include <sys/wait.h>

static void test_tables(void **state)
{
    const char *path = in_folder(state, "a b%20?#.db"); /* characters that mean something in a URI */
    write_run(path);
    assert_true(file_exists(path));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * STEPS * ROWS);
    assert_query(path, "SELECT state || attempt || threads || steps || epochs || probed_steps || parameters FROM run",
                 "finished12515150");
    assert_query(path, "SELECT blas_kernel != '' AND version != '' AND build != '' AND ended_at >= started_at FROM run",
                 "1");
    assert_query(path, "SELECT input || output || type || ifnull(variant, '-') FROM sites WHERE name = '2.conv'",
                 "[1,28,28][2,14,14]convpatch-l2");
    assert_query(path, "SELECT part FROM sites WHERE site = 2", "q");
    assert_query(path, "SELECT variant FROM sites WHERE site = 2", "NULL");
    assert_query(path, "SELECT group_concat(level || text) FROM log", "infoone,warningtwo,infothree");
    assert_query(path, "SELECT group_concat(step || CAST(substr(state, 1, 5) AS TEXT)) FROM checkpoints", "4newer");
    assert_query(path, "SELECT safetensors FROM weights", "tensors");
    assert_query(path, "SELECT loss FROM sample_steps WHERE step = 1 ORDER BY loss IS NOT NULL", "NULL");
    assert_int_equal(query_integer(path, "SELECT sum(in_batch) FROM sample_steps"), SAMPLES * STEPS);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence_by_name WHERE site = '3.attention.q'"),
                     STEPS * ROWS);
    assert_query(path, "SELECT count(*) FROM divergence WHERE network_scale IS NOT NULL", "0");
    assert_query(path, "SELECT count(*) FROM divergence_summary WHERE \"column\" = 'network_scale'", "0");
    assert_query(path, "SELECT predicted_decrease FROM divergence_batch", "NULL");
}

static void test_values_come_back(void **state)
{
    const char *path = in_folder(state, "run.db");
    write_run(path);
    for (size_t row = 0; row < ROWS; row++) {
        char sql[256];
        for (int column = 0; column < COLUMN_COUNT; column++) {
            double expected = value_of(1, 2, row, column);
            snprintf(sql, sizeof sql, "SELECT %s FROM divergence WHERE site = 1 AND step = 2 AND sample = %u",
                     divergence_columns[column].name, sample_of(2, row));
            if (isnan(expected))
                assert_query(path, sql, "NULL");
            else if (query_number(path, sql) != expected)
                fail_msg("%s: not %.17g", sql, expected);
        }
    }
}

static void test_scalars_that_are_not_finite(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    const double values[] = {1.5, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++)
        assert_ok(run_writer_scalar(writer, i + 1, "loss", values[i], &err));
    assert_ok(run_writer_scalar(writer, 1, "loss", 2.5, &err)); /* told again: the newer one counts */
    assert_ok(run_writer_seal(writer, "diverged", "not finite", &err));
    assert_query(path, "SELECT group_concat(ifnull(value, '-') || ifnull(nonfinite, '-')) FROM scalars",
                 "2.5-,-NaN,-Infinity,--Infinity");
    assert_query(path, "SELECT state || ': ' || reason FROM run", "diverged: not finite");
    struct run_reader *reader = open_reader(path);
    json_t *json;
    const char *const keys[] = {"loss", "unknown", NULL};
    assert_ok(run_reader_metrics(reader, keys, 0, &json, &err));
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"series\":[{\"key\":\"loss\",\"shown\":4,\"of\":4,\"steps\":[1,2,3,4],\"values\":[2.5,"
                              "\"NaN\",\"Infinity\",\"-Infinity\"]},{\"key\":\"unknown\",\"shown\":0,\"of\":0,"
                              "\"steps\":[],\"values\":[]}]}");
    free(text);
    json_decref(json);
    run_reader_close(reader);
}

static void test_only_the_committed_is_seen(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_ok(run_writer_plan(writer, &plan, &err));
    write_step(writer, 1);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), 0);
    assert_ok(run_writer_commit(writer, &err));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * ROWS);
    write_step(writer, 2);
    assert_ok(run_writer_close(writer, &err)); /* commits; the run is not over */
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * ROWS * 2);
    assert_query(path, "SELECT state FROM run", "running");
}

static void test_two_attempts_never_meet(void **state)
{
    const char *path = in_folder(state, "run.db");
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = "abc", .attempt = 2};
    struct run_writer *first = open_writer(path, 1), *second = NULL;
    struct error err;
    assert_ok(run_writer_plan(first, &plan, &err));
    write_step(first, 1);
    assert_int_equal(run_writer_open(path, &identity, &second, &err), STATUS_BUSY);
    assert_says(err.text, "another process");
    assert_int_equal(run_file_seal(path, "failed", NULL, &err), STATUS_BUSY);
    assert_ok(run_writer_close(first, &err));
    second = open_writer(path, 2);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"),
                     0); /* without a checkpoint it starts over */
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sites"), 0);
    assert_query(path, "SELECT attempt FROM run", "2");
    assert_ok(run_writer_close(second, &err));
    assert_ok(run_file_seal(path, "cancelled", "enough", &err));
    assert_query(path, "SELECT state || attempt || reason FROM run", "cancelled2enough");
    assert_false(file_exists(in_folder(state, "run.db.lock")));
}

/* Every table that has steps holds those up to the checkpoint and no others; the log stays, and the first start. */
static void test_an_attempt_goes_on_from_the_checkpoint(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    uint8_t *bytes = NULL;
    size_t step = 0, size = 0;
    assert_ok(run_writer_plan(writer, &plan, &err));
    for (size_t i = 1; i <= STEPS; i++) {
        write_step(writer, i);
        if (i == 3)
            assert_ok(run_writer_checkpoint(writer, 3, "weights", 7, &err));
    }
    assert_ok(run_writer_log(writer, "info", "lost steps", &err));
    assert_ok(run_writer_close(writer, &err));
    writer = open_writer(path, 2);
    static const char *const tables[] = {"scalars",          "divergence", "divergence_summary",
                                         "divergence_batch", "density",    "sample_steps"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(DISTINCT step) || '-' || max(step) FROM %s", tables[i]);
        assert_query(path, sql, "3-3");
    }
    assert_query(path, "SELECT attempt || state || (SELECT count(*) FROM sites) FROM run", "2running3");
    assert_query(path, "SELECT text FROM log", "lost steps");
    assert_ok(run_writer_checkpoint_read(writer, &step, &bytes, &size, &err));
    assert_int_equal(step, 3);
    assert_int_equal(size, 7);
    assert_memory_equal(bytes, "weights", 7);
    free(bytes);
    json_t *results = json_object();
    assert_ok(run_writer_results(writer, results, &err));
    assert_float_equal(json_number_value(json_object_get(results, "train/loss")), 1.0 / 3, 1e-15);
    assert_int_equal(json_object_size(json_object_get(results, "median_scale")), SITES);
    json_decref(results);
    assert_ok(run_writer_close(writer, &err));
}

/* No other spec, no torn checkpoint and no attempt that is to start over goes on from what is there. */
static void test_an_attempt_that_cannot_go_on_starts_over(void **state)
{
    static const char *const damages[] = {NULL, "UPDATE checkpoints SET state = substr(state, 1, 12)",
                                          "UPDATE checkpoints SET state = CAST('v' || substr(state, 2) AS BLOB)",
                                          "UPDATE run SET spec_hash = 'other'"};
    const char *path = in_folder(state, "run.db");
    struct error err;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct run_writer *writer = open_writer(path, 1);
        sqlite3 *db;
        assert_ok(run_writer_plan(writer, &plan, &err));
        write_step(writer, 1);
        assert_ok(run_writer_checkpoint(writer, 1, "weights", 7, &err));
        assert_ok(run_writer_close(writer, &err));
        assert_ok(db_open(path, DB_WRITE, &db, &err));
        assert_ok(db_execute(db, damages[i] ? damages[i] : "SELECT 1", &err));
        cleanup_db(&db);
        const struct run_identity identity = {
            .spec_text = "{}", .spec_hash = "abc", .attempt = 2, .anew = damages[i] == NULL};
        assert_ok(run_writer_open(path, &identity, &writer, &err));
        assert_query(path,
                     "SELECT (SELECT count(*) FROM divergence) + (SELECT count(*) FROM scalars) + (SELECT count(*) "
                     "FROM checkpoints) + (SELECT count(*) FROM sites)",
                     "0");
        if (damages[i] && strstr(damages[i], "checkpoints"))
            assert_int_equal(query_integer(path, "SELECT count(*) FROM log WHERE text LIKE '%torn%starts over'"), 1);
        assert_ok(run_writer_close(writer, &err));
        assert_int_equal(unlink(path), 0);
    }
}

static void test_sealed_is_one_file(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_true(file_exists(in_folder(state, "run.db-wal")));
    assert_true(file_exists(in_folder(state, "run.db.lock")));
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_false(file_exists(in_folder(state, "run.db-wal")));
    assert_false(file_exists(in_folder(state, "run.db-shm")));
    assert_false(file_exists(in_folder(state, "run.db.lock")));
    assert_query(path, "PRAGMA journal_mode", "delete");
    /* a reader that stays open keeps the file from being sealed, not from being complete */
    writer = open_writer(path, 2);
    struct run_reader *reader = open_reader(path);
    json_t *json;
    assert_ok(run_reader_log(reader, &(struct list_query){.max_results = 1}, &json, &err));
    json_decref(json);
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_query(path, "SELECT state || attempt FROM run", "finished2");
    assert_false(run_file_is_sealed(path));
    assert_int_equal(run_file_seal(path, "finished", NULL, &err), STATUS_BUSY);
    run_reader_close(reader);
    assert_ok(run_file_seal(path, "finished", NULL, &err));
    assert_query(path, "PRAGMA journal_mode", "delete");
}

/* Whether this process has a lock on what SQLite locks of the file: another one is asked. */
static bool is_locked(const char *path)
{
    enum { PENDING_BYTE = 0x40000000, LOCK_BYTES = 512 };
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = PENDING_BYTE, .l_len = LOCK_BYTES};
        int file = open(path, O_RDWR | O_CLOEXEC);
        _exit(file < 0 || fcntl(file, F_GETLK, &lock) != 0 ? 2 : lock.l_type != F_UNLCK);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 1;
}

/* To look at a live run, and to copy it, takes no reader of this process its lock. */
static void test_locks_stay(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_ok(run_writer_commit(writer, &err));
    assert_true(is_locked(path));
    assert_false(run_file_is_sealed(path));
    assert_true(is_locked(path));
    assert_ok(run_file_copy(path, in_folder(state, "copy.db"), &err));
    assert_true(is_locked(path));
    struct run_reader *reader = open_reader(path);
    json_t *json = NULL;
    assert_ok(run_writer_close(writer, &err)); /* between two attempts: the reader has the log */
    assert_ok(run_reader_log(reader, &(struct list_query){.max_results = 1}, &json, &err));
    json_decref(json);
    assert_false(run_file_is_sealed(path));
    assert_ok(run_file_copy(path, in_folder(state, "second.db"), &err));
    assert_true(is_locked(path));
    run_reader_close(reader);
    assert_false(is_locked(path));
}

/* Each sample's strongest others, the sum of the rest as −1, and NULL where nothing is defined. */
static void test_contributors(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    static const uint32_t samples[] = {7, 9}, others[] = {9, 4, 7, 4};
    static const double parts[] = {-2.5, 1.25, NAN, NAN}, rest[] = {0.5, NAN};
    const struct site_contributors contributors = {3, 1, samples, 2, 2, others, parts, rest};
    assert_ok(run_writer_plan(writer, &plan, &err));
    assert_ok(run_writer_contributors(writer, &contributors, &err));
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM contributors WHERE site = 1 AND step = 3"), 6);
    assert_int_equal(query_integer(path, "SELECT 100 * part FROM contributors WHERE sample = 7 AND other = 9"), -250);
    assert_int_equal(query_integer(path, "SELECT 100 * part FROM contributors WHERE sample = 7 AND other = -1"), 50);
    assert_int_equal(query_integer(path, "SELECT count(part) FROM contributors WHERE sample = 9"), 0);
}

static void test_files_that_are_refused(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_reader *reader = NULL;
    struct error err;
    assert_int_equal(run_reader_open(path, &reader, &err), STATUS_NOT_FOUND);
    close(open(path, O_CREAT | O_WRONLY, 0600)); /* a worker that has only just begun */
    assert_int_equal(run_reader_open(path, &reader, &err), STATUS_NOT_FOUND);
    write_run(path);
    sqlite3 *db;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "PRAGMA user_version = 9", &err));
    cleanup_db(&db);
    assert_int_equal(run_reader_open(path, &reader, &err), STATUS_CONFLICT);
    assert_says(err.text, "version 9");
    char known[32];
    snprintf(known, sizeof known, "up to %zu", run_schema.count);
    assert_says(err.text, known);
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = "abc", .attempt = 2};
    struct run_writer *writer;
    assert_int_equal(run_writer_open(path, &identity, &writer, &err), STATUS_CONFLICT);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * STEPS * ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_tables),
        IN_A_FOLDER(test_values_come_back),
        IN_A_FOLDER(test_scalars_that_are_not_finite),
        IN_A_FOLDER(test_only_the_committed_is_seen),
        IN_A_FOLDER(test_two_attempts_never_meet),
        IN_A_FOLDER(test_an_attempt_goes_on_from_the_checkpoint),
        IN_A_FOLDER(test_an_attempt_that_cannot_go_on_starts_over),
        IN_A_FOLDER(test_sealed_is_one_file),
        IN_A_FOLDER(test_locks_stay),
        IN_A_FOLDER(test_contributors),
        IN_A_FOLDER(test_files_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
