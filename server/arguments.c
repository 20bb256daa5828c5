#include "server/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
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

bool count_parse(const char *text, long long *ret_count)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' || value < 1)
        return false;
    *ret_count = value;
    return true;
}

static enum status read_count(const struct argument *argument, const char *text, long long *ret_count,
                              struct error *err)
{
    if (count_parse(text, ret_count))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "--%s takes a whole number from 1, not \"%s\"", argument->name, text);
}

static enum status read_choice(const struct argument *argument, const char *text, const char **ret_text,
                               struct error *err)
{
    char all[256] = "";
    size_t used = 0;
    for (const char *const *choice = argument->choices; *choice; choice++) {
        if (strcmp(*choice, text) == 0) {
            *ret_text = text;
            return STATUS_OK;
        }
        int n = snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", *choice);
        used += n > 0 && used + (size_t)n < sizeof all ? (size_t)n : 0;
    }
    return error_set(err, STATUS_INVALID, "--%s takes one of %s, not \"%s\"", argument->name, all, text);
}

static enum status store(const struct argument *argument, const char *value, void *options, struct error *err)
{
    void *target = (char *)options + argument->at;
    switch (argument->kind) {
    case ARGUMENT_SWITCH:
        *(bool *)target = true;
        return STATUS_OK;
    case ARGUMENT_TEXT:
        *(const char **)target = value;
        return STATUS_OK;
    case ARGUMENT_CHOICE:
        return read_choice(argument, value, target, err);
    case ARGUMENT_COUNT:
        return read_count(argument, value, target, err);
    case ARGUMENT_TEXTS:
        return text_list_add(target, value, err);
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
static enum status read_option(int argc, char **argv, int *at, const struct argument *table, void *options,
                               struct error *err)
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
    return store(argument, value, options, err);
}

enum status arguments_read(int argc, char **argv, const struct argument *table, void *options,
                           struct text_list *operands, bool *ret_help, struct error *err)
{
    bool more = true;
    enum status status = STATUS_OK;
    for (int i = 1; i < argc && status == STATUS_OK; i++) {
        const char *text = argv[i];
        if (more && strcmp(text, "--") == 0)
            more = false;
        else if (more && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0))
            *ret_help = true;
        else if (more && text[0] == '-' && text[1] != '\0')
            status = read_option(argc, argv, &i, table, options, err);
        else
            status = text_list_add(operands, text, err);
    }
    return status;
}

void arguments_clear(const struct argument *table, void *options)
{
    for (; table->name; table++)
        if (table->kind == ARGUMENT_TEXTS)
            text_list_clear((void *)((char *)options + table->at));
}
