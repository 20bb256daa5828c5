/*
 * A filter is parsed by recursive descent, and its SQL written as it is parsed: each comparison becomes an expression
 * over a column and named parameters that is never NULL, so that AND, OR and NOT are SQLite's own.
 */
#include "server/filter.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/job.h"
#include "server/text_stream.h"

struct filter {
    char *sql;
    struct bound_values values;
};

struct parser {
    struct lexer lexer;
    const struct list_field *fields;
    struct bound_values *values;
    FILE *sql;
    int depth, comparisons;
};

/* ------------------------------------------------------------------ values */

/* What may stand for a missing time part, from the end of the day that begins. */
static const char time_pattern[] = "0000-00-00T00:00:00.000Z";

/* Completes the beginning of an RFC 3339 time to the form that is stored: "2026-01-02T03" lacks ":00:00.000Z". */
static bool complete_time(const char *text, char ret_time[sizeof time_pattern])
{
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == 'Z')
        length--;
    if (length != 10 && length != 16 && length != 19 && length != 23)
        return false;
    for (size_t i = 0; i < length; i++)
        if (time_pattern[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != time_pattern[i])
            return false;
    snprintf(ret_time, sizeof time_pattern, "%.*s%s", (int)length, text, time_pattern + length);
    return true;
}

/* A constant for each word that is one. */
static bool word_value(const struct lexer *lexer, struct bound_value *ret_value)
{
    static const struct {
        const char *word;
        struct bound_value value;
    } words[] = {{"true", {.kind = VALUE_INTEGER, .integer = 1}},
                 {"false", {.kind = VALUE_INTEGER, .integer = 0}},
                 {"null", {.kind = VALUE_NULL}}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (lexer_is(lexer, words[i].word)) {
            *ret_value = words[i].value;
            return true;
        }
    }
    return false;
}

static enum status number_value(const struct lexer *lexer, struct bound_value *ret_value, struct error *err)
{
    char text[64], *end;
    if (lexer->length >= sizeof text)
        return lexer_fault(lexer, lexer->start, err, "a number has at most %zu characters", sizeof text - 1);
    memcpy(text, lexer->start, lexer->length);
    text[lexer->length] = '\0';
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (*end == '\0' && errno == 0) {
        *ret_value = (struct bound_value){.kind = VALUE_INTEGER, .integer = whole};
        return STATUS_OK;
    }
    double real = strtod(text, NULL);
    if (!isfinite(real))
        return lexer_fault(lexer, lexer->start, err, "%s is larger than any number that is stored", text);
    *ret_value = (struct bound_value){.kind = VALUE_REAL, .real = real};
    return STATUS_OK;
}

/* The text between the quotes, a doubled quote taken as one. */
static void string_value(const struct lexer *lexer, char text[FILTER_MOST_BYTES + 1])
{
    char quote = *lexer->start;
    size_t used = 0;
    for (size_t i = 1; i + 1 < lexer->length; i++) {
        text[used++] = lexer->start[i];
        i += lexer->start[i] == quote;
    }
    text[used] = '\0';
}

/* Reads a value of any kind, without looking at the field. Text is written into `text`. */
static enum status read_value(const struct lexer *lexer, char text[FILTER_MOST_BYTES + 1],
                              struct bound_value *ret_value, struct error *err)
{
    if (lexer->kind == TOKEN_NUMBER)
        return number_value(lexer, ret_value, err);
    if (lexer->kind == TOKEN_STRING) {
        string_value(lexer, text);
        *ret_value = (struct bound_value){.kind = VALUE_TEXT, .text = text};
        return STATUS_OK;
    }
    if (lexer->kind == TOKEN_WORD && word_value(lexer, ret_value))
        return STATUS_OK;
    if (lexer->kind == TOKEN_WORD)
        return lexer_expected(lexer, err, "a value (text goes in quotes)");
    return lexer_expected(lexer, err, "a value: a number, 'text', true, false or null");
}

