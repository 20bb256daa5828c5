/* What can be done to jobs of a server: cancel, pause, resume, retry, trash, restore, purge. */
#include <stdio.h>
#include <string.h>

#include "server/client.h"
#include "server/commands.h"
#include "server/json_util.h"

struct act_options {
    struct client_options client;
    const char *filter, *reason;
    bool json;
};

static const struct argument arguments[] = {
    {"filter", ARGUMENT_TEXT, offsetof(struct act_options, filter), .value = "FILTER",
     .help = "all jobs that it wants, in place of numbers: \"state = 'queued' AND name LIKE 'sweep%'\""},
    {"reason", ARGUMENT_TEXT, offsetof(struct act_options, reason), .value = "TEXT",
     .help = "is kept with the change of state"},
    {"json", ARGUMENT_SWITCH, offsetof(struct act_options, json), .help = "print one JSON object: items"},
    CLIENT_ARGUMENTS(struct act_options, client),
    {0},
};

static enum status make_body(const struct act_options *o, json_t *ids, json_t **ret_body, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body = json_object();
    enum status status = body ? STATUS_OK : error_no_memory(err);
    if (status == STATUS_OK && json_array_size(ids) > 0)
        status = json_put(body, "ids", json_incref(ids), err);
    if (status == STATUS_OK && o->filter)
        status = json_put(body, "filter", json_string(o->filter), err);
    if (status == STATUS_OK && o->reason)
        status = json_put(body, "reason", json_string(o->reason), err);
    if (status == STATUS_OK) {
        *ret_body = body;
        body = NULL;
    }
    return status;
}

static bool is_done(const json_t *outcome)
{
    return json_is_true(json_object_get(outcome, "done"));
}

/* "job 7: is tried again as job 9" */
static void print_outcome(const struct command *command, const char *done, const json_t *outcome)
{
    const char *detail = json_string_value(json_object_get(outcome, "detail"));
    const json_t *made = json_object_get(outcome, "made");
    long long id = json_integer_value(json_object_get(outcome, "id"));
    if (!is_done(outcome))
        fprintf(stderr, "plumbline %s: %s\n", command->name, detail ? detail : "refused");
    else if (made)
        printf("job %lld %s as job %lld\n", id, done, (long long)json_integer_value(made));
    else
        printf("job %lld %s\n", id, done);
}

static int print_outcomes(const struct command *command, const struct act_options *o, const char *done,
                          const json_t *answer)
{
    const json_t *outcomes = json_object_get(answer, "items"), *outcome;
    size_t i, refused = 0;
    json_array_foreach(outcomes, i, outcome)
    {
        if (!o->json)
            print_outcome(command, done, outcome);
        refused += !is_done(outcome);
    }
    int code = o->json ? command_json(answer) : command_flush();
    return code == 0 && refused == 0 ? 0 : 1;
}

static int act(const struct command *command, const char *done, const struct act_options *o,
               const struct text_list *operands)
{
    struct error err = {""};
    char path[32];
    attribute_cleanup(cleanup_json) json_t *ids = command_ids(command, operands);
    attribute_cleanup(cleanup_json) json_t *body = NULL;
    attribute_cleanup(cleanup_json) json_t *answer = NULL;
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    if (!ids)
        return 2;
    if ((operands->count > 0) == (o->filter != NULL))
        return command_misused(command, "give either numbers of jobs or --filter");
    if (o->filter && o->filter[strspn(o->filter, " \t\r\n")] == '\0')
        return command_misused(command, "--filter is blank, which would be every job: say so by --filter \"id > 0\"");
    snprintf(path, sizeof path, "/jobs:%s", command->name);
    enum status status = make_body(o, ids, &body, &err);
    if (status == STATUS_OK)
        status = client_open(&o->client, &client, &err);
    if (status == STATUS_OK)
        status = client_send(client, "POST", path, body, &answer, &err);
    return status == STATUS_OK ? print_outcomes(command, o, done, answer)
                               : client_complain(client, command->name, NULL, &err);
}

/* A command of that name and what is said of a job that it was done to. */
#define ACTION(action, done, does, more)                                                                               \
    static int run_##action(const void *options, const struct text_list *operands)                                     \
    {                                                                                                                  \
        return act(&action##_command, done, options, operands);                                                        \
    }                                                                                                                  \
    const struct command action##_command = {                                                                          \
        .name = #action,                                                                                               \
        .operands = "ID...",                                                                                           \
        .summary = does,                                                                                               \
        .description = more,                                                                                           \
        .failure = "a job was not in a state for it, or the server does not answer",                                   \
        .arguments = arguments,                                                                                        \
        .options_size = sizeof(struct act_options),                                                                    \
        .most = SIZE_MAX,                                                                                              \
        .operand_kind = OPERAND_JOB,                                                                                   \
        .run = run_##action,                                                                                           \
    }

ACTION(cancel, "is cancelled", "cancel jobs", "Cancels jobs; what they have measured is kept.");
ACTION(pause, "pauses", "pause jobs at a checkpoint", "Pauses jobs: those that run write a checkpoint first.");
ACTION(resume, "is queued again", "put paused jobs back into the queue", "Puts paused jobs back into the queue.");
ACTION(retry, "is tried again", "submit jobs that have ended again",
       "Submits jobs that have ended again: new jobs of the same specs.");
ACTION(trash, "is in the trash", "move jobs to the trash",
       "Moves jobs to the trash; those that wait or are paused are cancelled. One that runs is to be cancelled first.");
ACTION(restore, "is back", "take jobs out of the trash", "Takes jobs out of the trash.");
ACTION(purge, "is deleted", "delete jobs for good", "Deletes jobs and their run files for good.");
