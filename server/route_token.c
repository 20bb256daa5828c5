/* Tokens, and the browser's way to show one: a cookie that scripts cannot read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/json_util.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/token.h"

static const char *const role_choices[] = {"viewer", "submitter", "admin", NULL};

static const struct option token_body[] = {
    {.name = "name", .kind = OPTION_STRING, .fallback = "\"\"", .help = "whose it is"},
    {.name = "role",
     .kind = OPTION_CHOICE,
     .fallback = "\"viewer\"",
     .choices = role_choices,
     .help = "what it lets do"},
    OPTION_END,
};
static const struct option login_body[] = {
    {.name = "token", .kind = OPTION_STRING, .fallback = NULL, .help = "as it was shown when it was made"},
    OPTION_END,
};

struct token_use {
    const char *name;
    enum token_role role;
    int64_t id;
    char text[TOKEN_TEXT_SIZE];
};

static enum status create(sqlite3 *db, void *context, struct error *err)
{
    struct token_use *use = context;
    return token_create(db, use->name, use->role, &use->id, use->text, err);
}

static enum status revoke(sqlite3 *db, void *context, struct error *err)
{
    return token_revoke(db, ((const struct token_use *)context)->id, err);
}

enum status handle_tokens(struct request *request, struct answer *answer, struct error *err)
{
    return answer_list(request, &token_list, NULL, answer, err);
}

enum status handle_token_create(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body = options_expand(token_body, request->body, "", &request->problems);
    if (!body) {
        error_set(err, STATUS_INVALID, "a token has a name and a role: viewer, submitter or admin");
        return answer_refuse(answer, 422, "invalid_token", STATUS_INVALID);
    }
    struct token_use use = {.name = option_string(body, "name"), .role = token_role_parse(option_string(body, "role"))};
    enum status status = scheduler_add(request->service->scheduler, create, &use, err);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 422, "invalid_token", status);
    if (status != STATUS_OK)
        return status;
    answer->http = 201;
    return answer_json(answer,
                       json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)use.id, "name", use.name, "role",
                                 token_role_name(use.role), "token", use.text),
                       err);
}

enum status handle_token_revoke(struct request *request, struct answer *answer, struct error *err)
{
    struct token_use use = {0};
    enum status status = request_id(request, 0, &use.id, err);
    if (status == STATUS_OK)
        status = scheduler_write(request->service->scheduler, revoke, &use, err);
    if (status == STATUS_OK)
        __atomic_add_fetch(request->service->revocations, 1, __ATOMIC_RELEASE);
    return status == STATUS_OK ? answer_json(answer, json_pack("{s:I}", "id", (json_int_t)use.id), err) : status;
}

/* --- the browser --------------------------------------------------------------------------------------------- */

static json_t *session_json(const struct request *request, enum token_role role, bool known)
{
    return json_pack("{s:b, s:s?}", "token_wanted", request->service->tokens_wanted, "role",
                     known ? token_role_name(role) : NULL);
}

enum status handle_session(struct request *request, struct answer *answer, struct error *err)
{
    return answer_json(answer, session_json(request, request->role, request->role != ROLE_COUNT), err);
}

enum status handle_login(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body = options_expand(login_body, request->body, "", &request->problems);
    enum token_role role = ROLE_COUNT;
    int64_t id;
    if (!body) {
        error_set(err, STATUS_INVALID, "send {\"token\": \"…\"}");
        return answer_refuse(answer, 422, "invalid_body", STATUS_INVALID);
    }
    const char *token = option_string(body, "token");
    enum status status = token_of_service(request->service, token, &id, &role, err);
    if (status == STATUS_NOT_FOUND)
        return token_refuse(request, answer, err);
    if (status != STATUS_OK)
        return status;
    answer_header(answer, "Set-Cookie", "plumbline=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000", token);
    return answer_json(answer, session_json(request, role, true), err);
}

enum status handle_logout(struct request *request, struct answer *answer, struct error *err)
{
    answer_header(answer, "Set-Cookie", "plumbline=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    return answer_json(answer, session_json(request, ROLE_COUNT, false), err);
}
