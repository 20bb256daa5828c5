/*
 * `plumbline serve`: what the daemon starts, in order, and how it ends.
 *
 * The lock on the data directory and the port are taken before anything is changed. At the end the event streams are
 * woken and the workers told first, so that they write their checkpoints while the connections end, however long an
 * answer takes: exit within 5 s. Queries that still run are broken off.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/blas.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/data_lock.h"
#include "server/data_paths.h"
#include "server/events.h"
#include "server/guesses.h"
#include "server/http.h"
#include "server/http_metrics.h"
#include "server/picture.h"
#include "server/scheduler.h"
#include "server/settings.h"
#include "server/sqlite_util.h"
#include "server/worker.h"

/* What was started. */
struct daemon {
    int lock;
    struct http_server *http;
    struct scheduler *scheduler;
    char **folders;
    char *weights; /* DATA/weights */
    char *socket;  /* DATA/socket: commands of this machine come in there */
    struct picture_cache *pictures;
    struct http_metrics *metrics;
    struct guesses *guesses;
    struct service service;
    unsigned revocations;
};

static bool is_loopback(const char *host)
{
    struct in_addr four;
    return strcmp(host, "::1") == 0 || (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127);
}

static enum status listen_on(struct daemon *daemon, const struct settings *settings, struct error *err)
{
    const struct http_settings http = {.host = settings->host,
                                       .port = settings->port,
                                       .allowed_hosts = settings->allowed_hosts,
                                       .max_body = settings->max_body,
                                       .max_upload = settings->max_upload,
                                       .socket = daemon->socket,
                                       .max_connections = settings->max_connections,
                                       .request_seconds = settings->request_seconds};
    return http_listen(&http, &daemon->http, err);
}

static enum status start_scheduler(struct daemon *daemon, const struct settings *settings, struct error *err)
{
    const struct scheduler_settings scheduler = {.program = "/proc/self/exe",
                                                 .data = settings->data,
                                                 .workers = settings->workers,
                                                 .grace_seconds = settings->grace_seconds,
                                                 .retention = {.max_age_seconds = settings->keep_days * 24 * 3600,
                                                               .max_count = settings->keep_jobs,
                                                               .max_bytes = settings->keep_bytes},
                                                 .dataset_folders = (const char *const *)settings->datasets};
    return scheduler_start(&scheduler, &daemon->scheduler, err);
}

/* --- tokens -------------------------------------------------------------------------------------------------- */

struct token_use {
    int64_t count, id;
    char text[TOKEN_TEXT_SIZE];
};

static enum status count_tokens(sqlite3 *db, void *context, struct error *err)
{
    return token_count(db, ROLE_VIEWER, &((struct token_use *)context)->count, err);
}

static enum status make_first_token(sqlite3 *db, void *context, struct error *err)
{
    struct token_use *use = context;
    enum status status = token_count(db, ROLE_ADMIN, &use->count, err);
    if (status == STATUS_OK && use->count == 0)
        status = token_create(db, "first", ROLE_ADMIN, &use->id, use->text, err);
    return status;
}

/* Others may come in only with a token, so there must be one. */
static enum status check_tokens(struct daemon *daemon, const struct settings *settings, struct error *err)
{
    struct token_use use = {0};
    enum status status = STATUS_OK;
    if (settings->first_token)
        status = scheduler_write(daemon->scheduler, make_first_token, &use, err);
    if (status == STATUS_OK && *use.text)
        printf("The administrator's token, shown this once: %s\n", use.text);
    if (status == STATUS_OK)
        status = scheduler_read(daemon->scheduler, count_tokens, &use, err);
    daemon->service.tokens_wanted = settings->require_token || !is_loopback(settings->host);
    if (status != STATUS_OK || !daemon->service.tokens_wanted || use.count > 0)
        return status;
    return error_set(err, STATUS_INVALID,
                     "--listen %s asks everyone for a token, and there is none yet: make one with `plumbline token "
                     "create --role admin`, or start with --first-token",
                     option_string(settings->values, "listen"));
}

