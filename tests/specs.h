/* Specs from text, for tests. */
#ifndef PLUMBLINE_TESTS_SPECS_H
#define PLUMBLINE_TESTS_SPECS_H

#include "tests/support.h"

#include "core/spec.h"

static inline json_t *spec_json(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

/* Parses and expects success. */
static inline struct spec *spec_from_text(const char *text)
{
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    json_t *json = spec_json(text);
    assert_ok(problem_list_init(&problems, &err));
    assert_ok(spec_parse(json, &spec, &problems, &err));
    assert_int_equal(problem_list_count(&problems), 0);
    json_decref(json);
    problem_list_clear(&problems);
    return spec;
}

/* Expects exactly one fault at `pointer` whose detail contains `words`. */
static inline void expect_fault(const struct problem_list *problems, const char *text, const char *pointer,
                                const char *words)
{
    const json_t *first = json_array_get(problems->items, 0);
    const char *at = json_string_value(json_object_get(first, "pointer"));
    const char *detail = json_string_value(json_object_get(first, "detail"));
    if (problem_list_count(problems) != 1 || strcmp(at, pointer) != 0 || !strstr(detail, words))
        fail_msg("%s gives %s in place of %s: %s", text, json_dumps(problems->items, 0), pointer, words);
}

#endif
