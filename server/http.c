/*
 * The server, and a request from its first byte to its answer.
 *
 * libmicrohttpd calls `handle_access` on the connection's own thread: once when the headers are here, then for each
 * piece of the body, and once more at its end. What can be refused by the headers is checked at the first call, but
 * answered at the end of the body, which is thrown away: a client that still writes when the connection is closed sees
 * a broken pipe in place of the answer. Only a body that is far too large, or that waits for leave (Expect), is refused
 * before it has come.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/data_paths.h"
#include "server/http_internal.h"
#include "server/http_metrics.h"
#include "server/json_util.h"
#include "server/temporary.h"

enum {
    STACK_BYTES = 1 << 20,
    IDLE_SECONDS = 60,
    BACKLOG = 511,
    DISCARD_FACTOR = 16, /* so many times the allowed body is read and thrown away before the connection is closed */
    SURPLUS = 16,        /* connections beyond those that are taken, to say so on */
    SLOWEST = 1 << 16,   /* bytes a second of a file that is sent: what comes slower is cut off */
};

/* One request and its answer. */
struct exchange {
    struct request request;
    struct answer answer;
    struct error err;
    enum status status; /* of the checks; not STATUS_OK: refused at the end of the body */
    bool last;          /* the connection is closed behind the answer */
    bool abrupt;        /* and what still comes is not waited for */
    char *body;
    size_t size, capacity, discarded;
    int upload; /* a descriptor + 1 of the file that the body goes to, 0 for none */
    struct watched *watched;
    double began; /* clock_seconds, when its headers were here */
    int http;     /* what was answered; 0 before */
    bool endless; /* with an event stream */
};

/* --- one request --------------------------------------------------------------------------------------------- */

static void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    answer_clear(&exchange->answer);
    problem_list_clear(&exchange->request.problems);
    json_decref(exchange->request.parameters);
    json_decref(exchange->request.body);
    if (exchange->upload > 0)
        close(exchange->upload - 1);
    if (exchange->request.upload)
        unlink(exchange->request.upload);
    free(exchange->request.upload);
    free(exchange->request.path);
    free(exchange->body);
    free(exchange);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum status find_route(struct exchange *exchange, const char *method, struct error *err)
{
    struct request *request = &exchange->request;
    char allowed[ALLOWED_SIZE];
    request->method = strcmp(method, "HEAD") == 0 ? "GET" : method;
    request->route = route_find(request->method, request->path, request->captures, allowed);
    if (request->route)
        return STATUS_OK;
    if (*allowed == '\0')
        return error_set(err, STATUS_NOT_FOUND, "there is nothing at %s", request->path);
    answer_header(&exchange->answer, "Allow", "%s", allowed);
    if (strcmp(method, "OPTIONS") == 0)
        return STATUS_OK;
    error_set(err, STATUS_INVALID, "%s is not possible on %s, which takes %s", method, request->path, allowed);
    return answer_refuse(&exchange->answer, 405, "method_not_allowed", STATUS_INVALID);
}

static uint64_t body_limit(const struct http_server *server, const struct exchange *exchange)
{
    const struct route *route = exchange->request.route;
    return route && route->upload ? server->settings.max_upload : server->settings.max_body;
}

