/* `plumbline watch` and `plumbline show`: one job of a server, as it goes on and as it is. */
#include <inttypes.h>
#include <stdio.h>

#include "server/commands.h"
#include "server/job_report.h"
#include "server/json_util.h"

struct job_options {
    struct client_options client;
    bool json;
};

static const struct argument arguments[] = {
    {"json", ARGUMENT_SWITCH, offsetof(struct job_options, json), .help = "print one JSON object"},
    CLIENT_ARGUMENTS(struct job_options, client),
    {0},
};

/* Opens the server and reads the job's number; returns 0, or the exit code. */
static int begin(const struct command *command, const struct job_options *o, const struct text_list *operands,
                 int64_t *ret_id, struct client **ret_client)
{
    struct error err = {""};
    attribute_cleanup(cleanup_json) json_t *ids = command_ids(command, operands);
    if (!ids)
        return 2;
    *ret_id = json_integer_value(json_array_get(ids, 0));
    if (client_open(&o->client, ret_client, &err) != STATUS_OK)
        return client_complain(NULL, command->name, NULL, &err);
    return 0;
}

static int run_watch(const void *options, const struct text_list *operands)
{
    const struct job_options *o = options;
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    int64_t id = 0;
    int code = begin(&watch_command, o, operands, &id, &client);
    return code ? code : job_watch(client, "watch", id, o->json);
}

const struct command watch_command = {
    .name = "watch",
    .operands = "ID",
    .summary = "follow a job to its end",
    .description = "Shows how far a job is, with the time left, until it has ended; then prints it as `plumbline show` "
                   "does. An interrupt (Ctrl-C) ends the watching; the job goes on.",
    .failure = "it did not finish, or the server does not answer",
    .arguments = arguments,
    .options_size = sizeof(struct job_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_JOB,
    .run = run_watch,
};

static int print_job(const struct job_options *o, json_t *job, json_t *measures)
{
    if (!o->json) {
        job_print(job, measures);
        return command_flush();
    }
    attribute_cleanup(cleanup_json) json_t *all = json_pack("{s:O, s:O}", "job", job, "measured", measures);
    return command_json(all);
}

static int run_show(const void *options, const struct text_list *operands)
{
    const struct job_options *o = options;
    struct error err = {""};
    char path[64];
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    attribute_cleanup(cleanup_json) json_t *measures = NULL;
    int64_t id = 0;
    int code = begin(&show_command, o, operands, &id, &client);
    if (code)
        return code;
    snprintf(path, sizeof path, "/jobs/%" PRId64, id);
    enum status status = client_get(client, path, &job, &err);
    if (status == STATUS_OK)
        status = job_measures(client, id, &measures, &err);
    return status == STATUS_OK ? print_job(o, job, measures) : client_complain(client, "show", NULL, &err);
}

const struct command show_command = {
    .name = "show",
    .operands = "ID",
    .summary = "print a job and what was measured at its sites",
    .description = "Prints a job, and for each site what the theory predicts for a sample alone (self factor) and how "
                   "many times its ideal step each sample's activation took (scale), over the last measured steps.",
    .failure = "there is no such job, or the server does not answer",
    .arguments = arguments,
    .options_size = sizeof(struct job_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_JOB,
    .run = run_show,
};
