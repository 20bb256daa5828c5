/*
 * A command line described once, as data. (getopt's `struct option` is taken by core/option.h.)
 */
#ifndef PLUMBLINE_SERVER_ARGUMENTS_H
#define PLUMBLINE_SERVER_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

enum argument_kind {
    ARGUMENT_SWITCH, /* --json: *(bool *)target becomes true */
    ARGUMENT_TEXT,   /* --out FILE or --out=FILE: *(const char **)target */
    ARGUMENT_COUNT,  /* a whole number from 1: *(long long *)target */
    ARGUMENT_TEXTS,  /* may be given several times: *(struct text_list *)target */
};

struct argument {
    const char *name; /* without the dashes; NULL ends a table */
    enum argument_kind kind;
    void *target;
};

/* Borrowed texts, NULL-terminated; zero-initialised is empty. */
struct text_list {
    const char **items;
    size_t count;
};
void text_list_clear(struct text_list *list);

/*
 * Reads argv[1 … argc−1]; what is no option goes to `operands`, all of it after "--". STATUS_INVALID for an unknown
 * option, one without its value, or a value that does not fit.
 */
enum status arguments_read(int argc, char **argv, const struct argument *table, struct text_list *operands,
                           struct error *err);

#endif
