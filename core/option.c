#include "core/option.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/option_problem.h"

/* Whole numbers up to here are exact in the double that a bound is compared in. */
#define EXACT_INTEGER 0x1p53

/* ------------------------------------------------------------------ checking one value */

/* Whether `value` lies within the option's bounds; if not, says so. */
static bool check_bounds(const struct option *option, double value, const char *pointer, struct problem_list *list)
{
    char found[NUMBER_TEXT_SIZE], bound[NUMBER_TEXT_SIZE];
    bool unbounded = option->minimum == 0 && option->maximum == 0;
    if (unbounded)
        return true;
    number_format(value, found);
    if (value < option->minimum || (option->above_minimum && value == option->minimum)) {
        number_format(option->minimum, bound);
        const char *relation = option->above_minimum ? "above" : "at least";
        if (option->too_small && value < option->minimum)
            problem_add(list, pointer, "Must be %s %s; %s %s.", relation, bound, found, option->too_small);
        else
            problem_add(list, pointer, "Must be %s %s; found %s.", relation, bound, found);
        return false;
    }
    if (value > option->maximum || (option->below_maximum && value == option->maximum)) {
        number_format(option->maximum, bound);
        problem_add(list, pointer, "Must be %s %s; found %s.", option->below_maximum ? "below" : "at most", bound,
                    found);
        return false;
    }
    return true;
}

/* A whole number written as a real (64.0) is taken as the integer it is. */
static json_t *check_integer(const struct option *option, const json_t *value, const char *pointer,
                             struct problem_list *list)
{
    double number = json_number_value(value);
    bool whole = json_is_integer(value) || (json_is_real(value) && number == floor(number));
    if (!whole) {
        problem_found(list, pointer, "a whole number", value);
        return NULL;
    }
    if (!check_bounds(option, number, pointer, list))
        return NULL;
    if (json_is_integer(value))
        return json_integer(json_integer_value(value));
    if (fabs(number) > EXACT_INTEGER) {
        problem_found(list, pointer, "a whole number that is exact (at most 2^53)", value);
        return NULL;
    }
    return json_integer((json_int_t)number);
}

/* Reals and integers alike become reals, so that 1 and 1.0 are the same spec; so do 0 and −0. */
static json_t *check_number(const struct option *option, const json_t *value, const char *pointer,
                            struct problem_list *list)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value))) {
        problem_found(list, pointer, "a number", value);
        return NULL;
    }
    double number = json_number_value(value);
    return check_bounds(option, number, pointer, list) ? json_real(number + 0.0) : NULL;
}

static json_t *check_string(const struct option *option, const json_t *value, const char *pointer,
                            struct problem_list *list)
{
    const char *text = json_string_value(value);
    if (!text) {
        problem_found(list, pointer, "a string", value);
        return NULL;
    }
    if (strlen(text) != json_string_length(value)) {
        problem_add(list, pointer, "Must be text without NUL characters.");
        return NULL;
    }
    if (option->choices && !is_one_of(text, option->choices)) {
        problem_choice(list, pointer, text, option->choices);
        return NULL;
    }
    return json_string(text);
}

static json_t *check_array(const struct option *option, const json_t *value, const char *pointer,
                           struct problem_list *list)
{
    bool strings = option->kind == OPTION_STRINGS;
    if (!json_is_array(value)) {
        problem_found(list, pointer, strings ? "an array of strings" : "an array of whole numbers", value);
        return NULL;
    }
    if (option->most > 0 && json_array_size(value) > option->most) {
        problem_add(list, pointer, "Takes %zu at most; found %zu.", option->most, json_array_size(value));
        return NULL;
    }
    json_t *result = json_array();
    bool whole = result && (!option->distinct || problem_repeats(list, pointer, value) == 0);
    for (size_t i = 0; i < json_array_size(value); i++) {
        attribute_cleanup(cleanup_free) char *place = pointer_item(pointer, i);
        json_t *item = json_array_get(value, i);
        json_t *checked = strings ? check_string(option, item, place, list) : check_integer(option, item, place, list);
        if (!checked || json_array_append_new(result, checked) != 0)
            whole = false;
    }
    if (whole)
        return result;
    json_decref(result);
    return NULL;
}

