/* The checker of JSON objects: what it accepts, what it refuses, and in which words. */
#include "tests/support.h"

#include "core/option.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct option table[] = {
    {"count", OPTION_INTEGER, "5", 1, 100, .help = "how many"},
    {"rate", OPTION_NUMBER, "0.5", 0, 1, .above_minimum = true, .below_maximum = true,
     .too_small = "would climb the loss", .help = "how fast"},
    {"free", OPTION_NUMBER, "0", .help = "any number"},
    {"whole", OPTION_INTEGER, "0", .help = "any whole number"},
    {"on", OPTION_BOOLEAN, "true", .help = "whether"},
    {"label", OPTION_STRING, "\"\"", .help = "what it is called"},
    {"limit", OPTION_INTEGER, "null", 1, 10, .nullable = true, .help = "null is all"},
    {"colour", OPTION_CHOICE, "\"red\"", .choices = colours, .help = "which"},
    {"words", OPTION_STRINGS, "[]", .help = "some words"},
    {"shades", OPTION_STRINGS, "[\"red\"]", .choices = colours, .help = "some colours"},
    {"numbers", OPTION_INTEGERS, "[]", 0, 9, .help = "digits"},
    {"part", OPTION_ANY, "{}", .help = "checked elsewhere"},
    OPTION_END,
};

static const char *const only_red[] = {"red", NULL};
static const struct option dependent[] = {
    {"colour", OPTION_CHOICE, "\"red\"", .choices = colours, .help = "which"},
    {"warmth", OPTION_NUMBER, "2", 0, 9, .when_key = "colour", .when = only_red, .help = "of red alone"},
    OPTION_END,
};

static const struct option limited[] = {
    {"few", OPTION_INTEGERS, "[]", 0, 9, .most = 3, .help = "three digits"},
    {"distinct", OPTION_STRINGS, "[]", .distinct = true, .help = "words"},
    OPTION_END,
};

static const struct option demanding[] = {{"needed", OPTION_INTEGER, NULL, 1, 9, .help = "what it is for"}, OPTION_END};

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

/* Expands and expects success; the result as compact text. */
static char *expand(const struct option *options, const char *text)
{
    struct problem_list problems;
    struct error err;
    json_t *given = parse(text);
    assert_ok(problem_list_init(&problems, &err));
    json_t *result = options_expand(options, given, "/at", &problems);
    if (!result)
        fail_msg("%s: %s", text, json_dumps(problems.items, 0));
    assert_int_equal(problem_list_count(&problems), 0);
    char *dumped = json_dumps(result, JSON_COMPACT);
    json_decref(given);
    json_decref(result);
    problem_list_clear(&problems);
    return dumped;
}

static void expands_to(const char *text, const char *part)
{
    char *dumped = expand(table, text);
    if (!strstr(dumped, part))
        fail_msg("%s gives %s without %s", text, dumped, part);
    free(dumped);
}

/* Expects one fault with that pointer, in those words. */
static void refuses(const struct option *options, const char *text, const char *pointer, const char *detail)
{
    struct problem_list problems;
    struct error err;
    json_t *given = parse(text);
    assert_ok(problem_list_init(&problems, &err));
    assert_null(options_expand(options, given, "/at", &problems));
    assert_int_equal(problem_list_count(&problems), 1);
    const json_t *problem = json_array_get(problems.items, 0);
    assert_string_equal(json_string_value(json_object_get(problem, "pointer")), pointer);
    assert_string_equal(json_string_value(json_object_get(problem, "detail")), detail);
    json_decref(given);
    problem_list_clear(&problems);
}

static void test_defaults_in_order(void **state)
{
    (void)state;
    char *text = expand(table, "{\"colour\": \"blue\"}");
    assert_string_equal(text, "{\"count\":5,\"rate\":0.5,\"free\":0.0,\"whole\":0,\"on\":true,\"label\":\"\",\"limit\":"
                              "null,\"colour\":\"blue\",\"words\":[],\"shades\":[\"red\"],\"numbers\":[],\"part\":{}}");
    free(text);
}

static void test_values_are_normalised(void **state)
{
    (void)state;
    expands_to("{\"count\": 64.0}", "\"count\":64,");
    expands_to("{\"free\": 3}", "\"free\":3.0,");
    expands_to("{\"free\": -0.0}", "\"free\":0.0,");
    expands_to("{\"free\": -1e300}", "\"free\":-1.0000000000000001e300,");
    expands_to("{\"whole\": 9007199254740993}", "\"whole\":9007199254740993,");
    expands_to("{\"limit\": null}", "\"limit\":null,");
    expands_to("{\"limit\": 10}", "\"limit\":10,");
    expands_to("{\"numbers\": [0, 9.0]}", "\"numbers\":[0,9],");
    expands_to("{\"words\": [\"a\", \"\"]}", "\"words\":[\"a\",\"\"],");
    expands_to("{\"part\": [1, {\"x\": null}]}", "\"part\":[1,{\"x\":null}]");
}

