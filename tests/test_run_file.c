/*
 * A run's database: what the writer is told comes back from SQL and from the reader, only what is committed is seen,
 * two attempts never meet, pages cover everything once, and pooled figures are those of all values together.
 */
#include "core/rng.h"
#include "server/json_util.h"
#include "server/migrate.h"
#include "server/run_file.h"
#include "tests/store_support.h"

#include <fcntl.h>

enum { SITES = 3, STEPS = 5, SAMPLES = 16, WATCHED = 2, ROWS = SAMPLES + WATCHED };

static const struct site_info sites[SITES] = {
    {"0.dense", "dense", NULL, "affine", 40, {1, {4}}, {1, {8}}},
    {"2.conv", "conv", NULL, "patch-l2", 100, {3, {1, 28, 28}}, {3, {2, 14, 14}}},
    {"3.attention.q", "attention", "q", NULL, 10, {2, {7, 4}}, {2, {7, 4}}},
};
static const struct training_plan plan = {STEPS, STEPS, 1, STEPS, 150, sites, SITES};

/* A value of a run, the same whenever it is asked for: signed, over several decades, undefined now and then. */
static double value_of(size_t site, size_t step, size_t row, int column)
{
    struct rng rng;
    rng_seed(&rng, site * 1000003 + step * 1009 + row, (uint64_t)column);
    if (column == COLUMN_NETWORK_SCALE)
        return NAN; /* a column that no site has */
    if (column == COLUMN_SCALE && rng_uniform(&rng) < 0.1)
        return NAN;
    if (column == COLUMN_COSINE)
        return 2 * rng_uniform(&rng) - 1;
    return rng_normal(&rng) * pow(10, 4 * rng_uniform(&rng) - 2);
}

static uint32_t sample_of(size_t step, size_t row)
{
    return (uint32_t)((row * 7 + step * 3) % 1000); /* in no order, each once */
}

/* What a probe would tell, made from value_of. */
struct told {
    struct divergence_row rows[ROWS];
    uint32_t samples[ROWS];
    struct column_summary summaries[COLUMN_COUNT];
    uint8_t histograms[COLUMN_COUNT][SAMPLES * 6];
    uint8_t densities[DENSITY_COUNT][SAMPLES * 8];
    struct site_measurement measurement;
};

static void make_measurement(struct told *told, size_t site, size_t step)
{
    double scratch[SAMPLES];
    uint32_t bins[SAMPLES];
    struct site_measurement *m = &told->measurement;
    *m = (struct site_measurement){.step = step,
                                   .site = site,
                                   .samples = told->samples,
                                   .rows = told->rows,
                                   .row_count = ROWS,
                                   .batch_rows = SAMPLES,
                                   .batch_size = SAMPLES,
                                   .summaries = told->summaries,
                                   .figures = {(double)step, 0.5, NAN, 0.25}};
    for (size_t row = 0; row < ROWS; row++) {
        told->samples[row] = sample_of(step, row);
        for (int column = 0; column < COLUMN_COUNT; column++)
            told->rows[row].values[column] = value_of(site, step, row, column);
    }
    for (int column = 0; column < COLUMN_COUNT; column++) {
        const double *values = &told->rows[0].values[column];
        column_summarise(values, COLUMN_COUNT, SAMPLES, scratch, &told->summaries[column]);
        m->histograms[column] = told->histograms[column];
        if (column != COLUMN_NETWORK_SCALE)
            m->histogram_sizes[column] = histogram_encode(values, COLUMN_COUNT, SAMPLES, told->histograms[column]);
    }
    for (int pair = 0; pair < DENSITY_COUNT; pair++) {
        m->densities[pair] = told->densities[pair];
        m->density_sizes[pair] =
            density_encode((enum density_pair)pair, told->rows, SAMPLES, told->densities[pair], bins);
    }
}

static struct run_writer *open_writer(const char *path, int attempt)
{
    const struct run_identity identity = {
        .spec_text = "{}", .spec_hash = "abc", .name = "a run", .attempt = attempt, .threads = 2};
    struct run_writer *writer;
    struct error err;
    assert_ok(run_writer_open(path, &identity, &writer, &err));
    return writer;
}

