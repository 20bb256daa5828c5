/*
 * A job from its spec to a sealed run file: which lines are told and in what order, what stands in the file afterwards,
 * stops between steps, ends that are not good ones, and weights in and out.
 */
#include "server/run_job.h"
#include "tests/store_support.h"

#include <fcntl.h>

#include "core/safetensors.h"
#include "server/json_util.h"
#include "server/run_file.h"
#include "server/run_lock.h"

enum { EPOCHS = 3, STEPS_PER_EPOCH = 8, STEPS = EPOCHS * STEPS_PER_EPOCH, BATCH = 32 };

/* Who is told, and who decides when to stop. */
struct ear {
    json_t *lines;  /* all that were told */
    int stop_after; /* steps; −1: before the first; 0: never */
    int asked;
    const char *deaf_to; /* the event at which telling fails */
    enum status deafness;
};

static enum status tell(void *context, const json_t *line, struct error *err)
{
    struct ear *ear = context;
    const char *event = json_string_value(json_object_get(line, "event"));
    assert_non_null(event);
    if (ear->deaf_to && strcmp(event, ear->deaf_to) == 0)
        return error_set(err, ear->deafness, "nobody hears");
    json_array_append_new(ear->lines, json_deep_copy(line));
    return STATUS_OK;
}

static bool stop(void *context)
{
    struct ear *ear = context;
    ear->asked++;
    return ear->stop_after != 0 && ear->asked > (ear->stop_after > 0 ? ear->stop_after : 0);
}

struct end {
    json_t *line;
    const char *state, *reason; /* borrowed; reason "" where there is none */
    int64_t step;
};

/* Runs a spec; the ear's lines are new, and the end's line is the caller's. */
static struct end run_spec(void **state, const struct spec *spec, const char *path, struct ear *ear, struct run_job job)
{
    struct error err;
    struct end end = {0};
    const char *const none[] = {NULL};
    ear->lines = json_array();
    ear->asked = 0;
    job.spec = spec;
    job.path = path;
    job.attempt = job.attempt ? job.attempt : 1;
    job.data = *state;
    job.folders = (struct dataset_folders){none};
    job.context = ear;
    job.tell = tell;
    job.stop = stop;
    assert_ok(run_job(&job, &end.line, &err));
    assert_string_equal(json_string_value(json_object_get(end.line, "event")), "end");
    end.state = json_string_value(json_object_get(end.line, "state"));
    end.step = json_integer_value(json_object_get(end.line, "step"));
    const char *reason = json_string_value(json_object_get(end.line, "reason"));
    end.reason = reason ? reason : "";
    return end;
}

static struct end run_json(void **state, json_t *json, const char *path, struct ear *ear, struct run_job job)
{
    struct spec *spec = parse_spec(json);
    struct end end = run_spec(state, spec, path, ear, job);
    spec_free(spec);
    return end;
}

static void forget(struct ear *ear, struct end *end)
{
    json_decref(ear->lines);
    json_decref(end->line);
}

static void assert_end(const struct end *end, const char *state, int64_t step, const char *words)
{
    if (strcmp(end->state, state) != 0 || end->step != step)
        fail_msg("ended %s at step %lld: %s", end->state, (long long)end->step, end->reason);
    assert_says(end->reason, words);
}

