/* `plumbline list`: the jobs of a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/client.h"
#include "server/commands.h"
#include "server/job.h"
#include "server/json_util.h"
#include "server/terminal.h"

enum { DEFAULT_LIMIT = 50, MOST_PAGE = 1000 };

struct list_options {
    struct client_options client;
    const char *filter, *state, *order;
    long long limit;
    bool json;
};

static const struct argument arguments[] = {
    {"filter", ARGUMENT_TEXT, offsetof(struct list_options, filter), .value = "FILTER",
     .help = "only jobs that it wants: \"name LIKE 'fashion%' AND result.test/accuracy > 0.8\""},
    {"state", ARGUMENT_CHOICE, offsetof(struct list_options, state), .value = "STATE",
     .help = "only jobs in this state: queued, running, paused, finished, failed, diverged, cancelled",
     .choices = job_state_names},
    {"order", ARGUMENT_TEXT, offsetof(struct list_options, order), .value = "ORDER",
     .help = "what they are ordered by: \"result.test/accuracy desc\"", .fallback = "created_at desc"},
    {"limit", ARGUMENT_COUNT, offsetof(struct list_options, limit), .value = "N", .help = "at most so many",
     .fallback = "50"},
    {"json", ARGUMENT_SWITCH, offsetof(struct list_options, json), .help = "print one JSON object: items"},
    CLIENT_ARGUMENTS(struct list_options, client),
    {0},
};

/* A page behind `token`, added to `items`; *ret_token is the next one's, or NULL. */
static enum status read_page(struct client *client, const struct list_options *o, size_t count, const char *token,
                             json_t *items, char **ret_token, struct error *err)
{
    char size[32];
    attribute_cleanup(cleanup_json) json_t *page = NULL;
    snprintf(size, sizeof size, "%zu", count < MOST_PAGE ? count : MOST_PAGE);
    const char *const query[] = {"filter",      o->filter, "state",      o->state, "order_by", o->order,
                                 "max_results", size,      "page_token", token,    NULL};
    attribute_cleanup(cleanup_free) char *path = client_path("/jobs", query);
    enum status status = path ? client_get(client, path, &page, err) : error_no_memory(err);
    if (status == STATUS_OK && json_array_extend(items, json_object_get(page, "items")) != 0)
        return error_set(err, STATUS_IO, "the server's list is none");
    const char *next = json_string_value(json_object_get(page, "next_page_token"));
    *ret_token = next ? strdup(next) : NULL;
    return status == STATUS_OK && next && !*ret_token ? error_no_memory(err) : status;
}

static enum status read_all(struct client *client, const struct list_options *o, size_t limit, json_t *items,
                            bool *ret_more, struct error *err)
{
    attribute_cleanup(cleanup_free) char *token = NULL;
    enum status status = STATUS_OK;
    do {
        attribute_cleanup(cleanup_free) char *last = token;
        token = NULL;
        status = read_page(client, o, limit - json_array_size(items), last, items, &token, err);
    } while (status == STATUS_OK && token && json_array_size(items) < limit);
    *ret_more = token != NULL;
    return status;
}

static void print_share(const json_t *progress)
{
    double steps = json_number_value(json_object_get(progress, "steps"));
    double step = json_number_value(json_object_get(progress, "step"));
    if (steps > 0)
        printf("%7.0f%%  ", 100 * step / steps);
    else
        printf("%8s  ", "-");
}

static void print_row(const json_t *job)
{
    const json_t *accuracy = json_object_get(json_object_get(job, "results"), "test/accuracy");
    const char *created = json_string_value(json_object_get(job, "created_at"));
    printf("%6lld  ", (long long)json_integer_value(json_object_get(job, "id")));
    print_state(stdout, json_string_value(json_object_get(job, "state")), 10);
    print_share(json_object_get(job, "progress"));
    if (json_is_number(accuracy))
        printf("%8.4f  ", json_number_value(accuracy));
    else
        printf("%8s  ", "-");
    printf("%.10s %.8s  ", created ? created : "", created && strlen(created) > 10 ? created + 11 : "");
    print_text(stdout, json_string_value(json_object_get(job, "name")), 0);
    putchar('\n');
}

static int print_items(const struct list_options *o, json_t *items, bool more)
{
    size_t i;
    const json_t *job;
    if (o->json) {
        attribute_cleanup(cleanup_json) json_t *all = json_pack("{s:O, s:b}", "items", items, "more", more);
        return command_json(all);
    }
    printf("%6s  %-10s%8s  %8s  %-19s  %s\n", "id", "state", "done", "accuracy", "created (UTC)", "name");
    json_array_foreach(items, i, job)
    {
        print_row(job);
    }
    if (more)
        fprintf(stderr, "there are more: see --limit and --filter\n");
    return command_flush();
}

static int run(const void *options, const struct text_list *operands)
{
    const struct list_options *o = options;
    struct error err = {""};
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    bool more = false;
    (void)operands;
    enum status status = items ? client_open(&o->client, &client, &err) : error_no_memory(&err);
    if (status == STATUS_OK)
        status = read_all(client, o, o->limit ? (size_t)o->limit : DEFAULT_LIMIT, items, &more, &err);
    return status == STATUS_OK ? print_items(o, items, more) : client_complain(client, "list", NULL, &err);
}

const struct command list_command = {
    .name = "list",
    .summary = "list a server's jobs",
    .description = "Lists a server's jobs: state, how far they are, test accuracy.",
    .failure = "the filter or order is wrong, or the server does not answer",
    .arguments = arguments,
    .options_size = sizeof(struct list_options),
    .run = run,
};
