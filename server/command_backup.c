/* `plumbline backup`: a copy of the data directory, with or without a daemon. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/arguments.h"
#include "server/backup.h"
#include "server/commands.h"
#include "server/data_paths.h"

static const char help[] =
    "Usage: plumbline backup DIR [--data DIR] [--json]\n"
    "\n"
    "Copies the data directory to the new folder DIR: the catalog as of one moment, all runs, the initial weights; "
    "not\n"
    "the data sets. The server may run and go on. To restore, stop the server and put the copy in place of the data\n"
    "directory; jobs that ran go on from their checkpoints.\n"
    "\n"
    "  --data DIR  the data directory (default: $PLUMBLINE_DATA, $XDG_DATA_HOME/plumbline or "
    "~/.local/share/plumbline)\n"
    "  --json      print one line of JSON: jobs, sealed, live, missing, weights, bytes\n"
    "  --help      this text\n";

struct options {
    const char *target, *data;
    bool json, help;
};

static int print_report(const struct options *o, const struct backup_report *r)
{
    int written = o->json ? printf("{\"jobs\":%" PRId64 ",\"sealed\":%zu,\"live\":%zu,\"missing\":%zu,\"weights\":%zu,"
                                   "\"bytes\":%" PRId64 "}\n",
                                   r->jobs, r->sealed, r->live, r->missing, r->weights, r->bytes)
                          : printf("%" PRId64 " jobs, %zu runs (%zu of them being written), %" PRId64 " bytes in %s\n",
                                   r->jobs, r->sealed + r->live, r->live, r->bytes, o->target);
    if (r->missing > 0)
        fprintf(stderr, "plumbline backup: %zu runs could not be read and are not in it\n", r->missing);
    return written < 0 || fflush(stdout) != 0 || r->missing > 0 ? 1 : 0;
}

static int backup(struct options *o)
{
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    struct backup_report report = {0};
    struct error err = {""};
    enum status status = o->data ? STATUS_OK : data_default(&fallback, &err);
    if (status == STATUS_OK)
        status = backup_make(o->data ? o->data : fallback, o->target, &report, &err);
    if (status == STATUS_OK)
        return print_report(o, &report);
    fprintf(stderr, "plumbline backup: %s\n", err.text);
    return 1;
}

int command_backup(int argc, char **argv)
{
    struct options o = {0};
    struct text_list operands = {0};
    struct error err;
    const struct argument table[] = {
        {"data", ARGUMENT_TEXT, &o.data}, {"json", ARGUMENT_SWITCH, &o.json}, {"help", ARGUMENT_SWITCH, &o.help}, {0}};
    int code = 2;
    if (arguments_read(argc, argv, table, &operands, &err) != STATUS_OK) {
        fprintf(stderr, "plumbline backup: %s (see plumbline backup --help)\n", err.text);
    } else if (o.help) {
        code = fputs(help, stdout) < 0;
    } else if (operands.count != 1) {
        fprintf(stderr, "plumbline backup: name the one folder to make\n\n%s", help);
    } else {
        o.target = operands.items[0];
        code = backup(&o);
    }
    text_list_clear(&operands);
    return code;
}
