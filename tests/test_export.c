/*
 * Exports of real runs: CSV and NDJSON against the database they come from, the CSV's rows against the summaries, NPZ
 * read by NumPy, event files by a reader of their own; and what ends an export early.
 */
#include "server/export.h"
#include "server/run_file.h"
#include "tests/runs.h"

/* A sink that keeps everything, or gives up after some bytes. */
struct kept {
    char *text;
    size_t size, most;
};

static enum status keep(void *context, const void *bytes, size_t size, struct error *err)
{
    struct kept *kept = context;
    if (kept->most && kept->size + size > kept->most)
        return error_set(err, STATUS_STOPPED, "the reader has gone");
    kept->text = realloc(kept->text, kept->size + size + 1);
    assert_non_null(kept->text);
    memcpy(kept->text + kept->size, bytes, size);
    kept->size += size;
    kept->text[kept->size] = '\0';
    return STATUS_OK;
}

static struct export_request request_of(const char *what, const char *format, const struct export_run *runs,
                                        size_t count)
{
    struct export_request request = {.runs = runs, .run_count = count, .with_job = count > 1};
    struct error err;
    assert_ok(export_table_find(what, &request.table, &err));
    assert_ok(export_format_find(format, &request.format, &err));
    return request;
}

/* The bytes of an export; the caller frees them. */
static struct kept export_all(const char *what, const char *format, const struct export_run *runs, size_t count)
{
    struct kept kept = {NULL, 0, 0};
    const struct sink sink = {keep, &kept};
    const struct export_request request = request_of(what, format, runs, count);
    struct error err;
    assert_ok(export_write(&request, &sink, &err));
    return kept;
}

/* Two runs of different networks, with scalars that are not finite and text that needs quotes. */
static void two_runs(void **state, struct export_run runs[2])
{
    static char paths[2][PATH_SIZE];
    for (int i = 0; i < 2; i++) {
        json_t *spec = small_spec("a run", 1 + i);
        json_object_set_new(json_object_get(spec, "probe"), "watch", json_pack("[i, i]", 3, 250));
        json_object_set_new(spec, "seed", json_integer(i + 1));
        snprintf(paths[i], PATH_SIZE, "%s/%d.db", (const char *)*state, i);
        make_run(paths[i], spec);
        runs[i] = (struct export_run){7 + i, paths[i]};
    }
    run_sql(paths[0],
            "INSERT INTO scalars VALUES (1, 'a \"key\", with ä', NULL, 'NaN'), (2, 'a \"key\", with ä', NULL, "
            "'Infinity'), (3, 'a \"key\", with ä', NULL, '-Infinity'), (4, 'a \"key\", with ä', 0.1, NULL)");
}

/* ------------------------------------------------------------------ CSV */

enum { MOST_CELLS = 32 };

/* Cuts the line at `*at` into cells, taking quotes off, and goes on to the next; 0 cells at the end. */
static size_t next_line(char **at, char *cells[MOST_CELLS])
{
    size_t count = 0;
    char *from = *at, *to = *at;
    if (*from == '\0')
        return 0;
    cells[count++] = to;
    for (bool quoted = false; *from != '\n' || quoted; from++) {
        assert_true(*from != '\0');
        if (*from == '"' && quoted && from[1] == '"')
            *to++ = *from++;
        else if (*from == '"')
            quoted = !quoted;
        else if (*from == ',' && !quoted) {
            *to++ = '\0';
            cells[count++] = to;
        } else
            *to++ = *from;
    }
    *at = from + 1;
    *to = '\0';
    return count;
}

static size_t column_of(char *const cells[], size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(cells[i], name) != 0)
        i++;
    assert_true(i < count);
    return i;
}

/* Every cell of a CSV is what SQL gives in the same place. */
static void expect_csv(struct kept kept, const char *header, const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = query_open(path, sql, &db);
    char *at = kept.text, *cells[MOST_CELLS];
    assert_int_equal(strncmp(at, header, strlen(header)), 0);
    size_t count = next_line(&at, cells), rows = 0;
    assert_int_equal(count, sqlite3_column_count(statement));
    do {
        assert_int_equal(next_line(&at, cells), count);
        for (size_t i = 0; i < count; i++) {
            const char *text = (const char *)sqlite3_column_text(statement, (int)i);
            if (sqlite3_column_type(statement, (int)i) == SQLITE_FLOAT)
                assert_true(strtod(cells[i], NULL) == sqlite3_column_double(statement, (int)i));
            else
                assert_string_equal(cells[i], text ? text : "");
        }
        rows++;
    } while (sqlite3_step(statement) == SQLITE_ROW);
    assert_int_equal(next_line(&at, cells), 0);
    assert_true(rows > 10);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    free(kept.text);
}

