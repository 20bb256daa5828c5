/* `plumbline version`. */
#include <stdio.h>
#include <string.h>

#include "server/arguments.h"
#include "server/commands.h"
#include "server/json_util.h"
#include "server/version.h"

static const char help[] = "Usage: plumbline version [--json]\n\n"
                           "Prints what this program is and what it was built with.\n";

static int print_version(bool json)
{
    attribute_cleanup(cleanup_json) json_t *version = version_json();
    if (!version) {
        fprintf(stderr, "plumbline version: out of memory\n");
        return 1;
    }
    if (json)
        return json_dumpf(version, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF || fflush(stdout) != 0;
    const char *key;
    json_t *value;
    int written = printf("plumbline %s\n", json_string_value(json_object_get(version, "version")));
    json_object_foreach(version, key, value)
    {
        if (written >= 0 && strcmp(key, "name") != 0 && strcmp(key, "version") != 0)
            written = printf("%s: %s\n", key, json_string_value(value));
    }
    return written < 0 || fflush(stdout) != 0;
}

int command_version(int argc, char **argv)
{
    bool json = false, asked = false;
    struct text_list operands = {0};
    struct error err;
    const struct argument table[] = {{"json", ARGUMENT_SWITCH, &json}, {"help", ARGUMENT_SWITCH, &asked}, {0}};
    enum status status = arguments_read(argc, argv, table, &operands, &err);
    if (status == STATUS_OK && operands.count > 0)
        status = error_set(&err, STATUS_INVALID, "takes no operands");
    text_list_clear(&operands);
    if (status != STATUS_OK) {
        fprintf(stderr, "plumbline version: %s\n\n%s", err.text, help);
        return 2;
    }
    return asked ? fputs(help, stdout) < 0 : print_version(json);
}
