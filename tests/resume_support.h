/* What the tests of interruptions share: specs of each kind of network, pictures to train on, runs held equal. */
#ifndef PLUMBLINE_TESTS_RESUME_SUPPORT_H
#define PLUMBLINE_TESTS_RESUME_SUPPORT_H

#include "tests/store_support.h"

/* How often a fault is tried: what every `make test` has time for, or with FAULTS=long the full figure. */
static inline int fault_trials(int few, int many)
{
    const char *asked = getenv("FAULTS");
    return asked && strcmp(asked, "long") == 0 ? many : few;
}

enum network_kind { KIND_MLP, KIND_CNN, KIND_VIT, KIND_COUNT };

/* Networks with all that has a state: running statistics, velocity, positions, several sites. 8 steps an epoch. */
static inline json_t *resume_spec(enum network_kind kind, int epochs)
{
    static const char *const models[KIND_COUNT] = {
        [KIND_MLP] = "[{\"type\":\"flatten\"},{\"type\":\"dense\",\"units\":16,\"variant\":\"batch\"},{\"type\":"
                     "\"tanh\"},{\"type\":\"dense\",\"units\":3,\"variant\":\"affine-like\"}]",
        [KIND_CNN] = "[{\"type\":\"conv\",\"channels\":4,\"kernel\":3,\"padding\":1,\"variant\":\"batch\"},{\"type\":"
                     "\"leaky-relu\"},{\"type\":\"max-pool\",\"size\":2},{\"type\":\"conv\",\"channels\":4,\"kernel\":"
                     "3,\"variant\":\"patch-affine-like\"},{\"type\":\"flatten\"},{\"type\":\"dense\",\"units\":3}]",
        [KIND_VIT] = "[{\"type\":\"patch-embed\",\"patch\":4,\"dim\":8,\"positions\":true},{\"type\":\"residual\","
                     "\"layers\":[{\"type\":\"attention\",\"heads\":2}]},{\"type\":\"mean-tokens\"},{\"type\":"
                     "\"dense\",\"units\":3}]",
    };
    json_error_t fault;
    json_t *layers = json_loads(models[kind], 0, &fault);
    if (!layers)
        fail_msg("%s", fault.text);
    return json_pack("{s:{s:s, s:s}, s:{s:o}, s:i, s:i, s:{s:s, s:i}, s:{s:s, s:f, s:f}, s:i}", "dataset", "name",
                     "npy", "path", "pictures", "model", "layers", layers, "batch_size", 8, "epochs", epochs, "probe",
                     "schedule", "every", "every", 3, "optimiser", "name", "sgd", "learning_rate", 0.02, "momentum",
                     0.9, "checkpoint_every", 5);
}

static inline void write_npy(const char *path, const char *header, const void *bytes, size_t size)
{
    char padded[256];
    unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0};
    snprintf(padded, sizeof padded, "%-117s\n", header);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(start, 1, 10, file) + fwrite(padded, 1, 118, file) + fwrite(bytes, 1, size, file),
                     128 + size);
    assert_int_equal(fclose(file), 0);
}

/* DATA/datasets/pictures: 64 of 1 × 8 × 8 to train on, 16 to test, three classes. */
static inline void write_pictures(const char *data)
{
    enum { TRAIN = 64, TEST = 16, PIXELS = 64 };
    static const char *const folders[] = {"datasets", "datasets/pictures"};
    static const struct {
        const char *name;
        int count;
    } splits[] = {{"train", TRAIN}, {"test", TEST}};
    char path[PATH_SIZE + 64], header[128];
    struct rng rng;
    rng_seed(&rng, 7, 0);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", data, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        float x[TRAIN * PIXELS];
        uint8_t y[TRAIN];
        for (int k = 0; k < splits[i].count; k++) {
            y[k] = (uint8_t)(k % 3);
            for (int p = 0; p < PIXELS; p++)
                x[k * PIXELS + p] = (float)(rng_normal(&rng) + (p % 3 == y[k]));
        }
        snprintf(path, sizeof path, "%s/datasets/pictures/%s_x.npy", data, splits[i].name);
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 8, 8), }",
                 splits[i].count);
        write_npy(path, header, x, (size_t)splits[i].count * PIXELS * sizeof *x);
        snprintf(path, sizeof path, "%s/datasets/pictures/%s_y.npy", data, splits[i].name);
        snprintf(header, sizeof header, "{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }", splits[i].count);
        write_npy(path, header, y, (size_t)splits[i].count);
    }
}

/* --- equal runs ------------------------------------------------------------------------------------------------ */

/* Every row of every step, the sites and the final weights are the same bits; what is left out is a time. */
static inline void assert_same_run(const char *one, const char *other)
{
    static const struct {
        const char *columns, *from; /* what follows the database's name */
    } selects[] = {
        {"step, key, value, nonfinite", "scalars WHERE key NOT IN ('steps_per_second', 'probe_share')"},
        {"*", "divergence"},
        {"*", "divergence_summary"},
        {"*", "divergence_batch"},
        {"*", "density"},
        {"*", "sample_steps"},
        {"*", "sites"},
        {"safetensors", "weights"},
        {"spec_hash, state, steps, parameters", "run"},
    };
    sqlite3 *db;
    char sql[1024], first[200], second[200];
    snprintf(sql, sizeof sql, "ATTACH '%s' AS other", other);
    assert_int_equal(sqlite3_open_v2(one, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof selects / sizeof *selects; i++) {
        sqlite3_stmt *statement;
        snprintf(first, sizeof first, "SELECT %s FROM main.%s", selects[i].columns, selects[i].from);
        snprintf(second, sizeof second, "SELECT %s FROM other.%s", selects[i].columns, selects[i].from);
        snprintf(sql, sizeof sql,
                 "SELECT (SELECT count(*) FROM (%s)), (SELECT count(*) FROM (%s)), (SELECT count(*) FROM (%s EXCEPT "
                 "%s))",
                 first, second, first, second);
        if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        if (sqlite3_column_int64(statement, 0) == 0 ||
            sqlite3_column_int64(statement, 0) != sqlite3_column_int64(statement, 1) ||
            sqlite3_column_int64(statement, 2) != 0)
            fail_msg("%s and %s: %lld and %lld rows, %lld of them differ: %s", one, other,
                     sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                     sqlite3_column_int64(statement, 2), first);
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
}

/* What the likeliest classes were is not told by runs of before there was such a column. */
static inline void forget_likeliest(const char *path)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "UPDATE sample_steps SET likeliest = NULL", &err));
    cleanup_db(&db);
}

#endif
