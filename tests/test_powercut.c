/*
 * Power cuts. What the catalog acknowledged is there after a cut at any operation, whatever the disk made of what was
 * not synced; a run file is consistent, and the run goes on to the same bits.
 */
#include "server/events.h"
#include "server/json_util.h"
#include "server/run_job.h"
#include "server/store.h"
#include "tests/powercut.h"
#include "tests/resume_support.h"

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

enum { MOST_JOBS = 4096 };

static int trials(void)
{
    return fault_trials(150, 1000);
}

/* What was acknowledged, and the one change that was under way at the cut. */
struct model {
    enum job_state states[MOST_JOBS]; /* by id */
    int64_t jobs;
    int64_t changing; /* the job of the open transaction; 0: none */
    enum job_state to;
    uint64_t acknowledged;
};

static enum status add_job(sqlite3 *db, struct events *events, const struct spec *spec, struct model *m)
{
    int64_t id = 0;
    struct error err;
    m->changing = m->jobs + 1;
    m->to = JOB_QUEUED;
    enum status status = store_job_insert(db, spec, &id, &err);
    attribute_cleanup(cleanup_json) json_t *data = json_pack("{s:I}", "job", (json_int_t)id);
    if (status == STATUS_OK)
        assert_int_equal(id, m->changing);
    return status == STATUS_OK ? events_append(events, "job.state", id, data, &err) : status;
}

/* Some arrow out of the job's state; none where it has ended. */
static enum job_state next_state(enum job_state from, struct rng *rng)
{
    enum job_state to = (enum job_state)rng_below(rng, JOB_STATE_COUNT);
    while (!job_may_change(from, to))
        to = (enum job_state)rng_below(rng, JOB_STATE_COUNT);
    return to;
}

static enum status change_job(sqlite3 *db, struct events *events, struct model *m, int64_t id, struct rng *rng)
{
    struct error err;
    m->changing = id;
    m->to = next_state(m->states[id], rng);
    enum status status = store_job_change(db, id, &(struct job_change){.to = m->to, .reason = "a change"}, &err);
    attribute_cleanup(cleanup_json) json_t *data = json_pack("{s:I, s:s}", "job", (json_int_t)id, "state", "some");
    return status == STATUS_OK ? events_append(events, "job.state", id, data, &err) : status;
}

/* One transaction; its status. What was committed is in the model. */
static enum status transact(sqlite3 *db, struct events *events, const struct spec *spec, struct model *m,
                            struct rng *rng)
{
    struct error err;
    int64_t id = m->jobs > 0 ? 1 + (int64_t)rng_below(rng, (uint64_t)m->jobs) : 0;
    enum status status = db_begin(db, &err);
    if (status != STATUS_OK)
        return status;
    bool adds = id == 0 || job_state_is_final(m->states[id]);
    status = adds ? add_job(db, events, spec, m) : change_job(db, events, m, id, rng);
    if (status == STATUS_OK)
        status = db_commit(db, &err);
    if (status != STATUS_OK) {
        events_discard(events);
        return status;
    }
    events_publish(events);
    if (adds)
        m->jobs++;
    m->states[m->changing] = m->to;
    m->changing = 0;
    m->acknowledged++;
    return STATUS_OK;
}

/* Works on the catalog till the power fails. */
static void work_till_the_cut(const char *path, const struct spec *spec, struct model *m, struct rng *rng)
{
    sqlite3 *db = NULL;
    struct events *events = NULL;
    struct error err;
    char fold[64];
    snprintf(fold, sizeof fold, "PRAGMA wal_autocheckpoint = %d", 5 + (int)rng_below(rng, 60));
    enum status status = store_open(path, &db, &err);
    if (status == STATUS_OK)
        status = db_execute(db, fold, &err); /* so that cuts fall into checkpoints too */
    if (status == STATUS_OK)
        status = events_create(db, &events, &err);
    for (int i = 0; i < 40 && status == STATUS_OK && m->jobs + 1 < MOST_JOBS; i++)
        status = transact(db, events, spec, m, rng);
    if (status != STATUS_OK && !powercut_happened())
        fail_msg("%s", err.text);
    events_free(events);
    cleanup_db(&db);
}

/* The open transaction is there or not, all else is as it was acknowledged; the model becomes what was found. */
static void check_catalog(const char *path, struct model *m)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    struct error err;
    assert_ok(store_open(path, &db, &err));
    assert_query(path, "PRAGMA integrity_check", "ok");
    assert_query(path, "SELECT count(*) = coalesce(max(id) - min(id) + 1, 0) FROM event", "1"); /* no gaps */
    assert_query(
        path,
        "SELECT count(*) FROM job WHERE state <> (SELECT s.state FROM job_state AS s WHERE s.job = job.id ORDER "
        "BY s.id DESC LIMIT 1)",
        "0");
    int64_t found = 0;
    assert_ok(db_prepare(db, "SELECT id, state FROM job ORDER BY id", &statement, &err));
    for (bool row = true; row;) {
        assert_ok(db_row(statement, &row, &err));
        if (!row)
            break;
        int64_t id = sqlite3_column_int64(statement, 0);
        enum job_state state = job_state_parse((const char *)sqlite3_column_text(statement, 1));
        assert_int_equal(id, ++found);
        bool under_way = id == m->changing && state == m->to;
        if (!under_way && (id > m->jobs || state != m->states[id]))
            fail_msg("job %lld is %s, but %s was acknowledged", (long long)id, job_state_name(state),
                     id > m->jobs ? "nothing" : job_state_name(m->states[id]));
        m->states[id] = state;
    }
    if (found < m->jobs)
        fail_msg("%lld jobs were acknowledged, %lld are there", (long long)m->jobs, (long long)found);
    m->jobs = found;
    m->changing = 0;
    cleanup_statement(&statement);
    cleanup_db(&db);
}

