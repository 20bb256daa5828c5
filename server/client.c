#include "server/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/file_util.h"
#include "core/json_text.h"
#include "server/data_paths.h"
#include "server/json_util.h"

#define DEFAULT_SERVER "http://127.0.0.1:8420"
#define API "/api/v1"
static const size_t MOST_ANSWER = (size_t)256 << 20; /* bytes of JSON */
static const long CONNECT_SECONDS = 10, SILENT_SECONDS = 120;

struct client {
    CURL *curl;
    struct curl_slist *headers; /* that every request has */
    char *base;                 /* "http://127.0.0.1:8420" */
    char *socket;               /* or NULL */
    json_t *problem;            /* of the last refusal, or NULL */
};

/* --- which server ---------------------------------------------------------------------------------------------- */

/* Whether a server accepts at that socket; one that was killed leaves a socket at which nobody does. */
static bool socket_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path));
    attribute_cleanup(cleanup_descriptor) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return probe >= 0 && connect(probe, (struct sockaddr *)&address, sizeof address) == 0;
}

/* The first line of a file. */
static enum status read_token(const char *path, char *ret_token, size_t size, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, STATUS_NOT_FOUND, "cannot read the token file %s: %s", path, strerror(errno));
    bool good = fgets(ret_token, (int)size, file) != NULL;
    fclose(file);
    if (good)
        ret_token[strcspn(ret_token, " \t\r\n")] = '\0';
    if (!good || *ret_token == '\0')
        return error_set(err, STATUS_INVALID, "the token file %s is empty", path);
    return STATUS_OK;
}

static enum status add_header(struct curl_slist **headers, const char *text, struct error *err)
{
    struct curl_slist *longer = curl_slist_append(*headers, text);
    if (!longer)
        return error_no_memory(err);
    *headers = longer;
    return STATUS_OK;
}

/* The socket's server trusts who may open it; others are shown the token, if there is one. */
static enum status add_token(struct client *client, const struct client_options *options, struct error *err)
{
    const char *named = getenv("PLUMBLINE_TOKEN");
    char token[256] = "", header[320];
    if (client->socket)
        return STATUS_OK;
    enum status status = options->token_file ? read_token(options->token_file, token, sizeof token, err) : STATUS_OK;
    if (status == STATUS_OK && !options->token_file && named)
        snprintf(token, sizeof token, "%s", named);
    if (status != STATUS_OK || *token == '\0')
        return status;
    snprintf(header, sizeof header, "Authorization: Bearer %s", token);
    return add_header(&client->headers, header, err);
}

/* A client of a URL or of a socket. */
static enum status create(const struct client_options *options, const char *server, const char *socket_path,
                          struct client **ret_client, struct error *err)
{
    static bool initialised;
    attribute_cleanup(cleanup_client) struct client *client = calloc(1, sizeof *client);
    if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return error_set(err, STATUS_IO, "libcurl cannot be initialised");
    initialised = true;
    if (!client)
        return error_no_memory(err);
    client->curl = curl_easy_init();
    client->base = socket_path             ? strdup("http://localhost")
                   : strstr(server, "://") ? strdup(server)
                                           : text_format("http://%s", server);
    client->socket = socket_path ? strdup(socket_path) : NULL;
    if (!client->curl || !client->base || (socket_path && !client->socket))
        return error_no_memory(err);
    size_t length = strlen(client->base);
    while (length > 0 && client->base[length - 1] == '/')
        client->base[--length] = '\0';
    enum status status = add_token(client, options, err);
    if (status == STATUS_OK)
        status = add_header(&client->headers, "Expect:", err); /* bodies are sent at once */
    if (status == STATUS_OK) {
        *ret_client = client;
        client = NULL;
    }
    return status;
}

static enum status create_named(const struct client_options *options, const char *server, struct client **ret_client,
                                struct error *err)
{
    bool local = strncmp(server, "unix:", 5) == 0;
    return create(options, server, local ? server + 5 : NULL, ret_client, err);
}

/* The server of a data directory, where one answers. */
static enum status create_local(const struct client_options *options, const char *data, struct client **ret_client,
                                struct error *err)
{
    attribute_cleanup(cleanup_free) char *path = path_join(data, "socket");
    if (!path)
        return error_no_memory(err);
    *ret_client = NULL;
    return socket_answers(path) ? create(options, NULL, path, ret_client, err) : STATUS_OK;
}

