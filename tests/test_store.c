/*
 * Jobs in the catalog: every arrow between states and every one that there is not, attempts and crashes, the queue's
 * order, and the job's JSON.
 */
#include "tests/catalog_support.h"

#include <sys/wait.h>

static struct job_row row_of(sqlite3 *db, int64_t id)
{
    struct job_row row = {0};
    struct error err;
    assert_ok(store_job_row(db, id, &row, &err));
    return row;
}

static json_t *json_of(sqlite3 *db, int64_t id)
{
    json_t *job = NULL;
    struct error err;
    assert_ok(store_job_json(db, id, &job, &err));
    return job;
}

static void assert_text(const json_t *json, const char *key, const char *expected)
{
    char *text = json_dumps(json_object_get(json, key), JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    if (!text || strcmp(text, expected) != 0)
        fail_msg("\"%s\" is %s, not %s", key, text ? text : "absent", expected);
    free(text);
}

/* --- states ------------------------------------------------------------------------------------------------------ */

static const char *const names[JOB_STATE_COUNT] = {"queued", "running",  "paused",   "finished",
                                                   "failed", "diverged", "cancelled"};

/* The picture in job.h, a line a state: 'x' where there is an arrow to the state of that column. */
static const char *const arrows[JOB_STATE_COUNT] = {
    /* qrpffdc */
    ".xx...x", /* queued */
    "x.xxxxx", /* running */
    "x.....x", /* paused */
    ".......", ".......", ".......", ".......",
};

static void test_names_of_states(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        assert_string_equal(job_state_name((enum job_state)s), names[s]);
        assert_int_equal(job_state_parse(names[s]), s);
        assert_int_equal(job_state_is_final((enum job_state)s), strchr(arrows[s], 'x') == NULL);
    }
    assert_int_equal(job_state_parse("Queued"), JOB_STATE_COUNT);
    assert_int_equal(job_state_parse(""), JOB_STATE_COUNT);
    assert_int_equal(job_state_parse(NULL), JOB_STATE_COUNT);
}

/* A new job that has gone to `to`. */
static int64_t job_in(sqlite3 *db, enum job_state to)
{
    int64_t id = insert(db, names[to], 0);
    if (to != JOB_QUEUED)
        change(db, id, JOB_RUNNING);
    if (to != JOB_QUEUED && to != JOB_RUNNING)
        change(db, id, to);
    return id;
}

static void test_every_arrow_and_no_other(void **state)
{
    sqlite3 *db = open_catalog(state);
    const char *path = in_folder(state, "catalog.db");
    struct error err;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++) {
            bool expected = arrows[from][to] == 'x';
            int64_t id = job_in(db, (enum job_state)from);
            char sentence[96], rows[96], last[128];
            snprintf(sentence, sizeof sentence, "job %lld is %s and cannot become %s", (long long)id, names[from],
                     names[to]);
            snprintf(rows, sizeof rows, "SELECT count(*) FROM job_state WHERE job = %lld", (long long)id);
            snprintf(last, sizeof last,
                     "SELECT state || ifnull(reason, '') FROM job_state WHERE job = %lld ORDER BY id DESC LIMIT 1",
                     (long long)id);
            int64_t before = query_integer(path, rows);
            assert_int_equal(job_may_change((enum job_state)from, (enum job_state)to), expected);
            enum status status =
                try_change(db, id, &(struct job_change){.to = (enum job_state)to, .reason = " why"}, &err);
            assert_int_equal(status, expected ? STATUS_OK : STATUS_CONFLICT);
            if (!expected)
                assert_string_equal(err.text, sentence);
            assert_int_equal(query_integer(path, rows), before + expected);
            struct job_row row = row_of(db, id);
            assert_int_equal(row.state, expected ? to : from);
            job_row_clear(&row);
            snprintf(sentence, sizeof sentence, "%s why", names[to]);
            if (expected)
                assert_query(path, last, sentence);
        }
    cleanup_db(&db);
}

