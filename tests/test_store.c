/*
 * The catalog of jobs: every arrow between states and every one that there is not, the queue's order, pages that give
 * each job once, the job's JSON, many readers beside the writer, and catalogs that are refused.
 */
#include "server/store.h"
#include "tests/store_support.h"

#include <fcntl.h>
#include <pthread.h>

#include "server/json_util.h"
#include "server/migrate.h"
#include "server/scheduler.h"

static sqlite3 *open_catalog(void **state)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    return db;
}

static int64_t insert_json(sqlite3 *db, json_t *json)
{
    struct spec *spec = parse_spec(json);
    struct error err;
    int64_t id = 0;
    assert_ok(db_begin(db, &err));
    assert_ok(store_job_insert(db, spec, &id, &err));
    assert_ok(db_commit(db, &err));
    spec_free(spec);
    return id;
}

static int64_t insert(sqlite3 *db, const char *name, int priority)
{
    json_t *json = small_spec(name, 1);
    json_object_set_new(json, "priority", json_integer(priority));
    return insert_json(db, json);
}

static enum status try_change(sqlite3 *db, int64_t id, const struct job_change *change, struct error *err)
{
    enum status status = db_begin(db, err);
    if (status == STATUS_OK)
        status = store_job_change(db, id, change, err);
    if (status == STATUS_OK)
        return db_commit(db, err);
    db_rollback(db);
    return status;
}

static void change(sqlite3 *db, int64_t id, enum job_state to)
{
    struct error err;
    assert_ok(try_change(db, id, &(struct job_change){.to = to}, &err));
}

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
    assert_ok(store_next_queued(db, &id, &err));
    assert_int_equal(id, 0);
    for (int i = 0; i < 8; i++)
        insert(db, "job", priorities[i]);
    for (int i = 0; i < 8; i++) {
        assert_ok(store_first_running(db, &id, &err));
        assert_int_equal(id, 0);
        assert_ok(store_next_queued(db, &id, &err));
        assert_int_equal(id, expected[i]);
        change(db, id, JOB_RUNNING);
        assert_ok(store_counts(db, counts, &err));
        assert_int_equal(counts[JOB_QUEUED], 7 - i);
        assert_int_equal(counts[JOB_RUNNING], 1);
        assert_ok(store_first_running(db, &id, &err));
        assert_int_equal(id, expected[i]);
        change(db, id, i % 2 ? JOB_FINISHED : JOB_CANCELLED);
    }
    assert_ok(store_next_queued(db, &id, &err));
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
    int64_t first = insert(db, "first", 0), next = 0;
    insert(db, "second", 0);
    change(db, first, JOB_RUNNING);
    change(db, first, JOB_QUEUED);
    assert_ok(store_next_queued(db, &next, &err));
    assert_int_equal(next, first);
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

/* --- pages ------------------------------------------------------------------------------------------------------- */

enum { OLD_JOBS = 25, NEW_JOBS = 3 };

/* Walks all pages and counts how often each id came; NEW_JOBS are inserted between the first pages. Returns how many
 * could be: there are not always so many pages. */
static int walk(sqlite3 *db, struct list_query query, bool ascending, int seen[])
{
    struct error err;
    char token[256];
    int64_t last = ascending ? 0 : INT64_MAX;
    for (int pages = 0; pages < 100; pages++) {
        json_t *page = NULL, *job;
        size_t index;
        assert_ok(list_page(db, &job_list, &query, &page, &err));
        const json_t *items = json_object_get(page, "items"), *next = json_object_get(page, "next_page_token");
        json_array_foreach(items, index, job)
        {
            int64_t id = json_integer_value(json_object_get(job, "id"));
            assert_true(ascending ? id > last : id < last); /* where the times are equal, too */
            last = id;
            seen[id]++;
        }
        bool more = json_is_string(next);
        if (more)
            assert_int_equal(json_array_size(items), query.max_results);
        else
            assert_true(json_is_null(next) && json_array_size(items) <= query.max_results);
        snprintf(token, sizeof token, "%s", more ? json_string_value(next) : "");
        json_decref(page);
        if (!more)
            return pages < NEW_JOBS ? pages : NEW_JOBS;
        query.page_token = token;
        if (pages < NEW_JOBS)
            insert(db, "new", 9);
    }
    fail_msg("the pages do not end");
    return 0;
}

