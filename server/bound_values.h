/*
 * Values that a piece of SQL refers to by name: ":f1", ":f2", … in the order they were added.
 *
 * Text that came from a user is bound through this list and never becomes part of SQL. The names begin with a letter of
 * the list's own, so that several pieces can stand in one statement, wherever they are put in it.
 */
#ifndef PLUMBLINE_SERVER_BOUND_VALUES_H
#define PLUMBLINE_SERVER_BOUND_VALUES_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum value_kind { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT };

struct bound_value {
    enum value_kind kind;
    int64_t integer;
    double real;
    char *text; /* owned by the list that it was added to */
};

struct bound_values {
    char letter;
    struct bound_value *items;
    size_t count, capacity;
};

/* Adds a copy of `value`, and of its text; *ret_number is n of the name ":<letter>n". */
enum status bound_values_add(struct bound_values *values, const struct bound_value *value, size_t *ret_number,
                             struct error *err);

/* Binds all of them. The list must outlive the statement's use. STATUS_INVALID where the statement has no such name:
 * a programmer's error, told rather than ignored. */
enum status bound_values_bind(const struct bound_values *values, sqlite3_stmt *statement, struct error *err);

void bound_values_clear(struct bound_values *values);

#endif