static void test_times_and_history(void **state)
{
    sqlite3 *db = open_catalog(state);
    const char *path = in_folder(state, "catalog.db");
    struct error err;
    int64_t id = insert(db, "one", 0);
    assert_query(path,
                 "SELECT started_at IS NULL AND ended_at IS NULL AND created_at GLOB '2*-*-*T*:*:*.*Z'"
                 " FROM job",
                 "1");
    change(db, id, JOB_RUNNING);
    assert_ok(db_execute(db, "UPDATE job SET started_at = '2001'", &err));
    change(db, id, JOB_QUEUED);
    assert_query(path, "SELECT started_at || attempt || (ended_at IS NULL) FROM job", "200121");
    change(db, id, JOB_RUNNING); /* again: its first start stays */
    assert_query(path, "SELECT started_at || (ended_at IS NULL) FROM job", "20011");
    assert_ok(try_change(db, id, &(struct job_change){.to = JOB_FAILED, .reason = "no data"}, &err));
    assert_query(path, "SELECT ended_at > started_at FROM job", "1");
    assert_query(path, "SELECT group_concat(state || attempt || ifnull(reason, '')) FROM job_state",
                 "queued1,running1,queued2,running2,failed2no data");
    assert_query(path, "SELECT min(at >= (SELECT created_at FROM job)) FROM job_state", "1");
    cleanup_db(&db);
}

static void test_attempts_and_crashes(void **state)
{
    sqlite3 *db = open_catalog(state);
    int64_t id = insert(db, "one", 0);
    struct error err;
    static const struct {
        enum job_state to;
        bool crashed;
        int attempt, crashes;
    } history[] = {
        {JOB_RUNNING, false, 1, 0}, {JOB_QUEUED, true, 2, 1},   {JOB_RUNNING, false, 2, 1}, {JOB_QUEUED, true, 3, 2},
        {JOB_RUNNING, false, 3, 2}, {JOB_QUEUED, false, 4, 0}, /* interrupted: forgotten */
        {JOB_RUNNING, false, 4, 0}, {JOB_QUEUED, true, 5, 1},   {JOB_RUNNING, false, 5, 1}, {JOB_PAUSED, false, 5, 1},
        {JOB_QUEUED, false, 6, 0},  {JOB_RUNNING, false, 6, 0}, {JOB_FAILED, true, 6, 1},
    };
    for (size_t i = 0; i < sizeof history / sizeof *history; i++) {
        assert_ok(try_change(db, id, &(struct job_change){.to = history[i].to, .crashed = history[i].crashed}, &err));
        struct job_row row = row_of(db, id);
        if (row.attempt != history[i].attempt || row.crashes != history[i].crashes)
            fail_msg("after change %zu: attempt %d, %d crashes", i, row.attempt, row.crashes);
        job_row_clear(&row);
    }
    cleanup_db(&db);
}

/* What was paused before it ever began begins with its first attempt. */
static void test_an_attempt_that_never_began(void **state)
{
    sqlite3 *db = open_catalog(state);
    int64_t id = insert(db, "one", 0);
    static const enum job_state ways[] = {JOB_PAUSED, JOB_QUEUED, JOB_RUNNING, JOB_QUEUED, JOB_PAUSED, JOB_QUEUED};
    static const int attempts[] = {1, 1, 1, 2, 2, 2};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        change(db, id, ways[i]);
        struct job_row row = row_of(db, id);
        assert_int_equal(row.attempt, attempts[i]);
        job_row_clear(&row);
    }
    cleanup_db(&db);
}

/* --- jobs -------------------------------------------------------------------------------------------------------- */