/* The file is one that nobody writes any more. */
static void assert_sealed(const char *path, const char *run_state)
{
    assert_query(path, "PRAGMA journal_mode", "delete");
    assert_query(path, "SELECT state FROM run", run_state);
    assert_query(path, "SELECT ended_at >= started_at FROM run", "1");
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

static const char *event_of(const json_t *line)
{
    return json_string_value(json_object_get(line, "event"));
}

static void assert_has_only(const json_t *line, const char *keys)
{
    const char *key;
    json_t *value;
    size_t length = 0;
    json_object_foreach((json_t *)line, key, value)
    {
        if (!strstr(keys, key))
            fail_msg("a line %s has a key %s", event_of(line), key);
        length += strlen(key) + 1;
    }
    assert_int_equal(length, strlen(keys) + 1); /* none is missing */
}

static void check_started(const json_t *line)
{
    assert_has_only(line, "event step epoch results steps steps_per_epoch epochs parameters blas kernel");
    assert_int_equal(json_integer_value(json_object_get(line, "step")), 0);
    assert_int_equal(json_integer_value(json_object_get(line, "epoch")), 0);
    assert_int_equal(json_object_size(json_object_get(line, "results")), 0);
    assert_int_equal(json_integer_value(json_object_get(line, "steps")), STEPS);
    assert_int_equal(json_integer_value(json_object_get(line, "steps_per_epoch")), STEPS_PER_EPOCH);
    assert_int_equal(json_integer_value(json_object_get(line, "epochs")), EPOCHS);
    assert_int_equal(json_integer_value(json_object_get(line, "parameters")), 12 * 16 + 16 + 16 * 3 + 3);
}

/* An epoch's figures are in the line, and are those of the table; returns whether it is the end of one. */
static bool check_metric(const char *path, const json_t *line)
{
    const json_t *values = json_object_get(line, "values");
    int64_t step = json_integer_value(json_object_get(line, "step"));
    const char *key;
    json_t *value;
    assert_has_only(line, "event step values");
    json_object_foreach((json_t *)values, key, value)
    {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT value FROM scalars WHERE step = %lld AND key = '%s'", (long long)step, key);
        assert_true(json_to_number(value) == query_number(path, sql));
    }
    bool of_epoch = json_object_get(values, "test/accuracy") != NULL;
    assert_int_equal(of_epoch, step % STEPS_PER_EPOCH == 0);
    for (size_t i = 0; of_epoch && i < 4; i++)
        assert_non_null(json_object_get(
            values, (const char *[]){"test/loss", "epoch/train/loss", "epoch/train/accuracy", "train/loss"}[i]));
    return of_epoch;
}

static void check_divergence(const json_t *line)
{
    const json_t *sites = json_object_get(line, "sites");
    assert_has_only(line, "event step sites");
    assert_int_equal(json_object_size(sites), 2);
    for (int i = 0; i < 2; i++) {
        const json_t *site = json_object_get(sites, i ? "2.dense" : "0.dense");
        assert_int_equal(json_object_size(site), 2);
        assert_true(json_is_number(json_object_get(site, "median_scale")));
        assert_true(json_number_value(json_object_get(site, "median_self_factor")) > 0);
    }
}

static void check_progress(const json_t *line)
{
    assert_has_only(line, "event step epoch rows steps_per_second probe_share");
    int64_t step = json_integer_value(json_object_get(line, "step"));
    assert_int_equal(json_integer_value(json_object_get(line, "rows")), step * 2 * BATCH); /* all are measured */
    assert_int_equal(json_integer_value(json_object_get(line, "epoch")),
                     (step + STEPS_PER_EPOCH - 1) / STEPS_PER_EPOCH);
    assert_int_equal(json_integer_value(json_object_get(line, "rows")), step * 2 * BATCH);
    assert_true(json_number_value(json_object_get(line, "steps_per_second")) > 0);
}

/* started, log, then steps in order and within a step metric, divergence, progress; the last step's are all there. */
static void test_lines(void **state)
{
    static const char *const order[] = {"started", "log", "metric", "divergence", "progress"};
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    struct end end = run_json(state, small_spec("a run", EPOCHS), path, &ear, (struct run_job){0});
    assert_end(&end, "finished", STEPS, "");
    size_t index, place = 0, epochs = 0, counts[5] = {0};
    int64_t step = 0, last[5] = {0};
    json_t *line;
    json_array_foreach(ear.lines, index, line)
    {
        size_t kind = 0;
        while (kind < 5 && strcmp(event_of(line), order[kind]) != 0)
            kind++;
        assert_true(kind < 5);
        int64_t at = json_integer_value(json_object_get(line, "step"));
        assert_true(at > step || (at == step && kind > place) || index == 0);
        step = at;
        place = kind;
        last[kind] = at;
        counts[kind]++;
        if (kind == 0)
            check_started(line);
        else if (kind == 2)
            epochs += check_metric(path, line);
        else if (kind == 3)
            check_divergence(line);
        else if (kind == 4)
            check_progress(line);
    }
    assert_true(counts[0] == 1 && counts[1] == 1 && epochs == EPOCHS);
    assert_true(last[2] == STEPS && last[3] == STEPS && last[4] == STEPS);
    const json_t *note = json_array_get(ear.lines, 1);
    assert_has_only(note, "event level text");
    assert_says(
        json_string_value(json_object_get(note, "text")),
        "attempt 1: 24 steps in 3 epochs on 256 training and 64 test samples, 259 parameters, 24 steps measured "
        "at 2 sites; 1 thread of OpenBLAS");
    assert_query(path, "SELECT group_concat(text) FROM log", json_string_value(json_object_get(note, "text")));
    forget(&ear, &end);
}

static void test_what_a_finished_run_leaves(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    struct end end = run_json(state, small_spec("a run", EPOCHS), path, &ear, (struct run_job){.attempt = 4});
    assert_true(json_is_null(json_object_get(end.line, "reason")) || !json_object_get(end.line, "reason"));
    assert_sealed(path, "finished");
    assert_query(path, "SELECT name || attempt || steps || steps_per_epoch || epochs || probed_steps FROM run",
                 "a run4248324");
    assert_query(path, "SELECT reason FROM run", "NULL");
    assert_query(path, "SELECT json_extract(spec, '$.epochs') || length(spec_hash) FROM run", "364");
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), STEPS * 2 * BATCH);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sample_steps"), STEPS * BATCH);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM scalars WHERE key = 'train/loss'"), STEPS);
    assert_query(path, "SELECT group_concat(name) FROM sites", "0.dense,2.dense");
    /* the results that lists show are the newest and best of the table */
    const json_t *results = json_object_get(end.line, "results"), *series = json_object_get(results, "accuracy_series");
    assert_int_equal(json_array_size(series), EPOCHS);
    for (size_t i = 0; i < EPOCHS; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "SELECT value FROM scalars WHERE key = 'test/accuracy' AND step = %zu",
                 (i + 1) * STEPS_PER_EPOCH);
        assert_true(json_number_value(json_array_get(series, i)) == query_number(path, sql));
    }
    assert_true(json_number_value(json_object_get(results, "best/test/accuracy")) ==
                query_number(path, "SELECT max(value) FROM scalars WHERE key = 'test/accuracy'"));
    assert_true(json_number_value(json_object_get(results, "test/accuracy")) ==
                json_number_value(json_array_get(series, EPOCHS - 1)));
    assert_true(json_number_value(json_object_get(json_object_get(results, "median_scale"), "2.dense")) ==
                query_number(path, "SELECT q50 FROM divergence_summary WHERE site = 1 AND step = 24 AND \"column\" = "
                                   "'scale'"));
    assert_true(json_number_value(json_object_get(results, "seconds")) > 0);
    forget(&ear, &end);
}