/* A file for the body. */
static enum status upload_open(const struct http_server *server, struct exchange *exchange, struct error *err)
{
    char **path = &exchange->request.upload;
    enum status status = temporary_name(server->service->data, path, err);
    if (status != STATUS_OK)
        return status;
    int file = open(*path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return error_set(err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot make %s: %s", *path,
                         strerror(errno));
    exchange->upload = file + 1;
    return STATUS_OK;
}

static enum status upload_write(struct exchange *exchange, const char *piece, size_t size)
{
    while (size > 0) {
        ssize_t count = write(exchange->upload - 1, piece, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(&exchange->err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO,
                             "cannot keep the file that is sent: %s", strerror(errno));
        piece += count;
        size -= (size_t)count;
    }
    return STATUS_OK;
}

/* Whether a body is announced, of what type, and how long it may be. */
static enum status check_body(const struct http_server *server, struct exchange *exchange,
                              struct MHD_Connection *connection, struct error *err)
{
    const char *length = header(connection, "Content-Length"), *type = header(connection, "Content-Type");
    bool upload = exchange->request.route->upload;
    const char *wanted = upload ? "application/vnd.sqlite3" : "application/json";
    uint64_t limit = body_limit(server, exchange);
    bool some = (length && strcmp(length, "0") != 0) || header(connection, "Transfer-Encoding");
    if (!some)
        return STATUS_OK;
    if (length && strtoull(length, NULL, 10) > limit) {
        error_set(err, STATUS_INVALID, "the body has %s bytes; at most %" PRIu64 " are taken", length, limit);
        return answer_refuse(&exchange->answer, 413, "body_too_large", STATUS_INVALID);
    }
    if (!body_is(connection, wanted)) {
        error_set(err, STATUS_INVALID, "the body must be sent as Content-Type: %s; found %.60s", wanted,
                  type ? type : "none");
        return answer_refuse(&exchange->answer, 415, upload ? "not_a_run_file" : "not_json", STATUS_INVALID);
    }
    const char *coding = header(connection, "Content-Encoding");
    if (coding && strcasecmp(coding, "identity") != 0) {
        error_set(err, STATUS_INVALID, "the body must be sent as it is; found Content-Encoding: %.60s", coding);
        return answer_refuse(&exchange->answer, 415, "body_encoded", STATUS_INVALID);
    }
    return upload ? upload_open(server, exchange, err) : STATUS_OK;
}

/* All that the headers tell. */
static enum status check_request(const struct http_server *server, struct exchange *exchange,
                                 struct MHD_Connection *connection, const char *url, const char *method, bool trusted)
{
    struct error *err = &exchange->err;
    struct request *request = &exchange->request;
    enum status status = problem_list_init(&request->problems, err);
    if (status == STATUS_OK)
        status = check_headers(server, connection, trusted, &exchange->answer, err);
    exchange->abrupt = exchange->last = status != STATUS_OK; /* where a body of two lengths ends, nobody knows */
    if (status == STATUS_OK && exchange->watched && exchange->watched->surplus) {
        exchange->last = true;
        error_set(err, STATUS_BUSY, "the server has as many connections as it takes (%u): try again later",
                  server->settings.max_connections);
        status = answer_refuse(&exchange->answer, 503, "too_many_connections", STATUS_BUSY);
    }
    if (status == STATUS_OK) {
        status = decode_path(origin_form(url, header(connection, "Host")), &request->path, err);
        if (status == STATUS_INVALID)
            answer_refuse(&exchange->answer, 400, "malformed_path", status);
    }
    if (status == STATUS_OK)
        status = find_route(exchange, method, err);
    if (status == STATUS_OK && request->route)
        status = check_role(request, connection, trusted, &exchange->answer, err);
    if (status == STATUS_OK && request->route)
        status = check_body(server, exchange, connection, err);
    if (status == STATUS_OK && request->route)
        status = read_parameters(request, connection, &exchange->answer, err);
    return status;
}

static void read_address(const struct sockaddr *from, struct in6_addr *ret_address)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    if (from->sa_family == AF_INET6)
        *ret_address = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    if (from->sa_family != AF_INET)
        return;
    memcpy(mapped.s6_addr + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    *ret_address = mapped;
}

static struct exchange *exchange_begin(const struct http_server *server, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    exchange->request.socket = info ? info->connect_fd : -1;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->watched = info ? info->socket_context : NULL;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info)
        read_address(info->client_addr, &exchange->request.address);
    exchange->began = clock_seconds();
    exchange->request.service = server->service;
    exchange->request.last_event_id = header(connection, "Last-Event-ID");
    exchange->request.if_none_match = header(connection, "If-None-Match");
    exchange->request.if_match = header(connection, "If-Match");
    exchange->request.idempotency_key = header(connection, "Idempotency-Key");
    exchange->request.coding = choose_coding(connection);
    return exchange;
}

/* Whether a refusal goes out before the body has come. */
static bool must_break_off(const struct http_server *server, const struct exchange *exchange,
                           struct MHD_Connection *connection)
{
    const char *length = header(connection, "Content-Length");
    return exchange->abrupt || header(connection, "Expect") ||
           (length && strtoull(length, NULL, 10) > DISCARD_FACTOR * (uint64_t)server->settings.max_body);
}

/* Keeps a piece of the body, or throws it away where the request is refused already. False: close the connection. */
static bool take_piece(struct http_server *server, struct exchange *exchange, const char *piece, size_t size)
{
    uint64_t limit = body_limit(server, exchange);
    if (exchange->status == STATUS_OK && size > limit - exchange->size) {
        exchange->status = error_set(&exchange->err, STATUS_INVALID,
                                     "the body has more than %" PRIu64 " bytes, which is what is taken", limit);
        answer_refuse(&exchange->answer, 413, "body_too_large", STATUS_INVALID);
    }
    if (exchange->status != STATUS_OK) {
        exchange->discarded += size;
        return exchange->discarded <= DISCARD_FACTOR * server->settings.max_body;
    }
    if (exchange->upload > 0) {
        exchange->status = upload_write(exchange, piece, size);
        exchange->size += size;
        watch_goes_on(&server->watch, exchange->watched,
                      exchange->began + server->settings.request_seconds + (double)exchange->size / SLOWEST -
                          clock_seconds());
        return true;
    }
    if (exchange->size + size > exchange->capacity) {
        size_t capacity = 2 * (exchange->size + size);
        char *body = realloc(exchange->body, capacity);
        if (!body) {
            exchange->status = error_no_memory(&exchange->err);
            return true;
        }
        exchange->body = body;
        exchange->capacity = capacity;
    }
    memcpy(exchange->body + exchange->size, piece, size);
    exchange->size += size;
    return true;
}

/* The body of a request that takes none: an empty object says no more than no body. */
static enum status expect_nothing(struct exchange *exchange, struct error *err)
{
    struct request *request = &exchange->request;
    enum status status = parse_body(exchange->body, exchange->size, &request->body, &exchange->answer, err);
    if (status != STATUS_OK || (json_is_object(request->body) && json_object_size(request->body) == 0))
        return status;
    error_set(err, STATUS_INVALID, "%s takes no body, or an empty object", request->path);
    return answer_refuse(&exchange->answer, 400, "unexpected_body", STATUS_INVALID);
}

/* Parses the body and calls the handler. */
static enum status run_handler(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct error *err = &exchange->err;
    enum status status = exchange->status;
    if (status == STATUS_OK && !request->route) { /* OPTIONS */
        exchange->answer.http = 204;
        return STATUS_OK;
    }
    if (status == STATUS_OK && exchange->size > 0 && !request->route->body && !request->route->upload)
        status = expect_nothing(exchange, err);
    if (status == STATUS_OK && request->route->body)
        status =
            parse_body(exchange->body ? exchange->body : "", exchange->size, &request->body, &exchange->answer, err);
    return status == STATUS_OK ? request->route->handle(request, &exchange->answer, err) : status;
}

static enum MHD_Result finish(struct http_server *server, struct exchange *exchange, struct MHD_Connection *connection)
{
    watch_received(&server->watch, exchange->watched);
    enum status status = run_handler(exchange);
    if (status != STATUS_OK)
        answer_problem(&exchange->answer, status, &exchange->request, &exchange->err);
    bool stopping = __atomic_load_n(&server->stopping, __ATOMIC_RELAXED);
    unsigned seconds = server->settings.request_seconds;
    unsigned keep = exchange->last || stopping ? 0 : seconds < IDLE_SECONDS ? seconds : IDLE_SECONDS;
    exchange->endless = exchange->answer.endless;
    return answer_send(connection, &exchange->request, &exchange->answer, keep, &exchange->http);
}

static enum MHD_Result access_by(struct http_server *server, bool trusted, struct MHD_Connection *connection,
                                 const char *url, const char *method, const char *upload_data, size_t *upload_data_size,
                                 void **connection_context)
{
    struct exchange *exchange = *connection_context;
    if (!exchange) {
        exchange = exchange_begin(server, connection);
        *connection_context = exchange;
        if (!exchange)
            return MHD_NO;
        exchange->status = check_request(server, exchange, connection, url, method, trusted);
        if (exchange->status == STATUS_OK || !must_break_off(server, exchange, connection)) {
            watch_goes_on(&server->watch, exchange->watched, server->settings.request_seconds);
            return MHD_YES;
        }
        exchange->last = true;
        return finish(server, exchange, connection);
    }
    if (*upload_data_size > 0) {
        bool go_on = take_piece(server, exchange, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    return finish(server, exchange, connection);
}

static enum MHD_Result handle_access(void *context, struct MHD_Connection *connection, const char *url,
                                     const char *method, const char *version, const char *upload_data,
                                     size_t *upload_data_size, void **connection_context)
{
    (void)version;
    return access_by(context, false, connection, url, method, upload_data, upload_data_size, connection_context);
}

static enum MHD_Result handle_local(void *context, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload_data,
                                    size_t *upload_data_size, void **connection_context)
{
    (void)version;
    return access_by(context, true, connection, url, method, upload_data, upload_data_size, connection_context);
}

/* --- libmicrohttpd's other calls ----------------------------------------------------------------------------- */

static void on_completed(void *context, struct MHD_Connection *connection, void **connection_context,
                         enum MHD_RequestTerminationCode how)
{
    struct http_server *server = context;
    struct exchange *exchange = *connection_context;
    (void)connection;
    (void)how;
    if (exchange) {
        watch_answered(&server->watch, exchange->watched);
        http_metrics_note(server->service->metrics, exchange->request.route, exchange->http,
                          exchange->endless ? NAN : clock_seconds() - exchange->began);
    }
    exchange_free(exchange);
    *connection_context = NULL;
}

static void on_local_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                                enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        watch_close(&server->watch, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = info ? watch_open(&server->watch, info->connect_fd) : NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = context;
    on_local_connection(context, connection, socket_context, what);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        __atomic_sub_fetch(&server->connections, 1, __ATOMIC_RELAXED);
        return;
    }
    struct watched *watched = *socket_context;
    unsigned count = __atomic_add_fetch(&server->connections, 1, __ATOMIC_RELAXED);
    if (watched)
        watched->surplus = count > server->settings.max_connections;
}

/* Paths and parameters are decoded once, in http_check.c, where a NUL can be seen. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* --- the server ---------------------------------------------------------------------------------------------- */

static void server_free(struct http_server *server)
{
    if (server->listener >= 0)
        close(server->listener);
    if (server->local_listener >= 0)
        close(server->local_listener);
    string_list_free(server->allowed_hosts);
    free(server);
}

static void cleanup_server(struct http_server **server)
{
    if (*server)
        server_free(*server);
}

static enum status bind_address(struct http_server *server, const struct addrinfo *info, struct error *err)
{
    const char *host = server->settings.host;
    int on = 1;
    server->listener = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0)
        return error_set(err, STATUS_IO, "cannot make a socket: %s", strerror(errno));
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server->listener, info->ai_addr, info->ai_addrlen) != 0 || listen(server->listener, BACKLOG) != 0) {
        if (errno == EADDRINUSE)
            return error_set(err, STATUS_CONFLICT,
                             "port %u of %s is in use by another program; choose another with --listen %s:PORT",
                             (unsigned)server->settings.port, host, host);
        return error_set(err, STATUS_IO, "cannot listen on %s, port %u: %s", host, (unsigned)server->settings.port,
                         strerror(errno));
    }
    return STATUS_OK;
}

