/*
 * Run files on their way: copies of sealed, live and abandoned runs are whole; what comes in is refused unless it is a
 * run file, undamaged, with nothing in it that a run file does not have.
 */
#include "core/rng.h"
#include "server/run_copy.h"
#include "server/run_file.h"
#include "server/store.h"
#include "server/store_import.h"
#include "tests/runs.h"

#include <fcntl.h>
#include <sys/wait.h>

static json_t *spec_for_runs(void)
{
    json_t *spec = small_spec("travels", 2);
    json_object_set_new(spec, "tags", json_pack("[s]", "far"));
    return spec;
}

static struct run_writer *open_writer(const char *path)
{
    struct error err;
    struct run_writer *writer = NULL;
    struct spec *spec = parse_spec(spec_for_runs());
    char *text = json_dumps(spec->expanded, JSON_COMPACT);
    const struct run_identity identity = {
        .spec_text = text, .spec_hash = spec->hash, .name = "", .attempt = 2, .threads = 1};
    assert_ok(run_writer_open(path, &identity, &writer, &err));
    free(text);
    spec_free(spec);
    return writer;
}

static void write_scalars(struct run_writer *writer, size_t from, size_t until)
{
    struct error err;
    for (size_t step = from; step <= until; step++)
        assert_ok(run_writer_scalar(writer, step, "train/loss", 1.0 / (double)step, &err));
}

/* ------------------------------------------------------------------ copies */

static void expect_copy(const char *copy, int64_t scalars)
{
    char beside[PATH_SIZE + 8];
    assert_query(copy, "PRAGMA integrity_check", "ok");
    assert_query(copy, "PRAGMA journal_mode", "delete");
    assert_int_equal(query_integer(copy, "SELECT count(*) FROM scalars"), scalars);
    snprintf(beside, sizeof beside, "%s-wal", copy);
    assert_false(file_exists(beside));
}

static void test_sealed_run_is_copied_byte_for_byte(void **state)
{
    struct error err;
    const char *path = in_folder(state, "run.db"), *copy = in_folder(state, "copy.db");
    make_run(path, spec_for_runs());
    assert_ok(run_file_copy(path, copy, &err));
    char command[3 * PATH_SIZE];
    snprintf(command, sizeof command, "cmp '%s' '%s'", path, copy);
    run_command_line(command);
}

static void test_live_run_is_copied_as_committed(void **state)
{
    struct error err;
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path);
    write_scalars(writer, 1, 5000);
    assert_ok(run_writer_commit(writer, &err));
    write_scalars(writer, 5001, 6000);
    assert_ok(run_file_copy(path, in_folder(state, "one.db"), &err));
    expect_copy(in_folder(state, "one.db"), 5000);
    assert_ok(run_writer_commit(writer, &err)); /* the copy did not hold the writer up */
    assert_ok(run_file_copy(path, in_folder(state, "two.db"), &err));
    expect_copy(in_folder(state, "two.db"), 6000);
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_ok(run_file_copy(path, in_folder(state, "three.db"), &err));
    expect_copy(in_folder(state, "three.db"), 6000);
}

/* The worker was killed: what it had committed is still in the write-ahead log alone. */
static void test_run_whose_worker_died(void **state)
{
    struct error err;
    const char *path = in_folder(state, "run.db");
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct run_writer *writer = open_writer(path);
        write_scalars(writer, 1, 3000);
        if (run_writer_commit(writer, &err) != STATUS_OK)
            _exit(1);
        write_scalars(writer, 3001, 3100);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_ok(run_file_copy(path, in_folder(state, "copy.db"), &err));
    expect_copy(in_folder(state, "copy.db"), 3000);
}

static void test_copies_that_fail(void **state)
{
    struct error err;
    const char *path = in_folder(state, "run.db"), *copy = in_folder(state, "copy.db");
    assert_int_equal(run_file_copy(path, copy, &err), STATUS_NOT_FOUND);
    assert_false(file_exists(copy));
    make_run(path, spec_for_runs());
    assert_ok(run_file_copy(path, copy, &err));
    assert_int_equal(run_file_copy(path, copy, &err), STATUS_CONFLICT); /* and it stays */
    assert_says(err.text, copy);
    assert_query(copy, "PRAGMA quick_check", "ok");
    assert_int_equal(run_file_copy(path, in_folder(state, "nowhere/copy.db"), &err), STATUS_NOT_FOUND);
    run_sql(copy, "PRAGMA application_id = 7; PRAGMA journal_mode = WAL");
    assert_int_equal(run_file_copy(copy, in_folder(state, "foreign.db"), &err), STATUS_CORRUPT);
    assert_false(file_exists(in_folder(state, "foreign.db")));
}