/* Without a probe and a test set: no lines and no figures of what there is not. */
static void test_a_run_that_measures_nothing(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    json_t *json = small_spec("", EPOCHS);
    json_object_set_new(json_object_get(json, "probe"), "schedule", json_string("none"));
    json_object_del(json_object_get(json, "probe"), "every");
    json_object_set_new(json_object_get(json, "dataset"), "test", json_integer(0));
    struct end end = run_json(state, json, path, &ear, (struct run_job){0});
    assert_end(&end, "finished", STEPS, "");
    size_t index;
    json_t *line;
    json_array_foreach(ear.lines, index, line)
    {
        assert_string_not_equal(event_of(line), "divergence");
    }
    const json_t *results = json_object_get(end.line, "results");
    assert_null(json_object_get(results, "test/accuracy"));
    assert_null(json_object_get(results, "median_scale"));
    assert_non_null(json_object_get(results, "train/loss"));
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), 0);
    forget(&ear, &end);
}

/* --- stops ------------------------------------------------------------------------------------------------------- */

static void test_a_stop_comes_between_steps(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {.stop_after = 5};
    struct end end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){0});
    assert_end(&end, "stopped", 5, "stopped after step 5 of 24");
    assert_int_equal(query_integer(path, "SELECT max(step) FROM divergence"), 5);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), 5 * 2 * BATCH);
    assert_query(path, "SELECT state || (ended_at IS NULL) FROM run", "running1"); /* it will go on */
    assert_false(file_exists(in_folder(state, "run.db.lock")));
    forget(&ear, &end);
    /* another attempt goes on from the checkpoint that was made at the stop, or starts over where it is told to */
    ear.stop_after = 0;
    for (int anew = 0; anew < 2; anew++) {
        end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){.attempt = 2 + anew, .anew = anew});
        assert_end(&end, "finished", STEPS, "");
        int64_t first = anew ? 0 : 5;
        assert_int_equal(ear.asked, STEPS - first); /* before its first step, and after each but the last */
        size_t index;
        json_t *line;
        json_array_foreach(ear.lines, index, line)
        {
            int64_t step = json_integer_value(json_object_get(line, "step"));
            assert_true(strcmp(event_of(line), "started") == 0 ? step == first
                                                               : step > first || strcmp(event_of(line), "log") == 0);
        }
        assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), STEPS * 2 * BATCH);
        assert_int_equal(query_integer(path, "SELECT attempt FROM run"), 2 + anew);
        assert_int_equal(query_integer(path, "SELECT count(*) FROM log WHERE text = 'attempt 2 goes on from step 5'"),
                         !anew);
        forget(&ear, &end);
    }
}

