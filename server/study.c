#include "server/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "core/json_text.h"
#include "core/utf8.h"
#include "server/json_util.h"
#include "server/text_stream.h"

/* More faults than this help nobody. */
enum { MOST_FAULTS = 20 };

/* A point for people: 0.1, and not its 17 digits. */
#define SHOWN (JSON_ENCODE_ANY | JSON_COMPACT)

static const struct option study_options[] = {
    {"name", OPTION_STRING, "\"\"", .help = "for people"},
    {"note", OPTION_STRING, "\"\"", .help = "for people"},
    {"base", OPTION_ANY, NULL, .help = "a spec"},
    {"grid", OPTION_ANY, NULL, .help = "JSON pointers into the spec, each with the values to take there"},
    OPTION_END,
};

/* ------------------------------------------------------------------ putting values into the base */

/* Takes the next token of a pointer off, its escapes undone; false where it is none. `token` has room for the rest. */
static bool take_token(const char **at, char *ret_token)
{
    if (**at != '/')
        return false;
    for ((*at)++; **at && **at != '/'; (*at)++) {
        char c = **at;
        if (c == '~') {
            (*at)++;
            if (**at != '0' && **at != '1')
                return false;
            c = **at == '0' ? '~' : '/';
        }
        *ret_token++ = c;
    }
    *ret_token = '\0';
    return true;
}

/* The place of an item that an array has, or −1. */
static long array_index(const json_t *array, const char *token)
{
    char *end;
    if (strspn(token, "0123456789") == 0 || (token[0] == '0' && token[1] != '\0') || strlen(token) > 9)
        return -1;
    long index = strtol(token, &end, 10);
    return *end == '\0' && (size_t)index < json_array_size(array) ? index : -1;
}

/* The member that a token names; a missing one of an object is made where `make` says so. NULL where there is none. */
static json_t *step_into(json_t *at, const char *token, bool make)
{
    if (json_is_array(at)) {
        long index = array_index(at, token);
        return index < 0 ? NULL : json_array_get(at, (size_t)index);
    }
    if (!json_object_get(at, token) && make)
        json_object_set_new(at, token, json_object());
    return json_object_get(at, token); /* NULL, too, for what is neither */
}

static bool set_member(json_t *at, const char *token, json_t *value)
{
    if (json_is_array(at)) {
        long index = array_index(at, token);
        return index >= 0 && json_array_set(at, (size_t)index, value) == 0;
    }
    return json_is_object(at) && json_object_set(at, token, value) == 0;
}

/* Puts a value where the pointer says; false where the base has no such place. */
static bool pointer_set(json_t *base, const char *pointer, json_t *value)
{
    attribute_cleanup(cleanup_free) char *token = malloc(strlen(pointer) + 1);
    json_t *at = base;
    while (token && at && take_token(&pointer, token)) {
        if (*pointer == '\0')
            return set_member(at, token, value);
        at = step_into(at, token, true);
    }
    return false;
}

/* A copy of the base with a point's values in it; a fault at the grid's key that has no place. */
static json_t *put_point(const struct study *study, const json_t *point, struct problem_list *problems)
{
    json_t *spec = json_deep_copy(study->base), *value;
    const char *key;
    json_object_foreach((json_t *)point, key, value)
    {
        if (pointer_set(spec, key, value))
            continue;
        attribute_cleanup(cleanup_free) char *place = pointer_member("/grid", key);
        problem_add(
            problems, place,
            "Is no place in the base spec: a key is a JSON pointer such as \"/model/variant\", through objects, "
            "or to an item that an array has.");
        json_decref(spec);
        return NULL;
    }
    return spec;
}

/* ------------------------------------------------------------------ the study's own form */