/* Refuses a value that the field can never have, in place of answering with nothing. */
static enum status check_value(const struct lexer *lexer, const struct list_field *field, struct bound_value *value,
                               char time[sizeof time_pattern], struct error *err)
{
    bool is_text = value->kind == VALUE_TEXT, is_number = value->kind == VALUE_INTEGER || value->kind == VALUE_REAL;
    switch (field->kind) {
    case FIELD_INTEGER:
        if (is_text || (lexer->kind == TOKEN_WORD && value->kind != VALUE_NULL))
            return lexer_expected(lexer, err, "a number");
        return STATUS_OK;
    case FIELD_STATE:
        if (is_text && job_state_parse(value->text) != JOB_STATE_COUNT)
            return STATUS_OK;
        return lexer_expected(lexer, err,
                              "a state: 'queued', 'running', 'paused', 'finished', 'failed', 'diverged' or "
                              "'cancelled'");
    case FIELD_TIME:
        if (value->kind == VALUE_NULL)
            return STATUS_OK;
        if (!is_text || !complete_time(value->text, time))
            return lexer_expected(lexer, err, "a time in UTC: '2026-01-02' or '2026-01-02T03:04:05Z'");
        value->text = time;
        return STATUS_OK;
    case FIELD_TAGS:
        if (!is_text)
            return lexer_expected(lexer, err, "a tag in quotes");
        return STATUS_OK;
    case FIELD_TEXT:
        if (is_number)
            return lexer_expected(lexer, err, "text in quotes");
        return STATUS_OK;
    default:
        return STATUS_OK;
    }
}

/* Takes a value that fits the field, and adds it to the values. */
static enum status take_value(struct parser *parser, const struct list_field *field, enum value_kind *ret_kind,
                              size_t *ret_number, struct error *err)
{
    char text[FILTER_MOST_BYTES + 1], time[sizeof time_pattern];
    struct bound_value value = {.kind = VALUE_NULL};
    enum status status = read_value(&parser->lexer, text, &value, err);
    if (status == STATUS_OK)
        status = check_value(&parser->lexer, field, &value, time, err);
    if (status == STATUS_OK)
        status = bound_values_add(parser->values, &value, ret_number, err);
    if (status == STATUS_OK)
        status = lexer_next(&parser->lexer, err);
    if (status == STATUS_OK)
        *ret_kind = value.kind;
    return status;
}

/* ------------------------------------------------------------------ comparisons */

static bool has_any_type(const struct list_field *field)
{
    return field->kind == FIELD_POINTER || field->kind == FIELD_KEY;
}

/* What follows the value of a LIKE. */
static const char *escape_of(const char *sign)
{
    return strcmp(sign, "LIKE") == 0 ? " ESCAPE '\\'" : "";
}

/* "<use> <operator> :fN" that is false where the value is missing or of another type. */
static void write_typed(struct parser *parser, const struct field_use *use, const char *sign, enum value_kind kind,
                        size_t number)
{
    if (has_any_type(use->field))
        fprintf(parser->sql, "coalesce(typeof(%s) IN (%s) AND %s %s :f%zu%s, 0)", use->sql,
                kind == VALUE_TEXT ? "'text'" : "'integer', 'real'", use->sql, sign, number, escape_of(sign));
    else
        fprintf(parser->sql, "coalesce(%s %s :f%zu%s, 0)", use->sql, sign, number, escape_of(sign));
}

/* Some tag of the row's fulfils "tag.value <operator> :fN". */
static void write_tag(struct parser *parser, const struct field_use *use, const char *sign, size_t number)
{
    fprintf(parser->sql, "EXISTS (SELECT 1 FROM json_each(%s) AS tag WHERE tag.value %s :f%zu%s)", use->sql, sign,
            number, escape_of(sign));
}

static enum status equality(struct parser *parser, const struct field_use *use, bool equal, struct error *err)
{
    enum value_kind kind = VALUE_NULL;
    size_t number = 0;
    enum status status = take_value(parser, use->field, &kind, &number, err);
    if (status != STATUS_OK)
        return status;
    if (use->field->kind != FIELD_TAGS) {
        fprintf(parser->sql, "%s %s :f%zu", use->sql, equal ? "IS" : "IS NOT", number);
        return STATUS_OK;
    }
    fputs(equal ? "" : "NOT ", parser->sql);
    write_tag(parser, use, "=", number);
    return STATUS_OK;
}

/* `at` is where the sign stands. */
static enum status ordering(struct parser *parser, const struct field_use *use, const char *sign, const char *at,
                            struct error *err)
{
    enum value_kind kind = VALUE_NULL;
    size_t number = 0;
    const struct lexer *lexer = &parser->lexer;
    if (use->field->kind == FIELD_TAGS || use->field->kind == FIELD_STATE)
        return lexer_fault(lexer, at, err, "%s has no order: it takes =, !=, LIKE and IN", use->field->name);
    if (lexer->kind == TOKEN_WORD)
        return lexer_expected(lexer, err, "a number or text in quotes (null, true and false take = and !=)");
    enum status status = take_value(parser, use->field, &kind, &number, err);
    if (status == STATUS_OK)
        write_typed(parser, use, sign, kind, number);
    return status;
}