static void test_ids_are_never_reused(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    assert_int_equal(insert(db, "one", 0), 1);
    assert_int_equal(insert(db, "two", 0), 2);
    assert_ok(db_execute(db, "DELETE FROM job_state; DELETE FROM job", &err));
    cleanup_db(&db);
    db = open_catalog(state);
    assert_int_equal(insert(db, "three", 0), 3);
    assert_int_equal(store_job_row(db, 2, &(struct job_row){0}, &err), STATUS_NOT_FOUND);
    assert_string_equal(err.text, "there is no job 2");
    json_t *json = NULL;
    assert_int_equal(store_job_json(db, -1, &json, &err), STATUS_NOT_FOUND);
    assert_int_equal(try_change(db, 99, &(struct job_change){.to = JOB_RUNNING}, &err), STATUS_NOT_FOUND);
    assert_null(json);
    cleanup_db(&db);
}

static void test_what_is_rolled_back_was_never_there(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct spec *spec = parse_spec(small_spec("lost", 1));
    struct error err;
    int64_t id = 0, counts[JOB_STATE_COUNT];
    assert_ok(db_begin(db, &err));
    assert_ok(store_job_insert(db, spec, &id, &err));
    db_rollback(db);
    assert_ok(store_counts(db, counts, &err));
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        assert_int_equal(counts[s], 0);
    spec_free(spec);
    cleanup_db(&db);
}

static void test_queue_order(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    static const int priorities[] = {0, 5, -3, 5, 0, 100, -3, 0};
    static const int expected[] = {6, 2, 4, 1, 5, 8, 3, 7}; /* by priority, then age */
    int64_t id = -1, counts[JOB_STATE_COUNT];
    assert_ok(store_next_queued(db, NULL, 0, &id, &err));
    assert_int_equal(id, 0);
    for (int i = 0; i < 8; i++)
        insert(db, "job", priorities[i]);
    for (int i = 0; i < 8; i++) {
        assert_ok(store_first_running(db, &id, &err));
        assert_int_equal(id, 0);
        assert_ok(store_next_queued(db, NULL, 0, &id, &err));
        assert_int_equal(id, expected[i]);
        change(db, id, JOB_RUNNING);
        assert_ok(store_counts(db, counts, &err));
        assert_int_equal(counts[JOB_QUEUED], 7 - i);
        assert_int_equal(counts[JOB_RUNNING], 1);
        assert_ok(store_first_running(db, &id, &err));
        assert_int_equal(id, expected[i]);
        change(db, id, i % 2 ? JOB_FINISHED : JOB_CANCELLED);
    }
    assert_ok(store_next_queued(db, NULL, 0, &id, &err));
    assert_int_equal(id, 0);
    assert_ok(store_counts(db, counts, &err));
    assert_int_equal(counts[JOB_FINISHED], 4);
    assert_int_equal(counts[JOB_CANCELLED], 4);
    cleanup_db(&db);
}

static void test_an_interrupted_job_keeps_its_place(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    int64_t first = insert(db, "first", 0), second = insert(db, "second", 0), next = 0;
    change(db, first, JOB_RUNNING);
    change(db, first, JOB_QUEUED);
    assert_ok(store_next_queued(db, NULL, 0, &next, &err));
    assert_int_equal(next, first);
    assert_ok(store_next_queued(db, &first, 1, &next, &err));
    assert_int_equal(next, second);
    assert_ok(store_next_queued(db, (const int64_t[]){first, second}, 2, &next, &err));
    assert_int_equal(next, 0);
    cleanup_db(&db);
}