enum status client_find(const struct client_options *options, struct client **ret_client, struct error *err)
{
    const char *variable = getenv("PLUMBLINE_SERVER");
    attribute_cleanup(cleanup_free) char *fallback = NULL;
    if (options->server)
        return create_named(options, options->server, ret_client, err);
    if (options->data)
        return create_local(options, options->data, ret_client, err);
    if (variable && *variable)
        return create_named(options, variable, ret_client, err);
    if (data_default(&fallback, NULL) == STATUS_OK)
        return create_local(options, fallback, ret_client, err);
    *ret_client = NULL;
    return STATUS_OK;
}

enum status client_open(const struct client_options *options, struct client **ret_client, struct error *err)
{
    struct client *client = NULL;
    enum status status = client_find(options, &client, err);
    if (status == STATUS_OK && !client && options->data)
        return error_set(err, STATUS_NOT_FOUND,
                         "no server runs on the data directory %s: start one with plumbline serve --data, or name "
                         "another with --server",
                         options->data);
    if (status == STATUS_OK && !client)
        status = create(options, DEFAULT_SERVER, NULL, &client, err);
    if (status == STATUS_OK)
        *ret_client = client;
    return status;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    json_decref(client->problem);
    free(client->base);
    free(client->socket);
    free(client);
}

void cleanup_client(struct client **client)
{
    client_free(*client);
    *client = NULL;
}

/* What a server is called in messages: its URL, or its socket. */
static const char *client_server(const struct client *client)
{
    return client->socket ? client->socket : client->base;
}

char *client_path(const char *path, const char *const *names_and_values)
{
    char *all = strdup(path);
    char mark = '?';
    for (const char *const *pair = names_and_values; all && *pair; pair += 2) {
        if (!pair[1])
            continue;
        attribute_cleanup(cleanup_free) char *before = all;
        char *escaped = curl_easy_escape(NULL, pair[1], 0);
        all = escaped ? text_format("%s%c%s=%s", before, mark, pair[0], escaped) : NULL;
        curl_free(escaped);
        mark = '&';
    }
    return all;
}

/* --- one request ----------------------------------------------------------------------------------------------- */

/* A request on its way, and what of its answer is kept. */
struct exchange {
    struct client *client;
    const struct sink *sink; /* takes a good answer; NULL keeps it as a text */
    const struct client_watch *watch;
    char *text;
    size_t size;
    enum status status; /* of keeping it */
    struct error *err;
    bool upload, lost;          /* lost: the connection went before the answer had come */
    struct curl_slist *headers; /* of this request */
};

static long http_status(const struct client *client)
{
    long http = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &http);
    return http;
}

static enum status keep(struct exchange *exchange, const char *bytes, size_t size)
{
    if (exchange->size + size > MOST_ANSWER)
        return error_set(exchange->err, STATUS_IO, "the answer is longer than any that was expected");
    char *text = realloc(exchange->text, exchange->size + size + 1);
    if (!text)
        return error_no_memory(exchange->err);
    memcpy(text + exchange->size, bytes, size);
    exchange->size += size;
    text[exchange->size] = '\0';
    exchange->text = text;
    return STATUS_OK;
}

/* What a Plumbline server sends as a file; a web server of another kind would send a page. */
static enum status check_media(struct exchange *exchange)
{
    static const char *const taken[] = {"text/csv", "application/x-ndjson", "application/zip",
                                        "application/octet-stream", "application/vnd.sqlite3"};
    const char *type = NULL;
    curl_easy_getinfo(exchange->client->curl, CURLINFO_CONTENT_TYPE, &type);
    for (size_t i = 0; type && i < sizeof taken / sizeof *taken; i++)
        if (strncasecmp(type, taken[i], strlen(taken[i])) == 0)
            return STATUS_OK;
    return error_set(exchange->err, STATUS_IO, "what answers at %s is no Plumbline server: it sends %.100s",
                     client_server(exchange->client), type ? type : "what it does not name");
}

static size_t on_bytes(char *bytes, size_t one, size_t size, void *context)
{
    struct exchange *exchange = context;
    (void)one;
    if (exchange->sink && http_status(exchange->client) == 200) {
        exchange->status = check_media(exchange);
        if (exchange->status == STATUS_OK)
            exchange->status = exchange->sink->write(exchange->sink->context, bytes, size, exchange->err);
    } else {
        exchange->status = keep(exchange, bytes, size);
    }
    return exchange->status == STATUS_OK ? size : 0;
}

static int on_progress(void *context, curl_off_t down_of, curl_off_t down, curl_off_t up_of, curl_off_t up)
{
    struct exchange *exchange = context;
    bool upload = exchange->upload;
    if (exchange->watch->call(exchange->watch->context, (double)(upload ? up : down),
                              (double)(upload ? up_of : down_of)))
        return 0;
    exchange->status = error_set(exchange->err, STATUS_STOPPED, "it was broken off");
    return 1;
}