/* --- starting and stopping ----------------------------------------------------------------------------------- */

static enum status start(struct daemon *daemon, const struct settings *settings, struct error *err)
{
    daemon->socket = path_join(settings->data, "socket");
    daemon->weights = path_join(settings->data, "weights");
    enum status status =
        daemon->socket && daemon->weights ? data_lock_take(settings->data, &daemon->lock, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = dataset_search_list((const char *const *)settings->datasets, settings->data, &daemon->folders, err);
    if (status == STATUS_OK)
        status = listen_on(daemon, settings, err);
    if (status == STATUS_OK)
        status = start_scheduler(daemon, settings, err);
    if (status == STATUS_OK)
        status = picture_cache_create(&daemon->pictures, err);
    if (status == STATUS_OK)
        status = http_metrics_create(&daemon->metrics, err);
    if (status == STATUS_OK)
        status = guesses_create(&daemon->guesses, err);
    daemon->service = (struct service){.scheduler = daemon->scheduler,
                                       .folders = {(const char *const *)daemon->folders, daemon->weights},
                                       .pictures = daemon->pictures,
                                       .metrics = daemon->metrics,
                                       .guesses = daemon->guesses,
                                       .revocations = &daemon->revocations,
                                       .started = clock_seconds(),
                                       .data = settings->data};
    if (status == STATUS_OK)
        status = check_tokens(daemon, settings, err);
    return status == STATUS_OK ? http_start(daemon->http, &daemon->service, err) : status;
}

static void stop(struct daemon *daemon)
{
    if (daemon->scheduler)
        events_stop(scheduler_events(daemon->scheduler));
    scheduler_ask_stop(daemon->scheduler);
    db_stop_reading();
    http_stop(daemon->http);
    scheduler_stop(daemon->scheduler);
    picture_cache_free(daemon->pictures);
    http_metrics_free(daemon->metrics);
    guesses_free(daemon->guesses);
    string_list_free(daemon->folders);
    free(daemon->weights);
    free(daemon->socket);
    if (daemon->lock >= 0)
        close(daemon->lock);
}

static int serve(const struct settings *settings)
{
    struct daemon daemon = {.lock = -1};
    struct error err = {""};
    umask(S_IRWXG | S_IRWXO); /* what is in the data directory is its owner's */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* who started it may ignore it: then nobody could tell how a worker has ended */
    stop_signals_install();
    enum status status = start(&daemon, settings, &err);
    if (status == STATUS_OK) {
        printf("Plumbline " PLUMBLINE_VERSION " at http://%s (data in %s, %d workers)\n", http_address(daemon.http),
               settings->data, settings->workers);
        fflush(stdout); /* who started it may have gone; the server stays */
        while (!stop_signals_seen())
            clock_pause(0.1);
        fprintf(stderr, "plumbline: stopping\n");
    } else {
        fprintf(stderr, "plumbline serve: %s\n", err.text);
    }
    stop(&daemon);
    return status == STATUS_OK ? 0 : 1;
}

static int run(const void *options, const struct text_list *operands)
{
    struct settings settings = {0};
    struct error err = {""};
    (void)operands;
    if (settings_read(options, &settings, &err) != STATUS_OK)
        return command_misused(&serve_command, "%s", err.text);
    int code = serve(&settings);
    settings_clear(&settings);
    return code;
}

const struct command serve_command = {
    .name = "serve",
    .summary = "start the server: REST API, dashboard, worker pool",
    .description = "Starts the server: REST API and dashboard on one port, a pool of workers that train the jobs. It "
                   "runs until Ctrl-C or SIGTERM; jobs that run then go on at the next start.\n\n"
                   "Settings come from flags, then the environment, then the configuration file.",
    .failure = "it could not start",
    .make_arguments = settings_arguments,
    .options_size = sizeof(struct setting_flags),
    .run = run,
};
