/*
 * The event log: ids without gaps whatever is rolled back, replay from memory and from the catalog, waiting, and many
 * readers beside one writer.
 */
#include "server/events.h"
#include "server/store.h"
#include "tests/store_support.h"

#include <pthread.h>

#include "server/clock.h"

struct log {
    sqlite3 *db;
    struct events *events;
};

static struct log open_log(void **state)
{
    struct log log;
    struct error err;
    assert_ok(store_open(in_folder(state, "catalog.db"), &log.db, &err));
    assert_ok(events_create(log.db, &log.events, &err));
    return log;
}

static void close_log(struct log *log)
{
    events_free(log->events);
    cleanup_db(&log->db);
}

static void append(struct log *log, int count)
{
    struct error err;
    for (int i = 0; i < count; i++) {
        json_t *data = json_pack("{s:i}", "n", i);
        assert_ok(events_append(log->events, "metric", 7, data, &err));
        json_decref(data);
    }
}

/* A committed transaction of so many events. */
static void publish(struct log *log, int count)
{
    struct error err;
    assert_ok(db_begin(log->db, &err));
    append(log, count);
    assert_ok(db_commit(log->db, &err));
    events_publish(log->events);
}

static void expect(struct log *log, int64_t after, int64_t id)
{
    struct event event;
    struct error err;
    assert_ok(events_next(log->events, after, 1000, &event, &err));
    assert_int_equal(event.id, id);
    assert_int_equal(event.job, 7);
    assert_string_equal(event.type, "metric");
    assert_int_equal(event.text[0], '{');
    free(event.text);
}

static void test_ids_have_no_gaps(void **state)
{
    struct log log = open_log(state);
    struct error err;
    struct event event;
    assert_int_equal(events_last(log.events), 0);
    publish(&log, 2);
    assert_ok(db_begin(log.db, &err));
    append(&log, 3);
    assert_int_equal(events_next(log.events, 2, 0, &event, &err), STATUS_BUSY); /* not committed, not seen */
    db_rollback(log.db);
    events_discard(log.events);
    publish(&log, 1);
    assert_int_equal(events_last(log.events), 3);
    for (int64_t id = 1; id <= 3; id++)
        expect(&log, id - 1, id);
    close_log(&log);
    assert_int_equal(query_integer(in_folder(state, "catalog.db"), "SELECT count(*) = max(id) FROM event"), 1);
    log = open_log(state); /* another daemon goes on with the next id */
    assert_int_equal(events_last(log.events), 3);
    publish(&log, 1);
    expect(&log, 0, 1);
    expect(&log, 3, 4);
    close_log(&log);
}

static void test_replay_from_the_catalog(void **state)
{
    enum { MANY = 3000 }; /* more than are kept in memory */
    struct log log = open_log(state);
    publish(&log, MANY);
    for (int64_t id = 1; id <= MANY; id++)
        expect(&log, id - 1, id);
    close_log(&log);
}

static void test_what_is_not_kept_is_told(void **state)
{
    struct log log = open_log(state);
    struct event event;
    struct error err;
    assert_int_equal(events_next(log.events, 5, 0, &event, &err), STATUS_NOT_FOUND); /* of another catalog */
    publish(&log, 3000);
    assert_ok(db_execute(log.db, "DELETE FROM event WHERE id < 1500", &err)); /* as if trimmed in between */
    assert_int_equal(events_next(log.events, 100, 0, &event, &err), STATUS_NOT_FOUND);
    expect(&log, 1499, 1500);
    assert_int_equal(events_next(log.events, -1, 0, &event, &err), STATUS_NOT_FOUND);
    close_log(&log);
}

static void test_old_events_are_trimmed(void **state)
{
    struct log log = open_log(state);
    struct event event;
    struct error err;
    char old[CLOCK_TEXT_SIZE], sql[128];
    publish(&log, 500);
    snprintf(sql, sizeof sql, "UPDATE event SET at = '%s' WHERE id <= 400", clock_ago(25 * 3600, old));
    assert_ok(db_execute(log.db, sql, &err));
    publish(&log, 1000);
    assert_int_equal(query_integer(in_folder(state, "catalog.db"), "SELECT min(id) FROM event"), 401);
    assert_int_equal(events_next(log.events, 399, 0, &event, &err), STATUS_NOT_FOUND);
    expect(&log, 400, 401);
    snprintf(sql, sizeof sql, "UPDATE event SET at = '%s'", old); /* all are old: the newest stays */
    assert_ok(db_execute(log.db, sql, &err));
    close_log(&log);
    log = open_log(state);
    assert_ok(db_execute(log.db, "DELETE FROM event WHERE id < 1500", &err));
    publish(&log, 1);
    assert_int_equal(events_last(log.events), 1501);
    close_log(&log);
}

static void test_the_count_is_bounded(void **state)
{
    struct log log = open_log(state);
    struct error err;
    assert_ok(db_execute(log.db,
                         "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100500) "
                         "INSERT INTO event SELECT i, '9999', 'log', 0, '{}' FROM n",
                         &err));
    close_log(&log);
    log = open_log(state);
    publish(&log, 1000);
    assert_int_equal(query_integer(in_folder(state, "catalog.db"), "SELECT count(*) FROM event"), 100000);
    assert_int_equal(events_last(log.events), 101500);
    close_log(&log);
}

static void test_waiting(void **state)
{
    struct log log = open_log(state);
    struct event event;
    struct error err;
    double start = clock_seconds();
    assert_int_equal(events_next(log.events, 0, 150, &event, &err), STATUS_BUSY);
    double passed = clock_seconds() - start;
    assert_true(passed >= 0.149);
    events_stop(log.events);
    assert_int_equal(events_next(log.events, 0, 60000, &event, &err), STATUS_STOPPED);
    close_log(&log);
}

enum { READERS = 4, ROUNDS = 100, EACH = 20, ALL = ROUNDS * EACH };

/* Reads all that will come; the id it got to, or -1 where something was missing or doubled. */
static void *read_all(void *context)
{
    struct events *events = context;
    struct event event;
    struct error err;
    int64_t after = 0;
    for (int waits = 0; after < ALL && waits < 3000;) {
        enum status status = events_next(events, after, 20, &event, &err);
        if (status == STATUS_BUSY) {
            waits++;
            continue;
        }
        if (status != STATUS_OK || event.id != after + 1)
            return (void *)(intptr_t)-1;
        after = event.id;
        free(event.text);
    }
    return (void *)(intptr_t)after;
}

/* Waits for what never comes. */
static void *wait_for_stop(void *context)
{
    struct event event;
    struct error err;
    return (void *)(intptr_t)events_next(context, ALL, 60000, &event, &err);
}

static void test_readers_beside_the_writer(void **state)
{
    struct log log = open_log(state);
    pthread_t readers[READERS], waiter;
    void *last;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, log.events), 0);
    for (int i = 0; i < ROUNDS; i++)
        publish(&log, EACH);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i], &last);
        assert_int_equal((intptr_t)last, ALL);
    }
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_stop, log.events), 0);
    events_stop(log.events);
    pthread_join(waiter, &last);
    assert_int_equal((intptr_t)last, STATUS_STOPPED);
    close_log(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ids_have_no_gaps, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_replay_from_the_catalog, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_is_not_kept_is_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_old_events_are_trimmed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_the_count_is_bounded, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_waiting, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_readers_beside_the_writer, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
