/*
 * What the parts of the run reader share. Users include server/run_file.h.
 */
#ifndef PLUMBLINE_SERVER_RUN_READER_H
#define PLUMBLINE_SERVER_RUN_READER_H

#include "server/json_util.h"
#include "server/run_file.h"
#include "server/sqlite_util.h"

struct run_reader {
    sqlite3 *db;
};

/* The site's number by its name; STATUS_NOT_FOUND lists the names there are. */
enum status run_reader_site(struct run_reader *reader, const char *name, int64_t *ret_site, struct error *err);

/* Adds the row that a SELECT stands on to `items`, as an object of its first `columns`, keyed by their names. */
enum status row_to_json(sqlite3_stmt *statement, int columns, json_t *items, struct error *err);

/* All rows of a prepared SELECT as an array of objects, keyed by the columns' names. */
enum status rows_to_json(sqlite3_stmt *statement, json_t **ret_items, struct error *err);

/* A query with names looked up and ranges closed. The page begins after (site, step, third). */
struct range {
    int64_t site_from, site_to;
    int64_t step_from, step_to;
    int64_t after_site, after_step, after_third; /* −1 without a token */
    uint32_t checksum;
};

#define TOKEN_SIZE 64

/* `kind` tells the queries apart, so that a token of one is refused by the other. */
enum status query_resolve(struct run_reader *reader, const struct divergence_query *query, char kind,
                          struct range *ret_range, struct error *err);

/* The token of a page whose last item has this key. */
void token_write(const struct range *range, int64_t site, int64_t step, int64_t third, char token[TOKEN_SIZE]);

/* The answer {"items", "next_page_token"}; takes `items`. `token` NULL: that was all. */
enum status page_json(json_t *items, const char *token, json_t **ret_json, struct error *err);

#endif
