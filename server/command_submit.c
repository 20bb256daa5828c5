/* `plumbline submit`: a spec or a study, to a server. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/option.h"
#include "server/commands.h"
#include "server/job_report.h"
#include "server/json_util.h"
#include "server/terminal.h"

struct submit_options {
    struct client_options client;
    const char *name;
    struct text_list tags;
    bool watch, check, json;
};

static const struct argument arguments[] = {
    {"watch", ARGUMENT_SWITCH, offsetof(struct submit_options, watch),
     .help = "follow it to its end; the exit code then tells whether it has finished"},
    {"name", ARGUMENT_TEXT, offsetof(struct submit_options, name), .value = "TEXT",
     .help = "a name in place of the spec's"},
    {"tag", ARGUMENT_TEXTS, offsetof(struct submit_options, tags), .value = "TEXT", .help = "a tag besides the spec's"},
    {"check", ARGUMENT_SWITCH, offsetof(struct submit_options, check),
     .help = "only ask the server whether it is right and what it would cost"},
    {"json", ARGUMENT_SWITCH, offsetof(struct submit_options, json),
     .help = "print the server's answer as JSON; of what is wrong valid and errors"},
    CLIENT_ARGUMENTS(struct submit_options, client),
    {0},
};

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

static const char *document_name(const char *path)
{
    return is_standard(path) ? "standard input" : path;
}

static enum status read_document(const char *path, json_t **ret_document, struct error *err)
{
    json_error_t fault;
    FILE *file = is_standard(path) ? stdin : fopen(path, "re");
    if (!file)
        return error_set(err, STATUS_NOT_FOUND, "cannot read %s: %s", path, strerror(errno));
    json_t *document = json_loadf(file, JSON_REJECT_DUPLICATES, &fault);
    if (!is_standard(path))
        fclose(file);
    if (!document)
        return error_set(err, STATUS_INVALID, "%s is no JSON: line %d, column %d: %s", document_name(path), fault.line,
                         fault.column, fault.text);
    *ret_document = document;
    return STATUS_OK;
}

static enum status add_tags(json_t *spec, const struct text_list *tags, struct error *err)
{
    enum status status = STATUS_OK;
    if (tags->count > 0 && !json_object_get(spec, "tags"))
        status = json_put(spec, "tags", json_array(), err);
    json_t *list = json_object_get(spec, "tags");
    for (size_t i = 0; i < tags->count && status == STATUS_OK && json_is_array(list); i++)
        status = json_add(list, json_string(tags->items[i]), err);
    return status;
}

/* What a study would be, before it is begun: how many jobs, and about how long on this server. */
static enum status tell_study(struct client *client, const json_t *study, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *estimate = NULL;
    char about[32];
    enum status status = client_send(client, "POST", "/studies?validate_only=true", study, &estimate, err);
    if (status != STATUS_OK)
        return status;
    const json_t *seconds = json_object_get(estimate, "seconds");
    printf("%lld jobs, %.0f steps, ", (long long)json_integer_value(json_object_get(estimate, "jobs")),
           json_number_value(json_object_get(estimate, "steps")));
    if (json_is_number(seconds))
        printf("about %s by what the last jobs did\n", format_seconds(json_number_value(seconds), about));
    else
        puts("for how long is not known before a job has finished");
    return command_flush() == 0 ? STATUS_OK : error_set(err, STATUS_IO, "cannot write to standard output");
}

static int print_answer(const struct submit_options *o, bool is_study, const json_t *answer)
{
    if (o->json)
        return command_json(answer);
    long long id = json_integer_value(json_object_get(answer, "id"));
    if (o->check)
        puts("it is right; --json tells what it would cost");
    else if (is_study)
        printf("study %lld: %lld jobs\n", id, (long long)json_integer_value(json_object_get(answer, "jobs")));
    else
        printf("job %lld\n", id);
    return command_flush();
}

static int submit(const struct submit_options *o, const char *path, struct client *client, json_t *document)
{
    struct error err = {""};
    attribute_cleanup(cleanup_json) json_t *answer = NULL;
    attribute_cleanup(cleanup_free) char *place = NULL;
    bool is_study = json_object_get(document, "base") && json_object_get(document, "grid");
    const char *const query[] = {"validate_only", o->check ? "true" : NULL, NULL};
    enum status status = add_tags(is_study ? json_object_get(document, "base") : document, &o->tags, &err);
    if (status == STATUS_OK && o->name)
        status = json_put(document, "name", json_string(o->name), &err);
    place = client_path(is_study ? "/studies" : "/jobs", query);
    if (status == STATUS_OK && !place)
        status = error_no_memory(&err);
    if (status == STATUS_OK && is_study && !o->json)
        status = tell_study(client, document, &err);
    if (status == STATUS_OK && is_study && !o->json && o->check)
        return 0; /* that was the check */
    if (status == STATUS_OK)
        status = o->check ? client_send(client, "POST", place, document, &answer, &err)
                          : client_submit(client, place, document, &answer, &err);
    if (status != STATUS_OK) {
        if (o->json)
            command_faults(client_faults(client));
        return client_complain(client, "submit", document_name(path), &err);
    }
    if (!o->watch || o->check)
        return print_answer(o, is_study, answer);
    int64_t id = json_integer_value(json_object_get(answer, "id"));
    if (!o->json && print_answer(o, is_study, answer) != 0)
        return 1;
    return is_study ? study_watch(client, "submit", id, o->json) : job_watch(client, "submit", id, o->json);
}

/* A document that cannot be read is wrong as a whole. */
static int complain_of_whole(const struct submit_options *o, const struct error *err)
{
    struct problem_list problems = {0};
    if (o->json && problem_list_init(&problems, NULL) == STATUS_OK) {
        problem_add(&problems, "", "%s", err->text);
        command_faults(problems.items);
    }
    problem_list_clear(&problems);
    return client_complain(NULL, "submit", NULL, err);
}

static int run(const void *options, const struct text_list *operands)
{
    const struct submit_options *o = options;
    const char *path = operands->items[0];
    struct error err = {""};
    attribute_cleanup(cleanup_json) json_t *document = NULL;
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    if (read_document(path, &document, &err) != STATUS_OK)
        return complain_of_whole(o, &err);
    if (client_open(&o->client, &client, &err) != STATUS_OK)
        return client_complain(client, "submit", NULL, &err);
    return submit(o, path, client, document);
}

const struct command submit_command = {
    .name = "submit",
    .operands = "SPEC.json",
    .summary = "give a server a spec, or a study, to train and measure",
    .description =
        "Gives a server the spec in SPEC.json as a new job; \"-\" is standard input. A file with \"base\" and \"grid\" "
        "is "
        "a study: a job for each point of the grid. What is wrong with it is told place by place, and nothing is "
        "started.\n\n"
        "With --watch an interrupt (Ctrl-C) ends the watching; the job goes on.",
    .failure = "it was refused, or with --watch did not finish",
    .arguments = arguments,
    .options_size = sizeof(struct submit_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_FILE,
    .run = run,
};
