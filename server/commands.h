/*
 * The subcommands. Each takes its own arguments, argv[0] being its name, and returns the exit code: 0 good, 1 failed,
 * 2 wrong use. (`work` and `run` are in worker.h.)
 */
#ifndef PLUMBLINE_SERVER_COMMANDS_H
#define PLUMBLINE_SERVER_COMMANDS_H

/* `plumbline serve`: the daemon, until SIGINT or SIGTERM. */
int command_serve(int argc, char **argv);

/* `plumbline check SPEC.json [--json]`: validates, prints the expanded spec and its cost. */
int command_check(int argc, char **argv);

/* `plumbline backup DIR [--data DIR] [--json]`: copies the data directory, the server running or not. */
int command_backup(int argc, char **argv);

/* `plumbline migrate [--data DIR] [--json] [RUN.db…]`: catalog and run files to this version's schema, no server
 * running; or the run files that are named. */
int command_migrate(int argc, char **argv);

/* `plumbline version [--json]`. */
int command_version(int argc, char **argv);

#endif
