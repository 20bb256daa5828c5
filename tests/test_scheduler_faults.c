/*
 * The scheduler when something goes wrong: workers that die, workers that are none, stops and new starts, and a daemon
 * that was killed.
 */
#include "server/run_lock.h"
#include "server/store_import.h"
#include "tests/runs.h"
#include "tests/scheduler_support.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* --- crashes ----------------------------------------------------------------------------------------------------- */

/* Waits until steps of the running attempt can be read. */
static void await_rows(const char *path)
{
    for (double begin = clock_seconds(); clock_seconds() - begin < DEADLINE; clock_pause(0.01))
        if (query_integer(path, "SELECT count(*) FROM scalars") > 0)
            return;
    fail_msg("%s stays empty", path);
}

static void test_three_crashes_in_a_row(void **state)
{
    static const int signals[] = {SIGKILL, SIGABRT, SIGKILL};
    struct scheduler *s = start(*state, self, 2, 5);
    char text[256];
    int64_t bad = submit(s, ENDLESS, 0), good = submit(s, 2, 0);
    for (int attempt = 1; attempt <= 3; attempt++) {
        json_decref(await_attempt(s, bad, "running", attempt));
        if (attempt == 3) {
            await_progress(s, bad);
            await_rows(run_of(state, bad));
        }
        hit(state, bad, attempt, signals[attempt - 1]);
    }
    json_t *job = await(s, bad, "failed");
    assert_says(text_of(job, "reason"), "the worker crashed 3 times in a row");
    assert_says(text_of(job, "reason"), ", at last at step ");
    assert_says(text_of(job, "reason"), "(killed by SIGKILL)");
    assert_says(text_of(job, "reason"), "; it had logged: ");
    assert_int_equal(number_of(job, "attempt"), 3);
    await_sealed(run_of(state, bad), "failed", text_of(job, "reason"));
    assert_true(query_integer(run_of(state, bad), "SELECT count(*) FROM scalars") > 0);
    json_decref(job);
    await_end(s, good, "finished");
    json_t *events = all_events(s);
    assert_string_equal(states_of(events, bad, text), "queued running queued running queued running failed");
    json_decref(events);
    scheduler_stop(s);
    assert_query(
        in_folder(state, "catalog.db"),
        "SELECT reason LIKE 'the worker ended at step % (killed by SIGABRT)%; it is tried again' FROM job_state "
        "WHERE job = 1 AND state = 'queued' AND attempt = 3",
        "1");
    assert_no_gaps(state);
}

static void test_crashes_that_are_not_in_a_row(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    int64_t id = submit(s, ENDLESS, 0);
    for (int attempt = 1; attempt <= 2; attempt++)
        hit(state, id, attempt, SIGKILL);
    json_decref(await_attempt(s, id, "running", 3));
    scheduler_stop(s); /* an interruption in between */
    s = start(*state, self, 1, 5);
    for (int attempt = 4; attempt <= 5; attempt++)
        hit(state, id, attempt, SIGKILL);
    json_decref(await_attempt(s, id, "running", 6));
    hit(state, id, 6, SIGKILL);
    json_decref(await(s, id, "failed"));
    scheduler_stop(s);
}