static void test_what_is_given_is_not_shared(void **state)
{
    (void)state;
    struct problem_list problems;
    struct error err;
    json_t *given = parse("{\"part\": {\"x\": 1}}");
    assert_ok(problem_list_init(&problems, &err));
    json_t *result = options_expand(table, given, "", &problems);
    json_object_set_new(json_object_get(result, "part"), "x", json_integer(2));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(given, "part"), "x")), 1);
    json_decref(given);
    json_decref(result);
    problem_list_clear(&problems);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    refuses(table, "{\"cuont\": 1}", "/at/cuont", "The key \"cuont\" is not known here: did you mean \"count\"?");
    refuses(table, "{\"color\": \"red\"}", "/at/color",
            "The key \"color\" is not known here: did you mean \"colour\"?");
    refuses(table, "{\"momentum\": 1}", "/at/momentum",
            "The key \"momentum\" is not known here; the keys are count, rate, free, whole, on, label, limit, colour, "
            "words, shades, numbers, part.");
    refuses(demanding, "{\"needed\": 1, \"a/b~c\": 1}", "/at/a~1b~0c",
            "The key \"a/b~c\" is not known here; the keys are needed.");
    /* A key of one letter is no typo of "on". */
    refuses(table, "{\"x\": 1}", "/at/x",
            "The key \"x\" is not known here; the keys are count, rate, free, whole, on, label, limit, colour, words, "
            "shades, numbers, part.");
}

static void test_long_words_are_cut_between_characters(void **state)
{
    (void)state;
    char word[101] = "", text[200], detail[200];
    for (int i = 0; i < 50; i++)
        memcpy(word + 2 * i, "é", 2);
    snprintf(text, sizeof text, "{\"colour\": \"%s\"}", word);
    snprintf(detail, sizeof detail, "Must be one of red, green, blue; found \"%.60s\".", word); /* 30 characters */
    refuses(table, text, "/at/colour", detail);
}

static void test_wrong_types(void **state)
{
    (void)state;
    refuses(table, "{\"count\": \"64\"}", "/at/count", "Must be a whole number; found \"64\".");
    refuses(table, "{\"count\": 2.5}", "/at/count", "Must be a whole number; found 2.5.");
    refuses(table, "{\"count\": true}", "/at/count", "Must be a whole number; found true.");
    refuses(table, "{\"count\": null}", "/at/count", "Must be a whole number; found null.");
    refuses(table, "{\"whole\": 1e300}", "/at/whole",
            "Must be a whole number that is exact (at most 2^53); found 1e+300.");
    refuses(table, "{\"rate\": []}", "/at/rate", "Must be a number; found an empty array.");
    refuses(table, "{\"on\": 1}", "/at/on", "Must be true or false; found 1.");
    refuses(table, "{\"label\": {}}", "/at/label", "Must be a string; found an object.");
    refuses(table, "{\"label\": \"a\\u0000b\"}", "/at/label", "Must be text without NUL characters.");
    refuses(table, "{\"words\": \"a\"}", "/at/words", "Must be an array of strings; found \"a\".");
    refuses(table, "{\"words\": [\"a\", 1]}", "/at/words/1", "Must be a string; found 1.");
    refuses(table, "{\"numbers\": [1, -2]}", "/at/numbers/1", "Must be at least 0; found −2.");
    refuses(table, "{\"numbers\": [1, false]}", "/at/numbers/1", "Must be a whole number; found false.");
    refuses(table, "[1]", "/at", "Must be an object; found an array.");
    refuses(table, "\"x\"", "/at", "Must be an object; found \"x\".");
    refuses(demanding, "{}", "/at/needed", "Is missing: what it is for.");
    refuses(demanding, "{\"needed\": null}", "/at/needed", "Must be a whole number; found null.");
}

static void test_bounds(void **state)
{
    (void)state;
    expands_to("{\"count\": 1}", "\"count\":1,");
    expands_to("{\"count\": 100}", "\"count\":100,");
    refuses(table, "{\"count\": 0}", "/at/count", "Must be at least 1; found 0.");
    refuses(table, "{\"count\": 101}", "/at/count", "Must be at most 100; found 101.");
    refuses(table, "{\"count\": 1e30}", "/at/count", "Must be at most 100; found 1e+30.");
    refuses(table, "{\"rate\": -0.05}", "/at/rate", "Must be above 0; −0.05 would climb the loss.");
    refuses(table, "{\"rate\": 0}", "/at/rate", "Must be above 0; found 0.");
    refuses(table, "{\"rate\": 1}", "/at/rate", "Must be below 1; found 1.");
    refuses(table, "{\"rate\": 500}", "/at/rate", "Must be below 1; found 500.");
    refuses(table, "{\"limit\": 11}", "/at/limit", "Must be at most 10; found 11.");
}

static void test_choices(void **state)
{
    (void)state;
    refuses(table, "{\"colour\": \"gren\"}", "/at/colour",
            "Must be one of red, green, blue; found \"gren\": did you mean \"green\"?");
    refuses(table, "{\"colour\": \"yellow\"}", "/at/colour", "Must be one of red, green, blue; found \"yellow\".");
    refuses(table, "{\"shades\": [\"red\", \"ultraviolet\"]}", "/at/shades/1",
            "Must be one of red, green, blue; found \"ultraviolet\".");
}

