/* Whole runs for tests, trained as `plumbline run` does, and Python where a test has another reader's word taken. */
#ifndef PLUMBLINE_TESTS_RUNS_H
#define PLUMBLINE_TESTS_RUNS_H

#include "server/json_util.h"
#include "server/run_job.h"
#include "tests/store_support.h"

static inline enum status runs_tell(void *context, const json_t *line, struct error *err)
{
    (void)context;
    (void)line;
    (void)err;
    return STATUS_OK;
}

static inline bool runs_stop(void *context)
{
    (void)context;
    return false;
}

/* Trains a spec (the reference is taken) into a sealed run file. */
static inline void make_run(const char *path, json_t *json)
{
    struct spec *spec = parse_spec(json);
    const char *const folders[] = {NULL};
    const struct run_job job = {.spec = spec,
                                .path = path,
                                .attempt = 1,
                                .data = "/nonexistent",
                                .folders = {.paths = folders},
                                .tell = runs_tell,
                                .stop = runs_stop};
    json_t *end = NULL;
    struct error err;
    assert_ok(run_job(&job, &end, &err));
    if (strcmp(json_string_value(json_object_get(end, "state")), "finished") != 0)
        fail_msg("%s", json_dumps(end, 0));
    json_decref(end);
    spec_free(spec);
}

/* Changes a database by hand. */
static inline void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, sql, &err));
    cleanup_db(&db);
}

/* A Python 3 that has the module, or NULL after saying that what is checked with it is left out. */
static inline const char *find_python(const char *module)
{
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};
    for (int i = 0; i < 2; i++) {
        char command[256];
        snprintf(command, sizeof command, "%s -c 'import sqlite3, %s' 2>/dev/null", pythons[i], module);
        if (system(command) == 0) /* NOLINT(cert-env33-c): a test's own fixed text */
            return pythons[i];
    }
    printf("skipped: no Python 3 with the module %s, so that what it would read is left out\n", module);
    return NULL;
}

/* Runs a command that must succeed. */
static inline void run_command_line(const char *command)
{
    if (system(command) != 0) /* NOLINT(cert-env33-c): a test's own text */
        fail_msg("failed: %s", command);
}

#endif