/* The log tells what the checkpoints cost: none at the last step, where all is written. */
static void test_the_cost_of_checkpoints_is_told(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    json_t *json = small_spec("", EPOCHS);
    json_object_set_new(json, "checkpoint_every", json_integer(8));
    struct end end = run_json(state, json, path, &ear, (struct run_job){0});
    assert_end(&end, "finished", STEPS, "");
    assert_query(path, "SELECT count(*) FROM log WHERE text GLOB '2 checkpoints took * s of * s (*.?? %)'", "1");
    forget(&ear, &end);
}

static void test_a_stop_for_good(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {.stop_after = 1};
    struct end end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){.seal_stopped = true});
    assert_end(&end, "stopped", 1, "stopped after step 1 of 24");
    assert_sealed(path, "cancelled");
    assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), 2 * BATCH);
    const json_t *last = json_array_get(ear.lines, json_array_size(ear.lines) - 1);
    assert_string_equal(event_of(last), "divergence"); /* the newest medians are told, however short it was */
    forget(&ear, &end);
}

static void test_a_stop_before_the_first_step(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {.stop_after = -1};
    struct end end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){0});
    assert_end(&end, "stopped", 0, "before the first step");
    assert_int_equal(query_integer(path, "SELECT count(*) FROM sites"), 2);
    assert_int_equal(query_integer(path, "SELECT count(*) FROM scalars"), 0);
    forget(&ear, &end);
    int lock;
    struct error err;
    assert_ok(run_lock_take(path, &lock, &err)); /* another attempt that does not end */
    end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){0});
    assert_end(&end, "stopped", 0, "before the first step");
    assert_int_equal(json_array_size(ear.lines), 0);
    run_lock_release(path, lock);
    forget(&ear, &end);
}

/* Nobody hears: as a stop where the server is gone, a failure otherwise; either way after the present step. */
static void test_nobody_hears(void **state)
{
    static const char *const events[] = {"started", "log", "metric", "divergence", "progress"};
    const char *path = in_folder(state, "run.db");
    for (size_t i = 0; i < 10; i++) {
        bool gone = i % 2 == 0;
        struct ear ear = {.deaf_to = events[i / 2], .deafness = gone ? STATUS_STOPPED : STATUS_IO};
        struct end end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){0});
        assert_string_equal(end.state, gone ? "stopped" : "failed");
        assert_string_equal(end.reason, "nobody hears");
        assert_query(path, "SELECT state FROM run", gone ? "running" : "failed");
        forget(&ear, &end);
    }
}

/* --- bad ends ---------------------------------------------------------------------------------------------------- */

static void test_a_run_that_diverges(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    json_t *json = small_spec("", EPOCHS);
    let_diverge(json);
    struct end end = run_json(state, json, path, &ear, (struct run_job){0});
    assert_string_equal(end.state, "diverged");
    assert_true(end.step > 0 && end.step < STEPS);
    char words[64];
    snprintf(words, sizeof words, "not finite at step %lld", (long long)end.step + 1);
    assert_says(end.reason, words);
    assert_says(end.reason, "dense"); /* where it first showed */
    assert_sealed(path, "diverged");
    assert_query(path, "SELECT reason FROM run", end.reason);
    assert_query(path, "SELECT text FROM log WHERE level = 'error'", end.reason);
    assert_int_equal(query_integer(path, "SELECT max(step) FROM divergence"), end.step);
    forget(&ear, &end);
}