static void test_pages_give_each_job_once(void **state)
{
    static const size_t sizes[] = {1, 2, 7, OLD_JOBS - 1, OLD_JOBS, OLD_JOBS + 1, 1000};
    struct error err;
    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
        bool ascending = i % 2 == 1;
        sqlite3 *db = NULL;
        int seen[OLD_JOBS + NEW_JOBS + 1] = {0};
        char name[16];
        snprintf(name, sizeof name, "%zu.db", i);
        assert_ok(store_open(in_folder(state, name), &db, &err));
        for (int k = 0; k < OLD_JOBS; k++)
            insert(db, "old", k % 3);
        int added =
            walk(db, (struct list_query){.max_results = sizes[i / 2], .order_by = ascending ? "created_at asc" : NULL},
                 ascending, seen);
        for (int id = 1; id <= OLD_JOBS; id++)
            assert_int_equal(seen[id], 1);
        for (int id = OLD_JOBS + 1; id <= OLD_JOBS + NEW_JOBS; id++) /* newest first, they come before the first page */
            assert_int_equal(seen[id], ascending && id <= OLD_JOBS + added);
        cleanup_db(&db);
    }
}

static void test_pages_of_one_state(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    int seen[OLD_JOBS + 1] = {0};
    json_t *page = NULL;
    for (int i = 0; i < OLD_JOBS; i++) {
        insert(db, "job", 0);
        if (i % 3 == 0)
            change(db, i + 1, JOB_CANCELLED);
    }
    struct list_query query = {.filter = "state = 'cancelled'", .max_results = 2};
    for (char token[256]; query.max_results > 0;) {
        assert_ok(list_page(db, &job_list, &query, &page, &err));
        const json_t *items = json_object_get(page, "items");
        for (size_t i = 0; i < json_array_size(items); i++)
            seen[json_integer_value(json_object_get(json_array_get(items, i), "id"))]++;
        const char *next = json_string_value(json_object_get(page, "next_page_token"));
        snprintf(token, sizeof token, "%s", next ? next : "");
        query.page_token = token;
        query.max_results = next ? 2 : 0;
        json_decref(page);
    }
    for (int id = 1; id <= OLD_JOBS; id++)
        assert_int_equal(seen[id], id % 3 == 1);
    query = (struct list_query){.filter = "state = 'done'", .max_results = 2};
    assert_int_equal(list_page(db, &job_list, &query, &page, &err), STATUS_INVALID);
    assert_says(err.text, "expected a state: 'queued', 'running', 'paused'");
    cleanup_db(&db);
}

/* A token is good for the list, the filter and the order that it came with (test_filter has all that a token may be). */
static void test_foreign_tokens_are_refused(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    json_t *page = NULL, *never = NULL;
    for (int i = 0; i < 4; i++)
        insert(db, "job", 0);
    assert_ok(list_page(db, &job_list, &(struct list_query){.max_results = 2}, &page, &err));
    const char *token = json_string_value(json_object_get(page, "next_page_token"));
    const struct {
        const struct list *list;
        struct list_query query;
    } others[] = {
        {&job_list, {.max_results = 2, .page_token = "d2"}},
        {&job_list, {.max_results = 2, .page_token = token, .order_by = "created_at"}},
        {&job_list, {.max_results = 2, .page_token = token, .filter = "name = 'job'"}},
        {&trash_list, {.max_results = 2, .page_token = token}},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(list_page(db, others[i].list, &others[i].query, &never, &err), STATUS_INVALID);
        assert_says(err.text, "page_token is not one that this list gave");
    }
    json_decref(page);
    cleanup_db(&db);
}

