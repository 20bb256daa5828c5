/*
 * The order of a list, and where a page of it begins.
 *
 *   order := field [ ASC | DESC ] { , field [ ASC | DESC ] }
 *
 * Ascending where nothing is said. In either direction what is missing comes last; numbers are before text. Ties are
 * broken by the list's key, so that the order is total: a page token holds the values of the page's last item (text by
 * its first 100 characters, by which it is also ordered), and the next page is what comes after them, whatever was
 * added or removed meanwhile.
 */
#ifndef PLUMBLINE_SERVER_ORDER_H
#define PLUMBLINE_SERVER_ORDER_H

#include <sqlite3.h>

#include "core/status.h"
#include "server/list_field.h"

enum { ORDER_MOST_FIELDS = 8, ORDER_MOST_KEYS = 3 };

struct order; /* opaque */

/*
 * Parses `text` against the fields of a list, of which the first `keys` (at most ORDER_MOST_KEYS) together tell any two
 * items apart: integers, never missing. NULL or blank takes `fallback`. What of the key is not named is added behind;
 * fields after the whole of it, which change nothing, are refused.
 */
enum status order_parse(const char *text, const char *fallback, const struct list_field *fields, size_t keys,
                        struct order **ret_order, struct error *err);
void order_free(struct order *order); /* nothing for NULL */
void cleanup_order(struct order **order);

/*
 * Begins after the item that the token tells of. `context` is the text of what else selects the list (its name, its
 * filter): a token is refused, with STATUS_INVALID, where it, or the order, is not what the token was made with.
 */
enum status order_after(struct order *order, const char *token, const char *context, struct error *err);

/* SQL: the columns that a SELECT must end with ("x AS o1, y AS o2"), what goes behind ORDER BY, and an expression that
 * is 1 for a row behind the token ("1" without one). Parameters are named :o1, :o2, …. Valid as long as the order, and
 * till order_after. */
const char *order_columns(const struct order *order);
const char *order_terms(const struct order *order);
const char *order_condition(const struct order *order);

/* Binds the parameters in a statement that holds all three. The order must outlive the statement's use. */
enum status order_bind(const struct order *order, sqlite3_stmt *statement, struct error *err);

/* The token of the statement's present row, whose last columns are order_columns. The caller frees. */
enum status order_token(const struct order *order, sqlite3_stmt *statement, const char *context, char **ret_token,
                        struct error *err);

#endif