/* `at` is where LIKE stands. */
static enum status likeness(struct parser *parser, const struct field_use *use, const char *at, struct error *err)
{
    const struct lexer *lexer = &parser->lexer;
    if (use->field->kind == FIELD_INTEGER)
        return lexer_fault(lexer, at, err, "LIKE compares text, and %s is a number", use->field->name);
    if (lexer->kind != TOKEN_STRING)
        return lexer_expected(lexer, err, "a pattern in quotes, such as 'mlp%'");
    char text[FILTER_MOST_BYTES + 1];
    size_t number = 0;
    string_value(lexer, text);
    const struct bound_value pattern = {.kind = VALUE_TEXT, .text = text};
    enum status status = bound_values_add(parser->values, &pattern, &number, err);
    if (status == STATUS_OK)
        status = lexer_next(&parser->lexer, err);
    if (status != STATUS_OK)
        return status;
    if (use->field->kind == FIELD_TAGS)
        write_tag(parser, use, "LIKE", number);
    else
        write_typed(parser, use, "LIKE", VALUE_TEXT, number);
    return STATUS_OK;
}

/* The values of IN, after its parenthesis. Null is no member that SQL would find, and is asked for by itself. */
static enum status membership(struct parser *parser, const struct field_use *use, struct error *err)
{
    bool more = true, opened = false, closed = false, with_null = false;
    bool tags = use->field->kind == FIELD_TAGS;
    enum status status = lexer_take(&parser->lexer, "(", &opened, err);
    if (status == STATUS_OK && !opened)
        status = lexer_expected(&parser->lexer, err, "a parenthesis with values, as in IN (1, 2)");
    if (tags)
        fprintf(parser->sql, "EXISTS (SELECT 1 FROM json_each(%s) AS tag WHERE tag.value IN (NULL", use->sql);
    else
        fprintf(parser->sql, "(coalesce(%s IN (NULL", use->sql);
    while (status == STATUS_OK && more) {
        enum value_kind kind = VALUE_NULL;
        size_t number = 0;
        status = take_value(parser, use->field, &kind, &number, err);
        fprintf(parser->sql, ", :f%zu", number);
        with_null |= kind == VALUE_NULL;
        if (status == STATUS_OK)
            status = lexer_take(&parser->lexer, ",", &more, err);
    }
    if (status == STATUS_OK)
        status = lexer_take(&parser->lexer, ")", &closed, err);
    if (status == STATUS_OK && !closed)
        status = lexer_expected(&parser->lexer, err, "a comma or a closing parenthesis");
    fputs(tags ? "))" : "), 0)", parser->sql);
    if (!tags)
        fprintf(parser->sql, with_null ? " OR %s IS NULL)" : ")", use->sql);
    return status;
}

static enum status one_of_signs(struct parser *parser, const struct field_use *use, struct error *err)
{
    static const char *const signs[] = {"=", "!=", "<", "<=", ">", ">="};
    const char *at = parser->lexer.start;
    for (int i = 0; i < 6; i++) {
        bool taken = false;
        enum status status = lexer_take(&parser->lexer, signs[i], &taken, err);
        if (status != STATUS_OK)
            return status;
        if (taken)
            return i < 2 ? equality(parser, use, i == 0, err) : ordering(parser, use, signs[i], at, err);
    }
    return lexer_expected(&parser->lexer, err, "=, !=, <, <=, >, >=, LIKE or IN");
}

static enum status comparison(struct parser *parser, struct error *err)
{
    struct field_use use;
    bool negated = false, taken = false;
    if (++parser->comparisons > FILTER_MOST_COMPARISONS)
        return lexer_fault(&parser->lexer, parser->lexer.start, err, "at most %d comparisons are taken",
                           FILTER_MOST_COMPARISONS);
    enum status status = field_take(&parser->lexer, parser->fields, parser->values, &use, err);
    if (status == STATUS_OK)
        status = lexer_take(&parser->lexer, "NOT", &negated, err);
    if (status != STATUS_OK)
        return status;
    fputs(negated ? "NOT " : "", parser->sql);
    const char *at = parser->lexer.start;
    status = lexer_take(&parser->lexer, "LIKE", &taken, err);
    if (status != STATUS_OK || taken)
        return status == STATUS_OK ? likeness(parser, &use, at, err) : status;
    status = lexer_take(&parser->lexer, "IN", &taken, err);
    if (status != STATUS_OK || taken)
        return status == STATUS_OK ? membership(parser, &use, err) : status;
    return negated ? lexer_expected(&parser->lexer, err, "LIKE or IN") : one_of_signs(parser, &use, err);
}

