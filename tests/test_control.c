/*
 * What people do to jobs while the scheduler runs them: pause and resume to the same bits, retries with their lineage,
 * the trash and the purge, names and priorities, limits; workers that hang; what is kept of old runs. The program is its
 * own worker: `test_control work …`.
 */
#include "server/data_paths.h"
#include "server/worker.h"
#include "tests/control_support.h"
#include "tests/resume_support.h"

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

static const char *catalog_of(const char *data, char *path)
{
    return path_in(data, "catalog.db", path);
}
#define CATALOG catalog_of(*state, (char[PATH_SIZE]){0})

static const char *run_of(const char *data, int64_t id, char *path)
{
    snprintf(path, PATH_SIZE, "%s/runs/%lld.db", data, (long long)id);
    return path;
}
#define RUN(id) run_of(*state, id, (char[PATH_SIZE]){0})

/* A job that takes its time: thousands of short steps, with few rows. */
static json_t *long_spec(void)
{
    json_t *json = resume_spec(KIND_MLP, 3000);
    json_object_set_new(json, "probe", json_pack("{s:s, s:i}", "schedule", "log", "count", 30));
    json_object_set_new(json, "checkpoint_every", json_integer(100));
    return json;
}

static void test_paused_and_resumed_is_the_same_run(void **state)
{
    struct error err;
    write_pictures(*state);
    struct scheduler *scheduler = start_scheduler(*state, 2);
    int64_t whole = submit(scheduler, long_spec()), parts = submit(scheduler, long_spec());
    for (int64_t step = 500; step <= 18500; step += 6000) {
        wait_for_step(*state, parts, step);
        assert_ok(scheduler_pause(scheduler, parts, "lunch", &err));
        wait_for(scheduler, parts, "paused", "lunch");
        assert_int_equal(scheduler_pause(scheduler, parts, NULL, &err), STATUS_CONFLICT);
        assert_ok(scheduler_resume(scheduler, parts, &err));
    }
    wait_for(scheduler, parts, "finished", NULL);
    wait_for(scheduler, whole, "finished", NULL);
    json_t *job = job_json(scheduler, parts);
    assert_int_equal(json_integer_value(json_object_get(job, "attempt")), 5);
    json_decref(job);
    scheduler_stop(scheduler);
    assert_same_run(RUN(whole), RUN(parts));
    assert_query(CATALOG,
                 "SELECT group_concat(state, ' ') FROM (SELECT state FROM job_state WHERE job = 2 ORDER BY id LIMIT 7)",
                 "queued running paused queued running paused queued");
    assert_int_equal(query_integer(RUN(parts), "SELECT count(*) FROM log WHERE text LIKE '%goes on from step%'"), 4);
}

static void test_a_pause_of_a_queued_job_and_one_taken_back(void **state)
{
    struct error err;
    write_pictures(*state);
    struct scheduler *scheduler = start_scheduler(*state, 1);
    int64_t first = submit(scheduler, long_spec()), second = submit(scheduler, resume_spec(KIND_MLP, 1));
    assert_ok(scheduler_pause(scheduler, second, NULL, &err));
    wait_for(scheduler, second, "paused", "paused by a user");
    assert_int_equal(scheduler_resume(scheduler, first, &err), STATUS_CONFLICT);
    wait_for_step(*state, first, 1);
    signal_worker(*state, first, SIGSTOP); /* so that the pause cannot come about before it is taken back */
    assert_ok(scheduler_pause(scheduler, first, NULL, &err));
    assert_ok(scheduler_resume(scheduler, first, &err));
    signal_worker(*state, first, SIGCONT);
    wait_for(scheduler, first, "finished", NULL);
    assert_ok(scheduler_resume(scheduler, second, &err));
    wait_for(scheduler, second, "finished", NULL);
    json_t *job = job_json(scheduler, second);
    assert_int_equal(json_integer_value(json_object_get(job, "attempt")), 1); /* it had not begun */
    json_decref(job);
    scheduler_stop(scheduler);
    assert_query(CATALOG, "SELECT count(*) FROM job_state WHERE reason LIKE 'resumed before it was paused%'", "1");
}

static void test_a_stop_and_a_start_are_no_break(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start_scheduler(*state, 2);
    int64_t whole = submit(scheduler, long_spec());
    wait_for(scheduler, whole, "finished", NULL);
    int64_t parts = submit(scheduler, long_spec());
    for (int64_t step = 1000; step <= 13000; step += 6000) {
        wait_for_step(*state, parts, step);
        scheduler_stop(scheduler);
        assert_query(CATALOG, "SELECT state || (reason LIKE 'interrupted by a stop%') FROM job WHERE id = 2",
                     "queued1");
        scheduler = start_scheduler(*state, 2);
    }
    wait_for(scheduler, parts, "finished", NULL);
    scheduler_stop(scheduler);
    assert_same_run(RUN(whole), RUN(parts));
}