/* A worker that is no worker: a script that says this and ends so. */
static void fails_as(void **state, const char *script, const char *words)
{
    const char *program = in_folder(state, "program");
    FILE *file = fopen(program, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    chmod(program, 0700);
    int own = hush();
    struct scheduler *s = start(*state, program, 1, 5);
    int64_t id = submit(s, 1, 0);
    json_t *job = await(s, id, "failed");
    scheduler_stop(s);
    unhush(own);
    assert_says(text_of(job, "reason"), "the worker crashed 3 times in a row");
    assert_says(text_of(job, "reason"), words);
    json_decref(job);
}

static void test_workers_that_are_none(void **state)
{
    fails_as(state, "exit 3", "exited with code 3");
    fails_as(state, "exit 0", "exited with code 0"); /* without a word about the end */
    fails_as(state, "echo first >&2; echo 'out of luck' >&2; exit 1", ": first out of luck");
    fails_as(state, "echo nonsense >&3; exec sleep 1000", "no JSON object");
    fails_as(state, "echo '{\"event\":\"dance\"}' >&3; exec sleep 1000", "a line of an unknown kind");
    fails_as(state, "echo '{\"event\":7}' >&3; exec sleep 1000", "a line of an unknown kind");
    fails_as(state, "exec head -c 3000000 /dev/zero >&3", "more than 1048576 bytes");
    fails_as(state, "echo '{\"event\":\"end\",\"state\":\"paused\"}' >&3", "exited with code 0");
    /* words that are no text, or only until they are cut */
    fails_as(state, "printf 'caf\\351 closed' >&2; exit 1", ": caf? closed");
    fails_as(state, "for i in 1 2 3 4 5 6 7 8; do printf '…………………………………………………………………………………………' >&2; done; exit 1",
             "…………");
}

/* A job that never ends, with a checkpoint every so many steps. */
static int64_t submit_endless(struct scheduler *s, int checkpoint_every)
{
    json_t *json = job_spec(ENDLESS, 0);
    json_object_set_new(json, "checkpoint_every", json_integer(checkpoint_every));
    return submit_json(s, json);
}

/* A SIGTERM that the scheduler did not send, however often, is no crash where the job got on meanwhile. */
static void test_a_signal_of_someone_else(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    int64_t id = submit_endless(s, 1);
    for (int attempt = 1; attempt <= JOB_MAX_CRASHES + 1; attempt++) {
        await_progress(s, id);
        hit(state, id, attempt, SIGTERM);
        json_decref(await_attempt(s, id, "running", attempt + 1));
    }
    scheduler_stop(s);
    assert_query(
        in_folder(state, "catalog.db"),
        "SELECT count(*) FROM job_state WHERE state = 'queued' AND reason LIKE 'interrupted by someone else''s "
        "signal at step %'",
        "4");
    assert_query(in_folder(state, "catalog.db"), "SELECT crashes FROM job", "0");
}

/* Where it did not, three in a row are enough, as of crashes, and the queue goes on. */
static void test_stopped_by_someone_else_each_time(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    int64_t id = submit_endless(s, 1000000000), next = submit(s, 1, 0);
    for (int attempt = 1; attempt <= JOB_MAX_CRASHES; attempt++) {
        json_decref(await_attempt(s, id, "running", attempt));
        await_progress(s, id);
        hit(state, id, attempt, attempt == 2 ? SIGKILL : SIGTERM);
    }
    json_t *job = await(s, id, "failed");
    assert_says(text_of(job, "reason"), "the worker crashed or was stopped 3 times in a row, at last at step ");
    assert_says(text_of(job, "reason"), "(stopped by someone else's signal)");
    assert_int_equal(number_of(job, "attempt"), JOB_MAX_CRASHES);
    await_sealed(run_of(state, id), "failed", text_of(job, "reason"));
    json_decref(job);
    await_end(s, next, "finished");
    scheduler_stop(s);
}

/* It is not the job's fault, which waits till a worker can be started. */
static void test_a_program_that_is_not_there(void **state)
{
    const char *program = in_folder(state, "program"), *catalog = in_folder(state, "catalog.db");
    struct scheduler *s = start(*state, program, 1, 5);
    int64_t id = submit(s, 1, 0);
    json_decref(await_attempt(s, id, "queued", 3));
    char own[PATH_SIZE];
    ssize_t size = readlink(self, own, sizeof own - 1);
    assert_true(size > 0);
    own[size] = '\0';
    assert_int_equal(symlink(own, program), 0);
    await_end(s, id, "finished");
    clock_t before = clock();
    clock_pause(0.5);
    assert_true(clock() - before < CLOCKS_PER_SEC / 4); /* there is nothing to do, nor to wait for awake */
    scheduler_stop(s);
    assert_query(catalog,
                 "SELECT count(*) >= 2 FROM job_state WHERE state = 'queued' AND reason LIKE 'no worker could be "
                 "started: cannot start %/program: No such file or directory; it is tried again'",
                 "1");
    assert_query(catalog, "SELECT crashes = 0 AND seconds >= 0 FROM job", "1");
}

/* A job whose run another process writes says so and waits, without a worker; the others go on meanwhile. */
static void test_a_run_that_is_locked(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    struct error err;
    int lock = -1;
    assert_ok(run_lock_take(run_of(state, 1), &lock, &err));
    int64_t locked = submit(s, 1, 1), other = submit(s, 1, 0);
    await_end(s, other, "finished");
    json_t *job = job_of(s, locked);
    assert_string_equal(text_of(job, "state"), "queued");
    assert_says(text_of(job, "reason"), "another process is writing the run");
    assert_says(text_of(job, "reason"), "; it goes on when that has ended");
    assert_int_equal(number_of(job, "attempt"), 2);
    json_decref(job);
    run_lock_release(run_of(state, 1), lock);
    json_decref(await_attempt(s, locked, "finished", 2));
    scheduler_stop(s);
    assert_query(in_folder(state, "catalog.db"), "SELECT max(crashes) FROM job", "0");
}

/* A worker that waits for a file of the name `go`, and then has finished. */
static const char *write_waiting_worker(void **state, char *path)
{
    path_in(*state, "program", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "#!/bin/sh\nwhile [ ! -e %s/go ]; do sleep 0.02; done\n"
            "echo '{\"event\":\"end\",\"state\":\"finished\",\"step\":8,\"results\":{}}' >&3\n",
            (const char *)*state);
    fclose(file);
    chmod(path, 0700);
    return path;
}

/* What the worker tells of its end is heard when nothing can be written just then, and written later. */
static void test_an_end_that_cannot_be_written_yet(void **state)
{
    char path[PATH_SIZE];
    struct scheduler *s = start(*state, write_waiting_worker(state, path), 1, 5);
    int64_t id = submit(s, 1, 0);
    await_end(s, id, "running");
    pid_t pid = hit(state, id, 1, SIGCONT);
    int own = hush();
    sqlite3_hard_heap_limit64(1);
    FILE *go = fopen(in_folder(state, "go"), "w");
    assert_non_null(go);
    fclose(go);
    for (double begin = clock_seconds(); kill(pid, 0) == 0 && clock_seconds() - begin < DEADLINE;)
        clock_pause(0.002);
    sqlite3_hard_heap_limit64(0);
    unhush(own);
    json_t *job = await(s, id, "finished");
    assert_int_equal(number_of(job, "attempt"), 1);
    json_decref(job);
    scheduler_stop(s);
}

/* A job's time ends with its worker, however long its end waits to be written while others go on. */
static void test_the_time_of_an_end_that_waits(void **state)
{
    enum { WAIT = 3, BORNE = 2 }; /* seconds */
    const char *catalog = in_folder(state, "catalog.db");
    struct scheduler *s = start(*state, self, 2, 5);
    run_sql(catalog, "CREATE TRIGGER refuse BEFORE UPDATE OF state ON job WHEN NEW.state = 'finished' "
                     "BEGIN SELECT RAISE(ABORT, 'not now'); END");
    double begin = clock_seconds();
    int64_t id = submit(s, 50, 1), other = submit(s, ENDLESS, 0);
    pid_t pid = hit(state, id, 1, SIGCONT);
    int own = hush();
    while (kill(pid, 0) == 0 && clock_seconds() - begin < DEADLINE)
        clock_pause(0.002);
    double took = clock_seconds() - begin;
    while (clock_seconds() - begin < took + WAIT)
        await_progress(s, other);
    cancel(s, other, "enough"); /* it writes without a pause: another writer may never get its turn */
    await_end(s, other, "cancelled");
    unhush(own);
    run_sql(catalog, "DROP TRIGGER refuse");
    await_end(s, id, "finished");
    scheduler_stop(s);
    assert_true(query_number(catalog, "SELECT seconds FROM job WHERE id = 1") < took + BORNE);
}

/* A worker that was told to pause, and was killed as it did not, has not crashed when the pause is taken back. */
static void test_a_pause_taken_back_too_late(void **state)
{
    struct error err;
    struct scheduler *s = start_with(&(struct scheduler_settings){
        .program = self, .data = *state, .workers = 1, .grace_seconds = 5, .heartbeat_seconds = 3});
    int64_t id = submit(s, ENDLESS, 0);
    await_progress(s, id);
    hit(state, id, 1, SIGSTOP);
    assert_ok(pause_job(s, id, NULL, &err));
    assert_ok(resume_job(s, id, &err));
    json_decref(await_attempt(s, id, "running", 2));
    scheduler_stop(s);
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT count(*) FROM job_state WHERE reason LIKE 'resumed before it was paused%'", "1");
}

/* --- stops and starts -------------------------------------------------------------------------------------------- */

/* Workers end, and changes are refused, before anyone waits for the end: what still answers can read. */
static void test_a_stop_that_is_asked_for(void **state)
{
    struct error err;
    int64_t second = 0;
    bool again = false;
    struct scheduler *s = start(*state, self, 1, 3600);
    int64_t id = submit(s, ENDLESS, 0);
    await_progress(s, id);
    scheduler_ask_stop(s);
    await_reason(s, id, "queued", "interrupted by a stop of the server at step ");
    assert_int_equal(worker_of(state, id, 1), 0);
    struct spec *spec = parse_spec(job_spec(1, 0));
    assert_int_equal(scheduler_submit(s, spec, NULL, &second, &again, &err), STATUS_STOPPED);
    spec_free(spec);
    scheduler_stop(s);
}

static void test_a_stop_and_a_new_start(void **state)
{
    struct scheduler *s = start(*state, self, 2, 3600);
    int64_t running = submit(s, 400, 0), hanging = submit(s, 400, 0), queued = submit(s, 1, 0);
    await_end(s, running, "running");
    pid_t pid = hit(state, hanging, 1, SIGSTOP);
    double begin = clock_seconds();
    scheduler_stop(s);
    assert_true(clock_seconds() - begin < 60); /* 4 s, on a machine that has time; the grace is an hour */
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(worker_of(state, running, 1), 0);
    const char *catalog = in_folder(state, "catalog.db");
    assert_query(catalog, "SELECT group_concat(state || attempt) FROM job", "queued2,queued2,queued1");
    assert_query(catalog, "SELECT reason LIKE 'interrupted by a stop of the server at step %' FROM job WHERE id = 1",
                 "1");
    s = start(*state, self, 2, 5);
    for (int64_t id = running; id <= queued; id++) {
        json_t *job = await(s, id, "finished");
        assert_int_equal(number_of(job, "attempt"), id == queued ? 1 : 2);
        assert_int_equal(number_of(json_object_get(job, "progress"), "step"), id == queued ? 8 : 3200);
        json_decref(job);
        assert_run(run_of(state, id), "finished", "NULL");
    }
    assert_query(run_of(state, running), "SELECT attempt FROM run", "2");
    assert_int_equal(query_integer(run_of(state, running), "SELECT count(*) FROM scalars WHERE key = 'train/loss'"),
                     3200);
    scheduler_stop(s);
    assert_no_gaps(state);
}

/* What was cancelled just before the stop is cancelled, and its run is as complete as that of any other. */
static void test_a_stop_right_after_a_cancel(void **state)
{
    struct scheduler *s = start(*state, self, 1, 1);
    int64_t id = submit(s, ENDLESS, 0);
    await_progress(s, id);
    hit(state, id, 1, SIGSTOP);
    cancel(s, id, "enough");
    scheduler_stop(s);
    assert_query(in_folder(state, "catalog.db"), "SELECT state || ': ' || reason FROM job", "cancelled: enough");
    assert_run(run_of(state, id), "cancelled", "enough");
}

/* As `plumbline serve` would be, in a process of its own: two endless jobs, of which the second is to be cancelled. */
static _Noreturn void be_a_daemon(const char *data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct scheduler *s = start(data, self, 2, 3600);
    int64_t first = submit(s, ENDLESS, 0), second = submit(s, ENDLESS, 0);
    await_end(s, first, "running");
    await_progress(s, second);
    void *state = (void *)data;
    hit(&state, second, 1, SIGSTOP); /* it cannot stop any more */
    cancel(s, second, "enough");
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

static pid_t spawn_daemon(const char *data, FILE **ret_output)
{
    extern char **environ;
    int ends[2];
    pid_t pid = 0;
    char *arguments[] = {(char[]){"/proc/self/exe"}, (char[]){"daemon"}, strdup(data), NULL};
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&pid, self, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    free(arguments[2]);
    close(ends[1]);
    *ret_output = fdopen(ends[0], "r");
    assert_non_null(*ret_output);
    return pid;
}

static void test_a_daemon_that_was_killed(void **state)
{
    FILE *output;
    char line[16] = "";
    pid_t pid = spawn_daemon(*state, &output);
    if (!fgets(line, sizeof line, output) || strcmp(line, "ready\n") != 0)
        fail_msg("the daemon said \"%s\"", line);
    assert_true(worker_of(state, 1, 1) > 0 && worker_of(state, 2, 1) > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    fclose(output);
    struct scheduler *s = start(*state, self, 2, 5);
    json_decref(await_attempt(s, 1, "running", 2));
    await_progress(s, 1);
    assert_int_equal(worker_of(state, 1, 1), 0); /* the earlier attempt ended with its daemon, */
    assert_int_equal(worker_of(state, 2, 1), 0); /* and so did the one that could not hear it */
    assert_query(run_of(state, 1), "SELECT attempt FROM run", "2");
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT reason LIKE 'interrupted by an unexpected end of the server at step %' FROM job_state WHERE "
                 "job = 1 AND attempt = 2",
                 "1");
    json_t *job = await(s, 2, "cancelled");
    assert_string_equal(text_of(job, "reason"), "enough");
    json_decref(job);
    await_sealed(run_of(state, 2), "cancelled", "enough");
    scheduler_stop(s);
    assert_no_gaps(state);
}

/* The daemon was killed after the job's end was recorded, and before the run was sealed; its worker had closed it. */
static void test_a_run_that_was_left_unsealed(void **state)
{
    static const char *const reasons[] = {"'enough'", "NULL"};
    struct error err;
    for (int64_t id = 1; id <= 2; id++) {
        struct scheduler *s = start(*state, self, 1, 60);
        assert_int_equal(submit(s, ENDLESS, 0), id);
        await_progress(s, id);
        scheduler_stop(s);
        assert_false(run_file_is_sealed(run_of(state, id)));
        sqlite3 *db = NULL;
        char sql[128];
        snprintf(sql, sizeof sql, "UPDATE job SET state = 'cancelled', reason = %s WHERE id = %lld", reasons[id - 1],
                 (long long)id);
        assert_ok(db_open(in_folder(state, "catalog.db"), DB_WRITE, &db, &err));
        assert_ok(db_execute(db, sql, &err));
        cleanup_db(&db);
    }
    struct scheduler *s = start(*state, self, 1, 60);
    await_sealed(run_of(state, 1), "cancelled", "enough");
    await_sealed(run_of(state, 2), "cancelled", "NULL");
    scheduler_stop(s);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in && out);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, in)) > 0;)
        assert_int_equal(fwrite(bytes, 1, got, out), got);
    assert_int_equal(fclose(in) + fclose(out), 0);
}