static void test_csv_is_what_the_database_holds(void **state)
{
    struct export_run runs[2];
    two_runs(state, runs);
    expect_csv(
        export_all("divergence", "csv", runs, 1),
        "site,step,sample,in_batch,loss,label,predicted,ideal_norm,effective_norm,scale,cosine,divergence,",
        runs[0].path,
        "SELECT s.name, d.step, d.sample, t.in_batch, t.loss, t.label, t.predicted, d.ideal_norm, "
        "d.effective_norm, d.scale, d.cosine, d.divergence, d.self_factor, d.scale_within, d.scale_across, "
        "d.interference, d.interference_within, d.interference_across, d.input_norm, d.network_scale, "
        "d.network_cosine, d.network_divergence FROM divergence d, sites s, sample_steps t WHERE s.site = d.site "
        "AND t.step = d.step AND t.sample = d.sample ORDER BY d.site, d.step, d.sample");
    expect_csv(export_all("metrics", "csv", runs, 1), "key,step,value\n", runs[0].path,
               "SELECT key, step, coalesce(value, nonfinite) FROM scalars ORDER BY key, step");
    expect_csv(export_all("summary", "csv", runs, 1), "site,step,column,count,undefined,nonpositive,mean,sd,",
               runs[0].path,
               "SELECT s.name, step, \"column\", count, undefined, nonpositive, mean, sd, minimum, maximum, q01, q05, "
               "q25, q50, q75, q95, q99 FROM divergence_summary d, sites s WHERE s.site = d.site ORDER BY d.site, "
               "\"column\", step");
    expect_csv(export_all("batch", "csv", runs, 1), "site,step,batch_scale,", runs[0].path,
               "SELECT s.name, step, batch_scale, batch_cosine, predicted_decrease, own_share, rows, batch_size FROM "
               "divergence_batch d, sites s WHERE s.site = d.site ORDER BY d.site, step");
}

/* Several runs follow each other, each row with its job; one that has written nothing yet has no rows. */
static void test_csv_of_several_runs(void **state)
{
    struct export_run runs[3];
    two_runs(state, runs);
    runs[2] = (struct export_run){9, "/nonexistent/9.db"};
    char sql[3 * PATH_SIZE];
    snprintf(
        sql, sizeof sql,
        "ATTACH '%s' AS other; CREATE TABLE both AS SELECT 7 AS job, key, step, coalesce(value, nonfinite) AS value "
        "FROM main.scalars UNION ALL SELECT 8, key, step, coalesce(value, nonfinite) FROM other.scalars",
        runs[1].path);
    struct kept kept = export_all("metrics", "csv", runs, 3);
    run_sql(runs[0].path, sql);
    expect_csv(kept, "job,key,step,value\n", runs[0].path, "SELECT * FROM both ORDER BY job, key, step");
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The rows' values of one column at one site and step of the batch, ascending; how many of them were empty. */
static size_t gather(const char *csv, const char *site, const char *step, const char *column, double *ret_values,
                     size_t *ret_empty)
{
    char *text = strdup(csv), *at = text, *cells[MOST_CELLS];
    size_t width = next_line(&at, cells), count = 0;
    size_t value = column_of(cells, width, column), in_batch = column_of(cells, width, "in_batch");
    *ret_empty = 0;
    while (next_line(&at, cells) > 0) {
        if (strcmp(cells[0], site) != 0 || strcmp(cells[1], step) != 0 || *cells[in_batch] != '1')
            continue;
        if (*cells[value])
            ret_values[count++] = strtod(cells[value], NULL);
        else
            (*ret_empty)++;
    }
    free(text);
    qsort(ret_values, count, sizeof *ret_values, compare_numbers);
    return count;
}

static void expect_summary(char *const cells[], const double *values, size_t count, size_t empty)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - sum / (double)count) * (values[i] - sum / (double)count);
    assert_int_equal(strtoul(cells[3], NULL, 10), count);
    assert_int_equal(strtoul(cells[4], NULL, 10), empty);
    if (count == 0)
        return;
    double half = 0.5 * (double)(count - 1), part = half - floor(half);
    size_t at = (size_t)half, after = at + 1 < count ? at + 1 : at;
    double median = values[at] * (1 - part) + values[after] * part;
    const double expected[] = {sum / (double)count, sqrt(squares / (double)(count - 1)), values[0], values[count - 1]};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(strtod(cells[6 + i], NULL) - expected[i]) <= 1e-9 * fabs(expected[i]) + 1e-300);
    assert_true(fabs(strtod(cells[13], NULL) - median) <= 1e-9 * fabs(median) + 1e-300);
}

