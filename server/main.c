/* One binary with subcommands. */
#include <stdio.h>
#include <string.h>

#include "server/commands.h"
#include "server/worker.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", command_serve, "start the server: REST API, dashboard, worker pool"},
    {"run", command_run, "train and measure one spec here, without a server"},
    {"check", command_check, "check a spec, print it with all defaults and what it costs"},
    {"backup", command_backup, "copy the data directory while the server runs"},
    {"migrate", command_migrate, "bring a data directory to this version's schema"},
    {"version", command_version, "print what this is and what it was built with"},
    {"work", command_work, "run one job for the server (the server starts these itself)"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static int print_help(FILE *to)
{
    int written = fprintf(to, "Usage: plumbline COMMAND [options]\n\n"
                              "Measures how far gradient descent leans: for every sample and layer, the step its "
                              "activation should take\nagainst the step it does take.\n\n");
    for (int i = 0; i < COMMAND_COUNT && written >= 0; i++)
        written = fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    if (written >= 0)
        written = fprintf(to, "\nEach command explains itself: plumbline COMMAND --help\n");
    return written < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return print_help(stdout);
    if (strcmp(name, "--version") == 0)
        return command_version(1, argv + 1);
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "plumbline: there is no command \"%s\"\n\n", name);
    print_help(stderr);
    return 2;
}