/* More runs to be sealed than there are descriptors for children. */
static void test_many_runs_that_were_left_unsealed(void **state)
{
    enum { RUNS = 20, DESCRIPTORS = 40 };
    struct error err;
    struct scheduler *s = start(*state, self, 1, 60);
    int64_t id = submit(s, ENDLESS, 0);
    await_progress(s, id);
    scheduler_stop(s);
    sqlite3 *db = NULL;
    assert_ok(db_open(in_folder(state, "catalog.db"), DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "UPDATE job SET state = 'cancelled', reason = NULL", &err));
    for (id = 2; id <= RUNS; id++) {
        copy_file(run_of(state, 1), run_of(state, id));
        assert_ok(db_execute(db,
                             "INSERT INTO job (name, tags, state, priority, spec, spec_hash, created_at) SELECT name, "
                             "tags, state, priority, spec, spec_hash, created_at FROM job WHERE id = 1",
                             &err));
    }
    cleanup_db(&db);
    struct rlimit own, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
    few = (struct rlimit){DESCRIPTORS, own.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    s = start(*state, self, 1, 60);
    for (id = 1; id <= RUNS; id++)
        await_sealed(run_of(state, id), "cancelled", "NULL");
    scheduler_stop(s);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &own), 0);
}

/* --- runs of elsewhere ------------------------------------------------------------------------------------------- */