/* ------------------------------------------------------------------ imports */

static void test_good_run_is_taken_in(void **state)
{
    struct error err;
    struct run_import import;
    const char *path = in_folder(state, "run.db");
    make_run(path, spec_for_runs());
    struct spec *spec = parse_spec(spec_for_runs());
    assert_ok(run_import_check(path, &import, &err));
    assert_string_equal(import.spec->hash, spec->hash);
    assert_true(json_equal(import.spec->expanded, spec->expanded));
    assert_int_equal(import.state, JOB_FINISHED);
    assert_int_equal(import.attempt, 1);
    assert_null(import.reason);
    assert_int_equal(json_integer_value(json_object_get(import.progress, "step")), 16);
    assert_int_equal(json_integer_value(json_object_get(import.progress, "epoch")), 2);
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM scalars WHERE key = 'test/accuracy' AND step = 16 AND value = %.17g",
             json_number_value(json_object_get(import.results, "test/accuracy")));
    assert_int_equal(query_integer(path, sql), 1);
    assert_int_equal(json_array_size(json_object_get(import.results, "accuracy_series")), 2);
    assert_int_equal(json_object_size(json_object_get(import.results, "median_scale")), 2);
    sqlite3 *db = NULL;
    int64_t id = 0, again = 0;
    json_t *job = NULL;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    assert_ok(db_begin(db, &err));
    assert_ok(store_job_import(db, &import, &id, &err));
    assert_ok(store_job_import(db, &import, &again, &err));
    assert_ok(db_commit(db, &err));
    assert_true(again > id);
    assert_ok(store_job_json(db, id, &job, &err));
    assert_string_equal(json_string_value(json_object_get(job, "state")), "finished");
    assert_string_equal(json_string_value(json_object_get(job, "name")), "travels");
    assert_string_equal(json_string_value(json_array_get(json_object_get(job, "tags"), 0)), "far");
    assert_string_equal(json_string_value(json_object_get(job, "started_at")), import.started_at);
    assert_string_equal(json_string_value(json_object_get(job, "spec_hash")), spec->hash);
    assert_true(json_equal(json_object_get(job, "results"), import.results));
    json_decref(job);
    cleanup_db(&db);
    assert_query(in_folder(state, "catalog.db"), "SELECT group_concat(job || state || reason) FROM job_state",
                 "1finishedimported,2finishedimported");
    run_import_clear(&import);
    spec_free(spec);
}

/* A copy of a run that went on afterwards, and one from a machine with more cores. */
static void test_unfinished_run_and_more_threads(void **state)
{
    struct error err;
    struct run_import import;
    sqlite3 *db = NULL;
    int64_t id = 0;
    json_t *job = NULL;
    const char *path = in_folder(state, "run.db"), *copy = in_folder(state, "copy.db");
    struct run_writer *writer = open_writer(path);
    write_scalars(writer, 1, 3);
    assert_ok(run_writer_commit(writer, &err));
    assert_ok(run_file_copy(path, copy, &err));
    assert_ok(run_writer_close(writer, &err));
    struct spec *spec = parse_spec(spec_for_runs());
    char hash[65], former[65], sql[256];
    assert_int_equal(json_object_set_new(spec->expanded, "threads", json_integer(4096)), 0);
    assert_ok(spec_hash(spec->expanded, hash, former, &err));
    spec_free(spec);
    snprintf(sql, sizeof sql, "UPDATE run SET spec = json_set(spec, '$.threads', 4096), spec_hash = '%s'", hash);
    run_sql(copy, sql);
    assert_ok(run_import_check(copy, &import, &err));
    run_import_clear(&import);
    snprintf(sql, sizeof sql, "UPDATE run SET spec_hash = '%s'", former); /* as of an earlier version */
    run_sql(copy, sql);
    assert_ok(run_import_check(copy, &import, &err));
    run_import_clear(&import);
    snprintf(sql, sizeof sql, "UPDATE run SET spec_hash = '%s'", hash);
    run_sql(copy, sql);
    assert_ok(run_import_check(copy, &import, &err));
    assert_int_equal(import.state, JOB_RUNNING);
    assert_int_equal(import.attempt, 2);
    assert_null(import.ended_at);
    assert_int_equal(json_integer_value(json_object_get(import.spec->expanded, "threads")), 4096);
    assert_string_equal(import.spec->hash, hash); /* of so many threads */
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    assert_ok(store_job_import(db, &import, &id, &err));
    assert_ok(store_job_json(db, id, &job, &err));
    assert_string_equal(json_string_value(json_object_get(job, "state")), "cancelled");
    assert_string_equal(json_string_value(json_object_get(job, "reason")), "imported before it had ended");
    assert_true(json_is_string(json_object_get(job, "ended_at")));
    json_decref(job);
    cleanup_db(&db);
    run_import_clear(&import);
}

