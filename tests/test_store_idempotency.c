/* Idempotency keys: the same submission finds its job, another one is refused, and all is forgotten in time. */
#include "server/store.h"
#include "server/store_idempotency.h"
#include "tests/store_support.h"

static sqlite3 *open_store(void **state)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    return db;
}

static int64_t submit(sqlite3 *db, int64_t owner, const char *key, const struct spec *spec)
{
    struct error err;
    int64_t job = -1;
    assert_ok(store_idempotency_find(db, owner, key, spec, &job, &err));
    if (job > 0)
        return job;
    assert_ok(db_begin(db, &err));
    assert_ok(store_job_insert(db, spec, &job, &err));
    assert_ok(store_idempotency_keep(db, owner, key, spec, job, &err));
    assert_ok(db_commit(db, &err));
    return job;
}

static void test_made_once(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    struct spec *one = parse_spec(small_spec("one", 1)), *two = parse_spec(small_spec("two", 1));
    int64_t job = submit(db, 0, "abc", one), never = 0;
    assert_int_equal(submit(db, 0, "abc", one), job);
    assert_int_not_equal(submit(db, 0, "abd", one), job);
    assert_int_not_equal(submit(db, 7, "abc", one), job); /* another token's key is its own */
    assert_string_equal(one->hash, two->hash);            /* the same run, but not the same submission */
    assert_int_equal(store_idempotency_find(db, 0, "abc", two, &never, &err), STATUS_CONFLICT);
    assert_says(err.text, "made job 1 of another spec");
    spec_free(one);
    spec_free(two);
    cleanup_db(&db);
}

static void test_forgotten(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    struct spec *one = parse_spec(small_spec("one", 1)), *two = parse_spec(small_spec("two", 1));
    int64_t job = submit(db, 0, "old", one);
    assert_int_equal(submit(db, 0, "old", one), job);
    assert_ok(db_execute(db, "UPDATE idempotency SET created_at = '2020-01-01T00:00:00.000Z'", &err));
    assert_int_not_equal(submit(db, 0, "old", two), job); /* after a day the key is free */
    assert_ok(db_execute(db, "UPDATE idempotency SET created_at = '2020-01-01T00:00:00.000Z'", &err));
    submit(db, 0, "new", one);
    int64_t rows = 0;
    assert_ok(db_integer(db, "SELECT count(*) FROM idempotency", &rows, &err));
    assert_int_equal(rows, 1);
    assert_ok(db_execute(db, "DELETE FROM job_state; DELETE FROM job", &err)); /* a key goes with its job */
    assert_ok(db_integer(db, "SELECT count(*) FROM idempotency", &rows, &err));
    assert_int_equal(rows, 0);
    spec_free(one);
    spec_free(two);
    cleanup_db(&db);
}

static void test_keys(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    struct spec *one = parse_spec(small_spec("one", 1));
    int64_t job = 0;
    char key[IDEMPOTENCY_MOST_KEY + 2];
    memset(key, 'k', sizeof key);
    key[IDEMPOTENCY_MOST_KEY + 1] = '\0';
    const char *const refused[] = {"", "a b", "a\n", "\x7f", "\xc3\xa4", key};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(store_idempotency_find(db, 0, refused[i], one, &job, &err), STATUS_INVALID);
        assert_says(err.text, "1 to 200 printable ASCII characters");
    }
    assert_ok(store_idempotency_find(db, 0, key + 1, one, &job, &err));
    assert_int_equal(job, 0);
    spec_free(one);
    cleanup_db(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_forgotten, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_keys, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