static void test_a_worker_that_is_stopped_is_found_and_its_job_goes_on(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start_with(&(struct scheduler_settings){
        .program = "/proc/self/exe", .data = *state, .workers = 2, .grace_seconds = 3, .heartbeat_seconds = 2});
    int64_t whole = submit(scheduler, long_spec()), parts = submit(scheduler, long_spec());
    wait_for_step(*state, parts, 2000);
    signal_worker(*state, parts, SIGSTOP);
    wait_for(scheduler, parts, "finished", NULL);
    wait_for(scheduler, whole, "finished", NULL);
    scheduler_stop(scheduler);
    assert_same_run(RUN(whole), RUN(parts));
    assert_query(CATALOG,
                 "SELECT count(*) FROM job_state WHERE job = 2 AND state = 'queued' AND reason LIKE '% at step % "
                 "(killed by SIGKILL)%no sign of life%'",
                 "1");
}

static void test_three_crashes_fail_a_job_and_the_queue_goes_on(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start_scheduler(*state, 1);
    int64_t bad = submit(scheduler, long_spec()), good = submit(scheduler, resume_spec(KIND_MLP, 1));
    for (int crash = 0; crash < 3; crash++) {
        char started[128];
        snprintf(started, sizeof started,
                 "SELECT count(*) FROM event WHERE type = 'log' AND data LIKE '%%attempt %d: %%'", crash + 1);
        double start = clock_seconds();

        while (query_integer(CATALOG, started) == 0 && clock_seconds() - start < DEADLINE_SECONDS)
            clock_pause(0.01);
        signal_worker(*state, bad, SIGSEGV);
        json_t *job = NULL;
        do { /* till that attempt is over */
            json_decref(job);
            job = job_json(scheduler, bad);
        } while (json_integer_value(json_object_get(job, "attempt")) == crash + 1 &&
                 strcmp(json_string_value(json_object_get(job, "state")), "failed") != 0 &&
                 clock_seconds() - start < DEADLINE_SECONDS);
        json_decref(job);
    }
    wait_for(scheduler, bad, "failed", "crashed 3 times in a row, at last ");
    wait_for(scheduler, bad, "failed", "it had logged: ");
    wait_for(scheduler, bad, "failed", " at step ");
    wait_for(scheduler, good, "finished", NULL);
    scheduler_stop(scheduler);
    assert_query(RUN(bad), "SELECT state FROM run", "failed"); /* sealed */
    assert_query(RUN(bad), "PRAGMA journal_mode", "delete");
}

static void test_limits_end_a_job_with_their_reason(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start_scheduler(*state, 2);
    json_t *slow = long_spec(), *large = resume_spec(KIND_MLP, 1);
    json_object_set_new(slow, "epochs", json_integer(1000000));
    json_object_set_new(slow, "probe", json_pack("{s:s}", "schedule", "none"));
    json_object_set_new(slow, "time_limit", json_real(1.5));
    json_object_set_new(large, "memory_limit", json_integer(64 << 20));
    json_object_set_new(large, "model",
                        json_pack("{s:[{s:s}, {s:s, s:i}, {s:s}, {s:s, s:i}, {s:s, s:i}]}", "layers", "type", "flatten",
                                  "type", "dense", "units", 9000, "type", "tanh", "type", "dense", "units", 9000,
                                  "type", "dense", "units", 3));
    int64_t first = submit(scheduler, slow), second = submit(scheduler, large);
    wait_for(scheduler, first, "failed", "time_limit: the 1.5 seconds");
    wait_for(scheduler, second, "failed", "memory_limit");
    wait_for(scheduler, second, "failed", "67108864 bytes");
    scheduler_stop(scheduler);
}