static void expect_refused(const char *path, enum status expected, const char *words)
{
    struct error err = {""};
    struct run_import import;
    enum status status = run_import_check(path, &import, &err);
    if (status != expected)
        fail_msg("%s in place of %s: %s", status_name(status), status_name(expected), err.text);
    assert_says(err.text, "the file cannot be imported: ");
    assert_says(err.text, words);
}

/* Each is done to a good run. */
static void test_refused_contents(void **state)
{
    static const struct {
        const char *sql;
        enum status status;
        const char *words;
    } changes[] = {
        {"PRAGMA application_id = 7", STATUS_CORRUPT, "not a run file of Plumbline"},
        {"PRAGMA user_version = 99", STATUS_CONFLICT, "schema version 99, made by a newer Plumbline"},
        {"PRAGMA user_version = 0", STATUS_CORRUPT, "without a run"},
        {"UPDATE migration SET checksum = 'x' WHERE number = 1", STATUS_CORRUPT, "migration 1"},
        {"DROP TABLE density", STATUS_CORRUPT, "it lacks the table \"density\""},
        {"DROP VIEW divergence_by_name", STATUS_CORRUPT, "it lacks the view \"divergence_by_name\""},
        {"CREATE TABLE mine (x)", STATUS_CORRUPT, "it holds the table \"mine\", which run files do not have"},
        {"CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM log; END", STATUS_CORRUPT, "the trigger \"t\""},
        {"CREATE INDEX i ON log (at)", STATUS_CORRUPT, "the index \"i\""},
        {"ALTER TABLE sites ADD COLUMN more TEXT", STATUS_CORRUPT, "its table \"sites\" is not as Plumbline makes it"},
        {"DROP TABLE migration; CREATE VIEW migration AS WITH RECURSIVE r (number, checksum) AS (SELECT 1, '' UNION "
         "ALL "
         "SELECT number, checksum FROM r) SELECT number, checksum FROM r",
         STATUS_CORRUPT, "it lacks the table \"migration\""},
        {"DROP TABLE scalars; CREATE VIEW scalars AS SELECT 1 AS step, 'k' AS key, 1.0 AS value, NULL AS nonfinite",
         STATUS_CORRUPT, "it lacks the table \"scalars\""},
        {"DELETE FROM run", STATUS_CORRUPT, "had not begun"},
        {"UPDATE run SET spec = 'x'", STATUS_CORRUPT, "its spec is not the JSON object"},
        {"UPDATE run SET spec = '[]'", STATUS_CORRUPT, "its spec is not the JSON object"},
        {"UPDATE run SET spec = json_set(spec, '$.epochs', 0)", STATUS_INVALID, "The spec is not valid at /epochs"},
        {"UPDATE run SET spec = json_set(spec, '$.colour', 1)", STATUS_INVALID, "The spec is not valid at /colour"},
        {"UPDATE run SET spec_hash = 'abc'", STATUS_CORRUPT, "hash is none"},
        {"UPDATE run SET spec = json_set(spec, '$.seed', 77)", STATUS_CORRUPT, "its spec is not the one that ran"},
        {"UPDATE run SET spec_hash = replace(spec_hash, substr(spec_hash, 1, 1), 'z')", STATUS_CORRUPT, "hash is none"},
        {"UPDATE run SET spec_hash = substr(spec_hash, 2) || substr(spec_hash, 1, 1)", STATUS_CORRUPT,
         "its spec is not the one that ran"},
        {"UPDATE run SET state = 'queued'", STATUS_CORRUPT, "its state is \"queued\""},
        {"UPDATE run SET state = 'x'", STATUS_CORRUPT, "its state is \"x\""},
        {"UPDATE run SET started_at = 'yesterday'", STATUS_CORRUPT, "its times"},
        {"UPDATE run SET ended_at = '2026-01-02 03:04:05'", STATUS_CORRUPT, "its times"},
        {"UPDATE run SET attempt = 0", STATUS_CORRUPT, "its attempt"},
    };
    struct error err;
    const char *good = in_folder(state, "good.db"), *path = in_folder(state, "changed.db");
    make_run(good, spec_for_runs());
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_ok(run_file_copy(good, path, &err));
        run_sql(path, changes[i].sql);
        expect_refused(path, changes[i].status, changes[i].words);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_refused_files(void **state)
{
    const char *path = in_folder(state, "file");
    static const char *const contents[] = {"", "SQLite", "PK\x03\x04 something", "SQLite format 3"};
    expect_refused(path, STATUS_NOT_FOUND, "does not exist");
    for (size_t i = 0; i < 4; i++) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fwrite(contents[i], 1, strlen(contents[i]), file);
        fclose(file);
        expect_refused(path, STATUS_CORRUPT, "does not begin as an SQLite database does");
    }
    sqlite3 *db = NULL;
    struct error err;
    assert_int_equal(unlink(path), 0);
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "CREATE TABLE contacts (name)", &err));
    cleanup_db(&db);
    expect_refused(path, STATUS_CORRUPT, "not a run file of Plumbline");
    expect_refused("/", STATUS_IO, "is not a regular file");
}

