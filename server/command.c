#include "server/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_text.h"
#include "server/json_util.h"

const struct argument *command_arguments(const struct command *command)
{
    static const struct argument none[] = {{0}};
    if (command->make_arguments)
        return command->make_arguments();
    return command->arguments ? command->arguments : none;
}

int command_misused(const struct command *command, const char *format, ...)
{
    va_list values;
    fprintf(stderr, "plumbline %s: ", command->name);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fprintf(stderr, " (see plumbline %s --help)\n", command->name);
    return 2;
}

int command_flush(void)
{
    return fflush(stdout) != 0 || ferror(stdout) ? 1 : 0;
}

int command_json(const json_t *json)
{
    attribute_cleanup(cleanup_free) char *text = json ? json_text(json, JSON_COMPACT) : NULL;
    return text && puts(text) != EOF ? command_flush() : 1;
}

int command_faults(json_t *faults)
{
    if (json_array_size(faults) > 0) {
        attribute_cleanup(cleanup_json) json_t *told = json_pack("{s:b, s:O}", "valid", 0, "errors", faults);
        command_json(told);
    }
    return 1;
}

json_t *command_ids(const struct command *command, const struct text_list *operands)
{
    json_t *ids = json_array();
    for (size_t i = 0; ids && i < operands->count; i++) {
        long long id = 0;
        if (!count_parse(operands->items[i], &id))
            command_misused(command, "\"%s\" is no number of a job", operands->items[i]);
        if (id < 1 || json_array_append_new(ids, json_integer(id)) != 0) {
            json_decref(ids);
            return NULL;
        }
    }
    return ids;
}

static int check_and_run(const struct command *command, const void *options, const struct text_list *operands)
{
    if (operands->count < command->least)
        return command_misused(command, "%s is missing", command->operands);
    if (operands->count > command->most)
        return command_misused(command, "there is \"%s\" too many", operands->items[command->most]);
    return command->run(options, operands);
}

int command_run(const struct command *command, int argc, char **argv)
{
    const struct argument *arguments = command_arguments(command);
    attribute_cleanup(cleanup_free) void *options = calloc(1, command->options_size + 1);
    struct text_list operands = {0};
    struct error err = {""};
    bool help = false;
    int code;
    if (!options) {
        fprintf(stderr, "plumbline %s: out of memory\n", command->name);
        return 1;
    }
    if (arguments_read(argc, argv, arguments, options, &operands, &help, &err) != STATUS_OK) {
        code = command_misused(command, "%s", err.text);
    } else if (help) {
        print_help(stdout, command);
        code = command_flush();
    } else {
        code = check_and_run(command, options, &operands);
    }
    arguments_clear(arguments, options);
    text_list_clear(&operands);
    return code;
}
