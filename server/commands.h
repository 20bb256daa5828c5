/* The subcommands: each is described and done in the file of its name (the actions on jobs in command_act.c). */
#ifndef PLUMBLINE_SERVER_COMMANDS_H
#define PLUMBLINE_SERVER_COMMANDS_H

#include "server/command.h"

/* Without a server. */
extern const struct command serve_command, run_command, check_command, backup_command, migrate_command, version_command,
    completion_command, man_command, work_command;

/* Of a server, over its API. */
extern const struct command submit_command, list_command, show_command, watch_command, export_command;
extern const struct command cancel_command, pause_command, resume_command, retry_command, trash_command,
    restore_command, purge_command;

/* Of a server, or of a data directory that none serves. */
extern const struct command import_command, token_create_command, token_list_command, token_revoke_command;

#endif