static void test_a_retry_is_a_new_job_with_its_lineage(void **state)
{
    struct error err;
    int64_t again = 0, none = 0;
    struct scheduler *scheduler = start_scheduler(*state, 1);
    int64_t first = submit(scheduler, small_spec("one", 1));
    wait_for(scheduler, first, "finished", NULL);
    const int priority = 7;
    assert_ok(scheduler_patch(scheduler, first, &(struct job_patch){.name = "renamed", .priority = &priority}, &err));
    assert_ok(scheduler_retry(scheduler, first, &again, &err));
    assert_true(again != first);
    wait_for(scheduler, again, "finished", NULL);
    json_t *job = job_json(scheduler, again);
    assert_int_equal(json_integer_value(json_object_get(job, "retry_of")), first);
    assert_string_equal(json_string_value(json_object_get(job, "name")), "renamed");
    assert_int_equal(json_integer_value(json_object_get(job, "priority")), 7);
    json_decref(job);
    assert_int_equal(scheduler_retry(scheduler, 99, &none, &err), STATUS_NOT_FOUND);
    int64_t waiting = submit(scheduler, small_spec("long", 100000));
    assert_int_equal(scheduler_retry(scheduler, waiting, &none, &err), STATUS_CONFLICT);
    assert_says(err.text, "only a job that has ended");
    scheduler_stop(scheduler);
    assert_same_run(RUN(first), RUN(again));
}

static void test_a_key_makes_one_job(void **state)
{
    struct error err;
    bool repeated = true;
    int64_t one = 0, two = 0;
    struct scheduler *scheduler = start_scheduler(*state, 1);
    struct spec *spec = parse_spec(small_spec("one", 1));
    assert_ok(scheduler_submit_once(scheduler, spec, "key", "request", &one, &repeated, &err));
    assert_false(repeated);
    assert_ok(scheduler_submit_once(scheduler, spec, "key", "request", &two, &repeated, &err));
    assert_true(repeated);
    assert_int_equal(one, two);
    assert_int_equal(scheduler_submit_once(scheduler, spec, "key", "other", &two, &repeated, &err), STATUS_CONFLICT);
    assert_says(err.text, "another request");
    assert_ok(scheduler_submit_once(scheduler, spec, "other key", "request", &two, &repeated, &err));
    assert_int_not_equal(one, two);
    spec_free(spec);
    scheduler_stop(scheduler);
}

static void test_names_tags_notes_and_priority(void **state)
{
    struct error err;
    struct scheduler *scheduler = start_scheduler(*state, 1);
    int64_t running = submit(scheduler, small_spec("long", 100000));
    wait_for_step(*state, running, 1);
    int64_t early = submit(scheduler, small_spec("early", 1)), late = submit(scheduler, small_spec("late", 1));
    json_t *tags = json_pack("[s, s]", "a", "b"), *bad = json_pack("[s, i]", "a", 1);
    const int priority = 5;
    const struct job_patch patch = {.name = "urgent", .note = "a note", .tags = tags, .priority = &priority};
    assert_ok(scheduler_patch(scheduler, late, &patch, &err));
    assert_int_equal(scheduler_patch(scheduler, late, &(struct job_patch){.tags = bad}, &err), STATUS_INVALID);
    assert_int_equal(scheduler_patch(scheduler, 99, &patch, &err), STATUS_NOT_FOUND);
    json_t *job = job_json(scheduler, late);
    assert_string_equal(json_string_value(json_object_get(job, "name")), "urgent");
    assert_string_equal(json_string_value(json_object_get(job, "note")), "a note");
    assert_true(json_equal(json_object_get(job, "tags"), tags));
    json_decref(job);
    json_decref(tags);
    json_decref(bad);
    assert_ok(scheduler_cancel(scheduler, running, NULL, &err));
    wait_for(scheduler, early, "finished", NULL);
    scheduler_stop(scheduler);
    assert_query(CATALOG,
                 "SELECT (SELECT min(id) FROM job_state WHERE job = 3 AND state = 'running') < (SELECT min(id) FROM "
                 "job_state WHERE job = 2 AND state = 'running')",
                 "1"); /* the later one was taken first */
    assert_query(CATALOG, "SELECT count(*) FROM job_state WHERE job = 3 AND reason = 'priority set to 5'", "1");
}

static size_t listed(struct scheduler *scheduler, bool trashed)
{
    struct error err;
    json_t *page = NULL;
    assert_ok(scheduler_jobs(scheduler, &(struct job_query){.max_results = 1000, .trashed = trashed}, &page, &err));
    size_t count = json_array_size(json_object_get(page, "items"));
    json_decref(page);
    return count;
}

