/*
 * Reading the catalog: pages that give each job once, many readers beside the writer, and catalogs that are refused.
 */
#include "tests/catalog_support.h"

#include <fcntl.h>
#include <pthread.h>

#include "server/migrate.h"
#include "server/scheduler.h"

/* --- pages ------------------------------------------------------------------------------------------------------- */

enum { OLD_JOBS = 25, NEW_JOBS = 3 };

/* Walks all pages and counts how often each id came; NEW_JOBS are inserted between the first pages. Returns how many
 * could be: there are not always so many pages. */
static int walk(sqlite3 *db, struct job_query query, int seen[])
{
    struct error err;
    char token[64];
    int64_t last = query.ascending ? 0 : INT64_MAX;
    for (int pages = 0; pages < 100; pages++) {
        json_t *page = NULL, *job;
        size_t index;
        assert_ok(store_jobs_json(db, &query, &page, &err));
        const json_t *items = json_object_get(page, "items"), *next = json_object_get(page, "next_page_token");
        json_array_foreach(items, index, job)
        {
            int64_t id = json_integer_value(json_object_get(job, "id"));
            assert_true(query.ascending ? id > last : id < last);
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
        int added = walk(db, (struct job_query){.max_results = sizes[i / 2], .ascending = ascending}, seen);
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
    struct job_query query = {.state = "cancelled", .max_results = 2};
    for (char token[64]; query.max_results > 0;) {
        assert_ok(store_jobs_json(db, &query, &page, &err));
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
    query = (struct job_query){.state = "done", .max_results = 2};
    assert_int_equal(store_jobs_json(db, &query, &page, &err), STATUS_INVALID);
    assert_says(err.text, "no state \"done\"; there are queued, running, paused");
    cleanup_db(&db);
}

static void test_foreign_tokens_are_refused(void **state)
{
    static const char *const tokens[] = {"",
                                         "d",
                                         "d0",
                                         "d-1",
                                         "d 2",
                                         "d2 ",
                                         "d02",
                                         "d+2",
                                         "d2x",
                                         "a2",
                                         "d2.0",
                                         "2",
                                         "D2",
                                         "dd2",
                                         "d0x2",
                                         "null",
                                         "d99999999999999999999",
                                         "d-9223372036854775808",
                                         "6f5902ac-1-2-3"};
    sqlite3 *db = open_catalog(state);
    struct error err;
    json_t *page = NULL;
    for (int i = 0; i < 4; i++)
        insert(db, "job", 0);
    struct job_query query = {.max_results = 2};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        query.page_token = tokens[i];
        if (store_jobs_json(db, &query, &page, &err) != STATUS_INVALID)
            fail_msg("the token \"%s\" is taken", tokens[i]);
        assert_says(err.text, "page_token is not one that this list gave");
    }
    query.page_token = "d2";
    assert_ok(store_jobs_json(db, &query, &page, &err));
    json_decref(page);
    query.ascending = true; /* the same token, another order */
    assert_int_equal(store_jobs_json(db, &query, &page, &err), STATUS_INVALID);
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
        const struct job_query query = {.max_results = 3};
        int64_t counts[JOB_STATE_COUNT];
        if (store_pool_take(pool, &db, &err) != STATUS_OK)
            return (void *)"no connection";
        bool read =
            store_counts(db, counts, &err) == STATUS_OK && store_jobs_json(db, &query, &page, &err) == STATUS_OK;
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
    assert_ok(store_jobs_json(taken[1], &(struct job_query){.max_results = 1}, &page, &err));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_pages_give_each_job_once),   IN_A_FOLDER(test_pages_of_one_state),
        IN_A_FOLDER(test_foreign_tokens_are_refused), IN_A_FOLDER(test_readers_beside_the_writer),
        IN_A_FOLDER(test_readers_only_read),          IN_A_FOLDER(test_catalogs_of_others),
        IN_A_FOLDER(test_damaged_catalogs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
