/*
 * Whether a request may come in. Against DNS rebinding the Host is held against a list; against other sites the Origin,
 * where there is one, must be the Host; what frames a request in two ways is refused, for a proxy before this server
 * may have read it the other way.
 *
 * libmicrohttpd (0.9.75) answers by itself, with a page of its own and without our headers, before any callback:
 * another version than HTTP/1.x (505), no Host, a header that is none, a Content-Length that is no number or past 64
 * bits (400, 413), a target or headers that do not fit a connection's memory (414, 431). It has no option for those
 * pages.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http_internal.h"
#include "server/json_util.h"
#include "server/option_text.h"

/* --- framing ------------------------------------------------------------------------------------------------- */

struct header_scan {
    int hosts, lengths, encodings;
    bool bad_name, unknown_coding;
};

/* The other codings of a transfer are not undone here, and without "chunked" the body would have no end. */
static enum MHD_Result scan_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct header_scan *scan = context;
    (void)kind;
    scan->hosts += strcasecmp(name, "Host") == 0;
    scan->lengths += strcasecmp(name, "Content-Length") == 0;
    scan->encodings += strcasecmp(name, "Transfer-Encoding") == 0;
    scan->unknown_coding |= strcasecmp(name, "Transfer-Encoding") == 0 && (!value || strcasecmp(value, "chunked") != 0);
    for (; *name; name++)
        scan->bad_name = scan->bad_name || isspace((unsigned char)*name) || iscntrl((unsigned char)*name);
    return MHD_YES;
}

static enum status check_framing(struct MHD_Connection *connection, struct error *err)
{
    struct header_scan scan = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, scan_header, &scan);
    if (scan.bad_name)
        return error_set(err, STATUS_INVALID, "a header's name has a space in it");
    if (scan.lengths + scan.encodings > 1)
        return error_set(err, STATUS_INVALID,
                         "the body's length is given twice: send one Content-Length or Transfer-Encoding: chunked");
    if (scan.unknown_coding)
        return error_set(err, STATUS_INVALID, "a body comes with a Content-Length or as Transfer-Encoding: chunked");
    if (scan.hosts != 1)
        return error_set(err, STATUS_INVALID, "exactly one Host header must be sent; found %d", scan.hosts);
    return STATUS_OK;
}

/* --- Host and Origin ----------------------------------------------------------------------------------------- */

/* The length of a host without its port. */
static size_t host_length(const char *host)
{
    if (*host == '[') {
        const char *end = strchr(host, ']');
        return end ? (size_t)(end + 1 - host) : strlen(host);
    }
    return strcspn(host, ":");
}

/* Nothing, or a colon and digits. */
static bool is_port(const char *text)
{
    return *text == '\0' || (*text == ':' && strspn(text + 1, "0123456789") == strlen(text + 1));
}

static bool host_is(const char *host, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(host, name, length) == 0;
}

static bool host_is_allowed(const struct http_server *server, const char *host)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t length = host_length(host);
    if (!is_port(host + length))
        return false;
    for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++)
        if (host_is(host, length, loopback[i]))
            return true;
    for (char *const *name = server->allowed_hosts; name && *name; name++)
        if (host_is(host, length, *name))
            return true;
    return length == host_length(server->address) && strncasecmp(host, server->address, length) == 0;
}

static bool origin_is_host(const char *origin, const char *host)
{
    const char *rest = strncmp(origin, "http://", 7) == 0    ? origin + 7
                       : strncmp(origin, "https://", 8) == 0 ? origin + 8
                                                             : NULL;
    return rest && strcasecmp(rest, host) == 0;
}

enum status check_headers(const struct http_server *server, struct MHD_Connection *connection, bool trusted,
                          struct answer *answer, struct error *err)
{
    enum status status = check_framing(connection, err);
    if (status != STATUS_OK)
        return answer_refuse(answer, 400, "malformed_request", status);
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    const char *origin = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin");
    host = host ? host : "";
    if (!trusted && !host_is_allowed(server, host)) {
        error_set(err, STATUS_INVALID,
                  "this server does not answer to the host \"%.100s\"; start it with --allow-host to add a name", host);
        return answer_refuse(answer, 421, "host_not_allowed", STATUS_INVALID);
    }
    if (origin && !origin_is_host(origin, host)) {
        error_set(err, STATUS_INVALID, "pages of %.100s may not use this server", origin);
        return answer_refuse(answer, 403, "origin_not_allowed", STATUS_INVALID);
    }
    return STATUS_OK;
}

