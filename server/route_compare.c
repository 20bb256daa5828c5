/*
 * Runs side by side: where their specs differ, the jobs, and their scalars on one axis of steps.
 *
 * An axis is what is left of all the runs' series when each is thinned by itself (run_reader_metrics); every run then
 * gives its value at every step of it, so that a line that is drawn keeps its extremes and a table has no gaps but
 * where a run has no value.
 */
#include <stdlib.h>
#include <string.h>

#include "server/json_util.h"
#include "server/route.h"
#include "server/run_access.h"
#include "server/scheduler.h"

enum { MOST_RUNS = 32, MOST_KEYS = 32 };

const struct option compare_parameters[] = {
    {.name = "jobs",
     .kind = OPTION_INTEGERS,
     .fallback = NULL,
     .minimum = 1,
     .maximum = 0x1p53,
     .most = MOST_RUNS,
     .help = "by commas, in the order they are to be shown"},
    {.name = "keys",
     .kind = OPTION_STRINGS,
     .fallback = "[\"train/loss\", \"train/accuracy\", \"test/loss\", \"test/accuracy\"]",
     .most = MOST_KEYS,
     .distinct = true,
     .help = "scalars, by commas"},
    {.name = "max_points",
     .kind = OPTION_INTEGER,
     .fallback = "1000",
     .minimum = 2 * MOST_RUNS,
     .maximum = 10000,
     .help = "at most so many steps of an axis"},
    OPTION_END,
};

struct comparison {
    size_t count;
    json_t *jobs[MOST_RUNS];
    struct run_reader *runs[MOST_RUNS]; /* NULL where the job has not begun */
};

static void comparison_clear(struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        json_decref(comparison->jobs[i]);
        run_reader_close(comparison->runs[i]);
    }
}

/* --- where specs differ -------------------------------------------------------------------------------------- */

static bool all_equal(json_t *const *values, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (values[i] != values[0] && !json_equal(values[i], values[0]))
            return false;
    return true;
}

static bool all_objects(json_t *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!json_is_object(values[i]))
            return false;
    return true;
}

static bool all_arrays_of_one_size(json_t *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!json_is_array(values[i]) || json_array_size(values[i]) != json_array_size(values[0]))
            return false;
    return true;
}

static enum status add_difference(const char *pointer, json_t *const *values, size_t count, json_t *list,
                                  struct error *err)
{
    json_t *all = json_array();
    enum status status = json_add(list, json_pack("{s:s, s:o}", "pointer", pointer, "values", all), err);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = json_add(all, values[i] ? json_incref(values[i]) : json_null(), err);
    return status;
}

static enum status add_differences(const char *pointer, json_t *const *values, size_t count, json_t *list,
                                   struct error *err);

/* Those of the members at `pointer` (taken; NULL: memory ran out). */
static enum status add_below(char *pointer, json_t *const *members, size_t count, json_t *list, struct error *err)
{
    attribute_cleanup(cleanup_free) char *place = pointer;
    return place ? add_differences(place, members, count, list, err) : error_no_memory(err);
}

/* A member that an earlier object has was looked at there. */
static bool is_known(json_t *const *values, size_t before, const char *key)
{
    for (size_t i = 0; i < before; i++)
        if (json_object_get(values[i], key))
            return true;
    return false;
}

static enum status add_members(const char *pointer, json_t *const *values, size_t count, json_t *list,
                               struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(values[i], key, value)
        {
            json_t *members[MOST_RUNS];
            for (size_t j = 0; j < count; j++)
                members[j] = json_object_get(values[j], key);
            if (status == STATUS_OK && !is_known(values, i, key))
                status = add_below(pointer_member(pointer, key), members, count, list, err);
        }
    }
    return status;
}

/* NULL stands for what is not there. Objects and arrays of one size are gone into. */
static enum status add_differences(const char *pointer, json_t *const *values, size_t count, json_t *list,
                                   struct error *err)
{
    if (all_equal(values, count))
        return STATUS_OK;
    if (all_objects(values, count))
        return add_members(pointer, values, count, list, err);
    if (!all_arrays_of_one_size(values, count))
        return add_difference(pointer, values, count, list, err);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(values[0]) && status == STATUS_OK; i++) {
        json_t *items[MOST_RUNS];
        for (size_t j = 0; j < count; j++)
            items[j] = json_array_get(values[j], i);
        status = add_below(pointer_item(pointer, i), items, count, list, err);
    }
    return status;
}

/* What jobs are called is theirs to show, and may have been changed since; it is left out. */
static enum status spec_differences(const struct comparison *all, json_t *list, struct error *err)
{
    json_t *specs[MOST_RUNS];
    for (size_t i = 0; i < all->count; i++) {
        specs[i] = json_copy(json_object_get(all->jobs[i], "spec"));
        json_object_del(specs[i], "name");
        json_object_del(specs[i], "tags");
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < all->count; i++)
        if (!specs[i])
            status = error_no_memory(err);
    if (status == STATUS_OK)
        status = add_differences("", specs, all->count, list, err);
    for (size_t i = 0; i < all->count; i++)
        json_decref(specs[i]);
    return status;
}