/* A file's last page is the end of its largest value, such as the weights: SQLite would read zeros for what lacks. */
static void test_length_is_the_headers(void **state)
{
    static const char *const changes[] = {"", "UPDATE run SET spec = json_set(spec, '$.tags', json('[]'))", "VACUUM"};
    struct error err;
    struct stat about;
    struct run_import import;
    const char *good = in_folder(state, "good.db"), *path = in_folder(state, "changed.db");
    make_run(good, spec_for_runs());
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_ok(run_file_copy(good, path, &err));
        run_sql(path, changes[i]);
        assert_ok(run_import_check(path, &import, &err)); /* what a person may do to a file leaves it right */
        run_import_clear(&import);
        assert_int_equal(stat(path, &about), 0);
        for (int by = -1; by <= 1; by += 2) {
            assert_int_equal(truncate(path, about.st_size + by), 0);
            expect_refused(path, STATUS_CORRUPT, "it is damaged: it has");
        }
        assert_int_equal(truncate(path, about.st_size + 4096), 0);
        expect_refused(path, STATUS_CORRUPT, "it is damaged: it has");
        assert_int_equal(unlink(path), 0);
    }
}

/* The rows are whole, and the index of the sites' names has one of them wrong. */
static void test_index_that_lies(void **state)
{
    enum { PAGE = 4096 };
    static char page[PAGE];
    const char *path = in_folder(state, "run.db");
    make_run(path, spec_for_runs());
    assert_int_equal(query_integer(path, "PRAGMA page_size"), PAGE);
    off_t at =
        PAGE * (query_integer(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_sites_1'") - 1);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(pread(file, page, PAGE, at), PAGE);
    char *name = memmem(page, PAGE, "dense", 5);
    assert_non_null(name);
    name[0]++;
    assert_int_equal(pwrite(file, page, PAGE, at), PAGE);
    close(file);
    assert_query(path, "PRAGMA quick_check", "ok");
    expect_refused(path, STATUS_CORRUPT, "damaged");
}

/*
 * Pages overwritten and files cut anywhere: refused, or else taken with all that is looked at in order; never a crash.
 */
static void test_damage(void **state)
{
    struct error err;
    struct rng rng;
    const char *good = in_folder(state, "good.db"), *path = in_folder(state, "changed.db");
    size_t refused = 0;
    rng_seed(&rng, 4, 4);
    make_run(good, spec_for_runs());
    struct stat about;
    assert_int_equal(stat(good, &about), 0);
    for (int i = 0; i < 120; i++) {
        assert_ok(run_file_copy(good, path, &err));
        int file = open(path, O_RDWR);
        assert_true(file >= 0);
        if (i % 3 == 0) {
            assert_int_equal(ftruncate(file, (off_t)rng_below(&rng, (uint64_t)about.st_size)), 0);
        } else {
            unsigned char junk[256];
            for (size_t k = 0; k < sizeof junk; k++)
                junk[k] = (unsigned char)rng_next(&rng);
            size_t size = i % 3 == 1 ? sizeof junk : 1;
            off_t at = (off_t)rng_below(&rng, (uint64_t)about.st_size - size);
            assert_int_equal(pwrite(file, junk, size, at), (ssize_t)size);
        }
        close(file);
        struct run_import import;
        enum status status = run_import_check(path, &import, &err);
        if (status == STATUS_OK)
            run_import_clear(&import);
        else
            assert_says(err.text, "the file cannot be imported: ");
        refused += status != STATUS_OK;
        if (i % 3 == 0)
            assert_int_not_equal(status, STATUS_OK);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(refused > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sealed_run_is_copied_byte_for_byte, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_live_run_is_copied_as_committed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_run_whose_worker_died, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_copies_that_fail, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_good_run_is_taken_in, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_unfinished_run_and_more_threads, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_refused_contents, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_refused_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_length_is_the_headers, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_index_that_lies, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damage, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
