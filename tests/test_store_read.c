/*
 * Reading the catalog: pages that give each job once, many readers beside the writer, and catalogs that are refused.
 */
#include "tests/catalog_support.h"

#include <fcntl.h>
#include <pthread.h>

#include "core/json_text.h"
#include "server/migrate.h"
#include "server/scheduler.h"

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

/*
 * A token is good for the list, the filter and the order that it came with (test_filter has all that a token may be).
 */
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

/* What a page shows of a job is what the job alone shows, byte for byte, whatever its texts hold. */
static void test_an_item_is_what_the_job_is(void **state)
{
    static const char *const texts[] = {
        "", "plain", "\"quoted\" \\ /", "tab\t, line\n, bell\x07, delete\x7f", "Größe ∇ 📏", "</script>"};
    enum { COUNT = sizeof texts / sizeof *texts };
    sqlite3 *db = open_catalog(state);
    struct error err;
    for (int i = 0; i < COUNT; i++) {
        json_t *tags = json_pack("[s, s]", texts[i], "second");
        const struct job_patch patch = {.name = texts[i], .note = texts[COUNT - 1 - i], .tags = tags};
        insert(db, "job", 0);
        assert_ok(store_job_patch(db, i + 1, &patch, &err));
        json_decref(tags);
    }
    char *text = NULL;
    size_t size = 0, at = strlen("{\"items\":[");
    assert_ok(
        list_page_text(db, &job_list, &(struct list_query){.order_by = "id", .max_results = 99}, &text, &size, &err));
    for (int i = 0; i < COUNT; i++) {
        json_t *job = NULL;
        assert_ok(store_job_json(db, i + 1, &job, &err));
        assert_string_equal(json_string_value(json_object_get(job, "name")), texts[i]);
        assert_string_equal(json_string_value(json_array_get(json_object_get(job, "tags"), 0)), texts[i]);
        char *alone = json_text(job, JSON_COMPACT);
        assert_true(size - at > strlen(alone));
        assert_memory_equal(text + at, alone, strlen(alone));
        at += strlen(alone) + 1; /* the comma */
        free(alone);
        json_decref(job);
    }
    free(text);
    cleanup_db(&db);
}

/* A stored text that is none is an error that names the job, and never half an answer. */
static void test_damaged_rows_are_told(void **state)
{
    static const char *const damages[] = {"spec = 'nonsense'", "results = '{'", "tags = ''",
                                          "name = CAST(x'ff' AS TEXT)"};
    struct error err;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char name[16], sql[80];
        json_t *json = NULL;
        snprintf(name, sizeof name, "%zu.db", i);
        sqlite3 *db = NULL;
        assert_ok(store_open(in_folder(state, name), &db, &err));
        insert(db, "good", 0);
        insert(db, "bad", 0);
        snprintf(sql, sizeof sql, "UPDATE job SET %s WHERE id = 2", damages[i]);
        assert_ok(db_execute(db, sql, &err));
        assert_int_equal(list_page(db, &job_list, &(struct list_query){.max_results = 9}, &json, &err), STATUS_CORRUPT);
        assert_says(err.text, "jobs, 2: ");
        assert_int_equal(store_job_json(db, 2, &json, &err), STATUS_CORRUPT);
        assert_says(err.text, "job 2: ");
        cleanup_db(&db);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_pages_give_each_job_once),   IN_A_FOLDER(test_pages_of_one_state),
        IN_A_FOLDER(test_foreign_tokens_are_refused), IN_A_FOLDER(test_the_trash_is_a_list_of_its_own),
        IN_A_FOLDER(test_an_item_is_what_the_job_is), IN_A_FOLDER(test_damaged_rows_are_told),
        IN_A_FOLDER(test_readers_beside_the_writer),  IN_A_FOLDER(test_readers_only_read),
        IN_A_FOLDER(test_catalogs_of_others),         IN_A_FOLDER(test_damaged_catalogs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