/* What is said where there is no answer. */
static enum status no_answer(const struct client *client, CURLcode code, struct error *err)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(err, STATUS_IO,
                         "no server answers at %s: start one with plumbline serve, or name another with --server or "
                         "PLUMBLINE_SERVER",
                         client_server(client));
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, STATUS_IO, "the server at %s does not answer in time", client_server(client));
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return error_set(err, STATUS_IO, "the answer of %s broke off", client_server(client));
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(err, STATUS_INVALID, "\"%s\" is no server's address: it is like " DEFAULT_SERVER,
                         client_server(client));
    case CURLE_OUT_OF_MEMORY:
        return error_no_memory(err);
    default:
        return error_set(err, STATUS_IO, "%s: %s", client_server(client), curl_easy_strerror(code));
    }
}

static enum status status_of_http(long http)
{
    return http == 404                  ? STATUS_NOT_FOUND
           : http == 409 || http == 412 ? STATUS_CONFLICT
           : http == 429 || http == 503 ? STATUS_BUSY
           : http == 507                ? STATUS_NO_SPACE
           : http >= 500                ? STATUS_IO
                                        : STATUS_INVALID;
}

/* A refusal: its problem document is kept. */
static enum status refused(struct exchange *exchange, long http)
{
    struct client *client = exchange->client;
    client->problem = exchange->text ? json_loads(exchange->text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *detail = json_string_value(json_object_get(client->problem, "detail"));
    if (!detail)
        return error_set(exchange->err, STATUS_IO, "what answers at %s is no Plumbline server (HTTP %ld)",
                         client_server(client), http);
    return error_set(exchange->err, status_of_http(http), "%s%s", detail,
                     http == 401 ? "; show one with PLUMBLINE_TOKEN or --token-file (plumbline token create makes them)"
                                 : "");
}

static enum status prepare(struct exchange *exchange, const char *path, struct error *err)
{
    struct client *client = exchange->client;
    CURL *curl = client->curl;
    attribute_cleanup(cleanup_free) char *url = text_format("%s" API "%s", client->base, path);
    if (!url)
        return error_no_memory(err);
    json_decref(client->problem);
    client->problem = NULL;
    bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_USERAGENT, "plumbline/" PLUMBLINE_VERSION) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange) == CURLE_OK;
    if (exchange->watch && exchange->watch->call) {
        good = good && curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
        good = good && curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange) == CURLE_OK;
        good = good && curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    }
    return good ? STATUS_OK : error_set(err, STATUS_IO, "libcurl does not take the request");
}

/* Sends what was set, and takes the answer or the refusal. */
static enum status perform(struct exchange *exchange)
{
    struct client *client = exchange->client;
    CURLcode code = curl_easy_perform(client->curl);
    long http = http_status(client);
    if (exchange->sink && http == 200 && exchange->status == STATUS_OK) /* of an empty file nothing came */
        exchange->status = check_media(exchange);
    curl_easy_reset(client->curl); /* the connection stays */
    if (exchange->status != STATUS_OK)
        return exchange->status;
    exchange->lost =
        code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_PARTIAL_FILE;
    if (code != CURLE_OK)
        return no_answer(client, code, exchange->err);
    return http >= 200 && http < 300 ? STATUS_OK : refused(exchange, http);
}

static enum status read_json(const struct exchange *exchange, json_t **ret_answer)
{
    json_t *answer = exchange->text ? json_loads(exchange->text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!answer)
        return error_set(exchange->err, STATUS_IO, "what answers at %s is no Plumbline server: its answer is no JSON",
                         client_server(exchange->client));
    *ret_answer = answer;
    return STATUS_OK;
}

/* The headers of every request, and the body's type; "Content-Type:" for none. */
static enum status set_headers(struct exchange *exchange, const char *type, struct error *err)
{
    enum status status = STATUS_OK;
    for (const struct curl_slist *from = exchange->client->headers; from && status == STATUS_OK; from = from->next)
        status = add_header(&exchange->headers, from->data, err);
    return status == STATUS_OK ? add_header(&exchange->headers, type, err) : status;
}

static void exchange_clear(struct exchange *exchange)
{
    curl_slist_free_all(exchange->headers);
    free(exchange->text);
}

