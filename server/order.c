/*
 * An order is a list of terms, each an SQL expression and a direction; the last is of the list's key.
 *
 * With the last item's values v1 … vn the next page is
 *   after(x1, v1) OR (x1 IS v1 AND (after(x2, v2) OR (x2 IS v2 AND … after(key, vn))))
 * where after(x, v) is "x is missing, or behind v in the term's direction", and never where v itself is missing. Where
 * x cannot be missing, this is written as a range that an index can begin at: x >= v1 AND (x > v1 OR …), or with <
 * below.
 */
#include "server/order.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "server/json_util.h"
#include "server/sqlite_util.h"
#include "server/text_stream.h"

/* Of text that is ordered by; a token stays short enough for a URL. */
#define ORDERED_CHARACTERS "100"
#define TERM_SQL_SIZE (3 * FIELD_SQL_SIZE + 64)

struct term {
    char sql[TERM_SQL_SIZE];
    bool descending;
    bool present; /* never missing, and a column as it is: an index may hold it */
};

struct order {
    struct term terms[ORDER_MOST_FIELDS + ORDER_MOST_KEYS];
    int count;
    size_t path_count; /* of `values` that belong to the terms; the token's are behind them */
    struct bound_values values;
    char *columns, *order_by, *condition;
};

/* ------------------------------------------------------------------ parsing */

static void write_term(const struct field_use *use, struct term *term)
{
    switch (use->field->kind) {
    case FIELD_TAGS: /* by their text, the first tag first; none at all is missing */
        snprintf(term->sql, sizeof term->sql, "substr(nullif(%s, '[]'), 1, " ORDERED_CHARACTERS ")", use->sql);
        break;
    case FIELD_TEXT:
        snprintf(term->sql, sizeof term->sql, "substr(%s, 1, " ORDERED_CHARACTERS ")", use->sql);
        break;
    case FIELD_POINTER:
    case FIELD_KEY:
        snprintf(term->sql, sizeof term->sql,
                 "CASE typeof(%s) WHEN 'text' THEN substr(%s, 1, " ORDERED_CHARACTERS ") ELSE %s END", use->sql,
                 use->sql, use->sql);
        break;
    default:
        snprintf(term->sql, sizeof term->sql, "%s", use->sql);
        term->present = use->field->present;
        break;
    }
}

static enum status parse_direction(struct lexer *lexer, bool *ret_descending, struct error *err)
{
    bool up = false;
    enum status status = lexer_take(lexer, "ASC", &up, err);
    if (status == STATUS_OK)
        status = up ? STATUS_OK : lexer_take(lexer, "DESC", ret_descending, err);
    return status;
}

/* Marks in `named` which of the key's fields the term is. */
static enum status parse_term(struct order *order, struct lexer *lexer, const struct list_field *fields,
                              bool named[ORDER_MOST_KEYS], struct error *err)
{
    struct field_use use;
    struct term *term = &order->terms[order->count];
    if (order->count == ORDER_MOST_FIELDS)
        return lexer_fault(lexer, lexer->start, err, "at most %d fields are taken", ORDER_MOST_FIELDS);
    enum status status = field_take(lexer, fields, &order->values, &use, err);
    if (status == STATUS_OK)
        status = parse_direction(lexer, &term->descending, err);
    if (status != STATUS_OK)
        return status;
    write_term(&use, term);
    order->count++;
    if (use.field - fields < ORDER_MOST_KEYS)
        named[use.field - fields] = true;
    return STATUS_OK;
}

static bool all_named(const bool named[ORDER_MOST_KEYS], size_t keys)
{
    size_t count = 0;
    for (size_t i = 0; i < keys; i++)
        count += named[i];
    return count == keys;
}

/* Ties are broken by what is left of the key, in the first term's direction. */
static void add_ties(struct order *order, const struct list_field *fields, size_t keys,
                     const bool named[ORDER_MOST_KEYS])
{
    for (size_t i = 0; i < keys; i++) {
        if (named[i])
            continue;
        struct term *term = &order->terms[order->count++];
        snprintf(term->sql, sizeof term->sql, "%s", fields[i].column);
        term->present = true;
        term->descending = order->terms[0].descending;
    }
}