static void test_the_trash_is_a_list_of_its_own(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct error err;
    for (int i = 0; i < 3; i++)
        insert(db, "job", 0);
    assert_ok(db_begin(db, &err));
    assert_ok(store_job_trash(db, 2, true, &err));
    assert_ok(db_commit(db, &err));
    const struct {
        const struct list *list;
        const char *filter, *ids;
    } lists[] = {{&job_list, NULL, "3 1 "},
                 {&trash_list, NULL, "2 "},
                 {&all_jobs_list, NULL, "3 2 1 "},
                 {&all_jobs_list, "trashed_at = null", "3 1 "}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *page = NULL, *job;
        size_t index, used = 0;
        char ids[64] = "";
        const struct list_query query = {.filter = lists[i].filter, .max_results = 10};
        assert_ok(list_page(db, lists[i].list, &query, &page, &err));
        json_array_foreach(json_object_get(page, "items"), index, job)
        {
            used += (size_t)snprintf(ids + used, sizeof ids - used, "%lld ",
                                     (long long)json_integer_value(json_object_get(job, "id")));
        }
        assert_string_equal(ids, lists[i].ids);
        json_decref(page);
    }
    cleanup_db(&db);
}

/* --- readers ----------------------------------------------------------------------------------------------------- */

enum { READERS = 12, READS = 40 }; /* more readers than connections are kept */

/* Counts jobs until READS times were done; NULL where they only ever grew. */
static void *read_often(void *context)
{
    struct store_pool *pool = context;
    struct error err;
    int64_t newest = 0;
    for (int i = 0; i < READS; i++) {
        sqlite3 *db = NULL;
        json_t *page = NULL;
        const struct list_query query = {.max_results = 3};
        int64_t counts[JOB_STATE_COUNT];
        if (store_pool_take(pool, &db, &err) != STATUS_OK)
            return (void *)"no connection";
        bool read =
            store_counts(db, counts, &err) == STATUS_OK && list_page(db, &job_list, &query, &page, &err) == STATUS_OK;
        store_pool_give(pool, db);
        if (!read)
            return (void *)"no answer";
        int64_t id = json_integer_value(json_object_get(json_array_get(json_object_get(page, "items"), 0), "id"));
        json_decref(page);
        if (counts[JOB_QUEUED] < newest || id < counts[JOB_QUEUED])
            return (void *)"an older state came after a newer one";
        newest = id;
    }
    return NULL;
}

static void test_readers_beside_the_writer(void **state)
{
    sqlite3 *db = open_catalog(state);
    struct store_pool *pool = NULL;
    struct error err;
    pthread_t threads[READERS];
    void *complaint = NULL;
    insert(db, "first", 0);
    assert_ok(store_pool_create(in_folder(state, "catalog.db"), &pool, &err));
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, pool), 0);
    for (int i = 0; i < 50; i++)
        insert(db, "more", 0);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], &complaint);
        if (complaint)
            fail_msg("%s", (const char *)complaint);
    }
    store_pool_free(pool);
    cleanup_db(&db);
}

static void test_readers_only_read(void **state)
{
    sqlite3 *db = open_catalog(state), *taken[20] = {0};
    struct store_pool *pool = NULL;
    struct error err;
    assert_ok(store_pool_create(in_folder(state, "catalog.db"), &pool, &err));
    for (int i = 0; i < 20; i++)
        assert_ok(store_pool_take(pool, &taken[i], &err));
    assert_int_equal(db_execute(taken[0], "DELETE FROM job", &err), STATUS_IO);
    assert_says(err.text, "readonly");
    assert_ok(db_begin_read(taken[1], &err)); /* one that is left open is closed when it is given back */
    json_t *page = NULL;
    assert_ok(list_page(taken[1], &job_list, &(struct list_query){.max_results = 1}, &page, &err));
    json_decref(page);
    for (int i = 0; i < 20; i++)
        store_pool_give(pool, taken[i]);
    store_pool_give(pool, NULL);
    insert(db, "one", 0);
    for (int i = 0; i < 20; i++) {
        int64_t counts[JOB_STATE_COUNT];
        assert_ok(store_pool_take(pool, &taken[i], &err));
        assert_ok(store_counts(taken[i], counts, &err));
        assert_int_equal(counts[JOB_QUEUED], 1);
    }
    for (int i = 0; i < 20; i++)
        store_pool_give(pool, taken[i]);
    store_pool_free(pool);
    cleanup_db(&db);
    assert_ok(store_pool_create(in_folder(state, "absent.db"), &pool, &err));
    assert_int_equal(store_pool_take(pool, &taken[0], &err), STATUS_IO);
    assert_false(file_exists(in_folder(state, "absent.db")));
    store_pool_free(pool);
}