/* {"part": choice} for every part: all from one string, or each from its key, the first choice where it has none. */
static json_t *check_parts(const struct option *option, const json_t *value, const char *pointer,
                           struct problem_list *list)
{
    json_t *result = json_object();
    bool whole = result;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item)
    {
        attribute_cleanup(cleanup_free) char *place = pointer_member(pointer, key);
        if (is_one_of(key, option->parts))
            continue;
        problem_choice(list, place ? place : pointer, key, option->parts);
        whole = false;
    }
    for (const char *const *part = option->parts; *part; part++) {
        attribute_cleanup(cleanup_free) char *place = pointer_member(pointer, *part);
        json_t *given = json_is_object(value) ? json_object_get(value, *part) : (json_t *)value;
        json_t *checked = given ? check_string(option, given, json_is_object(value) && place ? place : pointer, list)
                                : json_string(option->choices[0]);
        if (!checked || json_object_set_new(result, *part, checked) != 0) {
            whole = false;
            break; /* one fault is enough where all parts share it */
        }
    }
    if (whole)
        return result;
    json_decref(result);
    return NULL;
}

static json_t *check_boolean(const json_t *value, const char *pointer, struct problem_list *list)
{
    if (json_is_boolean(value))
        return json_boolean(json_is_true(value));
    problem_found(list, pointer, "true or false", value);
    return NULL;
}

/* A new value as it goes into the expanded object, or NULL after a fault (or without memory: then without one). */
static json_t *check_value(const struct option *option, const json_t *value, const char *pointer,
                           struct problem_list *list)
{
    if (json_is_null(value) && option->nullable)
        return json_null();
    switch (option->kind) {
    case OPTION_INTEGER:
        return check_integer(option, value, pointer, list);
    case OPTION_NUMBER:
        return check_number(option, value, pointer, list);
    case OPTION_BOOLEAN:
        return check_boolean(value, pointer, list);
    case OPTION_STRING:
    case OPTION_CHOICE:
        return check_string(option, value, pointer, list);
    case OPTION_STRINGS:
    case OPTION_INTEGERS:
        return check_array(option, value, pointer, list);
    case OPTION_PARTS:
        return check_parts(option, value, pointer, list);
    case OPTION_LAYERS:
    case OPTION_ANY:
        return json_deep_copy(value);
    }
    return NULL;
}

/* ------------------------------------------------------------------ whole objects */

static const struct option *option_find(const struct option *options, const char *name)
{
    for (; options->name; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}

static json_t *fallback_value(const struct option *option)
{
    json_t *value =
        json_loads(option->fallback, JSON_DECODE_ANY, NULL); /* NULL only without memory: tables are right */
    /* Reals in the tables may be written as 0: the expanded spec has one form. */
    if (option->kind == OPTION_NUMBER && json_is_integer(value)) {
        json_t *number = json_real((double)json_integer_value(value));
        json_decref(value);
        return number;
    }
    return value;
}

/* Whether the option is taken beside what `result` already chose. */
static bool is_taken(const struct option *option, const json_t *result)
{
    const char *word = option->when_key ? json_string_value(json_object_get(result, option->when_key)) : NULL;
    return !option->when_key || !word || is_one_of(word, option->when);
}

/* A key that is not taken may still stand there with its default, which changes nothing; true then. */
static bool check_idle(const struct option *option, const json_t *value, const json_t *result, const char *pointer,
                       struct problem_list *list)
{
    if (!value)
        return true;
    json_t *checked = check_value(option, value, pointer, list), *fallback = fallback_value(option);
    bool same = checked && fallback && json_equal(checked, fallback);
    if (checked && fallback && !same)
        problem_add(list, pointer, "Is not taken where %s is \"%s\": leave it out.", option->when_key,
                    json_string_value(json_object_get(result, option->when_key)));
    json_decref(checked);
    json_decref(fallback);
    return same;
}

/* Puts the value of one key into `result`; false after a fault or without memory. */
static bool expand_key(const struct option *option, const json_t *object, const char *base, json_t *result,
                       struct problem_list *list)
{
    json_t *value = json_object_get(object, option->name);
    attribute_cleanup(cleanup_free) char *pointer = pointer_member(base, option->name);
    if (!is_taken(option, result))
        return check_idle(option, value, result, pointer ? pointer : base, list);
    if (!value && !option->fallback) {
        problem_add(list, pointer, "Is missing: %s.", option->help ? option->help : "it has no default");
        return false;
    }
    json_t *checked = value ? check_value(option, value, pointer ? pointer : base, list) : fallback_value(option);
    if (option->omitted && json_is_null(checked))
        return true;
    return checked && json_object_set_new(result, option->name, checked) == 0;
}

static bool check_known(const struct option *options, const json_t *object, const char *base, struct problem_list *list)
{
    bool known = true;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (option_find(options, key))
            continue;
        attribute_cleanup(cleanup_free) char *pointer = pointer_member(base, key);
        problem_unknown_key(list, pointer, key, options);
        known = false;
    }
    return known;
}