/* --- path and query ------------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes in place; `plus` stands for a space. False for a % without two digits and for NUL. */
static bool decode(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        char c = *from;
        if (c == '%') {
            int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || high + low == 0)
                return false;
            c = (char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return true;
}

static bool has_bad_segment(const char *path)
{
    while (*path == '/') {
        size_t length = strcspn(++path, "/");
        bool last = path[length] == '\0';
        if ((length == 0 && !last) || (length == 1 && path[0] == '.') ||
            (length == 2 && path[0] == '.' && path[1] == '.'))
            return true;
        path += length;
    }
    return *path != '\0';
}

const char *origin_form(const char *target, const char *host)
{
    size_t length = strlen(host);
    bool absolute = strncasecmp(target, "http://", 7) == 0 && strncasecmp(target + 7, host, length) == 0;
    return absolute && target[7 + length] == '/' ? target + 7 + length : target;
}

enum status decode_path(const char *raw, char **ret_path, struct error *err)
{
    attribute_cleanup(cleanup_free) char *path = strdup(raw);
    if (!path)
        return error_no_memory(err);
    if (!decode(path, false) || strchr(path, '\\') || has_bad_segment(path))
        return error_set(err, STATUS_INVALID,
                         "the path is not one: it has a broken escape, a NUL, a backslash, an empty or a dot segment");
    *ret_path = path;
    path = NULL;
    return STATUS_OK;
}

struct parameter_scan {
    const struct option *options;
    json_t *given;
    struct problem_list *problems;
    bool no_memory;
};

static enum MHD_Result scan_parameter(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct parameter_scan *scan = context;
    (void)kind;
    attribute_cleanup(cleanup_free) char *key = strdup(name), *text = strdup(value ? value : "");
    if (!key || !text) {
        scan->no_memory = true;
        return MHD_NO;
    }
    if (!decode(key, true) || !decode(text, true)) {
        problem_add(scan->problems, "", "The query has a broken escape or a NUL.");
        return MHD_YES;
    }
    attribute_cleanup(cleanup_free) char *pointer = pointer_member("", key);
    const struct option *option = option_find_name(scan->options, key);
    if (json_object_get(scan->given, key))
        problem_add(scan->problems, pointer, "Must be given once.");
    else if (json_object_set_new(scan->given, key, option ? option_from_text(option, text) : json_string(text)) != 0)
        problem_add(scan->problems, pointer, "Must be UTF-8.");
    return MHD_YES;
}

enum status read_parameters(struct request *request, struct MHD_Connection *connection, struct answer *answer,
                            struct error *err)
{
    static const struct option none[] = {OPTION_END};
    const struct option *options = request->route->parameters ? request->route->parameters : none;
    attribute_cleanup(cleanup_json) json_t *given = json_object();
    if (!given)
        return error_no_memory(err);
    struct parameter_scan scan = {.options = options, .given = given, .problems = &request->problems};
    if (request->route->handle == handle_page) /* the page reads its own query, and says what it does not know */
        return STATUS_OK;
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, scan_parameter, &scan);
    if (scan.no_memory)
        return error_no_memory(err);
    request->parameters = options_expand(options, given, "", &request->problems);
    if (request->parameters && problem_list_count(&request->problems) == 0)
        return STATUS_OK;
    const json_t *first = json_array_get(request->problems.items, 0);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    const char *detail = json_string_value(json_object_get(first, "detail"));
    if (pointer && *pointer == '/')
        error_set(err, STATUS_INVALID, "the query's parameter %s: %s", pointer + 1, detail);
    else
        error_set(err, STATUS_INVALID, "the query: %s", detail ? detail : "out of memory");
    return answer_refuse(answer, 400, "invalid_parameter", STATUS_INVALID);
}

/* --- the body ------------------------------------------------------------------------------------------------ */

bool body_is(struct MHD_Connection *connection, const char *media)
{
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");
    size_t length = type ? strcspn(type, "; \t") : 0;
    return type && length == strlen(media) && strncasecmp(type, media, length) == 0;
}

enum { DEEPEST = 64 };

/* How deep brackets nest; the parser and the checkers recurse that deep. */
static int depth_of(const char *bytes, size_t size)
{
    int depth = 0, deepest = 0;
    bool text = false;
    for (size_t i = 0; i < size; i++) {
        if (text && bytes[i] == '\\')
            i++;
        else if (bytes[i] == '"')
            text = !text;
        else if (!text && (bytes[i] == '{' || bytes[i] == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!text && (bytes[i] == '}' || bytes[i] == ']'))
            depth--;
    }
    return deepest;
}

enum status parse_body(const char *bytes, size_t size, json_t **ret_body, struct answer *answer, struct error *err)
{
    if (depth_of(bytes, size) > DEEPEST) {
        error_set(err, STATUS_INVALID, "the body nests deeper than %d levels", DEEPEST);
        return answer_refuse(answer, 400, "malformed_json", STATUS_INVALID);
    }
    json_error_t fault;
    json_t *body = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &fault);
    if (!body) {
        error_set(err, STATUS_INVALID, "the body is not JSON: line %d, column %d: %s", fault.line, fault.column,
                  fault.text);
        return answer_refuse(answer, 400, "malformed_json", STATUS_INVALID);
    }
    *ret_body = body;
    return STATUS_OK;
}