static enum status parse_terms(struct order *order, const char *text, const struct list_field *fields, size_t keys,
                               struct error *err)
{
    struct lexer lexer;
    bool more = true, named[ORDER_MOST_KEYS] = {false};
    enum status status = lexer_begin(&lexer, "order_by", text, err);
    while (status == STATUS_OK && more) {
        if (all_named(named, keys))
            return lexer_expected(&lexer, err, "nothing behind the id, after which there are no ties");
        status = parse_term(order, &lexer, fields, named, err);
        if (status == STATUS_OK)
            status = lexer_take(&lexer, ",", &more, err);
    }
    if (status == STATUS_OK && lexer.kind != TOKEN_END)
        status = lexer_expected(&lexer, err, "ASC, DESC, a comma or the end");
    if (status == STATUS_OK)
        add_ties(order, fields, keys, named);
    return status;
}

/* Writes the columns and the ORDER BY. */
static enum status write_sql(struct order *order, struct error *err)
{
    struct text_stream columns_stream, terms_stream;
    bool open = text_stream_open(&columns_stream), both = text_stream_open(&terms_stream) && open;
    FILE *columns = columns_stream.out, *terms = terms_stream.out;
    for (int i = 0; both && i < order->count; i++) {
        const struct term *term = &order->terms[i];
        const char *comma = i ? ", " : "";
        fprintf(columns, "%s%s AS o%d", comma, term->sql, i + 1);
        if (!term->present)
            fprintf(terms, "%so%d IS NULL, o%d%s", comma, i + 1, i + 1, term->descending ? " DESC" : "");
        else /* by its name SQLite sees that no sorting is needed where there is an index */
            fprintf(terms, "%s%s%s", comma, term->sql, term->descending ? " DESC" : "");
    }
    order->columns = text_stream_close(&columns_stream, NULL);
    order->order_by = text_stream_close(&terms_stream, NULL);
    order->condition = strdup("1");
    return order->columns && order->order_by && order->condition ? STATUS_OK : error_no_memory(err);
}

enum status order_parse(const char *text, const char *fallback, const struct list_field *fields, size_t keys,
                        struct order **ret_order, struct error *err)
{
    attribute_cleanup(cleanup_order) struct order *order = calloc(1, sizeof *order);
    if (!order)
        return error_no_memory(err);
    order->values.letter = 'o';
    enum status status = parse_terms(order, text_is_blank(text) ? fallback : text, fields, keys, err);
    order->path_count = order->values.count;
    if (status == STATUS_OK)
        status = write_sql(order, err);
    if (status != STATUS_OK)
        return status;
    *ret_order = order;
    order = NULL;
    return STATUS_OK;
}

void order_free(struct order *order)
{
    if (!order)
        return;
    bound_values_clear(&order->values);
    free(order->columns);
    free(order->order_by);
    free(order->condition);
    free(order);
}

void cleanup_order(struct order **order)
{
    order_free(*order);
}

/* ------------------------------------------------------------------ tokens */

#define CHECKSUM_SIZE 17

/* Of all that selects and orders: a token is good for the very same question. */
static void checksum(const struct order *order, const char *context, char ret_hex[CHECKSUM_SIZE])
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const unsigned char *)order->order_by, strlen(order->order_by) + 1);
    crypto_generichash_update(&state, (const unsigned char *)order->columns, strlen(order->columns) + 1);
    for (size_t i = 0; i < order->path_count; i++) {
        const char *path = order->values.items[i].text;
        crypto_generichash_update(&state, (const unsigned char *)path, strlen(path) + 1);
    }
    crypto_generichash_update(&state, (const unsigned char *)context, strlen(context));
    crypto_generichash_final(&state, hash, sizeof hash);
    sodium_bin2hex(ret_hex, CHECKSUM_SIZE, hash, CHECKSUM_SIZE / 2);
}

static bool value_of_json(const json_t *json, struct bound_value *ret_value)
{
    struct bound_value value = {.kind = VALUE_NULL};
    if (json_is_integer(json))
        value = (struct bound_value){.kind = VALUE_INTEGER, .integer = json_integer_value(json)};
    else if (json_is_real(json))
        value = (struct bound_value){.kind = VALUE_REAL, .real = json_real_value(json)};
    else if (json_is_string(json))
        value = (struct bound_value){.kind = VALUE_TEXT, .text = (char *)json_string_value(json)};
    else if (!json_is_null(json))
        return false;
    *ret_value = value;
    return true;
}