static void check_values(const char *key, const json_t *values, struct problem_list *problems)
{
    attribute_cleanup(cleanup_free) char *place = pointer_member("/grid", key);
    if (!json_is_array(values) || json_array_size(values) == 0) {
        problem_add(problems, place, "Must be an array of at least one value to take at %.80s.", key);
        return;
    }
    for (size_t i = 0; i < json_array_size(values); i++) {
        for (size_t j = 0; j < i; j++) {
            if (!json_equal(json_array_get(values, i), json_array_get(values, j)))
                continue;
            attribute_cleanup(cleanup_free) char *item = pointer_item(place ? place : "/grid", i);
            problem_add(problems, item, "Is the same value as number %zu: each would make the same jobs.", j);
            return;
        }
    }
}

/* Whether `inner` is the same place as `outer`, or within it. */
static bool is_within(const char *inner, const char *outer)
{
    size_t length = strlen(outer);
    return strncmp(inner, outer, length) == 0 && (inner[length] == '\0' || inner[length] == '/');
}

/* A key must not undo an earlier one. */
static void check_key_order(const json_t *grid, const char *key, struct problem_list *problems)
{
    const char *earlier;
    json_t *values;
    json_object_foreach((json_t *)grid, earlier, values)
    {
        if (strcmp(earlier, key) == 0)
            return;
        if (!is_within(earlier, key))
            continue;
        attribute_cleanup(cleanup_free) char *place = pointer_member("/grid", key);
        problem_add(problems, place, "Would undo %.80s, which is within it and comes before: put this key first.",
                    earlier);
    }
}

static void check_grid(struct study *study, struct problem_list *problems)
{
    const char *key;
    json_t *values;
    size_t count = 1;
    if (!json_is_object(study->grid) || json_object_size(study->grid) == 0) {
        problem_add(problems, "/grid",
                    "Must be an object with JSON pointers as keys and arrays of values, as in "
                    "{\"/seed\": [1, 2, 3]}.");
        return;
    }
    if (json_object_size(study->grid) > STUDY_MOST_KEYS)
        problem_add(problems, "/grid", "Must have at most %d keys; found %zu.", STUDY_MOST_KEYS,
                    json_object_size(study->grid));
    json_object_foreach((json_t *)study->grid, key, values)
    {
        check_values(key, values, problems);
        check_key_order(study->grid, key, problems);
        if (!size_multiply(count, json_array_size(values), &count))
            count = SIZE_MAX;
    }
    if (count > STUDY_MOST_JOBS)
        problem_add(problems, "/grid", "Must make at most %d jobs; found %zu.", STUDY_MOST_JOBS, count);
    study->job_count = count;
}

/* Tries the keys at the first point, so that a wrong pointer is told with the grid's other faults. */
static enum status check_places(const struct study *study, struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *point = NULL;
    enum status status = study_point(study, 0, &point, err);
    if (status == STATUS_OK)
        json_decref(put_point(study, point, problems));
    return status;
}

/* The first fault past `before` as a sentence. */
static enum status first_fault(const struct problem_list *problems, size_t before, struct error *err)
{
    const json_t *first = json_array_get(problems->items, before);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    const char *detail = json_string_value(json_object_get(first, "detail"));
    return error_set(err, STATUS_INVALID, "The study is not valid at %s: %s", pointer ? pointer : "its top",
                     detail ? detail : "");
}

enum status study_parse(const json_t *json, struct study **ret_study, struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_study) struct study *study = calloc(1, sizeof *study);
    size_t before = problem_list_count(problems);
    enum status status = STATUS_OK;
    if (!study)
        return error_no_memory(err);
    study->whole = options_expand(study_options, json, "", problems);
    if (study->whole) {
        study->name = option_string(study->whole, "name");
        study->note = option_string(study->whole, "note");
        study->base = json_object_get(study->whole, "base");
        study->grid = json_object_get(study->whole, "grid");
        if (!json_is_object(study->base))
            problem_add(problems, "/base", "Must be an object: a spec.");
        check_grid(study, problems);
        if (problem_list_count(problems) == before)
            status = check_places(study, problems, err);
    }
    if (status != STATUS_OK)
        return status;
    if (problem_list_count(problems) > before)
        return first_fault(problems, before, err);
    *ret_study = study;
    study = NULL;
    return STATUS_OK;
}

