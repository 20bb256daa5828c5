#include "core/option_problem.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "core/json_text.h"

/* Of a string in a message: as much as is readable. */
#define SHOWN_BYTES 60

/* ------------------------------------------------------------------ problems */

enum status problem_list_init(struct problem_list *list, struct error *err)
{
    list->items = json_array();
    return list->items ? STATUS_OK : error_no_memory(err);
}

void problem_list_clear(struct problem_list *list)
{
    json_decref(list->items);
    list->items = NULL;
}

size_t problem_list_count(const struct problem_list *list)
{
    return json_array_size(list->items);
}

void problem_add(struct problem_list *list, const char *pointer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *detail = json_vsprintf(format, args);
    va_end(args);
    json_t *item = json_pack("{s:s, s:o}", "pointer", pointer ? pointer : "", "detail", detail);
    if (item)
        json_array_append_new(list->items, item);
}

char *pointer_member(const char *base, const char *key)
{
    size_t used = strlen(base);
    char *pointer = malloc(used + 2 * strlen(key) + 2);
    if (!pointer)
        return NULL;
    memcpy(pointer, base, used);
    pointer[used++] = '/';
    for (const char *c = key; *c; c++) {
        if (*c == '~' || *c == '/')
            pointer[used++] = '~';
        pointer[used++] = *c == '~' ? '0' : *c == '/' ? '1' : *c;
    }
    pointer[used] = '\0';
    return pointer;
}

char *pointer_item(const char *base, size_t index)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", index);
    return pointer_member(base, text);
}

/* ------------------------------------------------------------------ words for values */

const char *number_format(double value, char text[NUMBER_TEXT_SIZE])
{
    char digits[NUMBER_TEXT_SIZE - 4];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, fabs(value));
        if (strtod(digits, NULL) == fabs(value))
            break;
    }
    /* %g turns to an exponent as soon as the digits run out: 500 should not be written 5e+02. */
    if (fabs(value) < 1e15 && fabs(value) == floor(fabs(value)))
        snprintf(digits, sizeof digits, "%.0f", fabs(value));
    snprintf(text, NUMBER_TEXT_SIZE, "%s%s", value < 0 ? "−" : "", digits);
    return text;
}

/* How many bytes of `text` make at most `limit` without cutting a character of UTF-8 in two. */
static int shown_length(const char *text, size_t limit)
{
    size_t length = strlen(text);
    if (length <= limit)
        return (int)length;
    length = limit;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return (int)length;
}

/* What stands in the document, for "found …". */
static const char *value_format(const json_t *value, char text[SHOWN_BYTES + NUMBER_TEXT_SIZE])
{
    const size_t size = SHOWN_BYTES + NUMBER_TEXT_SIZE;
    const char *string;
    switch (json_typeof(value)) {
    case JSON_STRING:
        string = json_string_value(value);
        snprintf(text, size, "\"%.*s%s\"", shown_length(string, SHOWN_BYTES), string,
                 strlen(string) > SHOWN_BYTES ? "…" : "");
        break;
    case JSON_INTEGER:
        if (json_integer_value(value) < 0)
            snprintf(text, size, "−%llu", 0ULL - (unsigned long long)json_integer_value(value));
        else
            snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        number_format(json_real_value(value), text);
        break;
    case JSON_ARRAY:
        snprintf(text, size, json_array_size(value) ? "an array" : "an empty array");
        break;
    case JSON_OBJECT:
        snprintf(text, size, "an object");
        break;
    default:
        snprintf(text, size, "%s", json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
    }
    return text;
}

void problem_found(struct problem_list *list, const char *pointer, const char *wanted, const json_t *value)
{
    char found[SHOWN_BYTES + NUMBER_TEXT_SIZE];
    problem_add(list, pointer, "Must be %s; found %s.", wanted, value_format(value, found));
}

size_t problem_repeats(struct problem_list *list, const char *pointer, const json_t *array)
{
    json_t *seen = json_object();
    size_t repeats = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        attribute_cleanup(cleanup_free) char *text =
            json_text(json_array_get(array, i), JSON_ENCODE_ANY | JSON_COMPACT);
        attribute_cleanup(cleanup_free) char *place = pointer_item(pointer, i);
        if (text && !json_object_get(seen, text) && json_object_set_new(seen, text, json_true()) == 0)
            continue;
        problem_add(list, place ? place : pointer, "Is named twice: %.80s.", text ? text : "");
        repeats++;
    }
    json_decref(seen);
    return repeats;
}

/* ------------------------------------------------------------------ words that were meant */

static size_t minimum_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance of two words; words too long to be a typo of a key count as far apart. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 48 };
    size_t columns = strlen(b), rows = strlen(a), row[LONGEST + 1];
    if (columns > LONGEST || rows > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t above = row[j];
            row[j] = minimum_of(minimum_of(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[columns];
}

/* Keeps `candidate` in *nearest where `word` looks like a typo of it: two slips at most, one in a short word. */
static void consider(const char *word, const char *candidate, size_t *distance, const char **nearest)
{
    size_t d = edit_distance(word, candidate);
    if (d < *distance && d <= (strlen(candidate) > 4 ? 2U : 1U)) {
        *distance = d;
        *nearest = candidate;
    }
}

/* A list of words that grows in a fixed text; what does not fit is left out. */
static void append_word(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", word);
}

bool is_one_of(const char *word, const char *const *words)
{
    for (; words && *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

void problem_unknown_key(struct problem_list *list, const char *pointer, const char *key, const struct option *options)
{
    char keys[640] = "";
    const char *nearest = NULL;
    size_t distance = SIZE_MAX;
    for (const struct option *o = options; o->name; o++) {
        consider(key, o->name, &distance, &nearest);
        append_word(keys, sizeof keys, o->name);
    }
    int shown = shown_length(key, SHOWN_BYTES);
    if (nearest)
        problem_add(list, pointer, "The key \"%.*s\" is not known here: did you mean \"%s\"?", shown, key, nearest);
    else if (*keys)
        problem_add(list, pointer, "The key \"%.*s\" is not known here; the keys are %s.", shown, key, keys);
    else
        problem_add(list, pointer, "The key \"%.*s\" is not known here; no keys are taken.", shown, key);
}

void problem_choice(struct problem_list *list, const char *pointer, const char *word, const char *const *choices)
{
    char words[512] = "";
    const char *nearest = NULL;
    size_t distance = SIZE_MAX;
    for (const char *const *choice = choices; *choice; choice++) {
        consider(word, *choice, &distance, &nearest);
        append_word(words, sizeof words, *choice);
    }
    int shown = shown_length(word, SHOWN_BYTES);
    if (nearest)
        problem_add(list, pointer, "Must be one of %s; found \"%.*s\": did you mean \"%s\"?", words, shown, word,
                    nearest);
    else
        problem_add(list, pointer, "Must be one of %s; found \"%.*s\".", words, shown, word);
}
