/* The subcommands, in the order they are listed. */
#include "server/commands.h"

const struct command *const commands[] = {
    &serve_command,        &run_command,
    &check_command,        &submit_command,
    &list_command,         &show_command,
    &watch_command,        &cancel_command,
    &pause_command,        &resume_command,
    &retry_command,        &trash_command,
    &restore_command,      &purge_command,
    &export_command,       &import_command,
    &token_create_command, &token_list_command,
    &token_revoke_command, &backup_command,
    &migrate_command,      &completion_command,
    &man_command,          &version_command,
    &work_command,         NULL,
};