static void write_step(struct run_writer *writer, size_t step)
{
    struct told told;
    struct error err;
    double losses[ROWS];
    uint32_t labels[ROWS], predicted[ROWS];
    bool in_batch[ROWS];
    make_measurement(&told, 0, step);
    for (size_t row = 0; row < ROWS; row++) {
        losses[row] = row == 3 ? INFINITY : 0.1 * (double)row;
        labels[row] = (uint32_t)row % 10;
        predicted[row] = (uint32_t)(row + 1) % 10;
        in_batch[row] = row < SAMPLES;
    }
    const uint32_t classes[2 * ROWS] = {7, 300};
    const float probabilities[2 * ROWS] = {0.75F, 0.125F};
    const struct step_samples samples = {step,     told.samples, losses, labels,  predicted,
                                         in_batch, ROWS,         2,      classes, probabilities};
    assert_ok(run_writer_samples(writer, &samples, &err));
    for (size_t site = 0; site < SITES; site++) {
        make_measurement(&told, site, step);
        assert_ok(run_writer_measurement(writer, &told.measurement, &err));
    }
    assert_ok(run_writer_scalar(writer, step, "train/loss", 1.0 / (double)step, &err));
}

/* A whole run at `path`, sealed. */
static void write_run(const char *path)
{
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_ok(run_writer_plan(writer, &plan, &err));
    for (size_t step = 1; step <= STEPS; step++)
        write_step(writer, step);
    assert_ok(run_writer_log(writer, "info", "one", &err));
    assert_ok(run_writer_log(writer, "warning", "two", &err));
    assert_ok(run_writer_log(writer, "info", "three", &err));
    assert_ok(run_writer_checkpoint(writer, 2, "old", 3, &err));
    assert_ok(run_writer_checkpoint(writer, 4, "newer", 5, &err));
    assert_ok(run_writer_weights(writer, "tensors", 7, &err));
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
}

static struct run_reader *open_reader(const char *path)
{
    struct run_reader *reader;
    struct error err;
    assert_ok(run_reader_open(path, &reader, &err));
    return reader;
}

static struct divergence_query any(void)
{
    return (struct divergence_query){.sample = -1};
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void test_tables(void **state)
{
    const char *path = in_folder(state, "a b%20?#.db"); /* characters that mean something in a URI */
    write_run(path);
    assert_true(file_exists(path));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * STEPS * ROWS);
    assert_query(path, "SELECT state || attempt || threads || steps || epochs || probed_steps || parameters FROM run",
                 "finished12515150");
    assert_query(path, "SELECT blas_kernel != '' AND version != '' AND build != '' AND ended_at >= started_at FROM run",
                 "1");
    assert_query(path, "SELECT input || output || type || ifnull(variant, '-') FROM sites WHERE name = '2.conv'",
                 "[1,28,28][2,14,14]convpatch-l2");
    assert_query(path, "SELECT part FROM sites WHERE site = 2", "q");
    assert_query(path, "SELECT variant FROM sites WHERE site = 2", "NULL");
    assert_query(path, "SELECT group_concat(level || text) FROM log", "infoone,warningtwo,infothree");
    assert_query(path, "SELECT group_concat(step || CAST(substr(state, 1, 5) AS TEXT)) FROM checkpoints", "4newer");
    assert_query(path, "SELECT safetensors FROM weights", "tensors");
    assert_query(path, "SELECT loss FROM sample_steps WHERE step = 1 ORDER BY loss IS NOT NULL", "NULL");
    assert_int_equal(query_integer(path, "SELECT sum(in_batch) FROM sample_steps"), SAMPLES * STEPS);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence_by_name WHERE site = '3.attention.q'"),
                     STEPS * ROWS);
    assert_query(path, "SELECT count(*) FROM divergence WHERE network_scale IS NOT NULL", "0");
    assert_query(path, "SELECT count(*) FROM divergence_summary WHERE \"column\" = 'network_scale'", "0");
    assert_query(path, "SELECT predicted_decrease FROM divergence_batch", "NULL");
}

static void test_values_come_back(void **state)
{
    const char *path = in_folder(state, "run.db");
    write_run(path);
    for (size_t row = 0; row < ROWS; row++) {
        char sql[256];
        for (int column = 0; column < COLUMN_COUNT; column++) {
            double expected = value_of(1, 2, row, column);
            snprintf(sql, sizeof sql, "SELECT %s FROM divergence WHERE site = 1 AND step = 2 AND sample = %u",
                     divergence_columns[column].name, sample_of(2, row));
            if (isnan(expected))
                assert_query(path, sql, "NULL");
            else if (query_number(path, sql) != expected)
                fail_msg("%s: not %.17g", sql, expected);
        }
    }
}

