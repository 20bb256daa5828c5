#include "server/bound_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/array.h"

enum status bound_values_add(struct bound_values *values, const struct bound_value *value, size_t *ret_number,
                             struct error *err)
{
    struct bound_value *items = array_room(values->items, values->count, &values->capacity, sizeof *items);
    if (!items)
        return error_no_memory(err);
    values->items = items;
    struct bound_value copy = *value;
    if (copy.kind == VALUE_TEXT && !(copy.text = strdup(value->text)))
        return error_no_memory(err);
    values->items[values->count++] = copy;
    *ret_number = values->count;
    return STATUS_OK;
}

static int bind_one(sqlite3_stmt *statement, int index, const struct bound_value *value)
{
    switch (value->kind) {
    case VALUE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case VALUE_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case VALUE_TEXT:
        return sqlite3_bind_text(statement, index, value->text, -1, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(statement, index);
    }
}

enum status bound_values_bind(const struct bound_values *values, sqlite3_stmt *statement, struct error *err)
{
    for (size_t i = 0; i < values->count; i++) {
        char name[24];
        snprintf(name, sizeof name, ":%c%zu", values->letter, i + 1);
        int index = sqlite3_bind_parameter_index(statement, name);
        if (index == 0)
            return error_set(err, STATUS_INVALID, "the statement has no parameter %s", name);
        if (bind_one(statement, index, &values->items[i]) != SQLITE_OK)
            return error_no_memory(err);
    }
    return STATUS_OK;
}

void bound_values_clear(struct bound_values *values)
{
    for (size_t i = 0; i < values->count; i++)
        if (values->items[i].kind == VALUE_TEXT)
            free(values->items[i].text);
    free(values->items);
    *values = (struct bound_values){.letter = values->letter};
}