static void test_csv_reaggregates_to_the_summaries(void **state)
{
    struct export_run runs[2];
    two_runs(state, runs);
    struct kept rows = export_all("divergence", "csv", runs, 1), summary = export_all("summary", "csv", runs, 1);
    char *at = summary.text, *cells[MOST_CELLS];
    size_t checked = 0;
    next_line(&at, cells);
    while (next_line(&at, cells) > 0) {
        double values[256];
        size_t empty, count = gather(rows.text, cells[0], cells[1], cells[2], values, &empty);
        expect_summary(cells, values, count, empty);
        checked++;
    }
    assert_true(checked >= 2 * 8 * 8); /* sites, steps, columns */
    free(rows.text);
    free(summary.text);
}

/* ------------------------------------------------------------------ NDJSON */

static void test_ndjson_says_the_same(void **state)
{
    struct export_run runs[2];
    two_runs(state, runs);
    static const char *const tables[] = {"divergence", "metrics", "summary", "batch"};
    for (int t = 0; t < 4; t++) {
        struct kept csv = export_all(tables[t], "csv", runs, 2), lines = export_all(tables[t], "ndjson", runs, 2);
        char *at = csv.text, *names[MOST_CELLS], *cells[MOST_CELLS], *line = lines.text;
        size_t width = next_line(&at, names);
        while (next_line(&at, cells) > 0) {
            char *end = strchr(line, '\n');
            assert_non_null(end);
            json_t *row = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(row);
            assert_int_equal(json_object_size(row), width);
            for (size_t i = 0; i < width; i++) {
                const json_t *value = json_object_get(row, names[i]);
                if (json_is_string(value))
                    assert_string_equal(json_string_value(value), cells[i]);
                else if (json_is_null(value))
                    assert_string_equal(cells[i], "");
                else
                    assert_true(json_is_number(value) && json_number_value(value) == strtod(cells[i], NULL));
            }
            json_decref(row);
            line = end + 1;
        }
        assert_int_equal(*line, '\0');
        free(csv.text);
        free(lines.text);
    }
}

/* ------------------------------------------------------------------ files for other readers */

static void save(const char *path, struct kept kept)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(kept.text, 1, kept.size, file), kept.size);
    assert_int_equal(fclose(file), 0);
    free(kept.text);
}

static void test_npz_by_numpy(void **state)
{
    const char *python = find_python("numpy");
    if (!python)
        skip();
    struct export_run runs[3];
    two_runs(state, runs);
    runs[2] = (struct export_run){9, "/nonexistent/9.db"};
    static const char *const tables[] = {"divergence", "metrics", "summary", "batch"};
    for (int t = 0; t < 4; t++) {
        char command[4 * PATH_SIZE];
        save(in_folder(state, "one.npz"), export_all(tables[t], "npz", runs, 1));
        save(in_folder(state, "all.npz"), export_all(tables[t], "npz", runs, 3));
        snprintf(command, sizeof command, "%s tests/check_npz.py %s %s :%s", python, in_folder(state, "one.npz"),
                 tables[t], runs[0].path);
        run_command_line(command);
        snprintf(command, sizeof command, "%s tests/check_npz.py %s %s 7:%s 8:%s", python, in_folder(state, "all.npz"),
                 tables[t], runs[0].path, runs[1].path);
        run_command_line(command);
    }
}

static void test_tfevents_by_another_reader(void **state)
{
    const char *python = find_python("struct");
    if (!python)
        skip();
    struct export_run runs[2];
    two_runs(state, runs);
    /* zero, both smallest and both largest bins, as the worker would have stored them */
    run_sql(
        runs[0].path,
        "UPDATE divergence SET scale = CASE sample % 7 WHEN 0 THEN 0 WHEN 1 THEN 1e-9 WHEN 2 THEN -1e-9 WHEN 3 THEN "
        "1e12 WHEN 4 THEN -1e12 ELSE scale END WHERE site = 0 AND step = 3");
    struct column_summary summary;
    double values[64], scratch[64];
    uint8_t histogram[64 * 6];
    size_t count = 0;
    sqlite3 *db = NULL;
    sqlite3_stmt *rows =
        query_open(runs[0].path,
                   "SELECT scale FROM divergence d JOIN sample_steps t USING (step, sample) WHERE site "
                   "= 0 AND step = 3 AND in_batch",
                   &db);
    do
        values[count++] = sqlite3_column_double(rows, 0);
    while (sqlite3_step(rows) == SQLITE_ROW);
    sqlite3_finalize(rows);
    sqlite3_close(db);
    column_summarise(values, 1, count, scratch, &summary);
    size_t size = histogram_encode(values, 1, count, histogram);
    struct error err;
    assert_ok(db_open(runs[0].path, DB_WRITE, &db, &err));
    assert_ok(db_prepare(db,
                         "UPDATE divergence_summary SET mean = ?, sd = ?, minimum = ?, maximum = ?, histogram = ? "
                         "WHERE site = 0 AND step = 3 AND \"column\" = 'scale'",
                         &rows, &err));
    const double figures[] = {summary.mean, summary.deviation, summary.minimum, summary.maximum};
    for (int i = 0; i < 4; i++)
        db_bind_number(rows, i + 1, figures[i]);
    sqlite3_bind_blob(rows, 5, histogram, (int)size, SQLITE_STATIC);
    assert_ok(db_run(rows, &err));
    sqlite3_finalize(rows);
    sqlite3_close(db);
    char command[4 * PATH_SIZE];
    save(in_folder(state, "run.tfevents"), export_all("metrics", "tfevents", runs, 1));
    snprintf(command, sizeof command, "%s tests/check_tfevents.py %s %s", python, in_folder(state, "run.tfevents"),
             runs[0].path);
    run_command_line(command);
}