static void test_scalars_that_are_not_finite(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    const double values[] = {1.5, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++)
        assert_ok(run_writer_scalar(writer, i + 1, "loss", values[i], &err));
    assert_ok(run_writer_scalar(writer, 1, "loss", 2.5, &err)); /* told again: the newer one counts */
    assert_ok(run_writer_seal(writer, "diverged", "not finite", &err));
    assert_query(path, "SELECT group_concat(ifnull(value, '-') || ifnull(nonfinite, '-')) FROM scalars",
                 "2.5-,-NaN,-Infinity,--Infinity");
    assert_query(path, "SELECT state || ': ' || reason FROM run", "diverged: not finite");
    struct run_reader *reader = open_reader(path);
    json_t *json;
    const char *const keys[] = {"loss", "unknown", NULL};
    assert_ok(run_reader_metrics(reader, keys, 0, &json, &err));
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"series\":[{\"key\":\"loss\",\"shown\":4,\"of\":4,\"steps\":[1,2,3,4],\"values\":[2.5,"
                              "\"NaN\",\"Infinity\",\"-Infinity\"]},{\"key\":\"unknown\",\"shown\":0,\"of\":0,"
                              "\"steps\":[],\"values\":[]}]}");
    free(text);
    json_decref(json);
    run_reader_close(reader);
}

static void test_only_the_committed_is_seen(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_ok(run_writer_plan(writer, &plan, &err));
    write_step(writer, 1);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), 0);
    assert_ok(run_writer_commit(writer, &err));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * ROWS);
    write_step(writer, 2);
    assert_ok(run_writer_close(writer, &err)); /* commits; the run is not over */
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * ROWS * 2);
    assert_query(path, "SELECT state FROM run", "running");
}

static void test_two_attempts_never_meet(void **state)
{
    const char *path = in_folder(state, "run.db");
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = "abc", .attempt = 2};
    struct run_writer *first = open_writer(path, 1), *second = NULL;
    struct error err;
    assert_ok(run_writer_plan(first, &plan, &err));
    write_step(first, 1);
    assert_int_equal(run_writer_open(path, &identity, &second, &err), STATUS_BUSY);
    assert_says(err.text, "another process");
    assert_int_equal(run_file_seal(path, "failed", NULL, &err), STATUS_BUSY);
    assert_ok(run_writer_close(first, &err));
    second = open_writer(path, 2);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"),
                     0); /* without a checkpoint it starts over */
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sites"), 0);
    assert_query(path, "SELECT attempt FROM run", "2");
    assert_ok(run_writer_close(second, &err));
    assert_ok(run_file_seal(path, "cancelled", "enough", &err));
    assert_query(path, "SELECT state || attempt || reason FROM run", "cancelled2enough");
    assert_false(file_exists(in_folder(state, "run.db.lock")));
}

/* Every table that has steps holds those up to the checkpoint and no others; the log stays, and the first start. */
static void test_an_attempt_goes_on_from_the_checkpoint(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    uint8_t *bytes = NULL;
    size_t step = 0, size = 0;
    assert_ok(run_writer_plan(writer, &plan, &err));
    for (size_t i = 1; i <= STEPS; i++) {
        write_step(writer, i);
        if (i == 3)
            assert_ok(run_writer_checkpoint(writer, 3, "weights", 7, &err));
    }
    assert_ok(run_writer_log(writer, "info", "lost steps", &err));
    assert_ok(run_writer_close(writer, &err));
    writer = open_writer(path, 2);
    static const char *const tables[] = {"scalars",          "divergence", "divergence_summary",
                                         "divergence_batch", "density",    "sample_steps"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(DISTINCT step) || '-' || max(step) FROM %s", tables[i]);
        assert_query(path, sql, "3-3");
    }
    assert_query(path, "SELECT attempt || state || (SELECT count(*) FROM sites) FROM run", "2running3");
    assert_query(path, "SELECT text FROM log", "lost steps");
    assert_ok(run_writer_checkpoint_read(writer, &step, &bytes, &size, &err));
    assert_int_equal(step, 3);
    assert_int_equal(size, 7);
    assert_memory_equal(bytes, "weights", 7);
    free(bytes);
    json_t *results = json_object();
    assert_ok(run_writer_results(writer, results, &err));
    assert_float_equal(json_number_value(json_object_get(results, "train/loss")), 1.0 / 3, 1e-15);
    assert_int_equal(json_object_size(json_object_get(results, "median_scale")), SITES);
    json_decref(results);
    assert_ok(run_writer_close(writer, &err));
}

