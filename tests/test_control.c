/*
 * What people do to jobs while the scheduler runs them: pause and resume to the same bits, retries with their lineage,
 * the trash and the purge, names and priorities, limits; workers that hang; what is kept of old runs. The program is
 * its own worker: `test_control work …`.
 */
#include "server/data_paths.h"
#include "tests/resume_support.h"
#include "tests/scheduler_support.h"

/* Some seconds of steps on a machine that does nothing else: progress is told four times a second, and what is done to
 * a job must come before its end. ThreadSanitizer makes steps slower. */
#ifdef PLUMBLINE_TSAN
enum { LONG_EPOCHS = 1500 };
#else
enum { LONG_EPOCHS = 4000 };
#endif
enum { LONG_STEPS = LONG_EPOCHS * 8 };

/* A job that takes its time: thousands of short steps, with few rows. */
static json_t *long_spec(void)
{
    json_t *json = resume_spec(KIND_MLP, LONG_EPOCHS);
    json_object_set_new(json, "probe", json_pack("{s:s, s:i}", "schedule", "log", "count", 30));
    json_object_set_new(json, "checkpoint_every", json_integer(100));
    return json;
}

static void test_paused_and_resumed_is_the_same_run(void **state)
{
    struct error err;
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 2, 3);
    int64_t whole = submit_json(scheduler, long_spec()), parts = submit_json(scheduler, long_spec());
    for (int64_t step = LONG_STEPS / 48; step < LONG_STEPS; step += LONG_STEPS / 4) {
        await_step(scheduler, parts, step);
        assert_ok(pause_job(scheduler, parts, "lunch", &err));
        await_reason(scheduler, parts, "paused", "lunch");
        assert_int_equal(pause_job(scheduler, parts, NULL, &err), STATUS_CONFLICT);
        assert_ok(resume_job(scheduler, parts, &err));
    }
    await_end(scheduler, parts, "finished");
    await_end(scheduler, whole, "finished");
    json_t *job = job_of(scheduler, parts);
    assert_int_equal(number_of(job, "attempt"), 5);
    json_decref(job);
    scheduler_stop(scheduler);
    assert_same_run(run_of(state, whole), run_of(state, parts));
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT group_concat(state, ' ') FROM (SELECT state FROM job_state WHERE job = 2 ORDER BY id LIMIT 7)",
                 "queued running paused queued running paused queued");
    assert_int_equal(
        query_integer(run_of(state, parts), "SELECT count(*) FROM log WHERE text LIKE '%goes on from step%'"), 4);
}

static void test_a_pause_of_a_queued_job_and_one_taken_back(void **state)
{
    struct error err;
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t first = submit_json(scheduler, long_spec()), second = submit_json(scheduler, resume_spec(KIND_MLP, 1));
    assert_ok(pause_job(scheduler, second, NULL, &err));
    await_reason(scheduler, second, "paused", "paused by a user");
    assert_int_equal(resume_job(scheduler, first, &err), STATUS_CONFLICT);
    await_step(scheduler, first, 1);
    hit(state, first, 1, SIGSTOP); /* so that the pause cannot come about before it is taken back */
    assert_ok(pause_job(scheduler, first, NULL, &err));
    assert_ok(resume_job(scheduler, first, &err));
    hit(state, first, 1, SIGCONT);
    await_end(scheduler, first, "finished");
    assert_ok(resume_job(scheduler, second, &err));
    await_end(scheduler, second, "finished");
    json_t *job = job_of(scheduler, second);
    assert_int_equal(number_of(job, "attempt"), 1); /* it had not begun */
    json_decref(job);
    scheduler_stop(scheduler);
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT count(*) FROM job_state WHERE reason LIKE 'resumed before it was paused%'", "1");
}