static void test_what_the_catalog_acknowledged_is_there(void **state)
{
    struct model model = {.jobs = 0};
    struct rng rng;
    char folder[2][PATH_SIZE], path[PATH_SIZE + 16];
    int cuts = trials();
    struct spec *spec = parse_spec(small_spec("job", 1));
    rng_seed(&rng, 5, 0);
    for (int trial = 0; trial < cuts; trial++) {
        /* The image of one cut is the disk of the next, till it begins anew. */
        if (trial % 50 == 0)
            model = (struct model){.acknowledged = model.acknowledged};
        for (int i = 0; i < 2; i++)
            snprintf(folder[i], PATH_SIZE, "%s/%d", (char *)*state, trial + i);
        if (trial % 50 == 0)
            mkdir(folder[0], 0700);
        mkdir(folder[1], 0700);
        if (trial % 50 == 0) {
            snprintf(path, sizeof path, "%s/catalog.db", folder[0]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s/catalog.db", folder[0]);
        powercut_begin((uint64_t)trial, 1 + rng_below(&rng, 300));
        work_till_the_cut(path, spec, &model, &rng);
        powercut_image(folder[1]);
        powercut_begin(0, 0);
        snprintf(path, sizeof path, "%s/catalog.db", folder[1]);
        check_catalog(path, &model);
    }
    spec_free(spec);
    print_message("%d power cuts, %llu changes acknowledged: none missing\n", cuts,
                  (unsigned long long)model.acknowledged);
    assert_true(model.acknowledged > 0);
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

static enum status tell(void *context, const json_t *line, struct error *err)
{
    (void)context;
    (void)line;
    (void)err;
    return STATUS_OK;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static json_t *run(const char *data, const char *path, const struct spec *spec, int attempt)
{
    const char *const folders[] = {path_in(data, "datasets", (char[PATH_SIZE]){0}), NULL};
    const struct run_job job = {.spec = spec,
                                .path = path,
                                .attempt = attempt,
                                .data = data,
                                .folders = {.paths = folders},
                                .tell = tell,
                                .stop = never};
    struct error err;
    json_t *end = NULL;
    assert_ok(run_job(&job, &end, &err));
    return end;
}

static void test_a_run_goes_on_after_a_cut(void **state)
{
    struct rng rng;
    int cuts = (trials() + 19) / 20, inside = 0;
    write_pictures(*state);
    json_t *json = resume_spec(KIND_MLP, 120);
    json_object_set_new(json, "checkpoint_every", json_integer(20));
    struct spec *spec = parse_spec(json);
    rng_seed(&rng, 6, 0);
    powercut_begin(0, 0);
    json_decref(run(*state, in_folder(state, "whole.db"), spec, 1));
    assert_int_equal(mkdir(in_folder(state, "disk"), 0700), 0);
    assert_int_equal(mkdir(in_folder(state, "image"), 0700), 0);
    for (int trial = 0; trial < cuts; trial++) {
        powercut_begin((uint64_t)trial, 1 + rng_below(&rng, 1500));
        json_t *end = run(*state, in_folder(state, "disk/run.db"), spec, 1);
        inside += powercut_happened();
        json_decref(end);
        powercut_image(in_folder(state, "image"));
        powercut_begin(0, 0);
        end = run(*state, in_folder(state, "image/run.db"), spec, 2);
        if (strcmp(json_string_value(json_object_get(end, "state")), "finished") != 0)
            fail_msg("trial %d: %s", trial, json_dumps(end, JSON_COMPACT));
        json_decref(end);
        assert_query(in_folder(state, "image/run.db"), "PRAGMA integrity_check", "ok");
        assert_same_run(in_folder(state, "whole.db"), in_folder(state, "image/run.db"));
        static const char *const left[] = {"disk/run.db", "disk/run.db-wal", "disk/run.db-shm", "disk/run.db-journal",
                                           "image/run.db"};
        for (size_t i = 0; i < sizeof left / sizeof *left; i++)
            unlink(in_folder(state, left[i]));
    }
    spec_free(spec);
    print_message("%d runs, %d of them cut inside: all the same bits\n", cuts, inside);
}

int main(void)
{
    powercut_register();
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_what_the_catalog_acknowledged_is_there),
        IN_A_FOLDER(test_a_run_goes_on_after_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
