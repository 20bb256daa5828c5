/*
 * The scheduler with real workers: a job from its submission to its end, the queue, cancelling, and many threads that
 * use it at once.
 */
#include "tests/scheduler_support.h"

#include <pthread.h>

/* --- a job ------------------------------------------------------------------------------------------------------- */

/* Its lines as events: metric, divergence and progress with steps that only grow, and the last of each. */
static void check_lines(const json_t *events, int64_t job, int64_t steps)
{
    static const char *const types[] = {"metric", "divergence", "job.progress", "log", "job.state", "queue"};
    int64_t last[6] = {0};
    size_t index, counts[6] = {0};
    json_t *event;
    json_array_foreach(events, index, event)
    {
        const json_t *data = json_object_get(event, "data");
        size_t kind = 0;
        while (kind < 6 && strcmp(types[kind], text_of(event, "type")) != 0)
            kind++;
        assert_true(kind < 6);
        assert_int_equal(number_of(event, "job"), kind == 5 ? 0 : job);
        assert_int_equal(number_of(data, "job"), kind == 5 ? 0 : job);
        if (kind < 3) {
            assert_true(number_of(data, "step") > last[kind]);
            last[kind] = number_of(data, "step");
        }
        counts[kind]++;
    }
    assert_true(last[0] == steps && last[1] == steps && last[2] == steps);
    assert_true(counts[3] == 1 && counts[4] == 3 && counts[5] >= 2);
}

static void test_a_job_runs_to_its_end(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    int64_t id = submit_json(s, small_spec("größe", 3));
    char text[256];
    json_t *job = await(s, id, "finished"), *events = all_events(s);
    const json_t *progress = json_object_get(job, "progress"), *results = json_object_get(job, "results");
    assert_int_equal(id, 1);
    assert_string_equal(text_of(job, "name"), "größe");
    assert_true(json_is_null(json_object_get(job, "reason")));
    assert_int_equal(number_of(job, "attempt"), 1);
    assert_true(strcmp(text_of(job, "created_at"), text_of(job, "started_at")) <= 0);
    assert_true(strcmp(text_of(job, "started_at"), text_of(job, "ended_at")) <= 0);
    assert_true(number_of(progress, "step") == 24 && number_of(progress, "steps") == 24);
    assert_true(number_of(progress, "epoch") == 3 && json_is_null(json_object_get(progress, "eta_seconds")));
    assert_int_equal(json_array_size(json_object_get(results, "accuracy_series")), 3);
    assert_true(json_number_value(json_object_get(results, "test/accuracy")) ==
                query_number(run_of(state, id), "SELECT value FROM scalars WHERE key = 'test/accuracy' AND step = 24"));
    assert_int_equal(json_object_size(json_object_get(results, "median_scale")), 2);
    assert_run(run_of(state, id), "finished", "NULL"); /* it is sealed before it is called finished */
    assert_int_equal(query_integer(run_of(state, id), "SELECT count(*) FROM divergence"), 24 * 2 * 32);
    assert_string_equal(states_of(events, id, text), "queued running finished");
    check_lines(events, id, 24);
    json_decref(events);
    json_decref(job);
    scheduler_stop(s);
    assert_no_gaps(state);
}

static void test_a_job_that_diverges(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    json_t *json = job_spec(3, 0);
    let_diverge(json);
    int64_t id = submit_json(s, json);
    json_t *job = await(s, id, "diverged");
    assert_says(text_of(job, "reason"), "not finite at step");
    assert_says(text_of(job, "reason"), "dense");
    assert_run(run_of(state, id), "diverged", text_of(job, "reason"));
    json_decref(job);
    scheduler_stop(s);
}

static void test_data_that_are_not_there(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    json_t *json = job_spec(3, 0);
    json_object_set_new(json, "dataset", json_pack("{s:s, s:s}", "name", "npy", "path", "not/there"));
    int64_t id = submit_json(s, json);
    json_t *job = await(s, id, "failed");
    assert_says(text_of(job, "reason"), "not/there");
    assert_int_equal(number_of(job, "attempt"), 1); /* trying again would not help */
    assert_run(run_of(state, id), "failed", text_of(job, "reason"));
    json_decref(job);
    scheduler_stop(s);
}

/* --- the queue --------------------------------------------------------------------------------------------------- */

