/*
 * Who asks, and whether that one may. On the loopback nobody is asked unless that is wanted; over the Unix socket comes
 * who may read the data directory, which is an administrator.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/clock.h"
#include "server/guesses.h"
#include "server/http_internal.h"
#include "server/scheduler.h"

struct token_look {
    const char *text;
    int64_t id;
    enum token_role role;
    bool stale;
};

static enum status look(sqlite3 *db, void *context, struct error *err)
{
    struct token_look *look = context;
    enum status status = token_check(db, look->text, &look->id, &look->role, err);
    return status == STATUS_OK ? token_is_stale(db, look->id, &look->stale, err) : status;
}

static enum status touch(sqlite3 *db, void *context, struct error *err)
{
    return token_touch(db, ((const struct token_look *)context)->id, err);
}

enum status token_of_service(const struct service *service, const char *text, int64_t *ret_id,
                             enum token_role *ret_role, struct error *err)
{
    struct token_look found = {.text = text};
    enum status status = scheduler_read(service->scheduler, look, &found, err);
    if (status != STATUS_OK)
        return status;
    if (found.stale)
        scheduler_write(service->scheduler, touch, &found, NULL); /* if that fails, the next use notes it */
    *ret_id = found.id;
    *ret_role = found.role;
    return STATUS_OK;
}

/* The token of the header or of the cookie, copied; false where there is none. */
static bool shown_token(struct MHD_Connection *connection, char token[TOKEN_TEXT_SIZE])
{
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    const char *cookie = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, "plumbline");
    const char *text = header && strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : header ? "" : cookie;
    return text && snprintf(token, TOKEN_TEXT_SIZE, "%s", text) > 0;
}

static enum status refuse(struct answer *answer, int http, const char *code, const char *text, struct error *err)
{
    error_set(err, STATUS_INVALID, "%s", text);
    if (http == 401)
        answer_header(answer, "WWW-Authenticate", "Bearer realm=\"plumbline\"");
    return answer_refuse(answer, http, code, STATUS_INVALID);
}

enum status token_refuse(const struct request *request, struct answer *answer, struct error *err)
{
    double wait = guesses_note(request->service->guesses, &request->address, clock_seconds());
    if (wait == 0)
        return refuse(answer, 401, "unknown_token", "the token is not one of this server, or was revoked", err);
    answer_header(answer, "Retry-After", "%.0f", ceil(wait));
    return refuse(answer, 429, "too_many_tokens",
                  "too many tokens that are not of this server, or were revoked, came from this address", err);
}

enum status check_role(struct request *request, struct MHD_Connection *connection, bool trusted, struct answer *answer,
                       struct error *err)
{
    char token[TOKEN_TEXT_SIZE];
    const struct route *route = request->route;
    request->role = trusted || !request->service->tokens_wanted ? ROLE_ADMIN : ROLE_COUNT;
    if (request->role == ROLE_ADMIN)
        return STATUS_OK;
    if (shown_token(connection, token)) {
        request->revocations = __atomic_load_n(request->service->revocations, __ATOMIC_ACQUIRE);
        enum status status = token_of_service(request->service, token, &request->token, &request->role, err);
        if (status == STATUS_NOT_FOUND && !route->open)
            return token_refuse(request, answer, err);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
    }
    if (route->open)
        return STATUS_OK;
    if (request->role == ROLE_COUNT)
        return refuse(answer, 401, "token_wanted",
                      "show a token: Authorization: Bearer plumbline_…, or log in with the browser", err);
    if (request->role < route->role) {
        error_set(err, STATUS_INVALID, "the token's role is %s; this takes the role %s", token_role_name(request->role),
                  token_role_name(route->role));
        return answer_refuse(answer, 403, "role_too_low", STATUS_INVALID);
    }
    return STATUS_OK;
}