static void test_few_items(void **state)
{
    (void)state;
    char *text = expand(limited, "{\"few\": [1, 1, 1], \"distinct\": [\"b\", \"a\"]}");
    assert_string_equal(text, "{\"few\":[1,1,1],\"distinct\":[\"b\",\"a\"]}");
    free(text);
    refuses(limited, "{\"few\": [1, 2, 3, 4]}", "/at/few", "Takes 3 at most; found 4.");
    refuses(limited, "{\"distinct\": [\"a\", \"b\", \"a\"]}", "/at/distinct/2", "Is named twice: \"a\".");
}

static void test_all_faults_at_once(void **state)
{
    (void)state;
    struct problem_list problems;
    struct error err;
    json_t *given = parse("{\"count\": 0, \"rate\": \"x\", \"bogus\": 1, \"words\": [1, 2]}");
    assert_ok(problem_list_init(&problems, &err));
    assert_null(options_expand(table, given, "", &problems));
    assert_int_equal(problem_list_count(&problems), 5);
    json_decref(given);
    problem_list_clear(&problems);
}

/* A key that only some choices take: beside others its default changes nothing, and another value is never ignored. */
static void test_dependent_keys(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{}", "{\"colour\":\"red\",\"warmth\":2.0}"},
        {"{\"warmth\": 3}", "{\"colour\":\"red\",\"warmth\":3.0}"},
        {"{\"colour\": \"blue\"}", "{\"colour\":\"blue\"}"},
        {"{\"warmth\": 2, \"colour\": \"blue\"}", "{\"colour\":\"blue\"}"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text = expand(dependent, texts[i][0]);
        assert_string_equal(text, texts[i][1]);
        free(text);
    }
    refuses(dependent, "{\"colour\": \"blue\", \"warmth\": 3}", "/at/warmth",
            "Is not taken where colour is \"blue\": leave it out.");
    refuses(dependent, "{\"colour\": \"blue\", \"warmth\": 10}", "/at/warmth", "Must be at most 9; found 10.");
    json_t *list = options_describe(dependent), *expected = parse("{\"key\": \"colour\", \"values\": [\"red\"]}");
    assert_null(json_object_get(json_array_get(list, 0), "when"));
    assert_true(json_equal(json_object_get(json_array_get(list, 1), "when"), expected));
    json_decref(expected);
    json_decref(list);
}

static void test_reads(void **state)
{
    (void)state;
    json_t *object = parse("{\"i\": 7, \"n\": 0.25, \"b\": true, \"s\": \"x\", \"z\": null}");
    assert_int_equal(option_integer(object, "i"), 7);
    assert_true(option_number(object, "n") == 0.25);
    assert_true(option_boolean(object, "b"));
    assert_string_equal(option_string(object, "s"), "x");
    assert_null(option_string(object, "z"));
    json_decref(object);
}

static void test_number_format(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {0.05, "0.05"},
                 {-0.05, "−0.05"},
                 {500, "500"},
                 {1e6, "1000000"},
                 {1e-5, "1e-05"},
                 {1e300, "1e+300"},
                 {1.0 / 3, "0.3333333333333333"},
                 {-7, "−7"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {9007199254740991, "9007199254740991"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[NUMBER_TEXT_SIZE];
        assert_string_equal(number_format(cases[i].value, text), cases[i].text);
    }
}

/* The description is what forms are made of: its defaults must be accepted by the table they describe. */
static void test_description(void **state)
{
    (void)state;
    json_t *list = options_describe(table);
    assert_int_equal(json_array_size(list), 12);
    json_t *expected = parse("{\"name\": \"rate\", \"kind\": \"number\", \"required\": false, \"default\": 0.5, "
                             "\"nullable\": false, \"minimum\": 0.0, \"above_minimum\": true, \"maximum\": 1.0, "
                             "\"below_maximum\": true, \"choices\": null, \"help\": \"how fast\"}");
    assert_true(json_equal(json_array_get(list, 1), expected));
    const json_t *colour = json_array_get(list, 7), *free_number = json_array_get(list, 2);
    assert_int_equal(json_array_size(json_object_get(colour, "choices")), 3);
    assert_true(json_is_null(json_object_get(free_number, "minimum")));
    json_t *defaults = json_object();
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        json_object_set(defaults, json_string_value(json_object_get(item, "name")), json_object_get(item, "default"));
    }
    char *text = json_dumps(defaults, 0);
    char *given = expand(table, text), *none = expand(table, "{}");
    assert_string_equal(given, none);
    free(text);
    free(given);
    free(none);
    json_decref(defaults);
    json_decref(expected);
    json_decref(list);
    json_t *required = options_describe(demanding);
    assert_true(json_is_true(json_object_get(json_array_get(required, 0), "required")));
    json_decref(required);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_in_order),
        cmocka_unit_test(test_values_are_normalised),
        cmocka_unit_test(test_what_is_given_is_not_shared),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_long_words_are_cut_between_characters),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_few_items),
        cmocka_unit_test(test_all_faults_at_once),
        cmocka_unit_test(test_dependent_keys),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_number_format),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
