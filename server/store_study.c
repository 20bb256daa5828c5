#include "server/store_study.h"

#include <inttypes.h>
#include <string.h>

#include "core/file_util.h"
#include "core/json_text.h"
#include "server/clock.h"
#include "server/json_util.h"
#include "server/sqlite_util.h"

static enum status unknown_study(int64_t id, struct error *err)
{
    return error_set(err, STATUS_NOT_FOUND, "there is no study %" PRId64, id);
}

enum status store_study_insert(sqlite3 *db, const struct study *study, int64_t *ret_id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *base = json_text(study->base, JSON_COMPACT);
    attribute_cleanup(cleanup_free) char *grid = json_text(study->grid, JSON_COMPACT);
    if (!base || !grid)
        return error_no_memory(err);
    enum status status = db_prepare(db, "INSERT INTO study (name, note, base, grid, created_at) VALUES (?, ?, ?, ?, ?)",
                                    &statement, err);
    if (status != STATUS_OK)
        return status;
    char now[CLOCK_TEXT_SIZE];
    db_bind_text(statement, 1, study->name);
    db_bind_text(statement, 2, study->note);
    db_bind_text(statement, 3, base);
    db_bind_text(statement, 4, grid);
    db_bind_text(statement, 5, clock_now(now));
    status = db_run(statement, err);
    if (status == STATUS_OK)
        *ret_id = sqlite3_last_insert_rowid(db);
    return status;
}

enum status store_study_add_job(sqlite3 *db, int64_t study, size_t position, const json_t *point, int64_t job,
                                struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *text = json_text(point, JSON_COMPACT);
    enum status status =
        text
            ? db_prepare(db, "INSERT INTO study_job (study, position, point, job) VALUES (?, ?, ?, ?)", &statement, err)
            : error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, study);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)position);
    db_bind_text(statement, 3, text);
    sqlite3_bind_int64(statement, 4, job);
    return db_run(statement, err);
}

enum status store_study_retry(sqlite3 *db, int64_t job, int64_t retry, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "UPDATE study_job SET job = ?2 WHERE job = ?1", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, job);
    sqlite3_bind_int64(statement, 2, retry);
    return db_run(statement, err);
}

static enum status delete_by(sqlite3 *db, const char *sql, int64_t id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, sql, &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    return db_run(statement, err);
}

/* A request that is sent again with the key that made the study then makes another. */
enum status store_study_delete(sqlite3 *db, int64_t id, struct error *err)
{
    enum status status = delete_by(db, "DELETE FROM submission WHERE what = 'study' AND made = ?", id, err);
    if (status == STATUS_OK)
        status = delete_by(db, "DELETE FROM study WHERE id = ?", id, err);
    return status == STATUS_OK && sqlite3_changes(db) == 0 ? unknown_study(id, err) : status;
}

/* ------------------------------------------------------------------ how long */

/* The flops of a spec that ran, or 0 where that cannot be told any more. */
static double flops_of(const char *text, const struct dataset_folders *folders)
{
    attribute_cleanup(cleanup_json) json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    attribute_cleanup(cleanup_json) json_t *cost = NULL;
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    attribute_cleanup(problem_list_clear) struct problem_list problems = {NULL};
    const struct dataset_folders data = {folders->paths, NULL}; /* whatever became of its initial weights */
    if (!json || problem_list_init(&problems, NULL) != STATUS_OK ||
        spec_parse(json, &spec, &problems, NULL) != STATUS_OK ||
        spec_check(spec, &data, &cost, &problems, NULL) != STATUS_OK)
        return 0;
    return json_number_value(json_object_get(cost, "steps")) *
           json_number_value(json_object_get(cost, "flops_per_step"));
}

/* The specs of the newest that finished, with the seconds they took; the index job_in_view has them in this order. */
static enum status recent_jobs(sqlite3 *db, json_t *jobs, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db,
                                    "SELECT spec, coalesce(json_extract(results, '$.seconds'), "
                                    "(julianday(ended_at) - julianday(started_at)) * 86400) FROM job "
                                    "WHERE state = 'finished' AND trashed_at IS NULL ORDER BY id DESC LIMIT 10",
                                    &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = json_add(
            jobs,
            json_pack("[s, f]", (const char *)sqlite3_column_text(statement, 0), sqlite3_column_double(statement, 1)),
            err);
    }
    return status;
}

