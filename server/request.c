/* What handlers ask of a request, and how they fill an answer. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http.h"

enum status request_id(const struct request *request, size_t index, int64_t *ret_id, struct error *err)
{
    const char *text = request->captures[index];
    char *end;
    errno = 0;
    long long id = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || *text < '0' || *text > '9' || id < 1)
        return error_set(err, STATUS_NOT_FOUND, "\"%s\" is no id; ids are whole numbers from 1", text);
    *ret_id = id;
    return STATUS_OK;
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
    if (answer->header_count == ANSWER_HEADERS)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(answer->headers[answer->header_count].value, sizeof answer->headers[0].value, format, args);
    va_end(args);
    answer->headers[answer->header_count++].name = name;
}

enum status answer_json(struct answer *answer, json_t *json, struct error *err)
{
    if (!json)
        return error_no_memory(err);
    json_decref(answer->json);
    answer->json = json;
    return STATUS_OK;
}

enum status answer_refuse(struct answer *answer, int http, const char *code, enum status status)
{
    answer->http = http;
    answer->code = code;
    return status;
}