static void test_a_stop_and_a_start_are_no_break(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 2, 3);
    int64_t whole = submit_json(scheduler, long_spec());
    await_end(scheduler, whole, "finished");
    int64_t parts = submit_json(scheduler, long_spec());
    for (int64_t step = LONG_STEPS / 24; step < LONG_STEPS * 3 / 4; step += LONG_STEPS / 4) {
        await_step(scheduler, parts, step);
        scheduler_stop(scheduler);
        assert_query(in_folder(state, "catalog.db"),
                     "SELECT state || (reason LIKE 'interrupted by a stop%') FROM job WHERE id = 2", "queued1");
        scheduler = start(*state, self, 2, 3);
    }
    await_end(scheduler, parts, "finished");
    scheduler_stop(scheduler);
    assert_same_run(run_of(state, whole), run_of(state, parts));
}

/* An attempt that ends before it has started takes nothing of what an earlier one came to. */
static void test_results_outlive_an_attempt_that_does_not_start(void **state)
{
    struct error err;
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t id = submit_json(scheduler, long_spec());
    await_step(scheduler, id, 100);
    assert_ok(pause_job(scheduler, id, "lunch", &err));
    json_t *before = await(scheduler, id, "paused");
    assert_true(json_object_size(json_object_get(before, "results")) > 1);
    assert_false(run_file_is_sealed(run_of(state, id)));
    assert_int_equal(rename(in_folder(state, "datasets"), in_folder(state, "elsewhere")), 0);
    assert_ok(resume_job(scheduler, id, &err));
    json_t *after = await(scheduler, id, "failed");
    assert_true(json_equal(json_object_get(after, "results"), json_object_get(before, "results")));
    assert_true(json_equal(json_object_get(after, "progress"), json_object_get(before, "progress")));
    await_sealed(run_of(state, id), "failed", text_of(after, "reason"));
    json_decref(before);
    json_decref(after);
    scheduler_stop(scheduler);
}

/* A reader that is in its worker's way as it ends leaves a run to be sealed later. */
static void test_a_run_that_is_read_as_it_ends_is_sealed(void **state)
{
    struct error err;
    struct run_reader *reader = NULL;
    json_t *run = NULL;
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t id = submit_json(scheduler, long_spec());
    await_step(scheduler, id, 1);
    assert_ok(run_reader_open(run_of(state, id), &reader, &err));
    assert_ok(run_reader_run(reader, &run, &err));
    assert_string_equal(text_of(run, "state"), "running");
    json_decref(run);
    await_end(scheduler, id, "finished");
    assert_false(run_file_is_sealed(run_of(state, id)));
    run_reader_close(reader);
    await_sealed(run_of(state, id), "finished", "NULL");
    scheduler_stop(scheduler);
}

static void test_a_worker_that_is_stopped_is_found_and_its_job_goes_on(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start_with(&(struct scheduler_settings){
        .program = self, .data = *state, .workers = 2, .grace_seconds = 3, .heartbeat_seconds = 2});
    int64_t whole = submit_json(scheduler, long_spec()), parts = submit_json(scheduler, long_spec());
    await_step(scheduler, parts, LONG_STEPS / 12);
    hit(state, parts, 1, SIGSTOP);
    await_end(scheduler, parts, "finished");
    await_end(scheduler, whole, "finished");
    scheduler_stop(scheduler);
    assert_same_run(run_of(state, whole), run_of(state, parts));
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT count(*) FROM job_state WHERE job = 2 AND state = 'queued' AND reason LIKE '%at step % "
                 "(killed by SIGKILL): it gave no sign of life%'",
                 "1");
}

static void test_limits_end_a_job_with_their_reason(void **state)
{
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 2, 3);
    json_t *slow = long_spec(), *large = resume_spec(KIND_MLP, 1);
    json_object_set_new(slow, "epochs", json_integer(1000000));
    json_object_set_new(slow, "probe", json_pack("{s:s}", "schedule", "none"));
    json_object_set_new(slow, "time_limit", json_real(1.5));
    json_object_set_new(large, "memory_limit", json_integer(64 << 20));
    json_object_set_new(large, "model",
                        json_pack("{s:[{s:s}, {s:s, s:i}, {s:s}, {s:s, s:i}, {s:s, s:i}]}", "layers", "type", "flatten",
                                  "type", "dense", "units", 9000, "type", "tanh", "type", "dense", "units", 9000,
                                  "type", "dense", "units", 3));
    int64_t first = submit_json(scheduler, slow), second = submit_json(scheduler, large);
    await_reason(scheduler, first, "failed", "time_limit: the 1.5 seconds");
    await_reason(scheduler, second, "failed", "memory_limit");
    await_reason(scheduler, second, "failed", "67108864 bytes");
    scheduler_stop(scheduler);
}