static void test_json_of_a_job(void **state)
{
    static const char *const keys[] = {"id",       "name",     "tags",    "note",      "state",      "reason",
                                       "attempt",  "priority", "spec",    "spec_hash", "created_at", "started_at",
                                       "ended_at", "progress", "results", "retry_of",  "trashed_at"};
    sqlite3 *db = open_catalog(state);
    json_t *json = small_spec("größe \"1\"", 3);
    json_object_set_new(json, "tags", json_pack("[s, s]", "demo", "é"));
    json_object_set_new(json, "priority", json_integer(-7));
    struct spec *spec = parse_spec(json_incref(json));
    int64_t id = insert_json(db, json);
    json_t *job = json_of(db, id);
    assert_int_equal(json_object_size(job), sizeof keys / sizeof *keys);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(job, keys[i]))
            fail_msg("no key \"%s\"", keys[i]);
    assert_text(job, "id", "1");
    assert_text(job, "name", "\"größe \\\"1\\\"\"");
    assert_text(job, "tags", "[\"demo\",\"é\"]");
    assert_text(job, "note", "\"\"");
    assert_text(job, "state", "\"queued\"");
    assert_text(job, "reason", "null");
    assert_text(job, "attempt", "1");
    assert_text(job, "priority", "-7");
    assert_text(job, "started_at", "null");
    assert_text(job, "progress", "{}");
    assert_text(job, "results", "{}");
    assert_text(job, "retry_of", "null");
    assert_text(job, "trashed_at", "null");
    assert_true(json_equal(json_object_get(job, "spec"), spec->expanded));
    assert_string_equal(json_string_value(json_object_get(job, "spec_hash")), spec->hash);
    json_decref(job);
    spec_free(spec);
    cleanup_db(&db);
}

static void test_progress_and_results(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    int64_t id = insert(db, "one", 0);
    json_t *progress = json_pack("{s:i, s:i}", "step", 12, "steps", 24), *results = json_pack("{s:s}", "x", "NaN");
    assert_ok(store_job_progress(db, id, progress, NULL, &err));
    struct job_row row = row_of(db, id);
    assert_int_equal(row.step, 12);
    assert_null(row.cancel_reason);
    job_row_clear(&row);
    assert_ok(store_job_progress(db, id, NULL, results, &err));
    assert_ok(store_job_progress(db, id, NULL, NULL, &err)); /* both stay */
    json_t *job = json_of(db, id);
    assert_text(job, "progress", "{\"step\":12,\"steps\":24}");
    assert_text(job, "results", "{\"x\":\"NaN\"}");
    json_decref(job);
    json_decref(progress);
    json_decref(results);
    change(db, id, JOB_RUNNING);
    assert_ok(store_job_ask_cancel(db, id, "enough", &err));
    cleanup_db(&db);
    db = open_catalog(state); /* it survives the daemon */
    row = row_of(db, id);
    assert_int_equal(row.state, JOB_RUNNING);
    assert_string_equal(row.cancel_reason, "enough");
    job_row_clear(&row);
    job = json_of(db, id);
    assert_text(job, "reason", "\"cancelling\"");
    json_decref(job);
    cleanup_db(&db);
}

/* A query without an end, in a process of its own that is about to end; else SIGALRM would end that. */
static void test_a_query_ends_with_the_process(void **state)
{
    const char *path = in_folder(state, "some.db");
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "CREATE TABLE t (x)", &err));
    cleanup_db(&db);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int64_t count = 0;
        alarm(60);
        if (db_open(path, DB_READ, &db, &err) != STATUS_OK)
            _exit(1);
        db_stop_reading();
        enum status status =
            db_integer(db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
                       &count, &err);
        _exit(status == STATUS_STOPPED ? 0 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_states),
        IN_A_FOLDER(test_every_arrow_and_no_other),
        IN_A_FOLDER(test_times_and_history),
        IN_A_FOLDER(test_attempts_and_crashes),
        IN_A_FOLDER(test_an_attempt_that_never_began),
        IN_A_FOLDER(test_ids_are_never_reused),
        IN_A_FOLDER(test_what_is_rolled_back_was_never_there),
        IN_A_FOLDER(test_queue_order),
        IN_A_FOLDER(test_an_interrupted_job_keeps_its_place),
        IN_A_FOLDER(test_json_of_a_job),
        IN_A_FOLDER(test_progress_and_results),
        IN_A_FOLDER(test_a_query_ends_with_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