/* A token is base64 of the JSON array of the checksum and the values. */
enum status order_token(const struct order *order, sqlite3_stmt *statement, const char *context, char **ret_token,
                        struct error *err)
{
    char hex[CHECKSUM_SIZE];
    checksum(order, context, hex);
    int first = sqlite3_column_count(statement) - order->count;
    attribute_cleanup(cleanup_json) json_t *values = json_pack("[s]", hex);
    enum status status = values ? STATUS_OK : error_no_memory(err);
    for (int i = 0; i < order->count && status == STATUS_OK; i++)
        status = json_add(values, db_json(statement, first + i), err);
    attribute_cleanup(cleanup_free) char *text = status == STATUS_OK ? json_text(values, JSON_COMPACT) : NULL;
    size_t size = text ? sodium_base64_encoded_len(strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING) : 0;
    char *token = text ? malloc(size) : NULL;
    if (!token)
        return status == STATUS_OK ? error_no_memory(err) : status;
    sodium_bin2base64(token, size, (const unsigned char *)text, strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    *ret_token = token;
    return STATUS_OK;
}

/* The token's values, checked; NULL for one that is not this list's. */
static json_t *read_token(const struct order *order, const char *token, const char *context)
{
    char hex[CHECKSUM_SIZE];
    size_t length = strlen(token), size = 0;
    attribute_cleanup(cleanup_free) char *text = malloc(length + 1);
    if (!text || sodium_base642bin((unsigned char *)text, length, token, length, NULL, &size, NULL,
                                   sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return NULL;
    attribute_cleanup(cleanup_json) json_t *values = json_loadb(text, size, 0, NULL);
    checksum(order, context, hex);
    const char *sum = json_string_value(json_array_get(values, 0));
    if (!sum || strcmp(sum, hex) != 0 || json_array_size(values) != (size_t)order->count + 1 ||
        !json_is_integer(json_array_get(values, (size_t)order->count)))
        return NULL;
    return json_incref(values);
}

/* A term's part of the condition; what the next is put into stays open. The last closes. */
static void write_after(const struct term *term, const struct bound_value *value, size_t number, bool last, FILE *sql)
{
    const char *sign = term->descending ? "<" : ">", *x = term->sql;
    if (last)
        fprintf(sql, "(%s %s :o%zu)", x, sign, number);
    else if (value->kind == VALUE_NULL)
        fprintf(sql, "(0 OR (%s IS :o%zu AND ", x, number);
    else if (term->present)
        fprintf(sql, "(%s %s= :o%zu AND (%s %s :o%zu OR ", x, sign, number, x, sign, number);
    else
        fprintf(sql, "(coalesce(%s %s :o%zu, 1) OR (%s IS :o%zu AND ", x, sign, number, x, number);
}

/* Adds the values and writes the condition. */
static enum status write_condition(struct order *order, const json_t *values, FILE *sql, struct error *err)
{
    for (int i = 0; i < order->count; i++) {
        struct bound_value value;
        size_t number = 0;
        if (!value_of_json(json_array_get(values, (size_t)i + 1), &value))
            return error_set(err, STATUS_INVALID, "page_token holds a value that no list gives");
        enum status status = bound_values_add(&order->values, &value, &number, err);
        if (status != STATUS_OK)
            return status;
        write_after(&order->terms[i], &value, number, i + 1 == order->count, sql);
    }
    for (int i = 0; i + 1 < order->count; i++)
        fputs("))", sql);
    return STATUS_OK;
}

enum status order_after(struct order *order, const char *token, const char *context, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *values = read_token(order, token, context);
    if (!values)
        return error_set(err, STATUS_INVALID,
                         "page_token is not one that this list gave: pass next_page_token as it came, with the same "
                         "filter and order_by");
    struct text_stream stream;
    if (!text_stream_open(&stream))
        return error_no_memory(err);
    enum status status = write_condition(order, values, stream.out, err);
    char *text = text_stream_close(&stream, NULL);
    if (status == STATUS_OK && !text)
        status = error_no_memory(err);
    if (status != STATUS_OK) {
        free(text);
        return status;
    }
    free(order->condition);
    order->condition = text;
    return STATUS_OK;
}

const char *order_columns(const struct order *order)
{
    return order->columns;
}

const char *order_terms(const struct order *order)
{
    return order->order_by;
}

const char *order_condition(const struct order *order)
{
    return order->condition;
}

enum status order_bind(const struct order *order, sqlite3_stmt *statement, struct error *err)
{
    return bound_values_bind(&order->values, statement, err);
}