/* --- catalogs that are refused ----------------------------------------------------------------------------------- */

static void refuses(const char *path, enum status status, const char *words)
{
    sqlite3 *db = NULL;
    struct error err;
    enum status found = store_open(path, &db, &err);
    if (found != status)
        fail_msg("%s: %s in place of %s", path, status_name(found), status_name(status));
    assert_says(err.text, path);
    assert_says(err.text, words);
    assert_null(db);
}

static void test_catalogs_of_others(void **state)
{
    const char *path = in_folder(state, "catalog.db");
    struct error err;
    sqlite3 *db = open_catalog(state);
    assert_ok(db_execute(db, "PRAGMA user_version = 77", &err));
    cleanup_db(&db);
    refuses(path, STATUS_CONFLICT, "schema version 77");
    assert_query(path, "PRAGMA user_version", "77");
    refuses(in_folder(state, "nowhere/catalog.db"), STATUS_IO, "cannot open");
    assert_ok(db_open(in_folder(state, "run.db"), DB_WRITE, &db, &err));
    assert_ok(migrate(db, &run_schema, &err));
    cleanup_db(&db);
    refuses(in_folder(state, "run.db"), STATUS_CORRUPT, "not a catalog of Plumbline");
}

static void copy_file(const char *from, const char *to, size_t *ret_size)
{
    static char bytes[1 << 20];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in && out);
    *ret_size = fread(bytes, 1, sizeof bytes, in);
    assert_int_equal(fwrite(bytes, 1, *ret_size, out), *ret_size);
    fclose(in);
    fclose(out);
}

static void test_damaged_catalogs(void **state)
{
    enum { PAGE = 4096 };
    const char *whole = in_folder(state, "catalog.db"), *path = in_folder(state, "damaged.db");
    sqlite3 *db = open_catalog(state);
    char rubbish[PAGE];
    size_t size = 0;
    for (int i = 0; i < 60; i++)
        insert(db, "job", 0);
    cleanup_db(&db);
    copy_file(whole, path, &size);
    assert_true(size > 10 * PAGE && size % PAGE == 0);
    struct error err;
    assert_ok(store_open(path, &db, &err)); /* the copy itself is good */
    cleanup_db(&db);
    memset(rubbish, 0xa5, sizeof rubbish);
    for (size_t at = 0; at < size; at += PAGE) {
        copy_file(whole, path, &size);
        int file = open(path, O_WRONLY);
        assert_int_equal(pwrite(file, rubbish, PAGE, (off_t)at), PAGE);
        close(file);
        refuses(path, STATUS_CORRUPT, "catalog");
    }
    for (size_t cut = PAGE / 2; cut < size; cut += 5 * PAGE) {
        copy_file(whole, path, &size);
        assert_int_equal(truncate(path, (off_t)cut), 0);
        refuses(path, STATUS_CORRUPT, "catalog");
    }
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_states),
        IN_A_FOLDER(test_every_arrow_and_no_other),
        IN_A_FOLDER(test_times_and_history),
        IN_A_FOLDER(test_attempts_and_crashes),
        IN_A_FOLDER(test_ids_are_never_reused),
        IN_A_FOLDER(test_what_is_rolled_back_was_never_there),
        IN_A_FOLDER(test_queue_order),
        IN_A_FOLDER(test_an_interrupted_job_keeps_its_place),
        IN_A_FOLDER(test_json_of_a_job),
        IN_A_FOLDER(test_progress_and_results),
        IN_A_FOLDER(test_pages_give_each_job_once),
        IN_A_FOLDER(test_pages_of_one_state),
        IN_A_FOLDER(test_foreign_tokens_are_refused),
        IN_A_FOLDER(test_the_trash_is_a_list_of_its_own),
        IN_A_FOLDER(test_readers_beside_the_writer),
        IN_A_FOLDER(test_readers_only_read),
        IN_A_FOLDER(test_catalogs_of_others),
        IN_A_FOLDER(test_damaged_catalogs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
