#include "server/option_text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_util.h"

const struct option *option_find_name(const struct option *options, const char *name)
{
    for (; options && options->name; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}

static json_t *whole_number(const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool whole = errno == 0 && end != text && *end == '\0' && *text != ' ' && *text != '+';
    return whole ? json_integer(value) : json_string(text);
}

static json_t *number(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    bool good = end != text && *end == '\0' && isfinite(value) && !strpbrk(text, "xXpP \t");
    return good ? json_real(value) : json_string(text);
}

static json_t *boolean(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        return json_true();
    if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return json_false();
    return json_string(text);
}

/* The parts between commas; none for an empty text. */
static json_t *list(const char *text, json_t *(*item)(const char *))
{
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    attribute_cleanup(cleanup_free) char *copy = strdup(text);
    if (!items || !copy)
        return NULL;
    char *rest = copy;
    while (*text && rest)
        if (json_array_append_new(items, item(strsep(&rest, ","))) != 0)
            return NULL;
    return json_incref(items);
}

json_t *option_from_text(const struct option *option, const char *text)
{
    switch (option->kind) {
    case OPTION_INTEGER:
        return whole_number(text);
    case OPTION_NUMBER:
        return number(text);
    case OPTION_BOOLEAN:
        return boolean(text);
    case OPTION_STRINGS:
        return list(text, json_string);
    case OPTION_INTEGERS:
        return list(text, whole_number);
    default:
        return json_string(text);
    }
}