static void test_a_retry_is_a_new_job_with_its_lineage(void **state)
{
    struct error err;
    int64_t again = 0, none = 0;
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t first = submit_json(scheduler, small_spec("one", 1));
    await_end(scheduler, first, "finished");
    const int priority = 7;
    assert_ok(scheduler_patch(scheduler, first, &(struct job_patch){.name = "renamed", .priority = &priority}, &err));
    assert_ok(retry_job(scheduler, first, &again, &err));
    assert_true(again != first);
    await_end(scheduler, again, "finished");
    json_t *job = job_of(scheduler, again);
    assert_int_equal(number_of(job, "retry_of"), first);
    assert_string_equal(text_of(job, "name"), "renamed");
    assert_int_equal(number_of(job, "priority"), 7);
    json_decref(job);
    assert_int_equal(retry_job(scheduler, 99, &none, &err), STATUS_NOT_FOUND);
    int64_t waiting = submit_json(scheduler, small_spec("long", 100000));
    assert_int_equal(retry_job(scheduler, waiting, &none, &err), STATUS_CONFLICT);
    assert_says(err.text, "only a job that has ended");
    scheduler_stop(scheduler);
    assert_same_run(run_of(state, first), run_of(state, again));
}

static void test_a_key_makes_one_job(void **state)
{
    struct error err;
    bool repeated = true;
    int64_t one = 0, two = 0;
    struct scheduler *scheduler = start(*state, self, 1, 3);
    struct spec *spec = parse_spec(small_spec("one", 1));
    assert_ok(scheduler_submit(scheduler, spec, &(struct submission_key){0, "key", "request"}, &one, &repeated, &err));
    assert_false(repeated);
    assert_ok(scheduler_submit(scheduler, spec, &(struct submission_key){0, "key", "request"}, &two, &repeated, &err));
    assert_true(repeated);
    assert_int_equal(one, two);
    assert_int_equal(
        scheduler_submit(scheduler, spec, &(struct submission_key){0, "key", "other"}, &two, &repeated, &err),
        STATUS_CONFLICT);
    assert_says(err.text, "another request");
    assert_ok(
        scheduler_submit(scheduler, spec, &(struct submission_key){0, "other key", "request"}, &two, &repeated, &err));
    assert_int_not_equal(one, two);
    spec_free(spec);
    scheduler_stop(scheduler);
}

static void test_names_tags_notes_and_priority(void **state)
{
    struct error err;
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t running = submit_json(scheduler, small_spec("long", 100000));
    await_step(scheduler, running, 1);
    int64_t early = submit_json(scheduler, small_spec("early", 1)),
            late = submit_json(scheduler, small_spec("late", 1));
    json_t *tags = json_pack("[s, s]", "a", "b"), *bad = json_pack("[s, i]", "a", 1);
    const int priority = 5;
    const struct job_patch patch = {.name = "urgent", .note = "a note", .tags = tags, .priority = &priority};
    assert_ok(scheduler_patch(scheduler, late, &patch, &err));
    assert_int_equal(scheduler_patch(scheduler, late, &(struct job_patch){.tags = bad}, &err), STATUS_INVALID);
    assert_int_equal(scheduler_patch(scheduler, 99, &patch, &err), STATUS_NOT_FOUND);
    json_t *job = job_of(scheduler, late);
    assert_string_equal(text_of(job, "name"), "urgent");
    assert_string_equal(text_of(job, "note"), "a note");
    assert_true(json_equal(json_object_get(job, "tags"), tags));
    json_decref(job);
    json_decref(tags);
    json_decref(bad);
    assert_ok(cancel_job(scheduler, running, NULL, &err));
    await_end(scheduler, early, "finished");
    scheduler_stop(scheduler);
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT (SELECT min(id) FROM job_state WHERE job = 3 AND state = 'running') < (SELECT min(id) FROM "
                 "job_state WHERE job = 2 AND state = 'running')",
                 "1"); /* the later one was taken first */
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT count(*) FROM job_state WHERE job = 3 AND reason = 'priority set to 5'", "1");
}

