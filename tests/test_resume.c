/*
 * Interrupted runs end with the same bits: stopped after any step, or killed at any moment, the rows of every step and
 * the final weights are those of a run that nothing happened to. The program is its own worker: `test_resume work …`.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "server/clock.h"
#include "server/json_util.h"
#include "server/migrate.h"
#include "server/run_file.h"
#include "server/run_job.h"
#include "server/worker.h"
#include "tests/resume_support.h"
#include "tests/scheduler_support.h"

enum { EPOCHS = 3, STEPS = 8 * EPOCHS };

/* What a run is asked to do after a step. */
struct asked {
    size_t questions, stop_at; /* the question at which it is told to stop */
    size_t first_step;         /* that the attempt began from */
};

static bool stop_now(void *context)
{
    struct asked *asked = context;
    return ++asked->questions == asked->stop_at;
}

static enum status tell(void *context, const json_t *line, struct error *err)
{
    struct asked *asked = context;
    const char *event = json_string_value(json_object_get(line, "event"));
    (void)err;
    if (strcmp(event, "started") == 0)
        asked->first_step = (size_t)json_integer_value(json_object_get(line, "step"));
    return STATUS_OK;
}

/* One attempt; returns the end line. */
static json_t *attempt(const char *data, const char *path, const struct spec *spec, int number, struct asked *asked)
{
    char folder[PATH_SIZE + 16];
    snprintf(folder, sizeof folder, "%s/datasets", data);
    const char *const folders[] = {folder, NULL};
    const struct run_job job = {.spec = spec,
                                .path = path,
                                .own_file = true,
                                .attempt = number,
                                .data = data,
                                .folders = {.paths = folders},
                                .context = asked,
                                .tell = tell,
                                .stop = stop_now};
    struct error err;
    json_t *end = NULL;
    assert_ok(run_job(&job, &end, &err));
    return end;
}

static void assert_end(json_t *end, const char *state, size_t step)
{
    const char *found = json_string_value(json_object_get(end, "state"));
    if (strcmp(found, state) != 0 || (size_t)json_integer_value(json_object_get(end, "step")) != step)
        fail_msg("expected %s at step %zu, found %s", state, step, json_dumps(end, JSON_COMPACT));
    json_decref(end);
}

static void assert_whole(const char *data, const char *path, const struct spec *spec)
{
    assert_end(attempt(data, path, spec, 1, &(struct asked){0}), "finished", STEPS);
}

static void test_stopped_after_any_step(void **state)
{
    const char *data = *state;
    write_pictures(data);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct spec *spec = parse_spec(resume_spec((enum network_kind)kind, EPOCHS));
        const char *whole = in_folder(state, "whole.db"), *parts = in_folder(state, "parts.db");
        assert_whole(data, whole, spec);
        for (size_t stop = 1; stop < STEPS; stop += 5) {
            struct asked asked = {.stop_at = stop + 1}; /* one question comes before the first step */
            assert_end(attempt(data, parts, spec, 1, &asked), "stopped", stop);
            asked = (struct asked){.stop_at = 3}; /* and two steps later once more */
            assert_end(attempt(data, parts, spec, 2, &asked), "stopped", stop + 2 < STEPS ? stop + 2 : STEPS);
            assert_int_equal(asked.first_step, stop);
            asked = (struct asked){0};
            assert_end(attempt(data, parts, spec, 3, &asked), "finished", STEPS);
            assert_int_equal(asked.first_step, stop + 2);
            assert_same_run(whole, parts);
            assert_query(parts,
                         "SELECT group_concat(text) LIKE '%attempt 2 goes on from step%attempt 3 goes on%' FROM log",
                         "1");
            assert_int_equal(unlink(parts), 0);
        }
        assert_int_equal(unlink(whole), 0);
        spec_free(spec);
    }
}

