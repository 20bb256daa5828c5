/* Tokens: good for their role till they are revoked, never stored, and no other text passes for one. */
#include "core/rng.h"
#include "server/store.h"
#include "server/token.h"
#include "tests/store_support.h"

static sqlite3 *open_store(void **state)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    return db;
}

static void expect_unknown(sqlite3 *db, const char *text)
{
    struct error err;
    int64_t id = -1;
    enum token_role role = ROLE_COUNT;
    if (token_check(db, text, &id, &role, &err) != STATUS_NOT_FOUND)
        fail_msg("%s passes for a token", text);
    assert_string_equal(err.text, "the token is not known, or was revoked");
    assert_true(id == -1 && role == ROLE_COUNT);
}

static void test_roles(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    for (int role = 0; role < ROLE_COUNT; role++) {
        char text[TOKEN_TEXT_SIZE];
        int64_t id = 0, found = 0, count = 0;
        enum token_role found_role = ROLE_COUNT;
        assert_int_equal(token_role_parse(token_role_name((enum token_role)role)), role);
        assert_ok(token_create(db, "one", (enum token_role)role, &id, text, &err));
        assert_ok(token_check(db, text, &found, &found_role, &err));
        assert_int_equal(found, id);
        assert_int_equal(found_role, role);
        assert_ok(token_count(db, ROLE_VIEWER, &count, &err));
        assert_int_equal(count, role + 1);
        assert_ok(token_count(db, ROLE_ADMIN, &count, &err));
        assert_int_equal(count, role == ROLE_ADMIN);
    }
    assert_int_equal(token_role_parse("root"), ROLE_COUNT);
    assert_int_equal(token_role_parse(NULL), ROLE_COUNT);
    cleanup_db(&db);
}

static void test_revoked(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    char text[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE];
    int64_t id = 0, other_id = 0, count = 0;
    enum token_role role;
    assert_ok(token_create(db, "one", ROLE_ADMIN, &id, text, &err));
    assert_ok(token_create(db, "two", ROLE_ADMIN, &other_id, other, &err));
    assert_ok(token_revoke(db, id, &err));
    assert_ok(token_revoke(db, id, &err));
    expect_unknown(db, text);
    assert_ok(token_check(db, other, &other_id, &role, &err));
    assert_ok(token_count(db, ROLE_ADMIN, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(token_revoke(db, 99, &err), STATUS_NOT_FOUND);
    assert_says(err.text, "there is no token 99");
    cleanup_db(&db);
}

/* Every single character matters, and so does the id that stands before. */
static void test_changed_tokens(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    struct rng rng;
    char text[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE], changed[3 * TOKEN_TEXT_SIZE];
    int64_t id = 0;
    rng_seed(&rng, 1, 1);
    assert_ok(token_create(db, "one", ROLE_ADMIN, &id, text, &err));
    assert_ok(token_create(db, "two", ROLE_VIEWER, &id, other, &err));
    for (size_t i = 0; text[i]; i++) {
        for (int k = 0; k < 5; k++) {
            snprintf(changed, sizeof changed, "%s", text);
            do
                changed[i] = (char)(1 + rng_below(&rng, 255));
            while (changed[i] == text[i]);
            expect_unknown(db, changed);
        }
        snprintf(changed, sizeof changed, "%.*s", (int)i, text);
        expect_unknown(db, changed);
    }
    snprintf(changed, sizeof changed, "%s%s", text, "A");
    expect_unknown(db, changed);
    snprintf(changed, sizeof changed, "%s%s", text, text);
    expect_unknown(db, changed);
    snprintf(changed, sizeof changed, "plumbline_2_%s", text + strlen("plumbline_1_"));
    expect_unknown(db, changed);
    snprintf(changed, sizeof changed, "plumbline_01_%s", text + strlen("plumbline_1_"));
    expect_unknown(db, changed);
    snprintf(changed, sizeof changed, "plumbline_99999999999999999999_%s", text + strlen("plumbline_1_"));
    expect_unknown(db, changed);
    expect_unknown(db, "");
    cleanup_db(&db);
}

/* Neither the token nor its secret, as text or as bytes, is in the catalog's files. */
static void test_secret_is_not_kept(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    char text[TOKEN_TEXT_SIZE];
    int64_t id = 0;
    json_t *page = NULL;
    assert_ok(token_create(db, "one", ROLE_ADMIN, &id, text, &err));
    const struct list_query query = {.filter = "role = 'admin'", .max_results = 5};
    assert_ok(list_page(db, &token_list, &query, &page, &err));
    const json_t *item = json_array_get(json_object_get(page, "items"), 0);
    assert_int_equal(json_object_size(item), 6);
    assert_null(json_object_get(item, "hash"));
    json_decref(page);
    const char *secret = text + strlen("plumbline_1_");
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM token WHERE hash LIKE '%%%s%%' OR name LIKE '%%%s%%'", secret,
             secret);
    int64_t found = 1;
    assert_ok(db_integer(db, sql, &found, &err));
    assert_int_equal(found, 0);
    cleanup_db(&db);
    FILE *file = fopen(in_folder(state, "catalog.db"), "rb");
    char bytes[1 << 17];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_null(memmem(bytes, size, secret, strlen(secret)));
}

static void test_last_use(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    char text[TOKEN_TEXT_SIZE];
    int64_t id = 0;
    bool stale = false;
    assert_ok(token_create(db, "one", ROLE_VIEWER, &id, text, &err));
    assert_ok(token_is_stale(db, id, &stale, &err));
    assert_true(stale);
    assert_ok(token_touch(db, id, &err));
    assert_ok(token_is_stale(db, id, &stale, &err));
    assert_false(stale);
    assert_ok(db_execute(db, "UPDATE token SET last_used_at = '2020-01-01T00:00:00.000Z'", &err));
    assert_ok(token_is_stale(db, id, &stale, &err));
    assert_true(stale);
    char name[TOKEN_MOST_NAME + 2];
    memset(name, 'n', sizeof name);
    name[TOKEN_MOST_NAME + 1] = '\0';
    assert_int_equal(token_create(db, name, ROLE_VIEWER, &id, text, &err), STATUS_INVALID);
    cleanup_db(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_roles, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_revoked, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_changed_tokens, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_secret_is_not_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_last_use, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