/* --- scalars on one axis ------------------------------------------------------------------------------------- */

struct axis {
    int64_t *steps;
    size_t count;
};

static int by_step(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static enum status extend_axis(struct axis *axis, const json_t *steps, struct error *err)
{
    size_t more = json_array_size(steps);
    int64_t *all = realloc(axis->steps, (axis->count + more + 1) * sizeof *all);
    if (!all)
        return error_no_memory(err);
    for (size_t i = 0; i < more; i++)
        all[axis->count++] = json_integer_value(json_array_get(steps, i));
    axis->steps = all;
    return STATUS_OK;
}

static void sort_axis(struct axis *axis)
{
    size_t kept = 0;
    qsort(axis->steps, axis->count, sizeof *axis->steps, by_step);
    for (size_t i = 0; i < axis->count; i++)
        if (kept == 0 || axis->steps[kept - 1] != axis->steps[i])
            axis->steps[kept++] = axis->steps[i];
    axis->count = kept;
}

/* Each run's share of the axis; *of gets how many points each has. */
static enum status make_axis(const struct comparison *all, const char *key, size_t max_points, struct axis *axis,
                             json_t *of, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < all->count && status == STATUS_OK; i++) {
        attribute_cleanup(cleanup_json) json_t *thinned = NULL;
        const char *const keys[] = {key, NULL};
        if (all->runs[i])
            status = run_reader_metrics(all->runs[i], keys, max_points / all->count, &thinned, err);
        if (status != STATUS_OK)
            break;
        const json_t *series = json_array_get(json_object_get(thinned, "series"), 0);
        status = extend_axis(axis, json_object_get(series, "steps"), err);
        if (status == STATUS_OK)
            status = json_add(of, json_integer(json_integer_value(json_object_get(series, "of"))), err);
    }
    if (status == STATUS_OK)
        sort_axis(axis);
    return status;
}

static enum status fill_series(const struct comparison *all, const char *key, size_t max_points, struct axis *axis,
                               json_t *series, struct error *err)
{
    json_t *steps = json_object_get(series, "steps"), *values = json_object_get(series, "values");
    enum status status = make_axis(all, key, max_points, axis, json_object_get(series, "of"), err);
    for (size_t i = 0; i < axis->count && status == STATUS_OK; i++)
        status = json_add(steps, json_integer(axis->steps[i]), err);
    for (size_t i = 0; i < all->count && status == STATUS_OK; i++) {
        json_t *own = json_array();
        status = json_add(values, own, err);
        if (status == STATUS_OK && all->runs[i])
            status = run_reader_values(all->runs[i], key, axis->steps, axis->count, own, err);
        while (status == STATUS_OK && json_array_size(own) < axis->count) /* of a job that has not begun */
            status = json_add(own, json_null(), err);
    }
    return status == STATUS_OK ? json_put(series, "shown", json_integer((json_int_t)axis->count), err) : status;
}

static enum status add_series(const struct comparison *all, const char *key, size_t max_points, json_t *list,
                              struct error *err)
{
    struct axis axis = {0};
    json_t *series = json_pack("{s:s, s:i, s:[], s:[], s:[]}", "key", key, "shown", 0, "of", "steps", "values");
    enum status status = json_add(list, series, err);
    if (status == STATUS_OK)
        status = fill_series(all, key, max_points, &axis, series, err);
    free(axis.steps);
    return status;
}

/* --- the answer ---------------------------------------------------------------------------------------------- */

static enum status open_all(struct request *request, struct comparison *all, struct error *err)
{
    const json_t *ids = json_object_get(request->parameters, "jobs");
    size_t count = json_array_size(ids);
    enum status status = STATUS_OK;
    if (count < 1)
        return error_set(err, STATUS_INVALID, "jobs must name at least one job");
    for (; all->count < count && status == STATUS_OK; all->count++) {
        int64_t id = json_integer_value(json_array_get(ids, all->count));
        status = scheduler_job(request->service->scheduler, id, &all->jobs[all->count], err);
        if (status == STATUS_OK)
            status = run_open(request, id, &all->runs[all->count], err);
    }
    return status;
}

static enum status compare(struct request *request, const struct comparison *all, json_t *json, struct error *err)
{
    size_t i, max_points = (size_t)option_integer(request->parameters, "max_points");
    const json_t *key;
    enum status status = spec_differences(all, json_object_get(json, "differences"), err);
    for (i = 0; i < all->count && status == STATUS_OK; i++)
        status = json_add(json_object_get(json, "jobs"), json_incref(all->jobs[i]), err);
    json_array_foreach(json_object_get(request->parameters, "keys"), i, key)
    {
        if (status == STATUS_OK)
            status = add_series(all, json_string_value(key), max_points, json_object_get(json, "series"), err);
    }
    return status;
}

enum status handle_compare(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(comparison_clear) struct comparison all = {0};
    attribute_cleanup(cleanup_json) json_t *json = json_pack("{s:[], s:[], s:[]}", "differences", "jobs", "series");
    enum status status = json ? open_all(request, &all, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = compare(request, &all, json, err);
    return status == STATUS_OK ? answer_json(answer, json_incref(json), err) : status;
}