/* The figures that lists show are those of an uninterrupted run, times excepted. */
static void test_results_cover_all_attempts(void **state)
{
    static const char *const times[] = {"seconds", "steps_per_second", "probe_share"};
    const char *data = *state;
    json_t *results[2];
    write_pictures(data);
    struct spec *spec = parse_spec(resume_spec(KIND_MLP, EPOCHS));
    for (int interrupted = 0; interrupted < 2; interrupted++) {
        const char *path = in_folder(state, interrupted ? "parts.db" : "whole.db");
        if (interrupted)
            assert_end(attempt(data, path, spec, 1, &(struct asked){.stop_at = 13}), "stopped", 12);
        json_t *end = attempt(data, path, spec, 2, &(struct asked){0});
        results[interrupted] = json_incref(json_object_get(end, "results"));
        json_decref(end);
        for (size_t i = 0; i < 3; i++)
            json_object_del(results[interrupted], times[i]);
    }
    char *whole = json_dumps(results[0], JSON_SORT_KEYS), *parts = json_dumps(results[1], JSON_SORT_KEYS);
    assert_string_equal(whole, parts);
    assert_int_equal(json_array_size(json_object_get(results[0], "accuracy_series")), EPOCHS);
    free(whole);
    free(parts);
    json_decref(results[0]);
    json_decref(results[1]);
    spec_free(spec);
}

/* A run that was sealed as finished when its server died before it could record that goes on all the same. */
static void test_a_finished_run_goes_on_to_the_same_end(void **state)
{
    const char *data = *state, *whole = in_folder(state, "whole.db"), *again = in_folder(state, "again.db");
    write_pictures(data);
    struct spec *spec = parse_spec(resume_spec(KIND_CNN, EPOCHS));
    assert_whole(data, whole, spec);
    assert_whole(data, again, spec);
    assert_end(attempt(data, again, spec, 2, &(struct asked){0}), "finished", STEPS);
    assert_same_run(whole, again);
    spec_free(spec);
}

static void test_a_checkpoint_that_does_not_fit_starts_over(void **state)
{
    const char *data = *state, *whole = in_folder(state, "whole.db"), *parts = in_folder(state, "parts.db");
    struct error err;
    write_pictures(data);
    struct spec *spec = parse_spec(resume_spec(KIND_MLP, EPOCHS));
    assert_whole(data, whole, spec);
    assert_end(attempt(data, parts, spec, 1, &(struct asked){.stop_at = 13}), "stopped", 12);
    struct run_writer *writer = NULL; /* one whose checksum is good, but of a future trainer */
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = spec->hash, .attempt = 2, .threads = 1};
    assert_ok(run_writer_open(parts, &identity, &writer, &err));
    assert_ok(run_writer_checkpoint(writer, 12, "PLUMBCKP from a future version", 30, &err));
    assert_ok(run_writer_close(writer, &err));
    struct asked asked = {.first_step = 99};
    assert_end(attempt(data, parts, spec, 3, &asked), "finished", STEPS);
    assert_int_equal(asked.first_step, 0);
    assert_same_run(whole, parts);
    assert_int_equal(query_integer(parts, "SELECT count(*) FROM log WHERE level = 'warning' AND text LIKE '%over'"), 1);
    spec_free(spec);
}