static size_t listed(struct scheduler *scheduler, bool trashed)
{
    struct error err;
    struct listing listing = {.list = trashed ? &trash_list : &job_list, .query.max_results = 1000};
    assert_ok(scheduler_read(scheduler, read_listing, &listing, &err));
    json_t *page = listing.page;
    size_t count = json_array_size(json_object_get(page, "items"));
    json_decref(page);
    return count;
}

static void test_the_trash_and_the_purge(void **state)
{
    struct error err;
    int64_t bytes = 0;
    json_t *gone = NULL;
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t done = submit_json(scheduler, small_spec("done", 1));
    await_end(scheduler, done, "finished");
    assert_ok(trash_job(scheduler, done, &err));
    assert_int_equal(trash_job(scheduler, done, &err), STATUS_CONFLICT);
    assert_int_equal(listed(scheduler, false), 0);
    assert_int_equal(listed(scheduler, true), 1);
    assert_ok(restore_job(scheduler, done, &err));
    assert_int_equal(restore_job(scheduler, done, &err), STATUS_CONFLICT);
    assert_int_equal(listed(scheduler, false), 1);
    int64_t running = submit_json(scheduler, small_spec("long", 100000)),
            queued = submit_json(scheduler, small_spec("q", 1));
    await_step(scheduler, running, 1);
    assert_int_equal(trash_job(scheduler, running, &err), STATUS_CONFLICT);
    assert_says(err.text, "cancel it first");
    assert_int_equal(purge_job(scheduler, running, &bytes, &err), STATUS_CONFLICT);
    assert_ok(trash_job(scheduler, queued, &err)); /* which cancels it */
    await_end(scheduler, queued, "cancelled");
    struct stat info;
    assert_int_equal(stat(run_of(state, done), &info), 0);
    assert_ok(purge_job(scheduler, done, &bytes, &err));
    assert_int_equal(bytes, info.st_blocks * 512);
    assert_false(file_exists(run_of(state, done)));
    assert_int_equal(scheduler_job(scheduler, done, &gone, &err), STATUS_NOT_FOUND);
    assert_ok(purge_job(scheduler, queued, &bytes, &err));
    assert_int_equal(bytes, 0);
    assert_ok(cancel_job(scheduler, running, NULL, &err));
    await_end(scheduler, running, "cancelled");
    scheduler_stop(scheduler);
    assert_query(in_folder(state, "catalog.db"), "SELECT group_concat(DISTINCT job) FROM job_state", "2");
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT count(*) FROM event WHERE type = 'job.state' AND data LIKE '%\"purged\":true%'", "2");
}

