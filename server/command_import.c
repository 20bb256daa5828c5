/*
 * `plumbline import`: a run file of another place becomes a job. Over the API of a server that is named or runs on the
 * data directory; where none runs, in the data directory itself, as the server does it: a copy is looked at, and then
 * moved to its place in the transaction that adds the job.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/catalog_write.h"
#include "server/client.h"
#include "server/commands.h"
#include "server/data_paths.h"
#include "server/file_copy.h"
#include "server/json_util.h"
#include "server/store.h"
#include "server/store_import.h"
#include "server/temporary.h"
#include "server/terminal.h"

struct import_options {
    struct client_options client;
    bool json;
};

static const struct argument arguments[] = {
    {"json", ARGUMENT_SWITCH, offsetof(struct import_options, json), .help = "print the new job as JSON"},
    CLIENT_ARGUMENTS(struct import_options, client),
    {0},
};

/* --- without a server -------------------------------------------------------------------------------------------- */

/* A copy below the data directory, under a name of its own. */
static enum status copy_in(const char *data, const char *file, char **ret_copy, struct error *err)
{
    attribute_cleanup(cleanup_free) char *runs = path_join(data, "runs");
    attribute_cleanup(cleanup_descriptor) int from = -1, to = -1;
    size_t size = 0;
    enum status status = runs ? file_open(file, &from, &size, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = folder_make(runs, err);
    if (status == STATUS_OK)
        status = temporary_name(data, ret_copy, err);
    if (status != STATUS_OK)
        return status;
    to = open(*ret_copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return error_set(err, STATUS_IO, "cannot write %s: %s", *ret_copy, strerror(errno));
    return file_copy(from, file, to, *ret_copy, NULL, err);
}

struct taking {
    const char *data, *file;
    struct run_import import;
    int64_t id;
};

static enum status take_in(sqlite3 *db, void *context, struct error *err)
{
    struct taking *taking = context;
    int64_t unknown = 0;
    enum status status = store_unknown_runs(db, taking->data, &unknown, err);
    if (status == STATUS_OK && unknown > 0)
        status = store_ids_pass(db, unknown, err);
    if (status == STATUS_OK)
        status = store_run_take_in(db, taking->data, &taking->import, taking->file, &taking->id, err);
    return status;
}

static enum status take_copy(struct catalog *catalog, const char *copy, json_t **ret_job, struct error *err)
{
    struct taking taking = {.data = catalog->data, .file = copy};
    enum status status = run_import_check(copy, &taking.import, err);
    if (status == STATUS_OK)
        status = store_run_prepare(copy, err);
    if (status == STATUS_OK)
        status = catalog_write(catalog, take_in, &taking, err);
    run_import_clear(&taking.import);
    if (status == STATUS_OK)
        return store_job_json(catalog->db, taking.id, ret_job, err);
    store_run_take_back(catalog->data, taking.id);
    return status;
}

static enum status import_here(const struct import_options *o, const char *file, json_t **ret_job, struct error *err)
{
    attribute_cleanup(catalog_clear) struct catalog catalog = {.lock = -1};
    attribute_cleanup(cleanup_free) char *copy = NULL;
    enum status status = catalog_open(o->client.data, &catalog, err);
    if (status == STATUS_OK)
        status = copy_in(catalog.data, file, &copy, err);
    if (status == STATUS_OK)
        status = take_copy(&catalog, copy, ret_job, err);
    if (copy)
        unlink(copy); /* it is still there where it was not taken in */
    return status;
}

/* --- with a server ----------------------------------------------------------------------------------------------- */

static bool on_progress(void *context, double done, double of)
{
    struct progress *progress = context;
    char text[2][32], line[96];
    if (progress->terminal && of > 0) {
        snprintf(line, sizeof line, "%s of %s%s", format_bytes(done, text[0]), format_bytes(of, text[1]),
                 done >= of ? "; the server looks at it" : "");
        progress_show(progress, done / of, line);
    }
    return true;
}

static enum status import_there(struct client *client, const struct import_options *o, const char *file,
                                json_t **ret_job, struct error *err)
{
    struct progress progress;
    const struct client_watch watch = {on_progress, &progress};
    progress_begin(&progress, o->json);
    enum status status = client_upload(client, "/import", file, &watch, ret_job, err);
    progress_clear(&progress);
    return status;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int run(const void *options, const struct text_list *operands)
{
    const struct import_options *o = options;
    const char *file = operands->items[0];
    struct error err = {""};
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    enum status status = client_find(&o->client, &client, &err);
    if (status == STATUS_OK)
        status = client ? import_there(client, o, file, &job, &err) : import_here(o, file, &job, &err);
    if (status != STATUS_OK)
        return client_complain(client, "import", file, &err);
    if (o->json)
        return command_json(job);
    printf("job %lld: %s, %s\n", (long long)json_integer_value(json_object_get(job, "id")), file,
           json_string_value(json_object_get(job, "state")));
    return command_flush();
}

const struct command import_command = {
    .name = "import",
    .operands = "RUN.db",
    .summary = "take in a run file of another place as a job",
    .description =
        "Takes in a run file (of plumbline run, or of another server) as a job with a new number. The file is looked "
        "at as a stranger's: what is foreign, damaged or of a newer version is refused.\n\n"
        "A server that runs on the data directory of this machine, or that is named with --server, does it; where none "
        "runs, it is done in the data directory itself.",
    .failure = "it was refused",
    .arguments = arguments,
    .options_size = sizeof(struct import_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_FILE,
    .run = run,
};
