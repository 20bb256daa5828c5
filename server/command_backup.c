/* `plumbline backup`: a copy of the data directory, with or without a daemon. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/backup.h"
#include "server/commands.h"
#include "server/data_paths.h"

struct options {
    const char *data;
    bool json;
};

static const struct argument arguments[] = {
    DATA_ARGUMENT(struct options, data),
    {"json", ARGUMENT_SWITCH, offsetof(struct options, json),
     .help = "print one line of JSON: jobs, sealed, live, missing, weights, bytes"},
    {0},
};

static int print_report(const struct options *o, const char *target, const struct backup_report *r)
{
    int written = o->json ? printf("{\"jobs\":%" PRId64 ",\"sealed\":%zu,\"live\":%zu,\"missing\":%zu,\"weights\":%zu,"
                                   "\"bytes\":%" PRId64 "}\n",
                                   r->jobs, r->sealed, r->live, r->missing, r->weights, r->bytes)
                          : printf("%" PRId64 " jobs, %zu runs (%zu of them being written), %" PRId64 " bytes in %s\n",
                                   r->jobs, r->sealed + r->live, r->live, r->bytes, target);
    if (r->missing > 0)
        fprintf(stderr, "plumbline backup: %zu runs could not be read and are not in it\n", r->missing);
    return written < 0 || fflush(stdout) != 0 || r->missing > 0 ? 1 : 0;
}

static int backup(const struct options *o, const char *target)
{
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    struct backup_report report = {0};
    struct error err = {""};
    enum status status = o->data ? STATUS_OK : data_default(&fallback, &err);
    if (status == STATUS_OK)
        status = backup_make(o->data ? o->data : fallback, target, &report, &err);
    if (status == STATUS_OK)
        return print_report(o, target, &report);
    fprintf(stderr, "plumbline backup: %s\n", err.text);
    return 1;
}

static int run(const void *options, const struct text_list *operands)
{
    return backup(options, operands->items[0]);
}

const struct command backup_command = {
    .name = "backup",
    .operands = "DIR",
    .summary = "copy the data directory while the server runs",
    .description =
        "Copies the data directory to the new folder DIR: the catalog as of one moment, all runs, the initial weights; "
        "not the data sets. The server may run and go on. To restore, stop the server and put the copy in place of the "
        "data directory; jobs that ran go on from their checkpoints.",
    .failure = "something could not be copied",
    .arguments = arguments,
    .options_size = sizeof(struct options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_FOLDER,
    .run = run,
};