static void test_the_trash_and_the_purge(void **state)
{
    struct error err;
    int64_t bytes = 0;
    json_t *gone = NULL;
    struct scheduler *scheduler = start_scheduler(*state, 1);
    int64_t done = submit(scheduler, small_spec("done", 1));
    wait_for(scheduler, done, "finished", NULL);
    assert_ok(scheduler_trash(scheduler, done, &err));
    assert_int_equal(scheduler_trash(scheduler, done, &err), STATUS_CONFLICT);
    assert_int_equal(listed(scheduler, false), 0);
    assert_int_equal(listed(scheduler, true), 1);
    assert_ok(scheduler_restore(scheduler, done, &err));
    assert_int_equal(scheduler_restore(scheduler, done, &err), STATUS_CONFLICT);
    assert_int_equal(listed(scheduler, false), 1);
    int64_t running = submit(scheduler, small_spec("long", 100000)), queued = submit(scheduler, small_spec("q", 1));
    wait_for_step(*state, running, 1);
    assert_int_equal(scheduler_trash(scheduler, running, &err), STATUS_CONFLICT);
    assert_says(err.text, "cancel it first");
    assert_int_equal(scheduler_purge(scheduler, running, &bytes, &err), STATUS_CONFLICT);
    assert_ok(scheduler_trash(scheduler, queued, &err)); /* which cancels it */
    wait_for(scheduler, queued, "cancelled", NULL);
    struct stat info;
    assert_int_equal(stat(RUN(done), &info), 0);
    assert_ok(scheduler_purge(scheduler, done, &bytes, &err));
    assert_int_equal(bytes, info.st_blocks * 512);
    assert_false(file_exists(RUN(done)));
    assert_int_equal(scheduler_job(scheduler, done, &gone, &err), STATUS_NOT_FOUND);
    assert_ok(scheduler_purge(scheduler, queued, &bytes, &err));
    assert_int_equal(bytes, 0);
    assert_ok(scheduler_cancel(scheduler, running, NULL, &err));
    wait_for(scheduler, running, "cancelled", NULL);
    scheduler_stop(scheduler);
    assert_query(CATALOG, "SELECT group_concat(DISTINCT job) FROM job_state", "2");
    assert_query(CATALOG, "SELECT count(*) FROM event WHERE type = 'job.state' AND data LIKE '%\"purged\":true%'", "2");
}

static void test_an_action_on_many(void **state)
{
    struct error err;
    struct scheduler *scheduler = start_scheduler(*state, 1);
    int64_t ids[5];
    struct job_outcome outcomes[5];
    for (size_t i = 0; i < 4; i++)
        ids[i] = submit(scheduler, small_spec("long", 100000));
    ids[4] = 99;
    wait_for_step(*state, ids[0], 1);
    assert_ok(scheduler_cancel(scheduler, ids[2], NULL, &err));
    assert_ok(scheduler_act_many(scheduler, ACTION_PAUSE, ids, 5, "all of them", outcomes, &err));
    const enum status expected[] = {STATUS_OK, STATUS_OK, STATUS_CONFLICT, STATUS_OK, STATUS_NOT_FOUND};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(outcomes[i].id, ids[i]);
        assert_int_equal(outcomes[i].status, expected[i]);
        assert_true((outcomes[i].detail[0] != '\0') == (expected[i] != STATUS_OK));
    }
    wait_for(scheduler, ids[0], "paused", "all of them");
    wait_for(scheduler, ids[3], "paused", "all of them");
    assert_ok(scheduler_act_many(scheduler, ACTION_CANCEL, ids, 5, NULL, outcomes, &err));
    wait_for(scheduler, ids[0], "cancelled", NULL);
    assert_ok(scheduler_act_many(scheduler, ACTION_RETRY, ids, 4, NULL, outcomes, &err));
    for (size_t i = 0; i < 4; i++)
        assert_true(outcomes[i].made > ids[3]);
    scheduler_stop(scheduler);
    assert_query(CATALOG, "SELECT group_concat(retry_of) FROM job WHERE retry_of IS NOT NULL", "1,2,3,4");
    for (int action = 0; action < ACTION_COUNT; action++)
        assert_int_equal(job_action_parse(job_action_name((enum job_action)action)), action);
    assert_int_equal(job_action_parse("explode"), ACTION_COUNT);
}