enum status store_recent_rate(sqlite3 *db, const struct dataset_folders *folders, double *ret_flops_per_second,
                              struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *jobs = json_array(); /* [spec, seconds] */
    enum status status = jobs ? recent_jobs(db, jobs, err) : error_no_memory(err);
    double flops = 0, seconds = 0;
    size_t i;
    const json_t *job;
    json_array_foreach(jobs, i, job)
    {
        double done = flops_of(json_string_value(json_array_get(job, 0)), folders);
        flops += done;
        seconds += done > 0 ? json_number_value(json_array_get(job, 1)) : 0;
    }
    if (status == STATUS_OK)
        *ret_flops_per_second = seconds > 0 ? flops / seconds : 0;
    return status;
}

/* ------------------------------------------------------------------ as JSON */

/* The columns that every answer has; the states are one JSON object. */
#define STUDY_COLUMNS                                                                                                  \
    "study.id, study.name, study.note, study.created_at, "                                                             \
    "(SELECT count(*) FROM study_job WHERE study = study.id) AS jobs, "                                                \
    "(SELECT json_group_object(state, jobs) FROM (SELECT job.state, count(*) AS jobs FROM study_job JOIN job ON "      \
    "job.id = study_job.job WHERE study_job.study = study.id GROUP BY job.state)) AS states"
static const char *const json_columns[] = {"states", "base", "grid", "point", "results", "progress", NULL};

static const struct list_field study_fields[] = {
    {"id", "study.id", FIELD_INTEGER, true},   {"name", "study.name", FIELD_TEXT, false},
    {"note", "study.note", FIELD_TEXT, false}, {"created_at", "study.created_at", FIELD_TIME, true},
    {NULL, NULL, FIELD_TEXT, false},
};

const struct list study_list = {.name = "studies",
                                .from = "study",
                                .columns = STUDY_COLUMNS,
                                .condition = "1",
                                .fields = study_fields,
                                .order_by = "id DESC",
                                .shape = {6, json_columns}};

enum status store_study_json(sqlite3 *db, int64_t id, json_t **ret_study, struct error *err)
{
    const struct row_shape shape = {study_list.shape.count + 2, json_columns};
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status =
        db_prepare(db, "SELECT " STUDY_COLUMNS ", base, grid FROM study WHERE id = ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    return row ? row_json(statement, &shape, ret_study, err) : unknown_study(id, err);
}

static enum status study_exists(sqlite3 *db, int64_t id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(db, "SELECT 1 FROM study WHERE id = ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    status = db_row(statement, &row, err);
    return status == STATUS_OK && !row ? unknown_study(id, err) : status;
}

enum status store_study_jobs(sqlite3 *db, int64_t id, const struct list_query *query, json_t **ret_page,
                             struct error *err)
{
    attribute_cleanup(cleanup_free) char *condition = text_format("study_job.study = %" PRId64, id);
    if (!condition)
        return error_no_memory(err);
    const struct list list = {.name = condition,
                              .from = "study_job JOIN job ON job.id = study_job.job",
                              .columns = "job.id AS job, point, state, results, progress, started_at, ended_at",
                              .condition = condition,
                              .fields = job_fields,
                              .order_by = "position",
                              .shape = {7, json_columns}};
    enum status status = study_exists(db, id, err);
    return status == STATUS_OK ? list_page(db, &list, query, ret_page, err) : status;
}

enum status store_study_rows(sqlite3 *db, int64_t id, json_t **ret_rows, struct error *err)
{
    const struct row_shape shape = {7, json_columns};
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_json) json_t *rows = json_array();
    enum status status = rows ? study_exists(db, id, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status =
            db_prepare(db,
                       "SELECT job.id AS job, point, state, results, progress, started_at, ended_at FROM study_job "
                       "JOIN job ON job.id = study_job.job WHERE study_job.study = ? ORDER BY position",
                       &statement, err);
    if (status != STATUS_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    for (bool row = true; status == STATUS_OK;) {
        json_t *item = NULL;
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = row_json(statement, &shape, &item, err);
        if (status == STATUS_OK)
            status = json_add(rows, item, err);
    }
    if (status != STATUS_OK)
        return status;
    *ret_rows = rows;
    rows = NULL;
    return STATUS_OK;
}
