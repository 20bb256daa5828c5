/* A catalog in the test's folder, and jobs in it. */
#ifndef PLUMBLINE_TESTS_CATALOG_SUPPORT_H
#define PLUMBLINE_TESTS_CATALOG_SUPPORT_H

#include "server/store.h"
#include "tests/store_support.h"

static inline sqlite3 *open_catalog(void **state)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &db, &err));
    return db;
}

static inline int64_t insert_json(sqlite3 *db, json_t *json)
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

static inline int64_t insert(sqlite3 *db, const char *name, int priority)
{
    json_t *json = small_spec(name, 1);
    json_object_set_new(json, "priority", json_integer(priority));
    return insert_json(db, json);
}

static inline enum status try_change(sqlite3 *db, int64_t id, const struct job_change *change, struct error *err)
{
    enum status status = db_begin(db, err);
    if (status == STATUS_OK)
        status = store_job_change(db, id, change, err);
    if (status == STATUS_OK)
        return db_commit(db, err);
    db_rollback(db);
    return status;
}

static inline void change(sqlite3 *db, int64_t id, enum job_state to)
{
    struct error err;
    assert_ok(try_change(db, id, &(struct job_change){.to = to}, &err));
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