/* `header`: one more, or NULL; *ret_lost: the connection went before the answer came. */
static enum status send_once(struct client *client, const char *method, const char *path, const json_t *body,
                             const char *header, json_t **ret_answer, bool *ret_lost, struct error *err)
{
    attribute_cleanup(exchange_clear) struct exchange exchange = {.client = client, .err = err};
    attribute_cleanup(cleanup_free) char *text = body ? json_text(body, JSON_COMPACT) : NULL;
    CURL *curl = client->curl;
    if (body && !text)
        return error_no_memory(err);
    enum status status = set_headers(&exchange, body ? "Content-Type: application/json" : "Content-Type:", err);
    if (status == STATUS_OK && header)
        status = add_header(&exchange.headers, header, err);
    if (status == STATUS_OK)
        status = prepare(&exchange, path, err);
    if (status != STATUS_OK)
        return status;
    bool good = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENT_SECONDS) == CURLE_OK;
    if (strcmp(method, "GET") != 0) /* a body, be it empty */
        good = good && curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text ? text : "") == CURLE_OK;
    if (!good)
        return error_set(err, STATUS_IO, "libcurl does not take the request");
    status = perform(&exchange);
    *ret_lost = exchange.lost;
    return status == STATUS_OK ? read_json(&exchange, ret_answer) : status;
}

enum status client_send(struct client *client, const char *method, const char *path, const json_t *body,
                        json_t **ret_answer, struct error *err)
{
    bool lost = false;
    return send_once(client, method, path, body, NULL, ret_answer, &lost, err);
}

enum status client_submit(struct client *client, const char *path, const json_t *body, json_t **ret_answer,
                          struct error *err)
{
    enum { BYTES = 16 };
    unsigned char chance[BYTES];
    char key[2 * BYTES + 1], header[sizeof key + sizeof "Idempotency-Key: "];
    bool lost = false;
    if (sodium_init() < 0)
        return error_set(err, STATUS_IO, "libsodium cannot be initialised");
    randombytes_buf(chance, sizeof chance);
    snprintf(header, sizeof header, "Idempotency-Key: %s", sodium_bin2hex(key, sizeof key, chance, sizeof chance));
    enum status status = send_once(client, "POST", path, body, header, ret_answer, &lost, err);
    if (status == STATUS_OK || !lost)
        return status;
    return send_once(client, "POST", path, body, header, ret_answer, &lost, err);
}

enum status client_get(struct client *client, const char *path, json_t **ret_answer, struct error *err)
{
    return client_send(client, "GET", path, NULL, ret_answer, err);
}

static size_t on_read(char *buffer, size_t one, size_t size, void *context)
{
    const int *file = context;
    ssize_t count = read(*file, buffer, one * size);
    return count < 0 ? CURL_READFUNC_ABORT : (size_t)count;
}

enum status client_upload(struct client *client, const char *path, const char *file, const struct client_watch *watch,
                          json_t **ret_answer, struct error *err)
{
    attribute_cleanup(exchange_clear) struct exchange exchange = {
        .client = client, .err = err, .watch = watch, .upload = true};
    attribute_cleanup(cleanup_descriptor) int descriptor = -1;
    size_t size = 0;
    CURL *curl = client->curl;
    enum status status = file_open(file, &descriptor, &size, err);
    if (status == STATUS_OK)
        status = set_headers(&exchange, "Content-Type: application/vnd.sqlite3", err);
    if (status == STATUS_OK)
        status = prepare(&exchange, path, err);
    if (status != STATUS_OK)
        return status;
    bool good = curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read) == CURLE_OK;
    good = good && curl_easy_setopt(curl, CURLOPT_READDATA, &descriptor) == CURLE_OK;
    if (!good)
        return error_set(err, STATUS_IO, "libcurl does not take the request");
    status = perform(&exchange);
    return status == STATUS_OK ? read_json(&exchange, ret_answer) : status;
}

enum status client_download(struct client *client, const char *path, const struct sink *sink,
                            const struct client_watch *watch, struct error *err)
{
    attribute_cleanup(exchange_clear) struct exchange exchange = {
        .client = client, .err = err, .sink = sink, .watch = watch};
    enum status status = set_headers(&exchange, "Content-Type:", err);
    if (status == STATUS_OK)
        status = prepare(&exchange, path, err);
    return status == STATUS_OK ? perform(&exchange) : status;
}

/* --- refusals -------------------------------------------------------------------------------------------------- */

json_t *client_faults(const struct client *client)
{
    return json_object_get(client->problem, "errors");
}

int client_complain(const struct client *client, const char *command, const char *about, const struct error *err)
{
    const json_t *places = client && about ? client_faults(client) : NULL, *place;
    size_t i;
    if (json_array_size(places) == 0)
        fprintf(stderr, "plumbline %s: %s\n", command, err->text);
    json_array_foreach(places, i, place)
    {
        const char *pointer = json_string_value(json_object_get(place, "pointer"));
        const char *detail = json_string_value(json_object_get(place, "detail"));
        fprintf(stderr, "%s: %s: %s\n", about, pointer && *pointer ? pointer : "the whole", detail ? detail : "");
    }
    return 1;
}