/* No other spec, no torn checkpoint and no attempt that is to start over goes on from what is there. */
static void test_an_attempt_that_cannot_go_on_starts_over(void **state)
{
    static const char *const damages[] = {NULL, "UPDATE checkpoints SET state = substr(state, 1, 12)",
                                          "UPDATE checkpoints SET state = CAST('v' || substr(state, 2) AS BLOB)",
                                          "UPDATE run SET spec_hash = 'other'"};
    const char *path = in_folder(state, "run.db");
    struct error err;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct run_writer *writer = open_writer(path, 1);
        sqlite3 *db;
        assert_ok(run_writer_plan(writer, &plan, &err));
        write_step(writer, 1);
        assert_ok(run_writer_checkpoint(writer, 1, "weights", 7, &err));
        assert_ok(run_writer_close(writer, &err));
        assert_ok(db_open(path, DB_WRITE, &db, &err));
        assert_ok(db_execute(db, damages[i] ? damages[i] : "SELECT 1", &err));
        cleanup_db(&db);
        const struct run_identity identity = {
            .spec_text = "{}", .spec_hash = "abc", .attempt = 2, .anew = damages[i] == NULL};
        assert_ok(run_writer_open(path, &identity, &writer, &err));
        assert_query(path,
                     "SELECT (SELECT count(*) FROM divergence) + (SELECT count(*) FROM scalars) + (SELECT count(*) "
                     "FROM checkpoints) + (SELECT count(*) FROM sites)",
                     "0");
        if (damages[i] && strstr(damages[i], "checkpoints"))
            assert_int_equal(query_integer(path, "SELECT count(*) FROM log WHERE text LIKE '%torn%starts over'"), 1);
        assert_ok(run_writer_close(writer, &err));
        assert_int_equal(unlink(path), 0);
    }
}

static void test_sealed_is_one_file(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    assert_true(file_exists(in_folder(state, "run.db-wal")));
    assert_true(file_exists(in_folder(state, "run.db.lock")));
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_false(file_exists(in_folder(state, "run.db-wal")));
    assert_false(file_exists(in_folder(state, "run.db-shm")));
    assert_false(file_exists(in_folder(state, "run.db.lock")));
    assert_query(path, "PRAGMA journal_mode", "delete");
    /* a reader that stays open keeps the file from being sealed, not from being complete */
    writer = open_writer(path, 2);
    struct run_reader *reader = open_reader(path);
    json_t *json;
    assert_ok(run_reader_log(reader, 1, &json, &err));
    json_decref(json);
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_query(path, "SELECT state || attempt FROM run", "finished2");
    run_reader_close(reader);
    assert_ok(run_file_seal(path, "finished", NULL, &err));
    assert_query(path, "PRAGMA journal_mode", "delete");
}

/* Each sample's strongest others, the sum of the rest as −1, and NULL where nothing is defined. */
static void test_contributors(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    static const uint32_t samples[] = {7, 9}, others[] = {9, 4, 7, 4};
    static const double parts[] = {-2.5, 1.25, NAN, NAN}, rest[] = {0.5, NAN};
    const struct site_contributors contributors = {3, 1, samples, 2, 2, others, parts, rest};
    assert_ok(run_writer_plan(writer, &plan, &err));
    assert_ok(run_writer_contributors(writer, &contributors, &err));
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM contributors WHERE site = 1 AND step = 3"), 6);
    assert_int_equal(query_integer(path, "SELECT 100 * part FROM contributors WHERE sample = 7 AND other = 9"), -250);
    assert_int_equal(query_integer(path, "SELECT 100 * part FROM contributors WHERE sample = 7 AND other = -1"), 50);
    assert_int_equal(query_integer(path, "SELECT count(part) FROM contributors WHERE sample = 9"), 0);
}

static void test_files_that_are_refused(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct run_reader *reader = NULL;
    struct error err;
    assert_int_equal(run_reader_open(path, &reader, &err), STATUS_NOT_FOUND);
    close(open(path, O_CREAT | O_WRONLY, 0600)); /* a worker that has only just begun */
    assert_int_equal(run_reader_open(path, &reader, &err), STATUS_NOT_FOUND);
    write_run(path);
    sqlite3 *db;
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "PRAGMA user_version = 9", &err));
    cleanup_db(&db);
    assert_int_equal(run_reader_open(path, &reader, &err), STATUS_CONFLICT);
    assert_says(err.text, "version 9");
    char known[32];
    snprintf(known, sizeof known, "up to %zu", run_schema.count);
    assert_says(err.text, known);
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = "abc", .attempt = 2};
    struct run_writer *writer;
    assert_int_equal(run_writer_open(path, &identity, &writer, &err), STATUS_CONFLICT);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), SITES * STEPS * ROWS);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void test_sites_run_log_and_weights(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    assert_ok(run_reader_sites(reader, &json, &err));
    assert_int_equal(json_array_size(json_object_get(json, "sites")), SITES);
    json_t *conv = json_array_get(json_object_get(json, "sites"), 1);
    char *text = json_dumps(conv, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"index\":1,\"name\":\"2.conv\",\"type\":\"conv\",\"part\":null,\"variant\":\"patch-l2\","
                        "\"parameters\":100,\"input\":[1,28,28],\"output\":[2,14,14]}");
    free(text);
    assert_int_equal(json_array_size(json_object_get(json, "steps")), STEPS);
    assert_int_equal(json_array_size(json_object_get(json, "columns")), COLUMN_COUNT);
    assert_int_equal(json_integer_value(json_object_get(json, "samples")), SAMPLES);
    json_decref(json);
    assert_ok(run_reader_log(reader, 2, &json, &err));
    const json_t *items = json_object_get(json, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "text")), "two");
    json_decref(json);
    assert_ok(run_reader_run(reader, &json, &err));
    assert_string_equal(json_string_value(json_object_get(json, "state")), "finished");
    assert_true(json_is_null(json_object_get(json, "reason")));
    json_decref(json);
    uint8_t *bytes;
    size_t size;
    assert_ok(run_reader_weights(reader, &bytes, &size, &err));
    assert_int_equal(size, 7);
    assert_memory_equal(bytes, "tensors", 7);
    free(bytes);
    run_reader_close(reader);
}

