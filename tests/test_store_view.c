/* Saved views: kept, listed newest first, found by ids that nobody else has. */
#include "server/store.h"
#include "server/store_view.h"
#include "tests/store_support.h"

static sqlite3 *open_store(void **state)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    return db;
}

static void insert(sqlite3 *db, const char *name, const char *page, char ret_id[VIEW_ID_LENGTH + 1])
{
    struct error err;
    json_t *json = json_pack("{s:s, s:[i, i]}", "path", page, "runs", 1, 2);
    assert_ok(store_view_insert(db, name, json, ret_id, &err));
    json_decref(json);
}

static void test_kept_and_deleted(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    char first[VIEW_ID_LENGTH + 1], second[VIEW_ID_LENGTH + 1];
    json_t *view = NULL, *page = NULL;
    insert(db, "mine ä", "/compare", first);
    insert(db, "", "/", second);
    assert_int_equal(strlen(first), VIEW_ID_LENGTH);
    assert_int_equal(strspn(first, "23456789bcdfghjkmnpqrstvwxyz"), VIEW_ID_LENGTH);
    assert_ok(store_view_json(db, first, &view, &err));
    assert_string_equal(json_string_value(json_object_get(view, "id")), first);
    assert_string_equal(json_string_value(json_object_get(view, "name")), "mine ä");
    assert_string_equal(json_string_value(json_object_get(view, "path")), "/compare");
    assert_int_equal(json_string_length(json_object_get(view, "created_at")), 24);
    json_decref(view);
    const struct list_query query = {.max_results = 10};
    assert_ok(list_page(db, &view_list, &query, &page, &err));
    const json_t *items = json_object_get(page, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "id")), second);
    json_decref(page);
    assert_ok(store_view_delete(db, first, &err));
    assert_int_equal(store_view_delete(db, first, &err), STATUS_NOT_FOUND);
    assert_int_equal(store_view_json(db, first, &view, &err), STATUS_NOT_FOUND);
    assert_says(err.text, first);
    cleanup_db(&db);
}

static void test_ids_differ(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    char id[VIEW_ID_LENGTH + 1];
    assert_ok(db_begin(db, &err));
    for (int i = 0; i < 2000; i++)
        insert(db, "x", "/", id); /* the table refuses one that is taken */
    assert_ok(db_commit(db, &err));
    cleanup_db(&db);
}

static void test_bounds(void **state)
{
    sqlite3 *db = open_store(state);
    struct error err;
    char id[VIEW_ID_LENGTH + 1], name[VIEW_MOST_NAME + 2];
    memset(name, 'n', sizeof name);
    name[VIEW_MOST_NAME + 1] = '\0';
    json_t *object = json_object(), *array = json_array();
    assert_int_equal(store_view_insert(db, name, object, id, &err), STATUS_INVALID);
    assert_says(err.text, "at most 200 bytes; found 201");
    assert_ok(store_view_insert(db, name + 1, object, id, &err));
    assert_int_equal(store_view_insert(db, "", array, id, &err), STATUS_INVALID);
    char *text = calloc(1, VIEW_MOST_STATE + 1);
    memset(text, 'x', VIEW_MOST_STATE);
    json_object_set_new(object, "a", json_string(text));
    assert_int_equal(store_view_insert(db, "", object, id, &err), STATUS_INVALID);
    assert_says(err.text, "at most 65536 bytes");
    free(text);
    json_decref(object);
    json_decref(array);
    cleanup_db(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_and_deleted, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_ids_differ, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_bounds, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
