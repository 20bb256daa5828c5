#include "server/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void text_list_clear(struct text_list *list)
{
    free((void *)list->items);
    *list = (struct text_list){0};
}

static enum status text_list_add(struct text_list *list, const char *text, struct error *err)
{
    const char **items = (const char **)realloc((void *)list->items, (list->count + 2) * sizeof *items);
    if (!items)
        return error_no_memory(err);
    items[list->count++] = text;
    items[list->count] = NULL;
    list->items = items;
    return STATUS_OK;
}

static enum status read_count(const char *name, const char *text, long long *ret_count, struct error *err)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *text == '\0' || *end != '\0' || value < 1)
        return error_set(err, STATUS_INVALID, "--%s takes a whole number from 1, not \"%s\"", name, text);
    *ret_count = value;
    return STATUS_OK;
}

static enum status store(const struct argument *argument, const char *value, struct error *err)
{
    switch (argument->kind) {
    case ARGUMENT_SWITCH:
        *(bool *)argument->target = true;
        return STATUS_OK;
    case ARGUMENT_TEXT:
        *(const char **)argument->target = value;
        return STATUS_OK;
    case ARGUMENT_COUNT:
        return read_count(argument->name, value, argument->target, err);
    case ARGUMENT_TEXTS:
        return text_list_add(argument->target, value, err);
    }
    return STATUS_INVALID;
}

static const struct argument *find(const struct argument *table, const char *name, size_t length)
{
    for (; table->name; table++)
        if (strlen(table->name) == length && strncmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

/* Reads the option at argv[*at] and moves *at past its value. */
static enum status read_option(int argc, char **argv, int *at, const struct argument *table, struct error *err)
{
    const char *text = argv[*at], *name = text + strspn(text, "-");
    size_t length = strcspn(name, "=");
    const struct argument *argument = text[1] == '-' ? find(table, name, length) : NULL;
    if (!argument)
        return error_set(err, STATUS_INVALID, "unknown option %s", text);
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (argument->kind == ARGUMENT_SWITCH && value)
        return error_set(err, STATUS_INVALID, "--%s takes no value", argument->name);
    if (argument->kind != ARGUMENT_SWITCH && !value) {
        if (*at + 1 >= argc)
            return error_set(err, STATUS_INVALID, "--%s needs a value", argument->name);
        value = argv[++*at];
    }
    return store(argument, value, err);
}

enum status arguments_read(int argc, char **argv, const struct argument *table, struct text_list *operands,
                           struct error *err)
{
    bool options = true;
    enum status status = STATUS_OK;
    for (int i = 1; i < argc && status == STATUS_OK; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
            status = read_option(argc, argv, &i, table, err);
        else
            status = text_list_add(operands, argv[i], err);
    }
    return status;
}