static void test_two_at_once_and_never_more(void **state)
{
    struct scheduler *s = start(*state, self, 2, 5);
    struct error err;
    int64_t endless = submit(s, ENDLESS, 0), order[8] = {0};
    for (int i = 0; i < 4; i++)
        submit(s, 2, 0);
    for (int64_t id = endless + 1; id <= endless + 4; id++)
        await_end(s, id, "finished");
    await_end(s, endless, "running");
    json_t *queue = NULL;
    assert_ok(scheduler_queue(s, &queue, &err));
    assert_true(number_of(queue, "workers") == 2 && number_of(queue, "running") == 1 &&
                number_of(queue, "queued") == 0);
    assert_int_equal(number_of(json_object_get(queue, "states"), "finished"), 4);
    assert_int_equal(json_object_size(json_object_get(queue, "states")), JOB_STATE_COUNT);
    json_decref(queue);
    cancel(s, endless, NULL);
    await_end(s, endless, "cancelled");
    json_t *events = all_events(s);
    assert_int_equal(most_at_once(events, order, 8), 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(order[i], i + 1);
    json_decref(events);
    scheduler_stop(s);
    assert_no_gaps(state);
}

static void test_the_highest_priority_is_next(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    int64_t first = submit(s, ENDLESS, 0), order[8] = {0};
    await_end(s, first, "running");
    static const int priorities[] = {-1, 7, 0, 7};
    static const int64_t expected[] = {1, 3, 5, 4, 2};
    for (int i = 0; i < 4; i++)
        submit(s, 1, priorities[i]);
    cancel(s, first, NULL);
    for (int64_t id = first + 1; id <= first + 4; id++)
        await_end(s, id, "finished");
    json_t *events = all_events(s);
    assert_int_equal(most_at_once(events, order, 8), 1);
    assert_memory_equal(order, expected, sizeof expected);
    json_decref(events);
    scheduler_stop(s);
}

/* --- cancelling -------------------------------------------------------------------------------------------------- */

static void test_cancelling_a_queued_job(void **state)
{
    struct scheduler *s = start(*state, self, 1, 5);
    struct error err;
    char text[256];
    int64_t first = submit(s, ENDLESS, 0), second = submit(s, 1, 0);
    cancel(s, second, "not needed");
    json_t *job = job_of(s, second); /* at once */
    assert_string_equal(text_of(job, "state"), "cancelled");
    assert_string_equal(text_of(job, "reason"), "not needed");
    assert_true(json_is_null(json_object_get(job, "started_at")));
    json_decref(job);
    assert_false(file_exists(run_of(state, second)));
    assert_int_equal(cancel_job(s, second, NULL, &err), STATUS_CONFLICT);
    assert_string_equal(err.text, "job 2 is cancelled: there is nothing left to cancel");
    assert_int_equal(cancel_job(s, 99, NULL, &err), STATUS_NOT_FOUND);
    cancel(s, first, NULL);
    job = await(s, first, "cancelled");
    assert_string_equal(text_of(job, "reason"), "cancelled by a user");
    json_decref(job);
    json_t *events = all_events(s);
    assert_string_equal(states_of(events, second, text), "queued cancelled");
    json_decref(events);
    scheduler_stop(s);
}

static void test_cancelling_a_running_job(void **state)
{
    struct scheduler *s = start(*state, self, 1, 60);
    int64_t id = submit(s, ENDLESS, 0);
    await_progress(s, id);
    cancel(s, id, "--help"); /* a reason, whatever it looks like */
    json_t *job = await(s, id, "cancelled");
    assert_string_equal(text_of(job, "reason"), "--help");
    int64_t step = number_of(json_object_get(job, "progress"), "step");
    await_sealed(run_of(state, id), "cancelled", "--help");
    assert_true(query_integer(run_of(state, id), "SELECT count(*) FROM divergence") >= 2 * 32);
    assert_int_equal(query_integer(run_of(state, id), "SELECT max(step) FROM scalars"), step); /* all rows stay */
    json_decref(job);
    scheduler_stop(s);
}

/* A reason of any length stays text that can be shown. */
static void test_a_long_reason(void **state)
{
    struct scheduler *s = start(*state, self, 1, 60);
    char reason[3001];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(reason, 'x', shift);
        for (size_t i = shift; i + 4 <= sizeof reason; i += 3)
            memcpy(reason + i, "…", 4);
        int64_t id = submit(s, ENDLESS, 0);
        await_end(s, id, "running");
        cancel(s, id, reason);
        json_t *job = await(s, id, "cancelled");
        assert_true(strlen(text_of(job, "reason")) > 1000);
        assert_int_equal(strncmp(text_of(job, "reason"), reason, 1000), 0);
        json_decref(job);
    }
    scheduler_stop(s);
}

