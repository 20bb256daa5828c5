/*
 * What the parts of the HTTP server share: http.c (the server, a request from its first byte to its answer),
 * http_check.c (whether it may come in), http_coding.c (packed or not), http_send.c (how an answer goes out),
 * http_watch.c (who takes too long).
 */
#ifndef PLUMBLINE_SERVER_HTTP_INTERNAL_H
#define PLUMBLINE_SERVER_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>

#include "server/http.h"
#include "server/route.h"

/* --- who takes too long (http_watch.c) --------------------------------------------------------------------------- */

/* A connection, while it is open. */
struct watched {
    struct watched *next, **link;
    int socket;
    bool surplus;    /* there were as many connections as are taken when it was opened */
    double deadline; /* clock_seconds by which a request must be here whole; 0 while one is answered */
};

struct watch {
    pthread_mutex_t mutex;
    pthread_cond_t stopping;
    pthread_t thread;
    struct watched *first;
    double seconds;
    bool started, stopped;
};

void watch_init(struct watch *watch, double seconds);
enum status watch_start(struct watch *watch, struct error *err);
void watch_stop(struct watch *watch); /* also where it was not started */

/* A connection is opened (NULL when memory ran out: it is then not watched), and is closed. */
struct watched *watch_open(struct watch *watch, int socket);
void watch_close(struct watch *watch, struct watched *watched);

/* More of a request has come, all of which must be here in `seconds` from now. Nothing for NULL. */
void watch_goes_on(struct watch *watch, struct watched *watched, double seconds);

/* A request is here whole; its answer is done, and the next one may come. Nothing for NULL. */
void watch_received(struct watch *watch, struct watched *watched);
void watch_answered(struct watch *watch, struct watched *watched);

/* --- whether it may come in (http_check.c) ----------------------------------------------------------------------- */

struct http_server {
    struct MHD_Daemon *daemon;
    struct MHD_Daemon *local; /* the one on the Unix socket, or NULL */
    struct http_settings settings;
    char **allowed_hosts;
    const struct service *service;
    int listener, local_listener;
    char address[80]; /* "127.0.0.1:8420" */
    struct watch watch;
    unsigned connections; /* that are open, those on the Unix socket left out; atomic */
    bool stopping;        /* atomic */
};

/* Framing, Host and Origin: STATUS_OK, or how it is refused. A connection that is trusted may name any host. */
enum status check_headers(const struct http_server *server, struct MHD_Connection *connection, bool trusted,
                          struct answer *answer, struct error *err);

/* The path of a request's target: behind "http://HOST" where it begins so (RFC 9112, section 3.2.2). */
const char *origin_form(const char *target, const char *host);

/* Decodes %XX once; refuses NUL, backslash, dot segments and empty ones. The caller frees. */
enum status decode_path(const char *raw, char **ret_path, struct error *err);

/* The query by the route's table, into request->parameters or request->problems. */
enum status read_parameters(struct request *request, struct MHD_Connection *connection, struct answer *answer,
                            struct error *err);

/* A body as JSON: no deeper than handlers can recurse, no key twice. */
enum status parse_body(const char *bytes, size_t size, json_t **ret_body, struct answer *answer, struct error *err);

/* Whether the request says that its body is of that type. */
bool body_is(struct MHD_Connection *connection, const char *media);

/* --- who asks (http_auth.c) -------------------------------------------------------------------------------------- */

/* Finds the request's role and holds it against its route; `trusted`: it came over the Unix socket. */
enum status check_role(struct request *request, struct MHD_Connection *connection, bool trusted, struct answer *answer,
                       struct error *err);

/* --- as what it goes out (http_coding.c) ------------------------------------------------------------------------- */

/*
 * The coding that the request likes best of the two there are; gzip where it likes both the same. One that takes
 * neither gets the answer as it is, which RFC 9110 leaves open: there is nothing else to give.
 */
enum coding choose_coding(struct MHD_Connection *connection);

/* gzip's form of the bytes, from malloc; NULL where that is no smaller (unless it `must` be), or memory runs out. */
void *gzip_bytes(const void *bytes, size_t size, bool must, size_t *ret_size);

/*
 * Puts gzip behind the answer's reader, in constant memory; false where memory runs out, and the answer is as it was.
 */
bool gzip_answer(struct answer *answer);

/* --- how it goes out (http_send.c) ------------------------------------------------------------------------------- */

void answer_clear(struct answer *answer);

/* Makes the answer a problem document for `status`, with the request's faults. */
void answer_problem(struct answer *answer, enum status status, const struct request *request, const struct error *err);

/* Sends; takes what the answer owns. The connection is kept for `keep_seconds` without another request; 0 closes it.
 * *ret_http is the status that was sent. */
enum MHD_Result answer_send(struct MHD_Connection *connection, const struct request *request, struct answer *answer,
                            unsigned keep_seconds, int *ret_http);

#endif