void study_free(struct study *study)
{
    if (study)
        json_decref(study->whole);
    free(study);
}

void cleanup_study(struct study **study)
{
    study_free(*study);
}

/* ------------------------------------------------------------------ points and their specs */

/* Which value of each key a position takes. */
static void indices_at(const struct study *study, size_t position, size_t ret_indices[STUDY_MOST_KEYS])
{
    size_t rest = study->job_count, i = 0;
    const char *key;
    json_t *values;
    json_object_foreach((json_t *)study->grid, key, values)
    {
        rest /= json_array_size(values);
        ret_indices[i++] = position / rest % json_array_size(values);
    }
}

enum status study_point(const struct study *study, size_t position, json_t **ret_point, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *point = json_object();
    size_t indices[STUDY_MOST_KEYS] = {0}, i = 0;
    const char *key;
    json_t *values;
    enum status status = point ? STATUS_OK : error_no_memory(err);
    indices_at(study, position, indices);
    json_object_foreach((json_t *)study->grid, key, values)
    {
        if (status == STATUS_OK)
            status = json_put(point, key, json_incref(json_array_get(values, indices[i++])), err);
    }
    if (status != STATUS_OK)
        return status;
    *ret_point = point;
    point = NULL;
    return STATUS_OK;
}

/* "<name> variant=affine seed=3": the last parts of the pointers with the values. */
static char *point_name(const struct study *study, const json_t *point)
{
    const char *name = json_string_value(json_object_get(study->base, "name")), *key;
    json_t *value;
    struct text_stream stream;
    if (!text_stream_open(&stream))
        return NULL;
    const char *first = name && *name ? name : study->name, *space = *first ? " " : "";
    fputs(first, stream.out);
    json_object_foreach((json_t *)point, key, value)
    {
        attribute_cleanup(cleanup_free) char *dump = json_text(value, SHOWN);
        const char *word = json_is_string(value) ? json_string_value(value) : dump;
        fprintf(stream.out, "%s%s=%.40s", space, strrchr(key, '/') + 1, word ? word : "");
        space = " ";
    }
    char *text = text_stream_close(&stream, NULL);
    if (text)
        utf8_repair(text); /* a value may have been cut within a character */
    return text;
}

/* Whether a fault of this place and beginning is in the list already. */
static bool is_told(const struct problem_list *problems, const char *pointer, const char *detail)
{
    size_t i;
    const json_t *item;
    json_array_foreach(problems->items, i, item)
    {
        const char *at = json_string_value(json_object_get(item, "pointer"));
        const char *text = json_string_value(json_object_get(item, "detail"));
        if (at && text && strcmp(at, pointer) == 0 && strncmp(text, detail, strlen(detail)) == 0)
            return true;
    }
    return false;
}

/* Where in the study a place of one of its specs comes from: the grid's value that was put there, or the base. */
static char *study_pointer(const struct study *study, size_t position, const char *pointer)
{
    size_t indices[STUDY_MOST_KEYS] = {0}, i = 0;
    const char *key;
    json_t *values;
    char *found = NULL;
    indices_at(study, position, indices);
    json_object_foreach((json_t *)study->grid, key, values)
    {
        size_t index = indices[i++];
        if (!is_within(pointer, key))
            continue;
        attribute_cleanup(cleanup_free) char *place = pointer_member("/grid", key);
        free(found); /* a later key is further in */
        found = place ? text_format("%s/%zu%s", place, index, pointer + strlen(key)) : NULL;
    }
    return found ? found : text_format("/base%s", pointer);
}

/* Adds the faults of one spec to those of the study. */
static void add_faults(const struct study *study, size_t position, const json_t *point,
                       const struct problem_list *faults, struct problem_list *problems)
{
    size_t i;
    const json_t *item;
    attribute_cleanup(cleanup_free) char *text = json_text(point, SHOWN);
    json_array_foreach(faults->items, i, item)
    {
        const char *pointer = json_string_value(json_object_get(item, "pointer"));
        const char *detail = json_string_value(json_object_get(item, "detail"));
        attribute_cleanup(cleanup_free) char *place = study_pointer(study, position, pointer ? pointer : "");
        if (place && detail && text && !is_told(problems, place, detail))
            problem_add(problems, place, "%s (at %.300s)", detail, text);
    }
}

