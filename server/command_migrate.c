/* `plumbline migrate`: the catalog and all run files to this version's schema, without starting a server. */
#include <stdio.h>
#include <stdlib.h>

#include "core/file_util.h"
#include "server/catalog_write.h"
#include "server/commands.h"
#include "server/data_paths.h"
#include "server/run_migrate.h"

struct options {
    const char *data;
    bool json;
};

static const struct argument arguments[] = {
    DATA_ARGUMENT(struct options, data),
    {"json", ARGUMENT_SWITCH, offsetof(struct options, json),
     .help = "print one line of JSON: files, migrated, busy, failed"},
    {0},
};

/* Opening the catalog migrates it. */
static enum status migrate_all(const char *data, struct migration_report *ret_report, struct error *err)
{
    attribute_cleanup(catalog_clear) struct catalog catalog = {.lock = -1};
    attribute_cleanup(cleanup_free) char *path = path_join(data, "catalog.db");
    if (!path)
        return error_no_memory(err);
    if (!file_exists(path))
        return error_set(err, STATUS_NOT_FOUND, "%s is no data directory: it has no catalog.db", data);
    enum status status = catalog_open(data, &catalog, err);
    return status == STATUS_OK ? run_files_migrate(data, ret_report, err) : status;
}

static void migrate_named(const struct text_list *paths, struct migration_report *ret_report)
{
    for (size_t i = 0; i < paths->count; i++)
        run_file_bring_up_named(paths->items[i], ret_report);
}

static int print_report(bool json, bool named, const struct migration_report *r)
{
    const char *what = named ? "" : "the catalog, and ";
    int written = json ? printf("{\"files\":%zu,\"migrated\":%zu,\"busy\":%zu,\"failed\":%zu}\n", r->files, r->migrated,
                                r->busy, r->failed)
                       : printf("%s%zu of %zu run files were brought to this version; %zu failed\n", what, r->migrated,
                                r->files, r->failed);
    return written < 0 || fflush(stdout) != 0 || r->failed > 0 ? 1 : 0;
}

static int migrate_asked(const struct options *o, const struct text_list *paths)
{
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    struct migration_report report = {0};
    struct error err = {""};
    bool named = paths->count > 0;
    enum status status = o->data || named ? STATUS_OK : data_default(&fallback, &err);
    if (named)
        migrate_named(paths, &report);
    else if (status == STATUS_OK)
        status = migrate_all(o->data ? o->data : fallback, &report, &err);
    if (status == STATUS_OK)
        return print_report(o->json, named, &report);
    fprintf(stderr, "plumbline migrate: %s\n", err.text);
    return 1;
}

static int run(const void *options, const struct text_list *operands)
{
    const struct options *o = options;
    if (operands->count > 0 && o->data)
        return command_misused(&migrate_command, "takes a data directory or run files, not both");
    return migrate_asked(o, operands);
}

const struct command migrate_command = {
    .name = "migrate",
    .operands = "[RUN.db...]",
    .summary = "bring a data directory to this version's schema",
    .description =
        "Brings the catalog and the run files of a data directory to this version's schema, as the server does by "
        "itself when it starts. No server may run. An older program cannot read the files afterwards: make a backup "
        "first.\n\nWith RUN.db, the run files that are named, wherever they are.",
    .failure = "a file could not be brought up",
    .arguments = arguments,
    .options_size = sizeof(struct options),
    .most = SIZE_MAX,
    .operand_kind = OPERAND_FILE,
    .run = run,
};
