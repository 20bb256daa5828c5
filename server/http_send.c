/* How an answer goes out: headers that every answer has, problem documents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json_text.h"
#include "server/assets.h"
#include "server/http_internal.h"
#include "server/json_util.h"
#include "server/problem.h"

#define POLICY                                                                                                         \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "        \
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

static const char *const every_answer[][2] = {
    {"Content-Security-Policy", POLICY},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "same-origin"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

enum { COMPRESS_FROM = 1400 }; /* bytes: less fits a packet anyway */

void answer_clear(struct answer *answer)
{
    json_decref(answer->json);
    free(answer->bytes);
    if (answer->file > 0)
        close(answer->file - 1);
    if (answer->close)
        answer->close(answer->context);
    *answer = (struct answer){0};
}

void answer_problem(struct answer *answer, enum status status, const struct request *request, const struct error *err)
{
    const struct problem_kind kind = problem_of_status(status);
    int http = answer->http >= 400 ? answer->http : kind.http;
    const char *code = answer->code ? answer->code : kind.code;
    json_t *errors = request && problem_list_count(&request->problems) > 0 ? request->problems.items : NULL;
    struct answer problem = {.http = http, .code = code, .content_type = "application/problem+json"};
    /* These keep their headers: how to say who one is, which methods there are, when to come again. */
    if (http == 401 || http == 405 || http == 429) {
        memcpy(problem.headers, answer->headers, sizeof problem.headers);
        problem.header_count = answer->header_count;
    }
    problem.json = problem_json(http, code, err->text, errors);
    if (http == 503)
        answer_header(&problem, "Retry-After", "1");
    if (http >= 500)
        fprintf(stderr, "plumbline: %s %s: %s (%d, %s)\n", request ? request->method : "-",
                request && request->path ? request->path : "-", err->text, http, code);
    answer_clear(answer);
    *answer = problem;
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value); /* fails for lack of memory; the answer then lacks it */
}

/* Takes `bytes`. */
static struct MHD_Response *respond_bytes(void *bytes, size_t size, enum coding coding)
{
    size_t packed_size = 0;
    bool must = coding == CODING_GZIP_ONLY && size > 0, may = coding == CODING_GZIP && size >= COMPRESS_FROM;
    void *packed = must || may ? gzip_bytes(bytes, size, must, &packed_size) : NULL;
    if (packed) {
        free(bytes);
        bytes = packed;
        size = packed_size;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(bytes);
    else if (packed)
        add(response, "Content-Encoding", "gzip");
    return response;
}

static struct MHD_Response *respond_json(const json_t *json, enum coding coding)
{
    char *text = json_text(json, JSON_COMPACT);
    if (!text)
        return NULL;
    size_t size = strlen(text);
    text[size++] = '\n'; /* in place of the terminator */
    return respond_bytes(text, size, coding);
}

static struct MHD_Response *respond_asset(const struct asset *asset, const struct request *request,
                                          struct answer *answer)
{
    bool gzip = request->coding != CODING_IDENTITY && asset->gzip;
    const unsigned char *bytes = gzip ? asset->gzip : asset->bytes;
    size_t size = gzip ? asset->gzip_size : asset->size;
    bool known = request->if_none_match && strstr(request->if_none_match, asset->etag) != NULL;
    answer->http = known ? 304 : 200;
    answer->content_type = asset->content_type;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(known ? 0 : size, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return NULL;
    add(response, "ETag", asset->etag);
    add(response, "Vary", "Accept-Encoding");
    add(response, "Cache-Control", asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (gzip && !known)
        add(response, "Content-Encoding", "gzip");
    return response;
}

static ssize_t read_more(void *context, uint64_t position, char *buffer, size_t size)
{
    struct answer *answer = context;
    (void)position;
    ssize_t count = answer->read(answer->context, buffer, size);
    return count >= 0 ? count : count == -1 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_stream(void *context)
{
    answer_clear(context);
    free(context);
}

/* Takes the answer's reader. */
static struct MHD_Response *respond_stream(struct answer *answer, enum coding coding)
{
    bool packed = answer->text && coding != CODING_IDENTITY && gzip_answer(answer);
    struct answer *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *answer;
    answer->close = NULL;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32768, read_more, copy, free_stream);
    if (!response)
        free_stream(copy);
    else if (packed)
        add(response, "Content-Encoding", "gzip");
    return response;
}

static struct MHD_Response *make_response(const struct request *request, struct answer *answer)
{
    if (answer->asset)
        return respond_asset(answer->asset, request, answer);
    enum coding coding = request ? request->coding : CODING_IDENTITY;
    if (answer->read)
        return respond_stream(answer, coding);
    if (answer->json)
        return respond_json(answer->json, coding);
    if (answer->file > 0) {
        struct MHD_Response *response = MHD_create_response_from_fd64(answer->size, answer->file - 1);
        answer->file = response ? 0 : answer->file; /* the response closes it */
        return response;
    }
    void *bytes = answer->bytes;
    answer->bytes = NULL;
    return respond_bytes(bytes ? bytes : strdup(""), answer->size, bytes ? coding : CODING_IDENTITY);
}

enum MHD_Result answer_send(struct MHD_Connection *connection, const struct request *request, struct answer *answer,
                            unsigned keep_seconds, int *ret_http)
{
    struct MHD_Response *response = make_response(request, answer);
    *ret_http = answer->http ? answer->http : 200;
    enum MHD_Result result = MHD_NO; /* closes the connection: there is no memory to say more */
    if (response) {
        for (size_t i = 0; i < sizeof every_answer / sizeof *every_answer; i++)
            add(response, every_answer[i][0], every_answer[i][1]);
        for (size_t i = 0; i < answer->header_count; i++)
            add(response, answer->headers[i].name, answer->headers[i].value);
        add(response, "Content-Type", answer->content_type ? answer->content_type : "application/json");
        if (!answer->asset) {
            add(response, "Cache-Control", "no-store");
            if (!answer->read || answer->text)
                add(response, "Vary", "Accept-Encoding");
        }
        char keep[32];
        snprintf(keep, sizeof keep, "timeout=%u", keep_seconds);
        if (keep_seconds > 0)
            add(response, "Keep-Alive", keep);
        else
            add(response, "Connection", "close");
        result = MHD_queue_response(connection, (unsigned)*ret_http, response);
        MHD_destroy_response(response);
    }
    answer_clear(answer);
    return result;
}