static void test_thinned_series(void **state)
{
    enum { COUNT = 10000, POINTS = 100 };
    const char *path = in_folder(state, "run.db");
    struct run_writer *writer = open_writer(path, 1);
    struct error err;
    json_t *json;
    for (size_t i = 1; i <= COUNT; i++) {
        double value = i == 4321 ? 1e6 : i == 7777 ? -1e6 : sin((double)i);
        assert_ok(run_writer_scalar(writer, i, "a", value, &err));
        assert_ok(run_writer_scalar(writer, i, "b", i == 5000 ? NAN : 1, &err));
    }
    assert_ok(run_writer_seal(writer, "finished", NULL, &err));
    struct run_reader *reader = open_reader(path);
    for (size_t points = 1; points <= POINTS; points++) {
        assert_ok(run_reader_metrics(reader, NULL, points, &json, &err));
        for (size_t s = 0; s < 2; s++) {
            const json_t *series = json_array_get(json_object_get(json, "series"), s);
            const json_t *steps = json_object_get(series, "steps");
            size_t shown = json_array_size(steps);
            assert_int_equal(json_array_size(json_object_get(series, "values")), shown);
            assert_int_equal(json_integer_value(json_object_get(series, "shown")), shown);
            assert_int_equal(json_integer_value(json_object_get(series, "of")), COUNT);
            assert_in_range(shown, 1, points);
            assert_int_equal(json_integer_value(json_array_get(steps, shown - 1)), COUNT);
            if (points > 1)
                assert_int_equal(json_integer_value(json_array_get(steps, 0)), 1);
            for (size_t i = 1; i < shown; i++)
                assert_true(json_integer_value(json_array_get(steps, i)) >
                            json_integer_value(json_array_get(steps, i - 1)));
        }
        char *text = json_dumps(json, JSON_COMPACT);
        if (points >= 4) { /* the extremes stay */
            assert_says(text, ",4321,");
            assert_says(text, ",7777,");
        }
        if (points >= 5)
            assert_says(text, "\"NaN\"");
        free(text);
        json_decref(json);
    }
    run_reader_close(reader);
}

/* Pages of a query put together; the number of items. Fails where a page is too long or a site, step, sample comes out
 * of order. */
static size_t count_by_pages(struct run_reader *reader, struct divergence_query query,
                             enum status (*read)(struct run_reader *, const struct divergence_query *, json_t **,
                                                 struct error *))
{
    char token[128] = "", last[256] = "";
    size_t count = 0;
    for (;;) {
        struct error err;
        json_t *page;
        query.page_token = *token ? token : NULL;
        assert_ok(read(reader, &query, &page, &err));
        const json_t *items = json_object_get(page, "items");
        assert_true(json_array_size(items) <= query.max_results);
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *item = json_array_get(items, i);
            char key[256];
            const char *site = json_string_value(json_object_get(item, "site"));
            const char *column = json_string_value(json_object_get(item, "column"));
            snprintf(key, sizeof key, "%s %02d %06lld %06lld", site, column ? (int)divergence_column(column) : 0,
                     (long long)json_integer_value(json_object_get(item, "step")),
                     (long long)json_integer_value(json_object_get(item, "sample")));
            assert_true(strcmp(key, last) > 0);
            memcpy(last, key, sizeof last);
        }
        count += json_array_size(items);
        const char *next = json_string_value(json_object_get(page, "next_page_token"));
        snprintf(token, sizeof token, "%s", next ? next : "");
        json_decref(page);
        if (!*token)
            return count;
    }
}

