/*
 * `plumbline token create`, `list`, `revoke`: over the API of a server that is named or runs on the data directory;
 * where none runs, in its catalog.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/catalog_write.h"
#include "server/client.h"
#include "server/commands.h"
#include "server/json_util.h"
#include "server/list.h"
#include "server/sqlite_util.h"
#include "server/terminal.h"
#include "server/token.h"

struct token_options {
    struct client_options client;
    const char *role, *name;
    bool json;
};

/* --- create ------------------------------------------------------------------------------------------------------ */

static const char *const roles[] = {"viewer", "submitter", "admin", NULL};

static const struct argument create_arguments[] = {
    {"role", ARGUMENT_CHOICE, offsetof(struct token_options, role), .value = "ROLE",
     .help = "what it lets do: viewer (read), submitter (submit and change jobs), admin (all)", .fallback = "viewer",
     .choices = roles},
    {"name", ARGUMENT_TEXT, offsetof(struct token_options, name), .value = "TEXT", .help = "whose it is"},
    {"json", ARGUMENT_SWITCH, offsetof(struct token_options, json),
     .help = "print one JSON object: id, name, role, token"},
    CLIENT_ARGUMENTS(struct token_options, client),
    {0},
};

struct created {
    const char *name;
    enum token_role role;
    int64_t id;
    char text[TOKEN_TEXT_SIZE];
};

static enum status create_in(sqlite3 *db, void *context, struct error *err)
{
    struct created *created = context;
    return token_create(db, created->name, created->role, &created->id, created->text, err);
}

static enum status create_here(const struct token_options *o, json_t **ret_token, struct error *err)
{
    attribute_cleanup(catalog_clear) struct catalog catalog;
    struct created created = {.name = o->name ? o->name : "", .role = token_role_parse(o->role ? o->role : "viewer")};
    enum status status = catalog_open(o->client.data, &catalog, err);
    if (status == STATUS_OK)
        status = catalog_write(&catalog, create_in, &created, err);
    if (status != STATUS_OK)
        return status;
    *ret_token = json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)created.id, "name", created.name, "role",
                           token_role_name(created.role), "token", created.text);
    return *ret_token ? STATUS_OK : error_no_memory(err);
}

static enum status create_there(struct client *client, const struct token_options *o, json_t **ret_token,
                                struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body =
        json_pack("{s:s, s:s}", "name", o->name ? o->name : "", "role", o->role ? o->role : "viewer");
    return body ? client_send(client, "POST", "/tokens", body, ret_token, err) : error_no_memory(err);
}

static int print_created(const struct token_options *o, const json_t *token)
{
    if (o->json)
        return command_json(token);
    printf("%s\n", json_string_value(json_object_get(token, "token")));
    fprintf(stderr, "token %lld (%s), shown this once\n", (long long)json_integer_value(json_object_get(token, "id")),
            json_string_value(json_object_get(token, "role")));
    return command_flush();
}

static int run_create(const void *options, const struct text_list *operands)
{
    const struct token_options *o = options;
    struct error err = {""};
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    attribute_cleanup(cleanup_json) json_t *token = NULL;
    (void)operands;
    enum status status = client_find(&o->client, &client, &err);
    if (status == STATUS_OK)
        status = client ? create_there(client, o, &token, &err) : create_here(o, &token, &err);
    return status == STATUS_OK ? print_created(o, token) : client_complain(client, "token create", NULL, &err);
}

#define WITHOUT_SERVER                                                                                                 \
    "\n\nA server that runs on the data directory of this machine, or that is named with --server, does it; where "    \
    "none "                                                                                                            \
    "runs, it is done in the data directory itself."

const struct command token_create_command = {
    .name = "token create",
    .summary = "make a token, shown once",
    .description = "Makes a token and prints it, this once: it is kept as a hash only." WITHOUT_SERVER,
    .failure = "it could not be made",
    .arguments = create_arguments,
    .options_size = sizeof(struct token_options),
    .run = run_create,
};

/* --- list -------------------------------------------------------------------------------------------------------- */

static const struct argument plain_arguments[] = {
    {"json", ARGUMENT_SWITCH, offsetof(struct token_options, json), .help = "print one JSON object: items"},
    CLIENT_ARGUMENTS(struct token_options, client),
    {0},
};

enum { PAGE = 1000 };

/* A page of tokens behind `after` (NULL: the first). */
static enum status read_page(struct client *client, sqlite3 *db, const char *after, json_t **ret_page,
                             struct error *err)
{
    const struct list_query query = {.page_token = after, .max_results = PAGE};
    if (!client)
        return list_page(db, &token_list, &query, ret_page, err);
    const char *const names[] = {"max_results", "1000", "page_token", after, NULL};
    attribute_cleanup(cleanup_free) char *path = client_path("/tokens", names);
    return path ? client_get(client, path, ret_page, err) : error_no_memory(err);
}