/* A run that cannot be taken in leaves nothing behind that the next job of its number would take for its own. */
static void test_an_import_that_cannot_be_recorded(void **state)
{
    const char *file = in_folder(state, "given.db"), *catalog = in_folder(state, "catalog.db");
    struct scheduler *s = start(*state, self, 1, 5);
    struct run_import import;
    struct error err;
    int64_t id = 0;
    make_run(file, job_spec(1, 0));
    assert_ok(run_import_check(file, &import, &err));
    assert_ok(store_run_prepare(file, &err));
    run_sql(catalog, "CREATE TRIGGER refuse BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'not now'); END");
    assert_int_equal(scheduler_import(s, &import, file, &id, &err), STATUS_CONFLICT);
    assert_says(err.text, "not now");
    assert_query(catalog, "SELECT count(*) FROM job", "0");
    assert_false(file_exists(run_of(state, 1)));
    run_sql(catalog, "DROP TRIGGER refuse");
    make_run(file, job_spec(1, 0));
    assert_ok(scheduler_import(s, &import, file, &id, &err));
    assert_int_equal(id, 1);
    assert_run(run_of(state, id), "finished", "NULL");
    run_import_clear(&import);
    scheduler_stop(s);
}

/* The server was killed between the file's move and the commit, or the catalog was put back from a backup. */
static void test_run_files_of_no_job(void **state)
{
    assert_int_equal(mkdir(in_folder(state, "runs"), 0700), 0);
    make_run(run_of(state, 1), job_spec(1, 0));
    make_run(run_of(state, 7), job_spec(1, 0));
    run_sql(run_of(state, 7), "UPDATE run SET name = 'a stranger'");
    struct scheduler *s = start(*state, self, 1, 5);
    int64_t id = submit(s, 1, 0);
    assert_int_equal(id, 8);
    await_end(s, id, "finished");
    scheduler_stop(s);
    s = start(*state, self, 1, 5);
    assert_int_equal(submit(s, 1, 0), 9);
    await_end(s, 9, "finished");
    scheduler_stop(s);
    assert_query(run_of(state, 7), "SELECT name FROM run", "a stranger");
}