static void test_pages_cover_everything_once(void **state)
{
    const char *path = in_folder(state, "run.db");
    write_run(path);
    struct run_reader *reader = open_reader(path);
    for (size_t size = 1; size < 300; size = size * 2 + 1) {
        struct divergence_query query = any();
        query.max_results = size;
        assert_int_equal(count_by_pages(reader, query, run_reader_rows), SITES * STEPS * ROWS);
        assert_int_equal(count_by_pages(reader, query, run_reader_summaries), SITES * STEPS * (COLUMN_COUNT - 1));
        query.pooled = true;
        assert_int_equal(count_by_pages(reader, query, run_reader_summaries), SITES * (COLUMN_COUNT - 1));
        query = any();
        query.max_results = size;
        query.site = "2.conv";
        query.step_from = 2;
        query.step_to = 4;
        assert_int_equal(count_by_pages(reader, query, run_reader_rows), 3 * ROWS);
        query.column = "cosine";
        assert_int_equal(count_by_pages(reader, query, run_reader_summaries), 3);
        query = any();
        query.max_results = size;
        query.last = 2;
        query.sample = sample_of(5, 3);
        assert_int_equal(count_by_pages(reader, query, run_reader_rows),
                         SITES * (size_t)query_integer(path, "SELECT count(*) FROM sample_steps WHERE sample = 36 AND "
                                                             "step > 3"));
    }
    run_reader_close(reader);
}

static void test_tokens_are_checked(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *page, *other;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.max_results = 4;
    assert_ok(run_reader_rows(reader, &query, &page, &err));
    const char *token = json_string_value(json_object_get(page, "next_page_token"));
    const char *const wrong[] = {"", "x", "12", "00000000-0-1-2", "zzzzzzzz-0-1-2", token + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        query.page_token = wrong[i];
        assert_int_equal(run_reader_rows(reader, &query, &other, &err), STATUS_INVALID);
        assert_says(err.text, "page_token");
    }
    query.page_token = token;
    assert_int_equal(run_reader_summaries(reader, &query, &other, &err), STATUS_INVALID); /* of another query */
    query.step_from = 2;
    assert_int_equal(run_reader_rows(reader, &query, &other, &err), STATUS_INVALID);
    json_decref(page);
    run_reader_close(reader);
}

static void test_unknown_names_are_told(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.site = "1.dense";
    assert_int_equal(run_reader_rows(reader, &query, &json, &err), STATUS_NOT_FOUND);
    assert_says(err.text, "0.dense, 2.conv, 3.attention.q");
    query.site = NULL;
    query.column = "scales";
    assert_int_equal(run_reader_summaries(reader, &query, &json, &err), STATUS_INVALID);
    assert_says(err.text, "effective_norm, scale, cosine");
    query = any();
    assert_int_equal(run_reader_density(reader, &query, "self_factor", "scale", &json, &err), STATUS_INVALID);
    query.site = "0.dense";
    assert_int_equal(run_reader_density(reader, &query, "scale", "self_factor", &json, &err), STATUS_INVALID);
    assert_says(err.text, "x=self_factor&y=scale");
    run_reader_close(reader);
}

static void test_a_row_has_its_values(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.site = "3.attention.q";
    query.step = 4;
    query.sample = sample_of(4, 7);
    assert_ok(run_reader_rows(reader, &query, &json, &err));
    const json_t *items = json_object_get(json, "items"), *item = json_array_get(items, 0);
    assert_int_equal(json_array_size(items), 1);
    for (int column = 0; column < COLUMN_COUNT; column++) {
        double expected = value_of(2, 4, 7, column);
        const json_t *value = json_object_get(item, divergence_columns[column].name);
        assert_non_null(value);
        assert_true(isnan(expected) ? json_is_null(value) : json_real_value(value) == expected);
    }
    assert_int_equal(json_integer_value(json_object_get(item, "label")), 7);
    assert_int_equal(json_integer_value(json_object_get(item, "predicted")), 8);
    assert_float_equal(json_real_value(json_object_get(item, "loss")), 0.7, 1e-12);
    json_decref(json);
    query.column = "cosine";
    assert_ok(run_reader_rows(reader, &query, &json, &err));
    item = json_array_get(json_object_get(json, "items"), 0);
    assert_non_null(json_object_get(item, "cosine"));
    assert_null(json_object_get(item, "scale"));
    json_decref(json);
    run_reader_close(reader);
}