/* As a version left it that hashed reals with 17 digits: the run's hash and the checkpoint's are the former ones. */
static void test_a_run_of_the_former_hash_goes_on(void **state)
{
    const char *data = *state, *whole = in_folder(state, "whole.db"), *parts = in_folder(state, "parts.db");
    struct error err;
    write_pictures(data);
    struct spec *spec = parse_spec(resume_spec(KIND_MLP, EPOCHS));
    assert_string_not_equal(spec->hash, spec->former);
    assert_whole(data, whole, spec);
    assert_end(attempt(data, parts, spec, 1, &(struct asked){.stop_at = 13}), "stopped", 12);
    struct run_writer *writer = NULL;
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = spec->hash, .attempt = 2, .threads = 1};
    uint8_t *bytes = NULL;
    size_t step = 0, size = 0;
    assert_ok(run_writer_open(parts, &identity, &writer, &err));
    assert_ok(run_writer_checkpoint_read(writer, &step, &bytes, &size, &err));
    uint8_t *hash = memmem(bytes, size, spec->hash, strlen(spec->hash));
    assert_non_null(hash);
    memcpy(hash, spec->former, strlen(spec->former));
    assert_ok(run_writer_checkpoint(writer, step, bytes, size, &err));
    assert_ok(run_writer_close(writer, &err));
    free(bytes);
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE run SET spec_hash = '%s'", spec->former);
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    assert_ok(db_open(parts, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, sql, &err));
    struct asked asked = {0};
    assert_end(attempt(data, parts, spec, 3, &asked), "finished", STEPS);
    assert_int_equal(asked.first_step, 12);
    assert_same_run(whole, parts);
    spec_free(spec);
}

static void test_a_damaged_run_file_is_set_aside(void **state)
{
    const char *data = *state, *whole = in_folder(state, "whole.db"), *parts = in_folder(state, "parts.db");
    write_pictures(data);
    struct spec *spec = parse_spec(resume_spec(KIND_MLP, EPOCHS));
    assert_whole(data, whole, spec);
    assert_end(attempt(data, parts, spec, 1, &(struct asked){.stop_at = 13}), "stopped", 12);
    FILE *file = fopen(parts, "r+b");
    assert_non_null(file);
    for (long at = 4096; at < 40 * 4096; at += 64) { /* all pages but the first are noise */
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fwrite("noise noise noise noise noise noise noise noise noise noise noise", 1, 64, file), 64);
    }
    assert_int_equal(fclose(file), 0);
    assert_end(attempt(data, parts, spec, 2, &(struct asked){0}), "finished", STEPS);
    assert_same_run(whole, parts);
    assert_true(file_exists(in_folder(state, "parts.db.damaged")));
    spec_free(spec);
}

static void test_the_time_limit_covers_all_attempts(void **state)
{
    const char *data = *state, *path = in_folder(state, "run.db");
    write_pictures(data);
    json_t *json = resume_spec(KIND_MLP, EPOCHS);
    json_object_set_new(json, "time_limit", json_integer(1000));
    struct spec *spec = parse_spec(json);
    struct asked asked = {0};
    const char *const folders[] = {in_folder(state, "datasets"), NULL};
    const struct run_job job = {.spec = spec,
                                .path = path,
                                .attempt = 2,
                                .seconds = 1000,
                                .data = data,
                                .folders = {.paths = folders},
                                .context = &asked,
                                .tell = tell,
                                .stop = stop_now};
    struct error err;
    json_t *end = NULL;
    assert_ok(run_job(&job, &end, &err));
    assert_says(json_string_value(json_object_get(end, "reason")), "time_limit: the 1000 seconds");
    assert_end(end, "failed", 1);
    spec_free(spec);
}

/* --- killed ----------------------------------------------------------------------------------------------------- */