static void test_what_is_kept_of_old_runs(void **state)
{
    struct error err;
    json_t *report = NULL;
    struct scheduler *scheduler = start_scheduler(*state, 2);
    int64_t ids[5];
    for (size_t i = 0; i < 5; i++) {
        ids[i] = submit(scheduler, small_spec("done", 1));
        wait_for(scheduler, ids[i], "finished", NULL);
    }
    struct stat info;
    assert_int_equal(stat(RUN(ids[4]), &info), 0);
    assert_ok(scheduler_trash(scheduler, ids[3], &err)); /* the trash goes first */
    const struct retention two = {.max_count = 2};
    assert_ok(scheduler_retain(scheduler, &two, true, &report, &err));
    const json_t *items = json_object_get(report, "items");
    assert_int_equal(json_array_size(items), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(items, 0), "id")), ids[3]);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(items, 1), "id")), ids[0]);
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 2), "why")), "count");
    assert_int_equal(json_integer_value(json_object_get(report, "kept")), 2);
    json_decref(report);
    assert_int_equal(listed(scheduler, false) + listed(scheduler, true), 5); /* nothing was purged */
    assert_ok(scheduler_retain(scheduler, &(struct retention){.max_age_seconds = 3600}, false, &report, &err));
    assert_int_equal(json_array_size(json_object_get(report, "items")), 0); /* none is so old */
    json_decref(report);
    assert_ok(scheduler_retain(scheduler, &two, false, &report, &err));
    assert_true(json_integer_value(json_object_get(report, "bytes")) > 0);
    json_decref(report);
    assert_int_equal(listed(scheduler, false), 2);
    assert_false(file_exists(RUN(ids[0])));
    const struct retention bytes = {.max_bytes = info.st_blocks * 512}; /* one fits */
    assert_ok(scheduler_retain(scheduler, &bytes, false, &report, &err));
    json_decref(report);
    assert_int_equal(listed(scheduler, false), 1);
    assert_true(file_exists(RUN(ids[4])));
    clock_pause(0.01);
    assert_ok(scheduler_retain(scheduler, &(struct retention){.max_age_seconds = 1e-9}, false, &report, &err));
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(report, "items"), 0), "why")),
                        "age");
    json_decref(report);
    scheduler_stop(scheduler);
}

/* Jobs that a daemon left running, and one that it was asked to pause and one to cancel. */
static void test_a_start_after_a_crash(void **state)
{
    enum { JOBS = 1000 };
    struct error err;
    sqlite3 *db = NULL;
    assert_ok(store_open(CATALOG, &db, &err));
    struct spec *spec = parse_spec(small_spec("small", 1));
    assert_ok(db_begin(db, &err));
    for (int i = 0; i < JOBS; i++) {
        int64_t id = 0;
        assert_ok(store_job_insert(db, spec, &id, &err));
        assert_ok(store_job_change(db, id, &(struct job_change){.to = JOB_RUNNING}, &err));
        if (i >= 4)
            assert_ok(store_job_change(db, id, &(struct job_change){.to = JOB_FINISHED}, &err));
    }
    assert_ok(store_job_ask_pause(db, 1, "paused by a user", &err));
    assert_ok(store_job_ask_cancel(db, 2, "cancelled by a user", &err));
    assert_ok(db_commit(db, &err));
    cleanup_db(&db);
    spec_free(spec);
    double start = clock_seconds();
    struct scheduler *scheduler = start_scheduler(*state, 4);
    wait_for(scheduler, 3, "finished", NULL);
    print_message("with %d jobs in the catalog, from the start to a finished job: %.3f s\n", JOBS,
                  clock_seconds() - start);
    wait_for(scheduler, 1, "paused", "paused by a user");
    wait_for(scheduler, 2, "cancelled", "cancelled by a user");
    wait_for(scheduler, 4, "finished", NULL);
    scheduler_stop(scheduler);
    assert_query(CATALOG,
                 "SELECT group_concat(state || attempt || reason) FROM job_state "
                 "WHERE job = 3 AND state = 'queued' AND reason IS NOT NULL",
                 "queued2interrupted by an unexpected end of the server at step 0");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "work") == 0)
        return command_work(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_paused_and_resumed_is_the_same_run),
        IN_A_FOLDER(test_a_pause_of_a_queued_job_and_one_taken_back),
        IN_A_FOLDER(test_a_stop_and_a_start_are_no_break),
        IN_A_FOLDER(test_a_worker_that_is_stopped_is_found_and_its_job_goes_on),
        IN_A_FOLDER(test_three_crashes_fail_a_job_and_the_queue_goes_on),
        IN_A_FOLDER(test_limits_end_a_job_with_their_reason),
        IN_A_FOLDER(test_a_retry_is_a_new_job_with_its_lineage),
        IN_A_FOLDER(test_a_key_makes_one_job),
        IN_A_FOLDER(test_names_tags_notes_and_priority),
        IN_A_FOLDER(test_the_trash_and_the_purge),
        IN_A_FOLDER(test_an_action_on_many),
        IN_A_FOLDER(test_what_is_kept_of_old_runs),
        IN_A_FOLDER(test_a_start_after_a_crash),
    };
    setenv("ASAN_OPTIONS", "allocator_may_return_null=1:handle_segv=0", 0); /* for the workers */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