/* All batch values of a site and column, over the steps from `first`. */
static size_t gather(size_t site, int column, size_t first, double *values)
{
    size_t count = 0;
    for (size_t step = first; step <= STEPS; step++)
        for (size_t row = 0; row < SAMPLES; row++)
            values[count++] = value_of(site, step, row, column);
    return count;
}

static void check_pooled(const json_t *item, size_t site, int column, size_t first)
{
    double values[STEPS * SAMPLES], scratch[STEPS * SAMPLES];
    struct column_summary expected;
    size_t count = gather(site, column, first, values);
    column_summarise(values, 1, count, scratch, &expected);
    assert_int_equal(json_array_size(json_object_get(item, "steps")), STEPS - first + 1);
    assert_int_equal(json_integer_value(json_object_get(item, "count")), expected.count);
    assert_int_equal(json_integer_value(json_object_get(item, "undefined")), expected.undefined);
    assert_int_equal(json_integer_value(json_object_get(item, "nonpositive")), expected.nonpositive);
    assert_float_equal(json_number_value(json_object_get(item, "mean")), expected.mean, 1e-9);
    assert_float_equal(json_number_value(json_object_get(item, "sd")), expected.deviation, 1e-9);
    assert_true(json_number_value(json_object_get(item, "minimum")) == expected.minimum);
    assert_true(json_number_value(json_object_get(item, "maximum")) == expected.maximum);
    for (int q = 0; q < QUANTILE_COUNT; q++) {
        /* the bin of the pooled quantile holds a value next to the true one */
        char percent[8];
        snprintf(percent, sizeof percent, "%d", quantile_percent[q]);
        double pooled = json_number_value(json_object_get(json_object_get(item, "quantiles"), percent));
        double position = quantile_percent[q] / 100.0 * (double)(expected.count - 1);
        size_t low = position < 1 ? 0 : (size_t)position - 1, high = (size_t)position + 2;
        high = high >= expected.count ? expected.count - 1 : high;
        double slack = pow(10, 1.0 / BIN_PER_DECADE);
        double below = scratch[low] < 0 ? scratch[low] * slack : scratch[low] / slack;
        double above = scratch[high] < 0 ? scratch[high] / slack : scratch[high] * slack;
        if (pooled < below || pooled > above)
            fail_msg("quantile %s: %g is not in %g ... %g", percent, pooled, below, above);
    }
}

static void test_pooled_is_of_all_values(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    for (size_t last = 0; last <= 3; last++) {
        struct divergence_query query = any();
        query.pooled = true;
        query.last = last;
        assert_ok(run_reader_summaries(reader, &query, &json, &err));
        const json_t *items = json_object_get(json, "items");
        assert_int_equal(json_array_size(items), SITES * (COLUMN_COUNT - 1));
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *item = json_array_get(items, i);
            int column = divergence_column(json_string_value(json_object_get(item, "column")));
            check_pooled(item, i / (COLUMN_COUNT - 1), column, last ? STEPS - last + 1 : 1);
        }
        json_decref(json);
    }
    run_reader_close(reader);
}

static void test_summary_of_a_step(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct told told;
    struct error err;
    json_t *json;
    write_run(path);
    make_measurement(&told, 1, 3);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.site = "2.conv";
    query.column = "scale";
    query.step = 3;
    assert_ok(run_reader_summaries(reader, &query, &json, &err));
    const json_t *items = json_object_get(json, "items"), *item = json_array_get(items, 0);
    const struct column_summary *expected = &told.summaries[COLUMN_SCALE];
    assert_int_equal(json_array_size(items), 1);
    assert_int_equal(json_integer_value(json_object_get(item, "count")), expected->count);
    assert_true(json_number_value(json_object_get(item, "mean")) == expected->mean);
    assert_true(json_number_value(json_object_get(json_object_get(item, "quantiles"), "95")) == expected->quantiles[5]);
    json_decref(json);
    run_reader_close(reader);
}