static void test_data_that_are_not_there(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    json_t *json = small_spec("", EPOCHS);
    json_object_set_new(json, "dataset", json_pack("{s:s, s:s}", "name", "npy", "path", "not/there"));
    struct end end = run_json(state, json, path, &ear, (struct run_job){0});
    assert_end(&end, "failed", 0, "not/there");
    assert_sealed(path, "failed");
    assert_query(path, "SELECT reason FROM run", end.reason);
    assert_int_equal(json_array_size(ear.lines), 0); /* nothing was started */
    forget(&ear, &end);
}

static void test_a_file_that_cannot_be_written(void **state)
{
    struct ear ear = {0};
    struct error err;
    sqlite3 *db = NULL;
    const char *foreign = in_folder(state, "foreign.db");
    assert_int_equal(mkdir(in_folder(state, "folder"), 0700), 0);
    assert_ok(db_open(foreign, DB_WRITE, &db, &err));
    assert_ok(db_execute(db, "PRAGMA application_id = 7; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)", &err));
    cleanup_db(&db);
    const char *const paths[] = {in_folder(state, "absent/run.db"), in_folder(state, "folder"), foreign};
    for (size_t i = 0; i < 3; i++) {
        struct end end = run_json(state, small_spec("", EPOCHS), paths[i], &ear, (struct run_job){0});
        assert_end(&end, "failed", 0, paths[i]);
        assert_int_equal(json_array_size(ear.lines), 0);
        forget(&ear, &end);
    }
    assert_query(foreign, "SELECT x FROM mine", "1");
}

static int page_limit;

/* Each new connection gets so many pages and no more: SQLITE_FULL, as of a full disk, when they are used up. */
static int limit_pages(sqlite3 *db, char **message, const void *routines)
{
    (void)message;
    (void)routines;
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", page_limit);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void test_a_full_disk(void **state)
{
    struct ear ear = {0};
    bool early = false, late = false;
    for (page_limit = 10; page_limit < 400; page_limit = page_limit * 5 / 4 + 1) {
        char name[32];
        snprintf(name, sizeof name, "%d.db", page_limit);
        const char *path = in_folder(state, name);
        sqlite3_auto_extension((void (*)(void))limit_pages);
        struct end end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){0});
        sqlite3_reset_auto_extension();
        bool finished = strcmp(end.state, "finished") == 0;
        early |= json_array_size(ear.lines) == 0;
        late |= json_array_size(ear.lines) > 3 && !finished;
        if (!finished) {
            assert_string_equal(end.state, "full");
            assert_says(end.reason, "full");
        }
        if (json_array_size(ear.lines) > 0) {
            assert_query(path, "PRAGMA integrity_check", "ok");
            assert_query(path, "SELECT state FROM run", finished ? "finished" : "running");
        }
        forget(&ear, &end);
        if (finished)
            continue;
        end = run_json(state, small_spec("", EPOCHS), path, &ear, (struct run_job){.attempt = 2}); /* space again */
        assert_end(&end, "finished", STEPS, "");
        assert_int_equal(query_integer(path, "SELECT count(*) FROM divergence"), STEPS * 2 * BATCH);
        forget(&ear, &end);
    }
    assert_true(early && late);
}

/* --- weights ----------------------------------------------------------------------------------------------------- */

