#include "core/json_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

const char *real_text(double value, char text[REAL_TEXT_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, REAL_TEXT_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (!strpbrk(text, ".e"))
        memcpy(text + strlen(text), ".0", 3);
    return text;
}

/* The length of the string that begins at `text`, with its quotes. */
static size_t string_length(const char *text)
{
    size_t length = 1;
    while (text[length] != '"')
        length += text[length] == '\\' ? 2 : 1;
    return length + 1;
}

static bool begins_number(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* The length of the next piece of a JSON text: a string, a number, or what is neither. */
static size_t piece_length(const char *text)
{
    if (*text == '"')
        return string_length(text);
    return begins_number(*text) ? strspn(text, "+-.0123456789eE") : strcspn(text, "\"-0123456789");
}

/* Whether the number is a real; Jansson writes an integer without point and exponent. */
static bool is_real(const char *text, size_t length)
{
    return begins_number(*text) && strspn(text, "+-0123456789") < length;
}

/* Copies a JSON text, its reals rewritten. */
static void copy_text(const char *from, char *to)
{
    for (size_t length; *from; from += length) {
        length = piece_length(from);
        size_t written = length;
        if (is_real(from, length))
            written = strlen(real_text(strtod(from, NULL), to));
        else
            memcpy(to, from, length);
        to += written;
    }
    *to = '\0';
}

static size_t count_reals(const char *text)
{
    size_t count = 0;
    for (size_t length; *text; text += length) {
        length = piece_length(text);
        count += is_real(text, length);
    }
    return count;
}

char *json_raw_text(const json_t *json, size_t flags)
{
    size_t size = json_dumpb(json, NULL, 0, flags);
    char *text = size > 0 ? malloc(size + 1) : NULL;
    if (!text)
        return NULL;
    if (json_dumpb(json, text, size, flags) != size) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

char *json_text(const json_t *json, size_t flags)
{
    attribute_cleanup(cleanup_free) char *text = json_raw_text(json, flags);
    char *rewritten = text ? malloc(strlen(text) + count_reals(text) * REAL_TEXT_SIZE + 1) : NULL;
    if (rewritten)
        copy_text(text, rewritten);
    return rewritten;
}