/* ------------------------------------------------------------------ AND, OR, NOT */

static enum status alternatives(struct parser *parser, struct error *err);

static enum status parenthesis(struct parser *parser, struct error *err)
{
    bool closed = false;
    fputs("(", parser->sql);
    enum status status = alternatives(parser, err);
    fputs(")", parser->sql);
    if (status == STATUS_OK)
        status = lexer_take(&parser->lexer, ")", &closed, err);
    if (status == STATUS_OK && !closed)
        status = lexer_expected(&parser->lexer, err, "AND, OR or a closing parenthesis");
    return status;
}

static enum status factor(struct parser *parser, struct error *err)
{
    bool negation = false, opened = false;
    const char *start = parser->lexer.start;
    enum status status = lexer_take(&parser->lexer, "NOT", &negation, err);
    if (status == STATUS_OK && !negation)
        status = lexer_take(&parser->lexer, "(", &opened, err);
    if (status != STATUS_OK)
        return status;
    if (!negation && !opened)
        return comparison(parser, err);
    if (++parser->depth > FILTER_MOST_DEPTH)
        return lexer_fault(&parser->lexer, start, err, "NOT and parentheses are nested more than %d deep",
                           FILTER_MOST_DEPTH);
    fputs(negation ? "NOT " : "", parser->sql);
    status = negation ? factor(parser, err) : parenthesis(parser, err);
    parser->depth--;
    return status;
}

/* One or more of `part`, with `word` between them. */
static enum status sequence(struct parser *parser, const char *word,
                            enum status (*part)(struct parser *parser, struct error *err), struct error *err)
{
    bool more = true;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && more) {
        status = part(parser, err);
        if (status == STATUS_OK)
            status = lexer_take(&parser->lexer, word, &more, err);
        if (status == STATUS_OK && more)
            fprintf(parser->sql, " %s ", word);
    }
    return status;
}

/* AND binds closer than OR, and NOT closer than both, here as in SQL: no parentheses are needed but the user's. */
static enum status factors(struct parser *parser, struct error *err)
{
    return sequence(parser, "AND", factor, err);
}

static enum status alternatives(struct parser *parser, struct error *err)
{
    return sequence(parser, "OR", factors, err);
}

static enum status whole(struct parser *parser, struct error *err)
{
    enum status status = STATUS_OK;
    fputs("(", parser->sql);
    if (parser->lexer.kind == TOKEN_END)
        fputs("1", parser->sql);
    else
        status = alternatives(parser, err);
    fputs(")", parser->sql);
    if (status == STATUS_OK && parser->lexer.kind != TOKEN_END)
        status = lexer_expected(&parser->lexer, err, "AND, OR or the end");
    return status;
}

enum status filter_parse(const char *text, const struct list_field *fields, struct filter **ret_filter,
                         struct error *err)
{
    attribute_cleanup(cleanup_filter) struct filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return error_no_memory(err);
    filter->values.letter = 'f';
    struct parser parser = {.fields = fields, .values = &filter->values};
    enum status status = lexer_begin(&parser.lexer, "filter", text ? text : "", err);
    if (status != STATUS_OK)
        return status;
    struct text_stream stream;
    if (!text_stream_open(&stream))
        return error_no_memory(err);
    parser.sql = stream.out;
    status = whole(&parser, err);
    filter->sql = text_stream_close(&stream, NULL);
    if (status == STATUS_OK && !filter->sql)
        status = error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    *ret_filter = filter;
    filter = NULL;
    return STATUS_OK;
}

void filter_free(struct filter *filter)
{
    if (!filter)
        return;
    free(filter->sql);
    bound_values_clear(&filter->values);
    free(filter);
}

void cleanup_filter(struct filter **filter)
{
    filter_free(*filter);
}

const char *filter_sql(const struct filter *filter)
{
    return filter->sql;
}

enum status filter_bind(const struct filter *filter, sqlite3_stmt *statement, struct error *err)
{
    return bound_values_bind(&filter->values, statement, err);
}