/* Starts `self work` on the run; its lines go to the descriptor `lines`, which is closed here. */
static pid_t start_worker(const char *data, const char *run, const json_t *spec, int attempt, int lines)
{
    char number[16];
    int input = memfd_create("spec", MFD_CLOEXEC);
    char *text = json_dumps(spec, JSON_COMPACT);
    snprintf(number, sizeof number, "%d", attempt);
    assert_int_equal(write(input, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(input, 0, SEEK_SET), 0);
    free(text);
    const char *argv[] = {self, "work", "--run", run, "--job", "1", "--attempt", number, "--data", data, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, lines, WORKER_LINES_FD);
    pid_t pid;
    extern char **environ;
    assert_int_equal(posix_spawn(&pid, self, &actions, NULL, (char *const *)(void *)argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(input);
    close(lines);
    return pid;
}

/* Runs a worker, kills it after `seconds` (< 0: lets it run) and says whether it came to its end before. */
static bool run_killed(const char *data, const char *run, const json_t *spec, int number, double seconds)
{
    int lines[2];
    char text[4096];
    assert_int_equal(pipe2(lines, O_CLOEXEC), 0);
    pid_t pid = start_worker(data, run, spec, number, lines[1]);
    double start = clock_seconds();
    bool killed = false;
    assert_int_equal(fcntl(lines[0], F_SETFL, O_NONBLOCK), 0);
    for (;;) {
        ssize_t got = read(lines[0], text, sizeof text);
        if (got == 0)
            break;
        if (seconds >= 0 && !killed && clock_seconds() - start >= seconds) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            killed = true;
        }
        if (got < 0)
            clock_pause(0.001);
    }
    close(lines[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        fail_msg("the worker ended with status %d", status);
    return !killed;
}

static void test_killed_at_any_moment(void **state)
{
    const char *data = *state;
    int trials = fault_trials(3, 34), interrupted = 0; /* of each network */
    struct rng rng;
    rng_seed(&rng, 11, 0);
    write_pictures(data);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        json_t *json = resume_spec((enum network_kind)kind, 12);
        const char *whole = in_folder(state, "whole.db"), *parts = in_folder(state, "parts.db");
        double start = clock_seconds();
        assert_true(run_killed(data, whole, json, 1, -1));
        double all = clock_seconds() - start;
        for (int trial = 0; trial < trials; trial++) {
            int number = 1;
            while (number < 4 && !run_killed(data, parts, json, number, rng_uniform(&rng) * all))
                number++;
            interrupted += number - 1;
            if (number == 4)
                assert_true(run_killed(data, parts, json, number, -1));
            assert_same_run(whole, parts);
            assert_int_equal(unlink(parts), 0);
        }
        assert_int_equal(unlink(whole), 0);
        json_decref(json);
    }
    print_message("%d runs killed %d times: all the same bits\n", KIND_COUNT * trials, interrupted);
    assert_true(interrupted > 0);
}

/* --- an upgrade in between --------------------------------------------------------------------------------------- */

/* A new database as a program of that version left it. */
static sqlite3 *open_version(const char *path, const struct schema *schema, size_t version)
{
    struct schema old = *schema;
    struct error err;
    sqlite3 *db = NULL;
    old.count = version;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_use_wal(db, "FULL", &err));
    assert_ok(migrate(db, &old, &err));
    return db;
}

/* What an older version has tables and columns for, of the run at `from`, in a new file of that version. */
static void copy_as_version(const char *from, const char *to, size_t version)
{
    static const char columns[] =
        "SELECT format('INSERT INTO main.%s SELECT %s FROM new.%s', t.name, group_concat(c.name), t.name) FROM "
        "main.sqlite_schema AS t, pragma_table_xinfo(t.name, 'main') AS c WHERE t.type = 'table' AND t.name <> "
        "'migration' AND t.name NOT LIKE 'sqlite%' AND c.hidden = 0 GROUP BY t.name";
    sqlite3 *db = open_version(to, &run_schema, version);
    sqlite3_stmt *statement = NULL;
    struct error err;
    char sql[PATH_SIZE + 64];
    snprintf(sql, sizeof sql, "ATTACH '%s' AS new", from);
    assert_ok(db_execute(db, sql, &err));
    assert_ok(db_prepare(db, columns, &statement, &err));
    while (sqlite3_step(statement) == SQLITE_ROW)
        assert_ok(db_execute(db, (const char *)sqlite3_column_text(statement, 0), &err));
    cleanup_statement(&statement);
    cleanup_db(&db);
    assert_int_equal(query_integer(to, "PRAGMA user_version"), version);
}

/* DATA/catalog.db of an older version, whose daemon died while it ran this job. */
static void make_catalog(const char *path, size_t version, const struct spec *spec)
{
    sqlite3 *db = open_version(path, &catalog_schema, version);
    char *text = json_dumps(spec->expanded, JSON_COMPACT), now[CLOCK_TEXT_SIZE];
    clock_now(now);
    char *sql =
        sqlite3_mprintf("INSERT INTO job (id, name, tags, state, priority, spec, spec_hash, created_at, started_at) "
                        "VALUES (1, '', '[]', 'running', 0, %Q, %Q, %Q, %Q); INSERT INTO job_state (job, at, state, "
                        "attempt) VALUES (1, %Q, 'queued', 1), (1, %Q, 'running', 1)",
                        text, spec->hash, now, now, now, now);
    struct error err;
    assert_ok(db_execute(db, sql, &err));
    sqlite3_free(sql);
    free(text);
    cleanup_db(&db);
}

/* Whether a run was killed after its first checkpoint. One that cannot be read without mending it was not. */
static bool has_checkpoint(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool has = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
               sqlite3_prepare_v2(db, "SELECT 1 FROM checkpoints", -1, &statement, NULL) == SQLITE_OK &&
               sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return has;
}

/* Kills a worker between its first checkpoint and its end, which took `all` seconds; the run's path is in `path`. What
 * lies past the checkpoint stays in the file. */
static void make_interrupted(void **state, const json_t *json, double all, char path[PATH_SIZE])
{
    struct rng rng;
    rng_seed(&rng, 12, 0);
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "parts-%d.db", i);
        path_in(*state, name, path);
        if (!run_killed(*state, path, json, 1, rng_uniform(&rng) * all) && has_checkpoint(path))
            return;
    }
    fail_msg("no run could be interrupted");
}