/* The spec as a person would write it, not yet checked. */
static enum status write_spec(const struct study *study, const json_t *point, struct problem_list *problems,
                              json_t **ret_json, struct error *err)
{
    size_t before = problem_list_count(problems);
    attribute_cleanup(cleanup_json) json_t *json = put_point(study, point, problems);
    if (!json)
        return problem_list_count(problems) > before ? first_fault(problems, before, err) : error_no_memory(err);
    if (!json_object_get(study->grid, "/name")) {
        attribute_cleanup(cleanup_free) char *name = point_name(study, point);
        enum status status = name ? json_put(json, "name", json_string(name), err) : error_no_memory(err);
        if (status != STATUS_OK)
            return status;
    }
    *ret_json = json;
    json = NULL;
    return STATUS_OK;
}

/* Parses the spec of a position and, where `ret_cost` is not NULL and there are `folders`, checks it. */
static enum status check_position(const struct study *study, size_t position, const struct dataset_folders *folders,
                                  struct spec **ret_spec, json_t **ret_cost, struct problem_list *problems,
                                  struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *point = NULL;
    attribute_cleanup(cleanup_json) json_t *json = NULL;
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    attribute_cleanup(problem_list_clear) struct problem_list faults = {0};
    size_t before = problem_list_count(problems);
    enum status status = study_point(study, position, &point, err);
    if (status == STATUS_OK)
        status = write_spec(study, point, problems, &json, err);
    if (status == STATUS_OK)
        status = problem_list_init(&faults, err);
    if (status != STATUS_OK)
        return status;
    status = spec_parse_given(json, folders, &spec, &faults, err);
    if (status == STATUS_OK && folders && ret_cost)
        status = spec_check(spec, folders, ret_cost, &faults, err);
    add_faults(study, position, point, &faults, problems);
    if (status == STATUS_INVALID && problem_list_count(problems) > before)
        status = first_fault(problems, before, err);
    if (status != STATUS_OK)
        return status;
    *ret_spec = spec;
    spec = NULL;
    return STATUS_OK;
}

enum status study_spec(const struct study *study, size_t position, const struct dataset_folders *folders,
                       struct spec **ret_spec, struct problem_list *problems, struct error *err)
{
    return check_position(study, position, folders, ret_spec, NULL, problems, err);
}

static void add_cost(const json_t *cost, struct study_estimate *estimate)
{
    double steps = json_number_value(json_object_get(cost, "steps"));
    estimate->jobs++;
    estimate->steps += steps;
    estimate->flops += steps * json_number_value(json_object_get(cost, "flops_per_step"));
    estimate->probe_rows += json_number_value(json_object_get(cost, "probe_rows"));
}

enum status study_check(const struct study *study, const struct dataset_folders *folders,
                        struct study_estimate *ret_estimate, struct problem_list *problems, struct error *err)
{
    struct study_estimate estimate = {0};
    struct error first = {""};
    enum status worst = STATUS_OK;
    size_t before = problem_list_count(problems);
    for (size_t i = 0; i < study->job_count && problem_list_count(problems) < before + MOST_FAULTS; i++) {
        attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
        attribute_cleanup(cleanup_json) json_t *cost = NULL;
        struct error here = {""};
        enum status status = check_position(study, i, folders, &spec, &cost, problems, &here);
        if (status == STATUS_NO_MEMORY)
            return error_no_memory(err);
        if (status != STATUS_OK && worst == STATUS_OK) {
            worst = status;
            first = here;
        }
        add_cost(cost, &estimate);
    }
    if (worst != STATUS_OK)
        return error_set(err, worst, "%s", first.text);
    *ret_estimate = estimate;
    return STATUS_OK;
}
