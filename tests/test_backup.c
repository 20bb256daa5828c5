/*
 * Copies of a data directory, and files of older versions: a backup taken while jobs run is restored to the same bits,
 * and so is what an older program left behind. The program is its own worker: `test_backup work …`.
 */
#include "server/backup.h"
#include "server/migrate.h"
#include "server/run_migrate.h"
#include "tests/resume_support.h"
#include "tests/scheduler_support.h"

/* "<folder><name>" in a buffer of the caller's frame. */
#define IN(folder, name) in_path(folder, name, (char[PATH_SIZE]){0})
static const char *in_path(const char *folder, const char *name, char *path)
{
    snprintf(path, PATH_SIZE, "%s%s", folder, name);
    return path;
}

static json_t *spec_of_some_seconds(void)
{
    json_t *json = resume_spec(KIND_MLP, 1500);
    json_object_set_new(json, "probe", json_pack("{s:s, s:i}", "schedule", "log", "count", 30));
    json_object_set_new(json, "checkpoint_every", json_integer(100));
    return json;
}

/* Three jobs: one that has ended, one that runs, one that waits. The copy goes on where it was taken. */
static void test_a_backup_under_load_is_restored(void **state)
{
    const char *data = in_folder(state, "data"), *copy = in_folder(state, "copy");
    struct backup_report report = {0};
    struct error err;
    assert_int_equal(mkdir(data, 0700), 0);
    write_pictures(data);
    assert_int_equal(mkdir(IN(data, "/weights"), 0700), 0);
    assert_int_equal(mkdir(IN(data, "/weights/a"), 0700), 0);
    write_npy(IN(data, "/weights/a/file"), "", "12345", 5);
    struct scheduler *scheduler = start(data, self, 1, 3);
    int64_t done = submit_json(scheduler, spec_of_some_seconds());
    await_end(scheduler, done, "finished");
    int64_t runs = submit_json(scheduler, spec_of_some_seconds());
    int64_t waits = submit_json(scheduler, spec_of_some_seconds());
    await_step(scheduler, runs, 2000);
    assert_ok(backup_make(data, copy, &report, &err));
    assert_int_equal(report.jobs, 3);
    assert_int_equal(report.sealed, 1);
    assert_int_equal(report.live, 1);
    assert_int_equal(report.missing, 0);
    assert_int_equal(report.weights, 1);
    assert_int_equal(backup_make(data, copy, &report, &err), STATUS_CONFLICT); /* it is not written over */
    await_end(scheduler, runs, "finished");
    scheduler_stop(scheduler);
    assert_query(IN(copy, "/catalog.db"), "SELECT group_concat(state) FROM (SELECT state FROM job ORDER BY id)",
                 "finished,running,queued");
    assert_query(IN(copy, "/catalog.db"), "PRAGMA integrity_check", "ok");
    assert_query(IN(copy, "/runs/2.db"), "PRAGMA integrity_check", "ok");
    assert_same_run(IN(data, "/runs/1.db"), IN(copy, "/runs/1.db"));
    assert_true(file_exists(IN(copy, "/weights/a/file")));
    /* runs are copied after the catalog: by then it may have come to its end, and need no checkpoint any more */
    int64_t parted = query_integer(IN(copy, "/runs/2.db"), "SELECT count(*) FROM checkpoints");
    write_pictures(copy);
    scheduler = start(copy, self, 2, 3);
    await_end(scheduler, runs, "finished");
    await_end(scheduler, waits, "finished");
    int64_t next = submit_json(scheduler, small_spec("next", 1));
    assert_int_equal(next, waits + 1);
    scheduler_stop(scheduler);
    assert_same_run(IN(data, "/runs/1.db"), IN(copy, "/runs/2.db"));
    assert_same_run(IN(data, "/runs/1.db"), IN(copy, "/runs/3.db"));
    assert_int_equal(query_integer(IN(copy, "/runs/2.db"), "SELECT count(*) FROM log WHERE text LIKE '%goes on%'"),
                     parted);
}

static void test_what_is_no_data_directory_or_in_the_way(void **state)
{
    struct backup_report report;
    struct error err;
    const char *copy = in_folder(state, "copy");
    assert_int_equal(backup_make(in_folder(state, "none"), copy, &report, &err), STATUS_NOT_FOUND);
    assert_says(err.text, "no data directory");
    assert_false(file_exists(copy));
    assert_false(file_exists(in_folder(state, "copy.part"))); /* nothing is left of it */
    scheduler_stop(start(*state, self, 1, 3));
    assert_int_equal(mkdir(in_folder(state, "copy.part"), 0700), 0);
    assert_int_equal(backup_make(*state, copy, &report, &err), STATUS_CONFLICT);
    assert_says(err.text, "copy.part");
    assert_int_equal(rmdir(in_folder(state, "copy.part")), 0);
    assert_int_equal(mkdir(copy, 0700), 0); /* an empty folder may be there */
    assert_ok(backup_make(*state, in_folder(state, "copy//"), &report, &err));
    assert_true(file_exists(in_folder(state, "copy/catalog.db")));
}

