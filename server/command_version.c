/* `plumbline version`. */
#include <stdio.h>
#include <string.h>

#include "server/command.h"
#include "server/commands.h"
#include "server/json_util.h"
#include "server/version.h"

struct options {
    bool json;
};

static const struct argument arguments[] = {
    {"json", ARGUMENT_SWITCH, offsetof(struct options, json), .help = "print it as one JSON object"},
    {0},
};

static int print_version(bool json)
{
    attribute_cleanup(cleanup_json) json_t *version = version_json();
    if (!version) {
        fprintf(stderr, "plumbline version: out of memory\n");
        return 1;
    }
    if (json)
        return command_json(version);
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

static int run(const void *options, const struct text_list *operands)
{
    (void)operands;
    return print_version(((const struct options *)options)->json);
}

const struct command version_command = {
    .name = "version",
    .summary = "print what this is and what it was built with",
    .description = "Prints what this program is and what it was built with.",
    .failure = "it could not be printed",
    .arguments = arguments,
    .options_size = sizeof(struct options),
    .run = run,
};
