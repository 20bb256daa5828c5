/*
 * Lists of jobs, and what the catalog holds besides them, read and changed through the scheduler, which alone writes
 * it.
 */
#include <stdlib.h>

#include "server/json_util.h"
#include "server/list.h"
#include "server/scheduler_internal.h"
#include "server/store_import.h"
#include "server/store_study.h"
#include "server/study.h"

struct catalog_call {
    catalog_use *change;
    void *context;
};

static enum status change_catalog(struct scheduler *s, void *argument, struct error *err)
{
    const struct catalog_call *call = argument;
    return call->change(s->db, call->context, err);
}

static enum status command_write(struct scheduler *s, void *argument, struct error *err)
{
    return hard_change(s, change_catalog, argument, err);
}

enum status scheduler_write(struct scheduler *scheduler, catalog_use *change, void *context, struct error *err)
{
    struct catalog_call call = {change, context};
    return scheduler_call(scheduler, command_write, &call, err);
}

static enum status command_add(struct scheduler *s, void *argument, struct error *err)
{
    enum status status = space_check(s, err);
    return status == STATUS_OK ? command_write(s, argument, err) : status;
}

enum status scheduler_add(struct scheduler *scheduler, catalog_use *change, void *context, struct error *err)
{
    struct catalog_call call = {change, context};
    return scheduler_call(scheduler, command_add, &call, err);
}

enum status scheduler_read(struct scheduler *scheduler, catalog_use *read, void *context, struct error *err)
{
    sqlite3 *db = NULL;
    enum status status = store_pool_take(scheduler->pool, &db, err);
    if (status == STATUS_OK)
        status = read(db, context, err);
    store_pool_give(scheduler->pool, db);
    return status;
}

/* --- jobs by a filter --------------------------------------------------------------------------------------------- */

struct ids_read {
    const char *filter;
    bool with_trash;
    int64_t *ids;
    size_t count;
};

static enum status read_ids(sqlite3 *db, void *context, struct error *err)
{
    struct ids_read *read = context;
    return list_ids(db, read->with_trash ? &all_jobs_list : &job_list, read->filter, &read->ids, &read->count, err);
}

enum status scheduler_job_ids(struct scheduler *scheduler, const char *filter, bool with_trash, size_t most,
                              int64_t **ret_ids, size_t *ret_count, struct error *err)
{
    struct ids_read read = {.filter = filter, .with_trash = with_trash};
    enum status status = scheduler_read(scheduler, read_ids, &read, err);
    if (status != STATUS_OK)
        return status;
    if (read.count > most) {
        free(read.ids);
        return error_set(err, STATUS_INVALID, "the filter wants %zu jobs; at most %zu are taken at once", read.count,
                         most);
    }
    *ret_ids = read.ids;
    *ret_count = read.count;
    return STATUS_OK;
}

/* --- a run that comes from elsewhere ----------------------------------------------------------------------------- */

struct import_call {
    const struct run_import *import;
    const char *file;
    int64_t id;
};

static enum status change_import(struct scheduler *s, void *argument, struct error *err)
{
    struct import_call *call = argument;
    enum status status = store_run_take_in(s->db, s->data, call->import, call->file, &call->id, err);
    return status == STATUS_OK ? append_state(s, call->id, err) : status;
}

static enum status command_import(struct scheduler *s, void *argument, struct error *err)
{
    struct import_call *call = argument;
    enum status status = space_check(s, err);
    if (status == STATUS_OK)
        status = hard_change(s, change_import, call, err);
    if (status != STATUS_OK)
        store_run_take_back(s->data, call->id);
    return status;
}

enum status scheduler_import(struct scheduler *scheduler, const struct run_import *import, const char *file,
                             int64_t *ret_id, struct error *err)
{
    struct import_call call = {.import = import, .file = file};
    enum status status = scheduler_call(scheduler, command_import, &call, err);
    if (status == STATUS_OK)
        *ret_id = call.id;
    return status;
}

/* --- studies ----------------------------------------------------------------------------------------------------- */

struct study_call {
    const struct study *study;
    struct spec *const *specs;
    const struct submission_key *key;
    int64_t id;
    bool again;
};

static enum status add_job(struct scheduler *s, const struct study_call *call, size_t position, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *point = NULL;
    int64_t job = 0;
    enum status status = study_point(call->study, position, &point, err);
    if (status == STATUS_OK)
        status = store_job_insert(s->db, call->specs[position], &job, err);
    if (status == STATUS_OK)
        status = store_study_add_job(s->db, call->id, position, point, job, err);
    return status == STATUS_OK ? append_state(s, job, err) : status;
}

static enum status change_study(struct scheduler *s, void *argument, struct error *err)
{
    struct study_call *call = argument;
    enum status status = store_submission_find(s->db, call->key, "study", &call->id, err);
    call->again = call->id != 0;
    if (status != STATUS_OK || call->again)
        return status;
    status = store_study_insert(s->db, call->study, &call->id, err);
    if (status == STATUS_OK)
        status = store_submission_add(s->db, call->key, "study", call->id, err);
    for (size_t i = 0; i < call->study->job_count && status == STATUS_OK; i++)
        status = add_job(s, call, i, err);
    return status;
}

static enum status command_study(struct scheduler *s, void *argument, struct error *err)
{
    enum status status = space_check(s, err);
    return status == STATUS_OK ? hard_change(s, change_study, argument, err) : status;
}

enum status scheduler_submit_study(struct scheduler *scheduler, const struct study *study, struct spec *const *specs,
                                   const struct submission_key *key, int64_t *ret_id, bool *ret_again,
                                   struct error *err)
{
    struct study_call call = {.study = study, .specs = specs, .key = key};
    enum status status = scheduler_call(scheduler, command_study, &call, err);
    if (status != STATUS_OK)
        return status;
    *ret_id = call.id;
    *ret_again = call.again;
    return STATUS_OK;
}
