/*
 * The fields that lists can be filtered and ordered by, as data.
 */
#ifndef PLUMBLINE_SERVER_LIST_FIELD_H
#define PLUMBLINE_SERVER_LIST_FIELD_H

#include "core/status.h"
#include "server/bound_values.h"
#include "server/filter_lexer.h"

enum field_kind {
    FIELD_INTEGER,
    FIELD_TEXT,
    FIELD_TIME,    /* RFC 3339 in UTC; a filter may give the beginning of one ("2026-01-02") */
    FIELD_STATE,   /* one of the states of job.h */
    FIELD_TAGS,    /* a JSON array of text: a comparison holds where some tag fulfils it */
    FIELD_POINTER, /* `name` is a prefix, then a JSON pointer into the JSON text of the column */
    FIELD_KEY,     /* `name` is a prefix, then a key of the JSON object of the column: a number, text, or missing */
};

struct list_field {
    const char *name;   /* NULL ends a table */
    const char *column; /* "job.created_at" */
    enum field_kind kind;
    bool present; /* of a column that is NOT NULL: an index on it serves an order by it */
};

/* id, state, name, tags, note, reason, priority, attempt, study and position in its grid (missing where it is of none),
 * spec_hash, created_at, started_at, ended_at, trashed_at, retry_of, spec./POINTER, result.KEY, also
 * result.median_scale/SITE and result.median_self_factor/SITE. */
extern const struct list_field job_fields[];

#define FIELD_SQL_SIZE 96

/* A field as it stands in SQL. */
struct field_use {
    const struct list_field *field;
    char sql[FIELD_SQL_SIZE]; /* an expression without parameters but those in `values` */
};

/* Looks the lexer's present word up in `fields` and goes on. A pointer's or key's path is added to `values`. */
enum status field_take(struct lexer *lexer, const struct list_field *fields, struct bound_values *values,
                       struct field_use *ret_use, struct error *err);

#endif
