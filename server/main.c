/* One binary with subcommands. */
#include <stdio.h>
#include <string.h>

#include "server/commands.h"

/* How many words of the command line name this command; 0 where they name another. */
static int words_of(const struct command *command, int argc, char **argv)
{
    const char *name = command->name;
    int words = 0;
    while (*name) {
        size_t length = strcspn(name, " ");
        if (words + 1 >= argc || strlen(argv[words + 1]) != length || strncmp(argv[words + 1], name, length) != 0)
            return 0;
        words++;
        name += length;
        name += *name == ' ';
    }
    return words;
}

/* The commands that begin with the word ("token"), or none. */
static int print_family(FILE *to, const char *word)
{
    size_t length = strlen(word);
    int count = 0;
    for (const struct command *const *command = commands; *command; command++)
        if (length > 0 && strncmp((*command)->name, word, length) == 0 && (*command)->name[length] == ' ')
            fprintf(to, "%splumbline %-14s %s\n", count++ == 0 ? "Usage: " : "       ", (*command)->name,
                    (*command)->summary);
    return count;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int misused(const char *name)
{
    if (print_family(stderr, name) > 0)
        return 2;
    if (*name)
        fprintf(stderr, "plumbline: there is no command \"%s\"\n\n", name);
    print_overview(stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0)
        return command_run(&version_command, 1, argv + 1);
    for (const struct command *const *command = commands; *command; command++) {
        int words = words_of(*command, argc, argv);
        if (words > 0)
            return command_run(*command, argc - words, argv + words);
    }
    if (is_help(name)) {
        print_overview(stdout);
        return command_flush();
    }
    if (argc > 2 && is_help(argv[2]) && print_family(stdout, name) > 0)
        return command_flush();
    return misused(name);
}