static enum status read_tokens(struct client *client, sqlite3 *db, json_t *items, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *page = NULL;
    enum status status;
    const char *next = NULL;
    do {
        json_t *last = page;
        page = NULL;
        status = read_page(client, db, next, &page, err);
        json_decref(last);
        if (status == STATUS_OK && json_array_extend(items, json_object_get(page, "items")) != 0)
            status = error_no_memory(err);
        next = json_string_value(json_object_get(page, "next_page_token"));
    } while (status == STATUS_OK && next);
    return status;
}

static int print_tokens(const struct token_options *o, json_t *items)
{
    size_t i;
    const json_t *token;
    if (o->json) {
        attribute_cleanup(cleanup_json) json_t *all = json_pack("{s:O}", "items", items);
        return command_json(all);
    }
    printf("%6s  %-10s %-24s  %-24s  %-24s  %s\n", "id", "role", "created", "used", "revoked", "name");
    json_array_foreach(items, i, token)
    {
        static const char *const keys[] = {"created_at", "last_used_at", "revoked_at"};
        printf("%6lld  ", (long long)json_integer_value(json_object_get(token, "id")));
        print_text(stdout, json_string_value(json_object_get(token, "role")), 11);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            print_text(stdout, json_string_value(json_object_get(token, keys[k])), 26);
        print_text(stdout, json_string_value(json_object_get(token, "name")), 0);
        putchar('\n');
    }
    return command_flush();
}

static int run_list(const void *options, const struct text_list *operands)
{
    const struct token_options *o = options;
    struct error err = {""};
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    attribute_cleanup(catalog_clear) struct catalog catalog = {.lock = -1};
    attribute_cleanup(cleanup_json) json_t *items = json_array();
    (void)operands;
    enum status status = items ? client_find(&o->client, &client, &err) : error_no_memory(&err);
    if (status == STATUS_OK && !client)
        status = catalog_open(o->client.data, &catalog, &err);
    if (status == STATUS_OK)
        status = read_tokens(client, catalog.db, items, &err);
    return status == STATUS_OK ? print_tokens(o, items) : client_complain(client, "token list", NULL, &err);
}

const struct command token_list_command = {
    .name = "token list",
    .summary = "list tokens and when they were used",
    .description = "Lists the tokens that were made, when they were used last, and which are revoked." WITHOUT_SERVER,
    .failure = "they could not be read",
    .arguments = plain_arguments,
    .options_size = sizeof(struct token_options),
    .run = run_list,
};

/* --- revoke ------------------------------------------------------------------------------------------------------ */

static const struct argument revoke_arguments[] = {
    {"json", ARGUMENT_SWITCH, offsetof(struct token_options, json), .help = "print one JSON object: id"},
    CLIENT_ARGUMENTS(struct token_options, client),
    {0},
};

static enum status revoke_in(sqlite3 *db, void *context, struct error *err)
{
    return token_revoke(db, *(const int64_t *)context, err);
}

static enum status revoke(struct client *client, const struct token_options *o, int64_t id, struct error *err)
{
    attribute_cleanup(catalog_clear) struct catalog catalog = {.lock = -1};
    attribute_cleanup(cleanup_json) json_t *answer = NULL;
    char path[64];
    snprintf(path, sizeof path, "/tokens/%" PRId64, id);
    if (client)
        return client_send(client, "DELETE", path, NULL, &answer, err);
    enum status status = catalog_open(o->client.data, &catalog, err);
    return status == STATUS_OK ? catalog_write(&catalog, revoke_in, &id, err) : status;
}

static int run_revoke(const void *options, const struct text_list *operands)
{
    const struct token_options *o = options;
    struct error err = {""};
    long long id = 0;
    attribute_cleanup(cleanup_client) struct client *client = NULL;
    if (!count_parse(operands->items[0], &id))
        return command_misused(&token_revoke_command, "\"%s\" is no number of a token", operands->items[0]);
    enum status status = client_find(&o->client, &client, &err);
    if (status == STATUS_OK)
        status = revoke(client, o, id, &err);
    if (status != STATUS_OK)
        return client_complain(client, "token revoke", NULL, &err);
    printf(o->json ? "{\"id\":%lld}\n" : "token %lld is revoked\n", id);
    return command_flush();
}

const struct command token_revoke_command = {
    .name = "token revoke",
    .operands = "ID",
    .summary = "end a token",
    .description = "Ends a token: whoever shows it is refused from then on." WITHOUT_SERVER,
    .failure = "there is no such token, or it could not be ended",
    .arguments = revoke_arguments,
    .options_size = sizeof(struct token_options),
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_WORD,
    .run = run_revoke,
};