/* What the kernel gave: the port may have been 0. */
static enum status name_address(struct http_server *server, struct error *err)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64], port[8];
    if (getsockname(server->listener, (struct sockaddr *)&address, &size) != 0)
        return error_set(err, STATUS_IO, "cannot read the socket's address: %s", strerror(errno));
    int code = getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                           NI_NUMERICHOST | NI_NUMERICSERV);
    if (code != 0)
        return error_set(err, STATUS_IO, "cannot read the socket's address: %s", gai_strerror(code));
    bool six = strchr(host, ':') != NULL;
    snprintf(server->address, sizeof server->address, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
    return STATUS_OK;
}

/* A socket that an earlier server left is replaced: the data directory is locked by this one. */
static enum status bind_local(struct http_server *server, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = server->settings.socket;
    if (strlen(path) >= sizeof address.sun_path) {
        server->settings.socket = NULL; /* commands then go over the network as others do */
        return STATUS_OK;
    }
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    server->local_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->local_listener < 0 || bind(server->local_listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0600) != 0 || listen(server->local_listener, BACKLOG) != 0)
        return error_set(err, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot listen on %s: %s", path,
                         strerror(errno));
    return STATUS_OK;
}

enum status http_listen(const struct http_settings *settings, struct http_server **ret_server, struct error *err)
{
    attribute_cleanup(cleanup_server) struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return error_no_memory(err);
    server->listener = server->local_listener = -1;
    server->settings = *settings;
    enum status status = string_list_copy(settings->allowed_hosts, &server->allowed_hosts, err);
    if (status != STATUS_OK)
        return status;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *info = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)settings->port);
    int code = getaddrinfo(settings->host, port, &hints, &info);
    if (code == EAI_MEMORY)
        return error_no_memory(err);
    if (code != 0)
        return error_set(err, STATUS_INVALID, "%s is no numeric address to listen on, such as 127.0.0.1 or ::1",
                         settings->host);
    status = bind_address(server, info, err);
    freeaddrinfo(info);
    if (status == STATUS_OK)
        status = name_address(server, err);
    if (status == STATUS_OK && settings->socket)
        status = bind_local(server, err);
    if (status == STATUS_OK) {
        *ret_server = server;
        server = NULL;
    }
    return status;
}