/* --- older versions ---------------------------------------------------------------------------------------------- */

/* Makes a database of schema version 1 with what the present one at `from` holds of it, and puts it in its place. */
static void make_old(const char *from, const struct schema *schema)
{
    const struct schema first = {schema->what, schema->application_id, schema->migrations, 1};
    char old[PATH_SIZE], sql[4096];
    sqlite3 *db = NULL;
    sqlite3_stmt *tables = NULL;
    struct error err;
    snprintf(old, sizeof old, "%s.old", from);
    assert_ok(db_open(old, DB_WRITE, &db, &err));
    assert_ok(migrate(db, &first, &err));
    snprintf(sql, sizeof sql, "ATTACH '%s' AS newer", from);
    assert_ok(db_execute(db, sql, &err));
    assert_ok(
        db_prepare(db,
                   "SELECT name, (SELECT group_concat('\"' || c.name || '\"') FROM pragma_table_info(t.name) AS c) "
                   "FROM main.sqlite_schema AS t WHERE type = 'table' AND name <> 'migration' AND name NOT LIKE "
                   "'sqlite%'",
                   &tables, &err));
    for (bool row = true; row;) {
        assert_ok(db_row(tables, &row, &err));
        if (!row)
            break;
        const char *name = (const char *)sqlite3_column_text(tables, 0);
        const char *columns = (const char *)sqlite3_column_text(tables, 1);
        snprintf(sql, sizeof sql, "INSERT INTO main.%s (%s) SELECT %s FROM newer.%s", name, columns, columns, name);
        assert_ok(db_execute(db, sql, &err));
    }
    cleanup_statement(&tables);
    cleanup_db(&db);
    assert_int_equal(rename(old, from), 0);
}

static void test_an_older_program_left_a_run_in_the_middle(void **state)
{
    struct error err;
    int64_t version = 0;
    sqlite3 *db = NULL;
    write_pictures(*state);
    struct scheduler *scheduler = start(*state, self, 2, 3);
    int64_t whole = submit_json(scheduler, spec_of_some_seconds());
    await_end(scheduler, whole, "finished");
    int64_t parts = submit_json(scheduler, spec_of_some_seconds());
    await_step(scheduler, parts, 3000);
    scheduler_stop(scheduler);
    make_old(in_folder(state, "catalog.db"), &catalog_schema);
    make_old(in_folder(state, "runs/1.db"), &run_schema);
    make_old(in_folder(state, "runs/2.db"), &run_schema);
    assert_int_equal(query_integer(in_folder(state, "runs/2.db"), "PRAGMA user_version"), 1);
    scheduler = start(*state, self, 2, 3);
    await_end(scheduler, parts, "finished");
    scheduler_stop(scheduler);
    forget_likeliest(in_folder(state, "runs/1.db"));
    forget_likeliest(in_folder(state, "runs/2.db"));
    assert_same_run(in_folder(state, "runs/1.db"), in_folder(state, "runs/2.db"));
    assert_false(run_files_are_old(*state)); /* the one that had ended was migrated as well */
    assert_int_equal(query_integer(in_folder(state, "runs/1.db"), "PRAGMA user_version"), run_schema.count);
    assert_query(in_folder(state, "runs/1.db"), "PRAGMA journal_mode", "delete");
    assert_ok(db_open(in_folder(state, "catalog.db"), DB_WRITE, &db, &err));
    assert_ok(db_integer(db, "PRAGMA user_version", &version, &err));
    assert_int_equal(version, catalog_schema.count);
    assert_ok(db_execute(db, "PRAGMA user_version = 77", &err)); /* of the future */
    cleanup_db(&db);
    assert_int_equal(
        scheduler_start(&(struct scheduler_settings){.program = self, .data = *state, .workers = 1}, &scheduler, &err),
        STATUS_CONFLICT);
    assert_says(err.text, "version 77");
    char known[32];
    snprintf(known, sizeof known, "up to %zu", catalog_schema.count);
    assert_says(err.text, known);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "work") == 0)
        return command_work(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_a_backup_under_load_is_restored),
        IN_A_FOLDER(test_what_is_no_data_directory_or_in_the_way),
        IN_A_FOLDER(test_an_older_program_left_a_run_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