static void test_density_adds_up(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    for (int pair = 0; pair < DENSITY_COUNT; pair++) {
        static uint64_t counts[BIN_COUNT][BIN_COUNT];
        memset(counts, 0, sizeof counts);
        struct divergence_query query = any();
        query.site = "0.dense";
        assert_ok(run_reader_density(reader, &query, density_pairs[pair].x, density_pairs[pair].y, &json, &err));
        int64_t undefined = 0, nonpositive = 0, total = 0;
        for (size_t step = 1; step <= STEPS; step++)
            for (size_t row = 0; row < SAMPLES; row++) {
                struct divergence_row values;
                unsigned x, y;
                for (int column = 0; column < COLUMN_COUNT; column++)
                    values.values[column] = value_of(0, step, row, column);
                density_bins((enum density_pair)pair, &values, &x, &y);
                bool defined = x != BIN_UNDEFINED && y != BIN_UNDEFINED;
                undefined += !defined;
                nonpositive += defined && y <= BIN_ZERO;
                counts[x][y]++;
            }
        size_t i;
        const json_t *cell;
        json_array_foreach(json_object_get(json, "cells"), i, cell)
        {
            json_int_t count = json_integer_value(json_array_get(cell, 2));
            assert_int_equal(
                count,
                counts[json_integer_value(json_array_get(cell, 0))][json_integer_value(json_array_get(cell, 1))]);
            total += count;
        }
        assert_int_equal(total + undefined, STEPS * SAMPLES);
        assert_int_equal(json_integer_value(json_object_get(json, "count")), total);
        assert_int_equal(json_integer_value(json_object_get(json, "undefined")), undefined);
        assert_int_equal(json_integer_value(json_object_get(json, "y_nonpositive")), nonpositive);
        assert_int_equal(json_array_size(json_object_get(json, "steps")), STEPS);
        json_decref(json);
    }
    run_reader_close(reader);
}

/* The likeliest classes of a sample come back as they were told. */
static void test_likeliest(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    int64_t first = query_integer(path, "SELECT min(sample) FROM sample_steps WHERE predicted = 1");
    assert_ok(run_reader_sample(reader, first, &json, &err));
    const json_t *steps = json_object_get(json, "steps");
    assert_true(json_array_size(steps) > 0);
    char *text = json_dumps(json_object_get(json_array_get(steps, 0), "likeliest"), JSON_COMPACT);
    assert_string_equal(text, "[[7,0.75],[300,0.125]]");
    free(text);
    json_decref(json);
    run_reader_close(reader);
}

static void test_batch_figures(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    write_run(path);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.site = "2.conv";
    query.last = 2;
    assert_ok(run_reader_batch(reader, &query, &json, &err));
    char *text = json_dumps(json_array_get(json_object_get(json, "items"), 1), JSON_COMPACT);
    assert_string_equal(text, "{\"site\":\"2.conv\",\"step\":5,\"batch_scale\":5.0,\"batch_cosine\":0.5,"
                              "\"predicted_decrease\":null,\"own_share\":0.25,\"rows\":16,\"batch_size\":16}");
    free(text);
    assert_int_equal(json_array_size(json_object_get(json, "items")), 2);
    json_decref(json);
    run_reader_close(reader);
}

static void test_damage_is_an_error(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct error err;
    json_t *json;
    sqlite3 *db;
    write_run(path);
    assert_ok(db_open(path, DB_WRITE, &db, &err));
    assert_ok(db_execute(
        db, "UPDATE divergence_summary SET histogram = x'ffff01000000'; UPDATE density SET counts = x'01'", &err));
    cleanup_db(&db);
    struct run_reader *reader = open_reader(path);
    struct divergence_query query = any();
    query.pooled = true;
    assert_int_equal(run_reader_summaries(reader, &query, &json, &err), STATUS_CORRUPT);
    query.site = "0.dense";
    assert_int_equal(run_reader_density(reader, &query, "self_factor", "scale", &json, &err), STATUS_CORRUPT);
    run_reader_close(reader);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_tables),
        IN_A_FOLDER(test_values_come_back),
        IN_A_FOLDER(test_scalars_that_are_not_finite),
        IN_A_FOLDER(test_only_the_committed_is_seen),
        IN_A_FOLDER(test_two_attempts_never_meet),
        IN_A_FOLDER(test_an_attempt_goes_on_from_the_checkpoint),
        IN_A_FOLDER(test_an_attempt_that_cannot_go_on_starts_over),
        IN_A_FOLDER(test_sealed_is_one_file),
        IN_A_FOLDER(test_contributors),
        IN_A_FOLDER(test_files_that_are_refused),
        IN_A_FOLDER(test_sites_run_log_and_weights),
        IN_A_FOLDER(test_thinned_series),
        IN_A_FOLDER(test_pages_cover_everything_once),
        IN_A_FOLDER(test_tokens_are_checked),
        IN_A_FOLDER(test_unknown_names_are_told),
        IN_A_FOLDER(test_a_row_has_its_values),
        IN_A_FOLDER(test_pooled_is_of_all_values),
        IN_A_FOLDER(test_summary_of_a_step),
        IN_A_FOLDER(test_density_adds_up),
        IN_A_FOLDER(test_likeliest),
        IN_A_FOLDER(test_batch_figures),
        IN_A_FOLDER(test_damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
