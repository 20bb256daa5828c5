#include "server/study_statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "server/json_util.h"

static const char seed_key[] = "/seed";

void sample_statistics(const double *values, size_t count, struct sample_statistics *ret_statistics)
{
    struct sample_statistics all = {count, NAN, NAN, NAN, NAN, NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        all.minimum = fmin(all.minimum, values[i]); /* of NaN and a number the number */
        all.maximum = fmax(all.maximum, values[i]);
    }
    if (count > 0)
        all.mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - all.mean) * (values[i] - all.mean);
    if (count > 1) {
        all.sd = sqrt(squares / (double)(count - 1));
        all.standard_error = all.sd / sqrt((double)count);
    }
    *ret_statistics = all;
}

static json_t *statistics_json(const double *values, size_t count)
{
    struct sample_statistics all;
    sample_statistics(values, count, &all);
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)all.n, "mean", json_number_or_null(all.mean),
                     "sd", json_number_or_null(all.sd), "standard_error", json_number_or_null(all.standard_error),
                     "minimum", json_number_or_null(all.minimum), "maximum", json_number_or_null(all.maximum));
}

/* ------------------------------------------------------------------ rows */

static const json_t *point_of(const json_t *row)
{
    return json_object_get(row, "point");
}

/* A figure of a job that finished; NaN where it has none that is finite. */
static double figure_of(const json_t *row, const char *key)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    const json_t *results = json_object_get(row, "results"), *value = json_object_get(results, key);
    const char *slash = strchr(key, '/');
    if (!state || strcmp(state, "finished") != 0)
        return NAN;
    if (!value && slash) { /* "median_scale/1.dense": a figure for each site */
        const json_t *sites = json_object_getn(results, key, (size_t)(slash - key));
        value = json_object_get(sites, slash + 1);
    }
    double number = json_to_number(value);
    return isfinite(number) ? number : NAN;
}

/* A point without its seed and without one key more (may be NULL). A new reference. */
static json_t *shared_point(const json_t *point, const char *without)
{
    json_t *copy = json_copy((json_t *)point);
    if (copy) {
        json_object_del(copy, seed_key);
        if (without)
            json_object_del(copy, without);
    }
    return copy;
}

/*
 * The rows in groups that share all of their points but the seed and `without`: [{"point", "rows": […]}], in the order
 * of the first row of each.
 */
