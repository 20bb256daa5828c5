/*
 * The HTTP side of the daemon: requests as handlers see them, their answers, and the server that carries both.
 *
 * A request comes on a thread of its own, which may block. Before its handler is called it has been checked whole: its
 * framing, Host and Origin, the path, the method, the caller's role, the parameters, the body's size and type. A
 * handler fills the answer and returns STATUS_OK, or returns another status with the sentence in `err`, which becomes a
 * problem document (problem.h).
 */
#ifndef PLUMBLINE_SERVER_HTTP_H
#define PLUMBLINE_SERVER_HTTP_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/dataset.h"
#include "core/option.h"
#include "core/status.h"
#include "server/token.h"

struct asset;
struct guesses;
struct http_metrics;
struct picture_cache;
struct route;
struct scheduler;

/* --- what handlers know -------------------------------------------------------------------------------------- */

/* What all requests share; outlives them. */
struct service {
    struct scheduler *scheduler;
    struct dataset_folders folders;
    struct picture_cache *pictures;
    struct http_metrics *metrics;
    struct guesses *guesses;
    double started;        /* clock_seconds of the start */
    const char *data;      /* the data directory */
    unsigned *revocations; /* of tokens since the start; atomic. What outlasts its request looks its token up again */
    bool tokens_wanted;    /* who comes over the network must show a token */
};

enum { REQUEST_CAPTURES = 3, CAPTURE_SIZE = 64 };

/* By the header Accept-Encoding: as it is; gzip, where that is shorter; gzip in any case. */
enum coding { CODING_IDENTITY, CODING_GZIP, CODING_GZIP_ONLY };

struct request {
    const struct service *service;
    const struct route *route;
    const char *method;                            /* "GET" where it is HEAD */
    char *path;                                    /* decoded */
    char captures[REQUEST_CAPTURES][CAPTURE_SIZE]; /* what stood at the pattern's {names}, in order */
    json_t *parameters;                            /* of the query, expanded by the route's table */
    json_t *body;                                  /* where the route takes JSON and some came; else NULL */
    char *upload; /* where the route takes a file: the path that the body was written to; the handler's to remove */
    struct problem_list problems; /* faults of the parameters or the body, place by place */
    int socket;                   /* of the connection, to see whether the client is there */
    struct in6_addr address;      /* of the client, mapped where it is IPv4; zeros on the Unix socket */
    const char *last_event_id;    /* the header Last-Event-ID, or NULL */
    const char *if_none_match;    /* the header If-None-Match, or NULL */
    const char *if_match;         /* the header If-Match, or NULL */
    const char *idempotency_key;  /* the header Idempotency-Key, or NULL */
    enum coding coding;           /* that the answer may have, where it is one to pack */
    enum token_role role;         /* of who asks; admin where nobody is asked who they are */
    int64_t token;                /* the id of the token that was shown; 0 for none */
    unsigned revocations;         /* of the service, before that token was looked up */
};

/* The number that stands at capture `index`; STATUS_NOT_FOUND where it is none. */
enum status request_id(const struct request *request, size_t index, int64_t *ret_id, struct error *err);

/* --- answers ------------------------------------------------------------------------------------------------- */

/* A body that is made as it is sent. Returns the bytes written, 0 to be asked again, −1 at its end, −2 where it breaks
 * off. May block. */
typedef ssize_t answer_reader(void *context, char *buffer, size_t size);

enum { ANSWER_HEADERS = 6 };

struct answer {
    int http;         /* 200 unless set */
    const char *code; /* of the problem document, where the status' own does not say enough */
    const char *content_type;
    json_t *json; /* owned; or */
    void *bytes;  /* owned, from malloc; or */
    size_t size;
    int file;                  /* a descriptor + 1 of `size` bytes, owned; or */
    const struct asset *asset; /* or */
    answer_reader *read;       /* with `context`, which `close` frees */
    void (*close)(void *context);
    void *context;
    bool endless; /* an event stream: it ends with the server or the client */
    bool text;    /* what `read` gives is worth packing */
    struct {
        const char *name;
        char value[160];
    } headers[ANSWER_HEADERS];
    size_t header_count;
};

/* Adds a header; its name is static. A value that does not fit is cut. */
void answer_header(struct answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes `json`; NULL stands for memory that ran out. */
enum status answer_json(struct answer *answer, json_t *json, struct error *err);

/* How the status is answered, if not by its own row of problem.h; returns `status`. */
enum status answer_refuse(struct answer *answer, int http, const char *code, enum status status);

/* The id and role of a token that someone shows; notes its use. STATUS_NOT_FOUND for one that is none. */
enum status token_of_service(const struct service *service, const char *text, int64_t *ret_id,
                             enum token_role *ret_role, struct error *err);

/* Refuses a token that is none: 401, or 429 where its address has shown too many (guesses.h). */
enum status token_refuse(const struct request *request, struct answer *answer, struct error *err);

/* --- the server ---------------------------------------------------------------------------------------------- */

struct http_settings {
    const char *host;                 /* a numeric address */
    uint16_t port;                    /* 0: the kernel chooses */
    const char *const *allowed_hosts; /* names besides the loopback's and the address itself; NULL-terminated */
    size_t max_body;                  /* bytes of a JSON body */
    uint64_t max_upload;              /* bytes of a file */
    const char *socket;               /* path of a Unix socket besides, for this machine's administrators; or NULL */
    unsigned max_connections;
    unsigned request_seconds; /* within which a request must have been received whole */
};

struct http_server; /* opaque */

/* Takes the port without answering on it yet, so that a port in use is found before anything else is started.
 * STATUS_CONFLICT then; STATUS_INVALID for an address that is none. */
enum status http_listen(const struct http_settings *settings, struct http_server **ret_server, struct error *err);

/* "127.0.0.1:8420": the address that was taken. */
const char *http_address(const struct http_server *server);

/* Begins to answer. */
enum status http_start(struct http_server *server, const struct service *service, struct error *err);

/* Takes no more connections, ends those there are, waits for their handlers, frees. Event streams must have been woken
 * before (events_stop). Nothing for NULL. */
void http_stop(struct http_server *server);

#endif