/* ------------------------------------------------------------------ ends */

static void test_a_reader_that_goes_away(void **state)
{
    struct export_run runs[2];
    struct error err;
    two_runs(state, runs);
    static const char *const formats[] = {"csv", "ndjson", "npz", "tfevents"};
    for (int f = 0; f < 4; f++) {
        const struct export_request request = request_of("divergence", formats[f], runs, 1);
        struct kept kept = {NULL, 0, 1};
        const struct sink sink = {keep, &kept};
        assert_int_equal(export_write(&request, &sink, &err), STATUS_STOPPED);
        assert_string_equal(err.text, "the reader has gone");
        assert_int_equal(kept.size, 0);
    }
}

static void test_what_cannot_be_exported(void **state)
{
    struct export_run runs[2];
    struct error err;
    const struct export_table *table = NULL;
    const struct export_format *format = NULL;
    struct kept kept = {NULL, 0, 0};
    const struct sink sink = {keep, &kept};
    two_runs(state, runs);
    assert_int_equal(export_table_find("weights", &table, &err), STATUS_INVALID);
    assert_says(err.text, "must be divergence, metrics, summary or batch; found weights");
    assert_int_equal(export_format_find("xlsx", &format, &err), STATUS_INVALID);
    assert_says(err.text, "must be csv, ndjson, npz or tfevents; found xlsx");
    struct export_request request = request_of("metrics", "tfevents", runs, 2);
    assert_int_equal(export_write(&request, &sink, &err), STATUS_INVALID);
    assert_says(err.text, "holds one run, these are 2");
    static const char *const formats[] = {"csv", "ndjson", "npz", "tfevents"};
    const struct export_run none = {1, "/nonexistent/1.db"};
    for (int f = 0; f < 4; f++) {
        request = request_of("metrics", formats[f], &none, 1);
        assert_int_equal(export_write(&request, &sink, &err), STATUS_NOT_FOUND);
    }
    assert_int_equal(kept.size, 0);
    struct export_run many[EXPORT_MOST_NPZ_RUNS + 1];
    for (size_t i = 0; i <= EXPORT_MOST_NPZ_RUNS; i++)
        many[i] = runs[0];
    request = request_of("metrics", "npz", many, EXPORT_MOST_NPZ_RUNS + 1);
    assert_int_equal(export_write(&request, &sink, &err), STATUS_INVALID);
    assert_says(err.text, "at most 200 runs, these are 201");
    assert_int_equal(kept.size, 0);
}

/* Of a live run all that is committed is exported, and nothing else. */
static void test_live_run(void **state)
{
    const char *path = in_folder(state, "live.db");
    const struct run_identity identity = {.spec_text = "{}", .spec_hash = "h", .name = "", .attempt = 1, .threads = 1};
    struct run_writer *writer = NULL;
    struct error err;
    assert_ok(run_writer_open(path, &identity, &writer, &err));
    assert_ok(run_writer_scalar(writer, 1, "train/loss", 0.5, &err));
    assert_ok(run_writer_commit(writer, &err));
    assert_ok(run_writer_scalar(writer, 2, "train/loss", 0.25, &err));
    const struct export_run run = {1, path};
    struct kept kept = export_all("metrics", "csv", &run, 1);
    assert_string_equal(kept.text, "key,step,value\ntrain/loss,1,0.5\n");
    free(kept.text);
    assert_ok(run_writer_close(writer, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_csv_is_what_the_database_holds, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_csv_of_several_runs, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_csv_reaggregates_to_the_summaries, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_ndjson_says_the_same, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_npz_by_numpy, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_tfevents_by_another_reader, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_reader_that_goes_away, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_exported, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_live_run, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
