/*
 * The filter of a list: which of its items are wanted.
 *
 *   filter      := alternative { OR alternative }
 *   alternative := factor { AND factor }
 *   factor      := NOT factor | ( filter ) | comparison
 *   comparison  := field ( = | != | < | <= | > | >= ) value
 *                | field [NOT] LIKE text              % any text, _ any character, \% \_ \\ themselves; ASCII letters
 *                                                     in either case
 *                | field [NOT] IN ( value { , value } )
 *   value       := number | 'text' | "text" | true | false | null
 *
 * Keywords may be written in any case; fields are those of list_field.h. Every comparison is true or false, never
 * unknown: what is missing (a time that has not come, a key that a spec or result does not have, JSON's null) equals
 * null and differs from everything else; the other comparisons with it are false. Numbers are compared with numbers
 * and text with text; true and false are the numbers 1 and 0, as SQLite has them. `tags = 'x'` means "has the tag x",
 * `tags != 'x'` "does not have it". A figure that is not finite is text: `result.train/loss = 'NaN'`.
 */
#ifndef PLUMBLINE_SERVER_FILTER_H
#define PLUMBLINE_SERVER_FILTER_H

#include <sqlite3.h>

#include "core/status.h"
#include "server/list_field.h"

/* Limits beside the text's length: NOT and parentheses within each other (SQLite's own parser has a stack of 100, of
 * which each may take five), and comparisons in all. */
enum { FILTER_MOST_DEPTH = 12, FILTER_MOST_COMPARISONS = 100 };

struct filter; /* opaque */

/*
 * Parses `text` (NULL or blank: everything is wanted) against the fields of a list. STATUS_INVALID says at which column
 * the fault is and what would be right.
 */
enum status filter_parse(const char *text, const struct list_field *fields, struct filter **ret_filter,
                         struct error *err);
void filter_free(struct filter *filter); /* nothing for NULL */
void cleanup_filter(struct filter **filter);

/* An SQL expression that is 1 or 0 for a row, in parentheses. Its parameters are named :f1, :f2, …; no text of the
 * user's is in it. Valid as long as the filter. */
const char *filter_sql(const struct filter *filter);

/* Binds the parameters in a statement that holds filter_sql. The filter must outlive the statement's use. */
enum status filter_bind(const struct filter *filter, sqlite3_stmt *statement, struct error *err);

#endif
