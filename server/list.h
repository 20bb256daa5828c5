/*
 * Lists of the catalog: filtered, ordered, a page at a time.
 *
 * A list is described once, as data, by the module that owns its table; this one makes the statement and the page.
 */
#ifndef PLUMBLINE_SERVER_LIST_H
#define PLUMBLINE_SERVER_LIST_H

#include <jansson.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "server/list_field.h"
#include "server/row_json.h"

struct list {
    const char *name;                /* "jobs": a page token of one list is refused by the others */
    const char *from;                /* what stands behind FROM */
    const char *columns;             /* what stands behind SELECT */
    const char *condition;           /* what always holds; "1" is nothing */
    const struct list_field *fields; /* the first is the integer key */
    size_t keys;                     /* or the first so many are it together; 0 is one */
    const char *order_by;            /* where none is asked for: "id DESC" */
    struct row_shape shape;          /* of `columns`: an item is the object of these */
};

struct list_query {
    const char *filter;     /* filter.h; NULL is all */
    const char *order_by;   /* order.h; NULL is the list's own */
    const char *page_token; /* next_page_token of the page before; NULL is the first page */
    size_t max_results;     /* at least 1 */
};

/* {"items": […], "next_page_token": text or null}, as JSON text: the caller frees *ret_text, which has no terminator.
 * STATUS_INVALID for a filter, order or token that is none. */
enum status list_page_text(sqlite3 *db, const struct list *list, const struct list_query *query, char **ret_text,
                           size_t *ret_size, struct error *err);

/* The same, parsed. */
enum status list_page(sqlite3 *db, const struct list *list, const struct list_query *query, json_t **ret_page,
                      struct error *err);

/* The keys of all items that a filter wants, ascending; the caller frees. For actions on many. */
enum status list_ids(sqlite3 *db, const struct list *list, const char *filter, int64_t **ret_ids, size_t *ret_count,
                     struct error *err);

#endif
