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

static int print_report(const struct options *o, const struct migration_report *r)
{
    int written = o->json ? printf("{\"files\":%zu,\"migrated\":%zu,\"busy\":%zu,\"failed\":%zu}\n", r->files,
                                   r->migrated, r->busy, r->failed)
                          : printf("the catalog, and %zu of %zu run files, are now of this version; %zu failed\n",
                                   r->migrated, r->files, r->failed);
    return written < 0 || fflush(stdout) != 0 || r->failed > 0 ? 1 : 0;
}

static int migrate_data(const struct options *o)
{
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    struct migration_report report = {0};
    struct error err = {""};
    enum status status = o->data ? STATUS_OK : data_default(&fallback, &err);
    if (status == STATUS_OK)
        status = migrate_all(o->data ? o->data : fallback, &report, &err);
    if (status == STATUS_OK)
        return print_report(o, &report);
    fprintf(stderr, "plumbline migrate: %s\n", err.text);
    return 1;
}

static int run(const void *options, const struct text_list *operands)
{
    (void)operands;
    return migrate_data(options);
}

const struct command migrate_command = {
    .name = "migrate",
    .summary = "bring a data directory to this version's schema",
    .description =
        "Brings the catalog and the run files of a data directory to this version's schema, as the server does by "
        "itself when it starts. No server may run. An older program cannot read the files afterwards: make a backup "
        "first.",
    .failure = "a file could not be brought up",
    .arguments = arguments,
    .options_size = sizeof(struct options),
    .run = run,
};
