#include "server/problem.h"

#include <stdio.h>

struct problem_kind problem_of_status(enum status status)
{
    static const struct problem_kind kinds[STATUS_COUNT] = {
        [STATUS_INVALID] = {400, "invalid_request"},
        [STATUS_NOT_FOUND] = {404, "not_found"},
        [STATUS_CONFLICT] = {409, "wrong_state"},
        [STATUS_BUSY] = {503, "busy"},
        [STATUS_IO] = {500, "io_error"},
        [STATUS_NO_SPACE] = {507, "no_space"},
        [STATUS_CORRUPT] = {500, "damaged"},
        [STATUS_NO_MEMORY] = {503, "no_memory"},
        [STATUS_NOT_FINITE] = {500, "not_finite"},
        [STATUS_STOPPED] = {503, "stopping"},
    };
    if (status <= STATUS_OK || status >= STATUS_COUNT)
        return (struct problem_kind){500, "internal_error"};
    return kinds[status];
}

/* The title of an HTTP status ("Not Found"). */
static const char *problem_title(int http)
{
    static const struct {
        int http;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].http == http)
            return titles[i].title;
    return "Error";
}

json_t *problem_json(int http, const char *code, const char *detail, json_t *errors)
{
    char type[80];
    snprintf(type, sizeof type, "urn:plumbline:problem:%s", code);
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:O*}", "type", type, "title", problem_title(http), "status", http,
                     "detail", detail, "code", code, "errors", errors);
}