const char *http_address(const struct http_server *server)
{
    return server->address;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, int listener, MHD_AccessHandlerCallback handle,
                                       MHD_NotifyConnectionCallback on_connect)
{
    return MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL,
        handle, server, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
        server->settings.max_connections + SURPLUS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connect, server, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

/* Takes no more connections; the listener is ours again, and is closed. */
static void stop_listening(struct MHD_Daemon *daemon, int *listener)
{
    if (!daemon)
        return;
    MHD_quiesce_daemon(daemon);
    close(*listener);
    *listener = -1;
}

static void stop_daemons(struct http_server *server)
{
    stop_listening(server->daemon, &server->listener);
    stop_listening(server->local, &server->local_listener);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    if (server->local)
        MHD_stop_daemon(server->local);
}

enum status http_start(struct http_server *server, const struct service *service, struct error *err)
{
    server->service = service;
    watch_init(&server->watch, server->settings.request_seconds);
    enum status status = watch_start(&server->watch, err);
    if (status == STATUS_OK) {
        server->daemon = start_daemon(server, server->listener, handle_access, on_connection);
        if (server->local_listener >= 0)
            server->local = start_daemon(server, server->local_listener, handle_local, on_local_connection);
        if (!server->daemon || (server->local_listener >= 0 && !server->local))
            status = error_set(err, STATUS_IO, "the HTTP server cannot be started: %s", strerror(errno));
    }
    if (status != STATUS_OK) {
        stop_daemons(server);
        watch_stop(&server->watch);
        server->daemon = NULL;
    }
    return status;
}

void http_stop(struct http_server *server)
{
    if (!server)
        return;
    __atomic_store_n(&server->stopping, true, __ATOMIC_RELAXED);
    if (server->daemon) {
        stop_daemons(server);
        watch_stop(&server->watch);
    }
    if (server->settings.socket && server->local)
        unlink(server->settings.socket);
    server_free(server);
}