static void test_settings_that_are_refused(void **state)
{
    struct scheduler *s = NULL;
    struct error err;
    struct scheduler_settings settings = {.program = self, .data = *state, .workers = 0, .grace_seconds = 5};
    assert_int_equal(scheduler_start(&settings, &s, &err), STATUS_INVALID);
    settings.workers = 1;
    settings.data = in_folder(state, "a/b");
    assert_int_equal(scheduler_start(&settings, &s, &err), STATUS_IO);
    assert_says(err.text, "a/b");
    settings.data = *state;
    assert_ok(scheduler_start(&settings, &s, &err));
    scheduler_stop(s);
    sqlite3 *db = NULL;
    assert_ok(db_open(in_folder(state, "catalog.db"), DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "PRAGMA user_version = 1000", &err));
    cleanup_db(&db);
    assert_int_equal(scheduler_start(&settings, &s, &err), STATUS_CONFLICT);
    assert_says(err.text, "version 1000");
    scheduler_stop(NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "work") == 0)
        return command_work(argc - 1, argv + 1);
    if (argc > 2 && strcmp(argv[1], "daemon") == 0)
        be_a_daemon(argv[2]);
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_three_crashes_in_a_row),
        IN_A_FOLDER(test_crashes_that_are_not_in_a_row),
        IN_A_FOLDER(test_workers_that_are_none),
        IN_A_FOLDER(test_a_signal_of_someone_else),
        IN_A_FOLDER(test_stopped_by_someone_else_each_time),
        IN_A_FOLDER(test_a_program_that_is_not_there),
        IN_A_FOLDER(test_a_run_that_is_locked),
        IN_A_FOLDER(test_a_stop_that_is_asked_for),
        IN_A_FOLDER(test_a_stop_and_a_new_start),
        IN_A_FOLDER(test_a_stop_right_after_a_cancel),
        IN_A_FOLDER(test_a_daemon_that_was_killed),
        IN_A_FOLDER(test_a_run_that_was_left_unsealed),
        IN_A_FOLDER(test_an_import_that_cannot_be_recorded),
        IN_A_FOLDER(test_run_files_of_no_job),
        IN_A_FOLDER(test_settings_that_are_refused),
        IN_A_FOLDER(test_an_end_that_cannot_be_written_yet),
        IN_A_FOLDER(test_the_time_of_an_end_that_waits),
        IN_A_FOLDER(test_a_pause_taken_back_too_late),
        IN_A_FOLDER(test_many_runs_that_were_left_unsealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