/* The final weights of a run, written below the data directory's weights/ under `name`. */
static void keep_weights(void **state, const char *path, const char *name)
{
    struct run_reader *reader = NULL;
    struct error err;
    uint8_t *bytes = NULL;
    size_t size = 0;
    char place[PATH_SIZE];
    assert_ok(run_reader_open(path, &reader, &err));
    assert_ok(run_reader_weights(reader, &bytes, &size, &err));
    run_reader_close(reader);
    snprintf(place, sizeof place, "%s/weights/%s", (const char *)*state, name);
    FILE *file = fopen(place, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
}

static json_t *spec_with_weights(const char *weights, double rate)
{
    json_t *json = small_spec("", 1);
    json_object_set_new(json, "weights", json_string(weights));
    json_object_set_new(json_object_get(json, "optimiser"), "learning_rate", json_real(rate));
    return json;
}

static void test_weights_out_and_in(void **state)
{
    const char *first = in_folder(state, "first.db"), *second = in_folder(state, "second.db");
    struct ear ear = {0};
    struct error err;
    struct tensor_list list = {0};
    assert_int_equal(mkdir(in_folder(state, "weights"), 0700), 0);
    assert_int_equal(mkdir(in_folder(state, "weights/a..b"), 0700), 0);
    struct end end = run_json(state, small_spec("", EPOCHS), first, &ear, (struct run_job){0});
    assert_end(&end, "finished", STEPS, "");
    forget(&ear, &end);
    keep_weights(state, first, "a..b/one.safetensors");
    assert_ok(safetensors_read(in_folder(state, "weights/a..b/one.safetensors"), &list, &err));
    assert_int_equal(list.count, 4);
    const struct named_tensor *weight = tensor_list_find(&list, "layers.0.weight"),
                              *bias = tensor_list_find(&list, "layers.2.bias");
    assert_true(weight && weight->rank == 2 && weight->dims[0] == 16 && weight->dims[1] == 12);
    assert_true(bias && bias->rank == 1 && bias->dims[0] == 3);
    tensor_list_clear(&list);
    /* steps too small to change anything: the same bytes come out that went in */
    end = run_json(state, spec_with_weights("a..b/one.safetensors", 1e-30), second, &ear, (struct run_job){0});
    assert_end(&end, "finished", STEPS_PER_EPOCH, "");
    forget(&ear, &end);
    keep_weights(state, second, "two.safetensors");
    static char bytes[2][8192];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(
            i ? in_folder(state, "weights/two.safetensors") : in_folder(state, "weights/a..b/one.safetensors"), "rb");
        assert_non_null(file);
        sizes[i] = fread(bytes[i], 1, sizeof bytes[i], file);
        fclose(file);
    }
    assert_true(sizes[0] > 1000 && sizes[0] < sizeof bytes[0]);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
}

static void test_weights_that_are_refused(void **state)
{
    const char *path = in_folder(state, "run.db");
    struct ear ear = {0};
    assert_int_equal(mkdir(in_folder(state, "weights"), 0700), 0);
    struct end end = run_json(state, small_spec("", 1), path, &ear, (struct run_job){0});
    forget(&ear, &end);
    keep_weights(state, path, "good.safetensors");
    keep_weights(state, path, "../outside.safetensors");
    end = run_json(state, spec_with_weights("absent.safetensors", 0.1), path, &ear, (struct run_job){0});
    assert_end(&end, "failed", 0, "weights/absent.safetensors does not exist");
    forget(&ear, &end);
    json_t *json = spec_with_weights("good.safetensors", 0.1);
    json_object_set_new(json_array_get(json_object_get(json_object_get(json, "model"), "layers"), 0), "units",
                        json_integer(17));
    end = run_json(state, json, path, &ear, (struct run_job){0});
    assert_end(&end, "failed", 0, "\"layers.0.weight\" is 16×12, the model needs 17×12");
    forget(&ear, &end);
    /* a spec's path was checked when it was parsed; where the file is opened it is checked again */
    char absolute[PATH_SIZE];
    snprintf(absolute, sizeof absolute, "%s/weights/good.safetensors", (const char *)*state);
    const char *const outside[] = {"../outside.safetensors", "x/../../outside.safetensors", "./../outside.safetensors",
                                   "..", absolute};
    struct spec *spec = parse_spec(spec_with_weights("good.safetensors", 0.1));
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        struct spec other = *spec;
        other.weights = outside[i];
        end = run_spec(state, &other, path, &ear, (struct run_job){0});
        assert_end(&end, "failed", 0, "The path of the weights");
        assert_sealed(path, "failed");
        forget(&ear, &end);
    }
    end = run_spec(state, spec, path, &ear, (struct run_job){0});
    assert_end(&end, "finished", STEPS_PER_EPOCH, "");
    forget(&ear, &end);
    spec_free(spec);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_lines),
        IN_A_FOLDER(test_what_a_finished_run_leaves),
        IN_A_FOLDER(test_a_run_that_measures_nothing),
        IN_A_FOLDER(test_a_stop_comes_between_steps),
        IN_A_FOLDER(test_a_stop_for_good),
        IN_A_FOLDER(test_the_cost_of_checkpoints_is_told),
        IN_A_FOLDER(test_a_stop_before_the_first_step),
        IN_A_FOLDER(test_nobody_hears),
        IN_A_FOLDER(test_a_run_that_diverges),
        IN_A_FOLDER(test_data_that_are_not_there),
        IN_A_FOLDER(test_a_file_that_cannot_be_written),
        IN_A_FOLDER(test_a_full_disk),
        IN_A_FOLDER(test_weights_out_and_in),
        IN_A_FOLDER(test_weights_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
