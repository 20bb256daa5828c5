/*
 * A command line described once, as data: what is read, what --help, the manual page and the shells' completion tell.
 * (getopt's `struct option` is taken by core/option.h.)
 */
#ifndef PLUMBLINE_SERVER_ARGUMENTS_H
#define PLUMBLINE_SERVER_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

enum argument_kind {
    ARGUMENT_SWITCH, /* --json: a bool becomes true */
    ARGUMENT_TEXT,   /* --out FILE or --out=FILE: a const char * */
    ARGUMENT_CHOICE, /* one of `choices`: a const char * */
    ARGUMENT_COUNT,  /* a whole number from 1: a long long */
    ARGUMENT_TEXTS,  /* may be given several times: a struct text_list */
};

struct argument {
    const char *name; /* without the dashes; NULL ends a table */
    enum argument_kind kind;
    size_t at;         /* where in the command's options it is kept: offsetof */
    const char *value; /* what stands for it in texts: "FILE" and "DIR" are completed as such; NULL for switches */
    const char *help;
    const char *fallback;       /* the default, as it is told; or NULL */
    const char *variable;       /* of the environment, which may say it too; or NULL */
    const char *const *choices; /* NULL-terminated */
};

/* Borrowed texts, NULL-terminated; zero-initialised is empty. */
struct text_list {
    const char **items;
    size_t count;
};
void text_list_clear(struct text_list *list);

/*
 * Reads argv[1 … argc−1] into `options`; what is no option goes to `operands`, all of it after "--". Every table has
 * --help (-h) besides, which sets *ret_help. STATUS_INVALID for an unknown option, one without its value, or a value
 * that does not fit. Lists are the caller's to clear in any case: arguments_clear.
 */
enum status arguments_read(int argc, char **argv, const struct argument *table, void *options,
                           struct text_list *operands, bool *ret_help, struct error *err);
void arguments_clear(const struct argument *table, void *options);

/* A whole number from 1, as options and operands are: false for anything else. */
bool count_parse(const char *text, long long *ret_count);

#endif