/* Whatever version was there when the run was interrupted, the present one goes on with it to the same bits. */
static void test_an_upgrade_of_the_schema_in_between(void **state)
{
    const char *data = *state, *whole = in_folder(state, "whole.db"), *catalog = in_folder(state, "catalog.db");
    char parts[PATH_SIZE];
    write_pictures(data);
    assert_int_equal(mkdir(in_folder(state, "runs"), 0700), 0);
    json_t *json = resume_spec(KIND_MLP, 40);
    double start_time = clock_seconds();
    assert_true(run_killed(data, whole, json, 1, -1));
    make_interrupted(state, json, clock_seconds() - start_time, parts);
    forget_likeliest(whole);
    struct spec *spec = parse_spec(json);
    for (size_t version = 1; version <= catalog_schema.count; version++) {
        make_catalog(catalog, version, spec);
        copy_as_version(parts, run_of(state, 1), version < run_schema.count ? version : run_schema.count);
        struct scheduler *s = start(data, self, 1, 5);
        json_t *job = await(s, 1, "finished");
        assert_int_equal(number_of(job, "attempt"), 2);
        json_decref(job);
        scheduler_stop(s);
        assert_query(run_of(state, 1), "SELECT count(*) FROM log WHERE text LIKE 'attempt 2 goes on from step %'", "1");
        assert_int_equal(query_integer(run_of(state, 1), "PRAGMA user_version"), run_schema.count);
        assert_int_equal(query_integer(catalog, "PRAGMA user_version"), catalog_schema.count);
        forget_likeliest(run_of(state, 1));
        assert_same_run(whole, run_of(state, 1));
        assert_int_equal(unlink(catalog) + unlink(run_of(state, 1)), 0);
    }
    spec_free(spec);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "work") == 0)
        return command_work(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_stopped_after_any_step),
        IN_A_FOLDER(test_results_cover_all_attempts),
        IN_A_FOLDER(test_a_finished_run_goes_on_to_the_same_end),
        IN_A_FOLDER(test_a_checkpoint_that_does_not_fit_starts_over),
        IN_A_FOLDER(test_a_run_of_the_former_hash_goes_on),
        IN_A_FOLDER(test_a_damaged_run_file_is_set_aside),
        IN_A_FOLDER(test_the_time_limit_covers_all_attempts),
        IN_A_FOLDER(test_killed_at_any_moment),
        IN_A_FOLDER(test_an_upgrade_of_the_schema_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