json_t *options_expand(const struct option *options, const json_t *object, const char *base, struct problem_list *list)
{
    if (!json_is_object(object)) {
        if (object)
            problem_found(list, base, "an object", object);
        else
            problem_add(list, base, "Out of memory while checking this.");
        return NULL;
    }
    size_t before = problem_list_count(list);
    json_t *result = json_object();
    bool whole = check_known(options, object, base, list) && result;
    for (const struct option *option = options; option->name; option++)
        if (!expand_key(option, object, base, result, list))
            whole = false;
    if (whole)
        return result;
    json_decref(result);
    if (problem_list_count(list) == before)
        problem_add(list, base, "Out of memory while checking this.");
    return NULL;
}

/* ------------------------------------------------------------------ reads of an expanded object */

long long option_integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert(json_is_integer(value));
    return json_integer_value(value);
}

double option_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert(json_is_number(value));
    return json_number_value(value);
}

bool option_boolean(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert(json_is_boolean(value));
    return json_is_true(value);
}

const char *option_string(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert(json_is_string(value) || json_is_null(value));
    return json_string_value(value);
}

const char **option_strings(const json_t *object, const char *key)
{
    const json_t *array = json_object_get(object, key);
    assert(json_is_array(array));
    size_t count = json_array_size(array);
    const char **list = (const char **)calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = json_string_value(json_array_get(array, i));
    return list;
}

/* ------------------------------------------------------------------ description */

static json_t *describe_choices(const char *const *choices)
{
    if (!choices)
        return json_null();
    json_t *list = json_array();
    for (; list && *choices; choices++) {
        if (json_array_append_new(list, json_string(*choices)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *describe_bound(const struct option *option, double bound)
{
    bool bounded = option->minimum != 0 || option->maximum != 0;
    if (!bounded || !isfinite(bound))
        return json_null();
    if (option->kind == OPTION_NUMBER)
        return json_real(bound);
    return json_integer((json_int_t)bound);
}

static json_t *describe_option(const struct option *option)
{
    static const char *const kinds[] = {
        [OPTION_INTEGER] = "integer",   [OPTION_NUMBER] = "number", [OPTION_BOOLEAN] = "boolean",
        [OPTION_STRING] = "string",     [OPTION_CHOICE] = "choice", [OPTION_STRINGS] = "strings",
        [OPTION_INTEGERS] = "integers", [OPTION_ANY] = "any",       [OPTION_PARTS] = "parts",
        [OPTION_LAYERS] = "layers",
    };
    json_t *when = option->when_key
                       ? json_pack("{s:s, s:o}", "key", option->when_key, "values", describe_choices(option->when))
                       : NULL;
    return json_pack("{s:s, s:s, s:b, s:o, s:b, s:o, s:b, s:o, s:b, s:o, s:s, s:o*}", "name", option->name, "kind",
                     kinds[option->kind], "required", option->fallback == NULL, "default",
                     option->fallback ? fallback_value(option) : json_null(), "nullable", option->nullable, "minimum",
                     describe_bound(option, option->minimum), "above_minimum", option->above_minimum, "maximum",
                     describe_bound(option, option->maximum), "below_maximum", option->below_maximum, "choices",
                     describe_choices(option->choices), "help", option->help ? option->help : "", "when", when);
}

json_t *options_describe(const struct option *options)
{
    json_t *list = json_array();
    for (; list && options->name; options++) {
        if (json_array_append_new(list, describe_option(options)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