static void test_an_action_on_many(void **state)
{
    struct error err;
    struct scheduler *scheduler = start(*state, self, 1, 3);
    int64_t ids[5];
    struct job_outcome outcomes[5];
    for (size_t i = 0; i < 4; i++)
        ids[i] = submit_json(scheduler, small_spec("long", 100000));
    ids[4] = 99;
    await_step(scheduler, ids[0], 1);
    assert_ok(cancel_job(scheduler, ids[2], NULL, &err));
    assert_ok(scheduler_act_many(scheduler, ACTION_PAUSE, ids, 5, "all of them", outcomes, &err));
    const enum status expected[] = {STATUS_OK, STATUS_OK, STATUS_CONFLICT, STATUS_OK, STATUS_NOT_FOUND};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(outcomes[i].id, ids[i]);
        assert_int_equal(outcomes[i].status, expected[i]);
        assert_true((outcomes[i].detail[0] != '\0') == (expected[i] != STATUS_OK));
    }
    await_reason(scheduler, ids[0], "paused", "all of them");
    await_reason(scheduler, ids[3], "paused", "all of them");
    assert_ok(scheduler_act_many(scheduler, ACTION_CANCEL, ids, 5, NULL, outcomes, &err));
    await_end(scheduler, ids[0], "cancelled");
    assert_ok(scheduler_act_many(scheduler, ACTION_RETRY, ids, 4, NULL, outcomes, &err));
    for (size_t i = 0; i < 4; i++)
        assert_true(outcomes[i].made > ids[3]);
    scheduler_stop(scheduler);
    assert_query(in_folder(state, "catalog.db"), "SELECT group_concat(retry_of) FROM job WHERE retry_of IS NOT NULL",
                 "1,2,3,4");
    static const char *const names[ACTION_COUNT] = {"cancel", "pause", "resume", "retry", "trash", "restore", "purge"};
    for (int action = 0; action < ACTION_COUNT; action++)
        assert_int_equal(job_action_parse(names[action]), action);
    assert_int_equal(job_action_parse("explode"), ACTION_COUNT);
}

static void test_what_is_kept_of_old_runs(void **state)
{
    struct error err;
    json_t *report = NULL;
    struct scheduler *scheduler = start(*state, self, 2, 3);
    int64_t ids[5];
    for (size_t i = 0; i < 5; i++) {
        ids[i] = submit_json(scheduler, small_spec("done", 1));
        await_end(scheduler, ids[i], "finished");
    }
    struct stat info;
    assert_int_equal(stat(run_of(state, ids[4]), &info), 0);
    assert_ok(trash_job(scheduler, ids[3], &err)); /* the trash goes first */
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
    assert_false(file_exists(run_of(state, ids[0])));
    const struct retention bytes = {.max_bytes = info.st_blocks * 512}; /* one fits */
    assert_ok(scheduler_retain(scheduler, &bytes, false, &report, &err));
    json_decref(report);
    assert_int_equal(listed(scheduler, false), 1);
    assert_true(file_exists(run_of(state, ids[4])));
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
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
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
    double begin = clock_seconds();
    struct scheduler *scheduler = start(*state, self, 4, 3);
    await_end(scheduler, 3, "finished");
    print_message("with %d jobs in the catalog, from the start to a finished job: %.3f s\n", JOBS,
                  clock_seconds() - begin);
    await_reason(scheduler, 1, "paused", "paused by a user");
    await_reason(scheduler, 2, "cancelled", "cancelled by a user");
    await_end(scheduler, 4, "finished");
    scheduler_stop(scheduler);
    assert_query(in_folder(state, "catalog.db"),
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
        IN_A_FOLDER(test_results_outlive_an_attempt_that_does_not_start),
        IN_A_FOLDER(test_a_run_that_is_read_as_it_ends_is_sealed),
        IN_A_FOLDER(test_limits_end_a_job_with_their_reason),
        IN_A_FOLDER(test_a_retry_is_a_new_job_with_its_lineage),
        IN_A_FOLDER(test_a_key_makes_one_job),
        IN_A_FOLDER(test_names_tags_notes_and_priority),
        IN_A_FOLDER(test_the_trash_and_the_purge),
        IN_A_FOLDER(test_an_action_on_many),
        IN_A_FOLDER(test_what_is_kept_of_old_runs),
        IN_A_FOLDER(test_a_start_after_a_crash),
    };
    char options[1024]; /* for the workers: memory that runs out and a signal from outside are no findings */
    const char *given = getenv("ASAN_OPTIONS");
    snprintf(options, sizeof options, "%.900s:allocator_may_return_null=1:handle_segv=0", given ? given : "");
    setenv("ASAN_OPTIONS", options, 1);
    setenv("TSAN_OPTIONS", "allocator_may_return_null=1", 0);
    setenv("TSAN_OPTIONS", "allocator_may_return_null=1:handle_segv=0", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
