/*
 * The commands' side of the REST API, on libcurl: which server, as whom, and what it answered.
 *
 * One client is one connection, used from one thread. Refusals come back as a status with the problem document's detail
 * in `err`; its places are kept for client_complain.
 */
#ifndef PLUMBLINE_SERVER_CLIENT_H
#define PLUMBLINE_SERVER_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "server/arguments.h"
#include "server/sink.h"

/* What every command takes that speaks to a server; a member of its options. */
struct client_options {
    const char *server, *token_file, *data;
};

#define CLIENT_ARGUMENTS(options, member)                                                                              \
    {"server",                                                                                                         \
     ARGUMENT_TEXT,                                                                                                    \
     offsetof(options, member.server),                                                                                 \
     .value = "URL",                                                                                                   \
     .help = "the server to ask",                                                                                      \
     .fallback = "the one that serves the data directory of this machine, else http://127.0.0.1:8420",                 \
     .variable = "PLUMBLINE_SERVER"},                                                                                  \
        {"token-file", ARGUMENT_TEXT, offsetof(options, member.token_file), .value = "FILE",                           \
         .help = "a file with the token to show; the token itself may be in PLUMBLINE_TOKEN"},                         \
    {                                                                                                                  \
        "data", ARGUMENT_TEXT, offsetof(options, member.data),                                                         \
            .value = "DIR", .help = "the data directory whose server is asked",                                        \
            .fallback = "$XDG_DATA_HOME/plumbline or ~/.local/share/plumbline", .variable = "PLUMBLINE_DATA"           \
    }

struct client; /* opaque */

/*
 * The server that --server names, else the one at DATA/socket where --data is given, else the one of PLUMBLINE_SERVER,
 * else the one at the socket of the default data directory. *ret_client is NULL where none is named and none answers
 * there. "unix:PATH" names a socket. Nothing is asked yet.
 */
enum status client_find(const struct client_options *options, struct client **ret_client, struct error *err);

/* The same, and where there is none the one at http://127.0.0.1:8420; with --data STATUS_NOT_FOUND. */
enum status client_open(const struct client_options *options, struct client **ret_client, struct error *err);
void client_free(struct client *client); /* nothing for NULL */
void cleanup_client(struct client **client);

/*
 * `path` with its query: names and values in turn, NULL at the end; those whose value is NULL are left out. The caller
 * frees; NULL when memory runs out.
 */
char *client_path(const char *path, const char *const *names_and_values);

/*
 * Each asks for `path` below /api/v1. STATUS_IO where the server does not answer, or the answer broke off; otherwise
 * the status that its HTTP status stands for. The answers are JSON, a new reference.
 */
enum status client_get(struct client *client, const char *path, json_t **ret_answer, struct error *err);
enum status client_send(struct client *client, const char *method, const char *path, const json_t *body,
                        json_t **ret_answer, struct error *err);

/* POST of something that must be made once: sent with an Idempotency-Key of its own, and a second time where the
 * connection was lost before the answer. */
enum status client_submit(struct client *client, const char *path, const json_t *body, json_t **ret_answer,
                          struct error *err);

/* Called now and then while much is moved: how many bytes of how many (0: not known). Returns false to break off. */
typedef bool client_watcher(void *context, double done, double of);

struct client_watch {
    client_watcher *call; /* or NULL */
    void *context;
};

/* Sends a file as the body; its media type is that of a run file. */
enum status client_upload(struct client *client, const char *path, const char *file, const struct client_watch *watch,
                          json_t **ret_answer, struct error *err);

/* Hands an answer of any kind to the sink as it comes. The sink's own failure ends it. */
enum status client_download(struct client *client, const char *path, const struct sink *sink,
                            const struct client_watch *watch, struct error *err);

/* The places of the last refusal's problem document, [{"pointer", "detail"}], borrowed; NULL where there are none. */
json_t *client_faults(const struct client *client);

/*
 * Says on standard error why the last call failed: the places of its problem document, a line each behind the name of
 * the document that was sent (`about`), or the sentence where there are none or `about` is NULL. `client` may be NULL.
 * Returns the exit code, 1.
 */
int client_complain(const struct client *client, const char *command, const char *about, const struct error *err);

#endif