static enum status group_rows(const json_t *rows, const char *without, json_t **ret_groups, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *groups = json_array();
    attribute_cleanup(cleanup_json) json_t *known = json_object();
    size_t i;
    json_t *row;
    enum status status = groups && known ? STATUS_OK : error_no_memory(err);
    json_array_foreach((json_t *)rows, i, row)
    {
        attribute_cleanup(cleanup_json) json_t *point = shared_point(point_of(row), without);
        attribute_cleanup(cleanup_free) char *text = point ? json_text(point, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (status == STATUS_OK && !text)
            status = error_no_memory(err);
        if (status != STATUS_OK)
            return status;
        json_t *members = json_object_get(known, text);
        if (!members) {
            members = json_array();
            status = json_add(groups, json_pack("{s:O, s:o}", "point", point, "rows", members), err);
            if (status == STATUS_OK)
                status = json_put(known, text, json_incref(members), err);
        }
        if (status == STATUS_OK)
            status = json_add(members, json_incref(row), err);
    }
    if (status != STATUS_OK)
        return status;
    *ret_groups = groups;
    groups = NULL;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ figures over seeds */

static enum status count_state(json_t *states, const json_t *row, struct error *err)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    json_int_t before = state ? json_integer_value(json_object_get(states, state)) : 0;
    return state ? json_put(states, state, json_integer(before + 1), err) : STATUS_OK;
}

static enum status add_figure(const json_t *rows, const char *key, json_t *figures, struct error *err)
{
    size_t i, count = 0;
    const json_t *row;
    attribute_cleanup(cleanup_free) double *values = calloc(json_array_size(rows) + 1, sizeof *values);
    if (!values)
        return error_no_memory(err);
    json_array_foreach((json_t *)rows, i, row)
    {
        double value = figure_of(row, key);
        if (!isnan(value))
            values[count++] = value;
    }
    return json_put(figures, key, statistics_json(values, count), err);
}

static enum status add_point(const json_t *group, const char *const *keys, json_t *points, struct error *err)
{
    const json_t *rows = json_object_get(group, "rows"), *row;
    json_t *jobs = json_array(), *states = json_object(), *figures = json_object();
    size_t i;
    enum status status = json_add(points,
                                  json_pack("{s:O, s:o, s:o, s:o}", "point", json_object_get(group, "point"), "jobs",
                                            jobs, "states", states, "figures", figures),
                                  err);
    json_array_foreach((json_t *)rows, i, row)
    {
        if (status == STATUS_OK)
            status = json_add(jobs, json_incref(json_object_get(row, "job")), err);
        if (status == STATUS_OK)
            status = count_state(states, row, err);
    }
    for (; *keys && status == STATUS_OK; keys++)
        status = add_figure(rows, *keys, figures, err);
    return status;
}

/* ------------------------------------------------------------------ pairs */

/* The row of a group with this value of the key and this seed (NULL: no seed is varied), or NULL. */
static const json_t *find_row(const json_t *rows, const char *key, const json_t *value, const json_t *seed)
{
    size_t i;
    const json_t *row;
    json_array_foreach((json_t *)rows, i, row)
    {
        const json_t *point = point_of(row), *own_seed = json_object_get(point, seed_key);
        if (json_equal(json_object_get(point, key), value) && (own_seed == seed || json_equal(own_seed, seed)))
            return row;
    }
    return NULL;
}

static enum status add_pairs(const json_t *rows, const char *compare, const json_t *baseline, const json_t *value,
                             const char *key, json_t *figures, struct error *err)
{
    size_t i, count = 0, higher = 0;
    const json_t *row;
    attribute_cleanup(cleanup_free) double *differences = calloc(json_array_size(rows) + 1, sizeof *differences);
    if (!differences)
        return error_no_memory(err);
    json_array_foreach((json_t *)rows, i, row)
    {
        if (!json_equal(json_object_get(point_of(row), compare), value))
            continue;
        const json_t *other = find_row(rows, compare, baseline, json_object_get(point_of(row), seed_key));
        double difference = figure_of(row, key) - figure_of(other, key); /* NaN without a partner */
        if (isnan(difference))
            continue;
        differences[count++] = difference;
        higher += difference > 0;
    }
    json_t *figure = statistics_json(differences, count);
    enum status status = json_put(figures, key, figure, err);
    return status == STATUS_OK ? json_put(figure, "higher", json_integer((json_int_t)higher), err) : status;
}

static enum status add_comparison(const json_t *group, const char *compare, const json_t *baseline, const json_t *value,
                                  const char *const *keys, json_t *comparisons, struct error *err)
{
    json_t *figures = json_object();
    enum status status = json_add(comparisons,
                                  json_pack("{s:s, s:O, s:O, s:O, s:o}", "key", compare, "baseline", baseline, "value",
                                            value, "point", json_object_get(group, "point"), "figures", figures),
                                  err);
    for (; *keys && status == STATUS_OK; keys++)
        status = add_pairs(json_object_get(group, "rows"), compare, baseline, value, *keys, figures, err);
    return status;
}

/* The different values that the rows have at a key, in their order. */
static enum status values_of(const json_t *rows, const char *key, json_t **ret_values, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *values = json_array();
    size_t i, j;
    const json_t *row, *known;
    enum status status = values ? STATUS_OK : error_no_memory(err);
    json_array_foreach((json_t *)rows, i, row)
    {
        json_t *value = json_object_get(point_of(row), key);
        bool is_new = value != NULL;
        json_array_foreach(values, j, known)
        {
            is_new = is_new && !json_equal(known, value);
        }
        if (is_new && status == STATUS_OK)
            status = json_add(values, json_incref(value), err);
    }
    if (status == STATUS_OK && (json_array_size(values) == 0 || strcmp(key, seed_key) == 0))
        status =
            error_set(err, STATUS_INVALID, "compare must be a key of the study's grid, not its seed; found %.80s", key);
    if (status != STATUS_OK)
        return status;
    *ret_values = values;
    values = NULL;
    return STATUS_OK;
}

static enum status add_comparisons(const json_t *rows, const char *compare, const char *const *keys,
                                   json_t *comparisons, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *values = NULL;
    attribute_cleanup(cleanup_json) json_t *groups = NULL;
    enum status status = values_of(rows, compare, &values, err);
    if (status == STATUS_OK)
        status = group_rows(rows, compare, &groups, err);
    for (size_t g = 0; status == STATUS_OK && g < json_array_size(groups); g++)
        for (size_t v = 1; status == STATUS_OK && v < json_array_size(values); v++)
            status = add_comparison(json_array_get(groups, g), compare, json_array_get(values, 0),
                                    json_array_get(values, v), keys, comparisons, err);
    return status;
}

enum status study_results(const json_t *rows, const char *const *keys, const char *compare, json_t **ret_results,
                          struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *groups = NULL;
    json_t *key_list = json_array(), *points = json_array(), *comparisons = json_array();
    attribute_cleanup(cleanup_json) json_t *results =
        json_pack("{s:o, s:o, s:o}", "keys", key_list, "points", points, "comparisons", comparisons);
    enum status status = results ? group_rows(rows, NULL, &groups, err) : error_no_memory(err);
    for (size_t i = 0; status == STATUS_OK && keys[i]; i++)
        status = json_add(key_list, json_string(keys[i]), err);
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(groups); i++)
        status = add_point(json_array_get(groups, i), keys, points, err);
    if (status == STATUS_OK && compare)
        status = add_comparisons(rows, compare, keys, comparisons, err);
    if (status != STATUS_OK)
        return status;
    *ret_results = results;
    results = NULL;
    return STATUS_OK;
}
