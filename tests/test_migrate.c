/*
 * Migrations: applied once and in order, recorded with checksums, refused when the file is newer, older in another way,
 * or something else altogether.
 */
#include "server/migrate.h"
#include "tests/store_support.h"

#include <sodium.h>

static const struct migration first_two[] = {
    {1, "one", "CREATE TABLE a (x INTEGER) STRICT;"},
    {2, "two", "ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO a VALUES (1, 'b');"}};
static const struct schema version_1 = {"test file", 0x1234, first_two, 1};
static const struct schema version_2 = {"test file", 0x1234, first_two, 2};

static sqlite3 *open_file(const char *path)
{
    sqlite3 *db;
    struct error err;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    return db;
}

static void test_shipped_schemas(void **state)
{
    const struct schema *const schemas[] = {&catalog_schema, &run_schema};
    struct error err;
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(state, i ? "run.db" : "catalog.db");
        sqlite3 *db = open_file(path);
        assert_ok(migrate(db, schemas[i], &err));
        assert_ok(migrate(db, schemas[i], &err)); /* nothing is left to apply */
        cleanup_db(&db);
        assert_int_equal(query_integer(path, "PRAGMA user_version"), schemas[i]->count);
        assert_int_equal(query_integer(path, "PRAGMA application_id"), schemas[i]->application_id);
        assert_int_equal(query_integer(path, "SELECT count(*) FROM migration"), schemas[i]->count);
        assert_int_equal(
            query_integer(path, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                                "AND sql NOT LIKE '%STRICT%'"),
            0);
    }
}

static void test_checksum_is_of_the_text(void **state)
{
    const char *path = in_folder(state, "x.db");
    struct error err;
    sqlite3 *db = open_file(path);
    assert_ok(migrate(db, &version_1, &err));
    cleanup_db(&db);
    unsigned char hash[32];
    char hex[65];
    crypto_hash_sha256(hash, (const unsigned char *)first_two[0].sql, strlen(first_two[0].sql));
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    assert_query(path, "SELECT checksum FROM migration", hex);
}

static void test_applies_only_what_is_missing(void **state)
{
    const char *path = in_folder(state, "x.db");
    struct error err;
    sqlite3 *db = open_file(path);
    int version = -1;
    assert_ok(migrate_check(db, &version_2, &version, &err));
    assert_int_equal(version, 0);
    assert_ok(migrate(db, &version_1, &err));
    assert_ok(migrate(db, &version_2, &err));
    assert_ok(migrate(db, &version_2, &err));
    assert_ok(migrate_check(db, &version_2, &version, &err));
    assert_int_equal(version, 2);
    cleanup_db(&db);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM a"), 1);
    assert_int_equal(query_integer(path, "PRAGMA user_version"), 2);
}

static void test_newer_is_refused_with_both_numbers(void **state)
{
    struct error err;
    int version;
    sqlite3 *db = open_file(in_folder(state, "x.db"));
    assert_ok(migrate(db, &version_2, &err));
    assert_int_equal(migrate(db, &version_1, &err), STATUS_CONFLICT);
    assert_says(err.text, "schema version 2");
    assert_says(err.text, "versions up to 1");
    assert_int_equal(migrate_check(db, &version_1, &version, &err), STATUS_CONFLICT);
    cleanup_db(&db);
}

static void test_changed_migration_is_refused(void **state)
{
    const struct migration changed[] = {{1, "one", "CREATE TABLE a (x INTEGER, z REAL) STRICT;"}};
    const struct schema schema = {"test file", 0x1234, changed, 1};
    struct error err;
    sqlite3 *db = open_file(in_folder(state, "x.db"));
    assert_ok(migrate(db, &version_1, &err));
    assert_int_equal(migrate(db, &schema, &err), STATUS_CORRUPT);
    assert_says(err.text, "migration 1 (one)");
    assert_ok(db_execute(db, "DELETE FROM migration", &err));
    assert_int_equal(migrate(db, &version_1, &err), STATUS_CORRUPT);
    assert_says(err.text, "is not recorded");
    cleanup_db(&db);
}

static void test_foreign_database_is_refused_and_left_alone(void **state)
{
    const char *path = in_folder(state, "x.db");
    struct error err;
    sqlite3 *db = open_file(path);
    assert_ok(db_execute(db, "CREATE TABLE mine (x)", &err));
    assert_int_equal(migrate(db, &version_1, &err), STATUS_CORRUPT);
    assert_says(err.text, "not a test file");
    assert_ok(db_execute(db, "DROP TABLE mine; PRAGMA application_id = 77", &err));
    assert_int_equal(migrate(db, &version_1, &err), STATUS_CORRUPT);
    cleanup_db(&db);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sqlite_schema"), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 200; i++)
        fputs("this is no database at all\n", file);
    fclose(file);
    assert_int_equal(db_open(path, DB_WRITE, &db, &err) == STATUS_OK ? migrate(db, &version_1, &err) : STATUS_CORRUPT,
                     STATUS_CORRUPT);
    cleanup_db(&db);
}

static void test_failure_leaves_the_version_before(void **state)
{
    const struct migration broken[] = {first_two[0],
                                       {2, "broken", "CREATE TABLE b (x) STRICT; INSERT INTO nowhere VALUES (1);"}};
    const struct schema schema = {"test file", 0x1234, broken, 2};
    const char *path = in_folder(state, "x.db");
    struct error err;
    sqlite3 *db = open_file(path);
    assert_int_not_equal(migrate(db, &schema, &err), STATUS_OK); /* an empty file stays empty */
    assert_says(err.text, "migration 2 (broken)");
    assert_true(sqlite3_get_autocommit(db));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sqlite_schema"), 0);
    assert_ok(migrate(db, &version_1, &err));
    assert_int_not_equal(migrate(db, &schema, &err), STATUS_OK);
    assert_says(err.text, "migration 2 (broken)");
    assert_true(sqlite3_get_autocommit(db));
    cleanup_db(&db);
    assert_int_equal(query_integer(path, "PRAGMA user_version"), 1);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM migration"), 1);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
}

static int count_commit(void *count)
{
    ++*(int *)count;
    return 0;
}

/* Who opens a file while its tables are made finds it empty or whole. */
static void test_an_empty_file_becomes_whole_at_once(void **state)
{
    struct error err;
    int commits = 0;
    sqlite3 *db = open_file(in_folder(state, "x.db"));
    sqlite3_commit_hook(db, count_commit, &commits);
    assert_ok(migrate(db, &version_2, &err));
    assert_int_equal(commits, 1);
    cleanup_db(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shipped_schemas, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_checksum_is_of_the_text, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_an_empty_file_becomes_whole_at_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_applies_only_what_is_missing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_newer_is_refused_with_both_numbers, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_changed_migration_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_foreign_database_is_refused_and_left_alone, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_failure_leaves_the_version_before, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
