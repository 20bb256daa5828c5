/* What the tests of the databases and of the processes share: folders that vanish, queries, specs. */
#ifndef PLUMBLINE_TESTS_STORE_SUPPORT_H
#define PLUMBLINE_TESTS_STORE_SUPPORT_H

#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_util.h"
#include "core/option.h"
#include "core/spec.h"
#include "server/sqlite_util.h"
#include "tests/support.h"

#define PATH_SIZE 512

/* A new folder below $TMPDIR; its path stays in the test's state. */
static inline int make_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(PATH_SIZE);
    assert_non_null(path);
    snprintf(path, PATH_SIZE, "%s/plumbline-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static inline int remove_folder(void **state)
{
    int failed = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

/* "<folder>/<name>" in a buffer of the caller's frame. */
#define in_folder(state, name) path_in((const char *)*(state), name, (char[PATH_SIZE]){0})
static inline const char *path_in(const char *folder, const char *name, char *path)
{
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

/* The first column of the first row, from a connection of its own: what is committed. Fails without a row. */
static inline sqlite3_stmt *query_open(const char *path, const char *sql, sqlite3 **ret_db)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_open_v2(path, ret_db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(*ret_db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        fail_msg("%s: %s: %s", path, sql, sqlite3_errmsg(*ret_db));
    return statement;
}

static inline int64_t query_integer(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement = query_open(path, sql, &db);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static inline double query_number(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement = query_open(path, sql, &db);
    double value = sqlite3_column_double(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

/* "NULL" for NULL. */
static inline void assert_query(const char *path, const char *sql, const char *expected)
{
    sqlite3 *db;
    sqlite3_stmt *statement = query_open(path, sql, &db);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    if (strcmp(text ? text : "NULL", expected) != 0)
        fail_msg("%s: expected %s, found %s", sql, expected, text ? text : "NULL");
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* Puts standard error away, for what children say on it that is no text; unhush gets it back. */
static inline int hush(void)
{
    int own = dup(STDERR_FILENO), away = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(own >= 0 && away >= 0);
    dup2(away, STDERR_FILENO);
    close(away);
    return own;
}

static inline void unhush(int own)
{
    fflush(stderr);
    dup2(own, STDERR_FILENO);
    close(own);
}

/* The sentence names what it should. */
static inline void assert_says(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("expected \"%s\" in \"%s\"", part, text ? text : "(nothing)");
}

static inline struct spec *parse_spec(json_t *json)
{
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    assert_non_null(json);
    assert_ok(problem_list_init(&problems, &err));
    if (spec_parse(json, &spec, &problems, &err) != STATUS_OK)
        fail_msg("%s", json_dumps(problems.items, 0));
    problem_list_clear(&problems);
    json_decref(json);
    return spec;
}

/* A job on synthetic data: 12 features, 3 classes, 256 samples, batches of 32 (8 steps an epoch), two dense layers. */
static inline json_t *small_spec(const char *name, int epochs)
{
    return json_pack("{s:s, s:{s:s, s:i, s:i, s:i, s:i}, s:{s:[{s:s, s:i}, {s:s}, {s:s, s:i, s:s}]}, s:i, s:i, "
                     "s:{s:s, s:i}, s:{s:s, s:f}}",
                     "name", name, "dataset", "name", "synthetic", "classes", 3, "features", 12, "train", 256, "test",
                     64, "model", "layers", "type", "dense", "units", 16, "type", "tanh", "type", "dense", "units", 3,
                     "variant", "affine-like", "batch_size", 32, "epochs", epochs, "probe", "schedule", "every",
                     "every", 1, "optimiser", "name", "sgd", "learning_rate", 0.05);
}

/* Makes such a job diverge within a few steps: nothing in it keeps numbers small any more. */
static inline void let_diverge(json_t *spec)
{
    json_t *layers = json_object_get(json_object_get(spec, "model"), "layers");
    json_object_set_new(json_array_get(layers, 1), "type", json_string("relu"));
    json_object_del(json_array_get(layers, 2), "variant");
    json_object_set_new(json_object_get(spec, "optimiser"), "learning_rate", json_real(1e30));
}

#endif
