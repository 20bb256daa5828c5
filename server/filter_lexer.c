#include "server/filter_lexer.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SPACES " \t\r\n"

enum status lexer_fault(const struct lexer *lexer, const char *at, struct error *err, const char *format, ...)
{
    size_t column = 1;
    for (const char *c = lexer->text; c < at; c++)
        column += ((unsigned char)*c & 0xc0) != 0x80; /* bytes that continue a character do not count */
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return error_set(err, STATUS_INVALID, "%s, column %zu: %s", lexer->what, column, sentence);
}

/* How many of the first bytes to show of a token: whole characters. */
static int shown_length(const struct lexer *lexer)
{
    size_t length = lexer->length;
    if (length > 40)
        for (length = 40; ((unsigned char)lexer->start[length] & 0xc0) == 0x80;)
            length--;
    return (int)length;
}

enum status lexer_expected(const struct lexer *lexer, struct error *err, const char *wanted)
{
    if (lexer->kind == TOKEN_END)
        return lexer_fault(lexer, lexer->start, err, "expected %s, found the end", wanted);
    return lexer_fault(lexer, lexer->start, err, "expected %s, found %.*s", wanted, shown_length(lexer), lexer->start);
}

static enum status string_token(struct lexer *lexer, struct error *err)
{
    char quote = *lexer->start;
    const char *end = lexer->start + 1;
    for (;; end += 2) {
        end = strchr(end, quote);
        if (!end)
            return lexer_fault(lexer, lexer->start, err, "this quote is never closed; a quote inside text is doubled");
        if (end[1] != quote)
            break;
    }
    lexer->kind = TOKEN_STRING;
    lexer->length = (size_t)(end + 1 - lexer->start);
    return STATUS_OK;
}

static size_t digits(const char *at)
{
    return strspn(at, "0123456789");
}

static enum status number_token(struct lexer *lexer, struct error *err)
{
    const char *at = lexer->start + (*lexer->start == '-' || *lexer->start == '+');
    size_t whole = digits(at);
    at += whole;
    size_t part = *at == '.' ? digits(at + 1) : 0;
    at += *at == '.' ? part + 1 : 0;
    if (whole + part == 0)
        return lexer_fault(lexer, lexer->start, err, "a number has digits, as in -0.5");
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        if (digits(at) == 0)
            return lexer_fault(lexer, lexer->start, err, "an exponent has digits, as in 1e-3");
        at += digits(at);
    }
    if (isalnum((unsigned char)*at) || *at == '.' || *at == '_')
        return lexer_fault(lexer, at, err, "this cannot follow a number; text goes in quotes");
    lexer->kind = TOKEN_NUMBER;
    lexer->length = (size_t)(at - lexer->start);
    return STATUS_OK;
}

/* Everything else that may begin a token. */
static enum status plain_token(struct lexer *lexer, struct error *err)
{
    static const char *const signs[] = {"<=", ">=", "!=", "=", "<", ">", "(", ")", ","};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (strncmp(lexer->start, signs[i], strlen(signs[i])) == 0) {
            lexer->kind = TOKEN_SIGN;
            lexer->length = strlen(signs[i]);
            return STATUS_OK;
        }
    }
    if (!isalpha((unsigned char)*lexer->start))
        return lexer_expected(lexer, err, "a field, a value or an operator");
    lexer->kind = TOKEN_WORD;
    lexer->length = strcspn(lexer->start, " \t\r\n'\"=!<>(),");
    return STATUS_OK;
}

enum status lexer_next(struct lexer *lexer, struct error *err)
{
    lexer->start += lexer->length;
    lexer->start += strspn(lexer->start, SPACES);
    lexer->length = 0;
    unsigned char first = (unsigned char)*lexer->start;
    if (first == '\0') {
        lexer->kind = TOKEN_END;
        return STATUS_OK;
    }
    lexer->kind = TOKEN_SIGN;
    lexer->length = 1; /* of a fault's text, until it is known better */
    while (((unsigned char)lexer->start[lexer->length] & 0xc0) == 0x80)
        lexer->length++;
    if (first == '\'' || first == '"')
        return string_token(lexer, err);
    if (isdigit(first) || first == '-' || first == '+' || first == '.')
        return number_token(lexer, err);
    return plain_token(lexer, err);
}

bool text_is_blank(const char *text)
{
    return !text || text[strspn(text, SPACES)] == '\0';
}

enum status lexer_begin(struct lexer *lexer, const char *what, const char *text, struct error *err)
{
    *lexer = (struct lexer){.what = what, .text = text, .start = text};
    if (strlen(text) > FILTER_MOST_BYTES)
        return error_set(err, STATUS_INVALID, "%s has %zu bytes, at most %d are taken", what, strlen(text),
                         FILTER_MOST_BYTES);
    json_t *checked = json_string(text); /* NULL for what is not UTF-8 */
    if (!checked)
        return error_set(err, STATUS_INVALID, "%s must be UTF-8 text", what);
    json_decref(checked);
    return lexer_next(lexer, err);
}

bool lexer_is(const struct lexer *lexer, const char *word)
{
    return (lexer->kind == TOKEN_WORD || lexer->kind == TOKEN_SIGN) && strlen(word) == lexer->length &&
           strncasecmp(lexer->start, word, lexer->length) == 0;
}

enum status lexer_take(struct lexer *lexer, const char *word, bool *ret_taken, struct error *err)
{
    bool taken = lexer_is(lexer, word);
    enum status status = taken ? lexer_next(lexer, err) : STATUS_OK;
    if (status == STATUS_OK)
        *ret_taken = taken;
    return status;
}