/* A worker that does not listen is killed when the grace is over. */
static void test_cancelling_a_job_that_hangs(void **state)
{
    struct scheduler *s = start(*state, self, 1, 0);
    int64_t id = submit(s, ENDLESS, 0);
    await_progress(s, id);
    pid_t pid = hit(state, id, 1, SIGSTOP);
    cancel(s, id, "it hangs");
    cancel(s, id, "it hangs"); /* twice does no harm, unless it has ended already */
    json_t *job = await(s, id, "cancelled");
    assert_string_equal(text_of(job, "reason"), "it hangs");
    json_decref(job);
    assert_int_equal(kill(pid, 0), -1);
    await_sealed(run_of(state, id), "cancelled", "it hangs");
    scheduler_stop(s);
}

/* --- many threads ------------------------------------------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 6 };

/* Submits, reads and cancels; a complaint, or NULL. */
static void *use(void *context)
{
    struct scheduler *s = context;
    struct error err;
    int64_t after = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct spec *spec = parse_spec(job_spec(i % 3 == 0 ? 1 : ENDLESS, i));
        int64_t id = 0;
        bool again, submitted = scheduler_submit(s, spec, NULL, &id, &again, &err) == STATUS_OK;
        spec_free(spec);
        if (!submitted)
            return (void *)"a job was not taken";
        json_t *job = NULL, *queue = NULL;
        struct listing listing = {.list = &job_list, .query.max_results = 5};
        bool read = scheduler_job(s, id, &job, &err) == STATUS_OK &&
                    scheduler_read(s, read_listing, &listing, &err) == STATUS_OK &&
                    scheduler_queue(s, &queue, &err) == STATUS_OK;
        bool right = read && number_of(job, "id") == id &&
                     json_array_size(json_object_get(listing.page, "items")) > 0 && number_of(queue, "running") <= 2;
        json_decref(job);
        json_decref(listing.page);
        json_decref(queue);
        if (!right)
            return (void *)"what was read is not right";
        struct event event;
        while (events_next(scheduler_events(s), after, 0, &event, &err) == STATUS_OK) {
            if (event.id != ++after)
                return (void *)"an event is missing";
            free(event.text);
        }
        enum status status = i % 3 == 0 ? STATUS_OK : cancel_job(s, id, "enough", &err);
        if (status != STATUS_OK)
            return (void *)"a job was not cancelled";
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct scheduler *s = start(*state, self, 2, 5);
    pthread_t threads[THREADS];
    void *complaint;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, s), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &complaint);
        if (complaint)
            fail_msg("%s", (const char *)complaint);
    }
    for (int64_t id = 1; id <= THREADS * ROUNDS; id++) {
        json_t *job = job_of(s, id);
        bool endless = number_of(json_object_get(job, "spec"), "epochs") == ENDLESS;
        json_decref(job);
        await_end(s, id, endless ? "cancelled" : "finished");
    }
    json_t *events = all_events(s);
    assert_true(most_at_once(events, NULL, 0) <= 2);
    json_decref(events);
    scheduler_stop(s);
    assert_no_gaps(state);
    assert_query(in_folder(state, "catalog.db"),
                 "SELECT group_concat(state || n) FROM (SELECT state, count(*) AS n FROM job GROUP BY state)",
                 "cancelled16,finished8");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "work") == 0)
        return command_work(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_a_job_runs_to_its_end),        IN_A_FOLDER(test_a_job_that_diverges),
        IN_A_FOLDER(test_data_that_are_not_there),      IN_A_FOLDER(test_two_at_once_and_never_more),
        IN_A_FOLDER(test_the_highest_priority_is_next), IN_A_FOLDER(test_cancelling_a_queued_job),
        IN_A_FOLDER(test_cancelling_a_running_job),     IN_A_FOLDER(test_a_long_reason),
        IN_A_FOLDER(test_cancelling_a_job_that_hangs),  IN_A_FOLDER(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
