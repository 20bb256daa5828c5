/*
 * `plumbline serve`: what the daemon starts, in order, and how it ends.
 *
 * The lock on the data directory and the port are taken before anything is changed. At the end the event streams are
 * woken first, then the connections end, then the workers are told: exit within 5 s.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/blas.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/data_lock.h"
#include "server/data_paths.h"
#include "server/events.h"
#include "server/http.h"
#include "server/scheduler.h"
#include "server/settings.h"
#include "server/worker.h"

static const char intro[] =
    "Usage: plumbline serve [--listen 127.0.0.1:8420] [--data DIR] [--workers N] [--datasets DIR]...\n"
    "\n"
    "Starts the server: REST API and dashboard on one port, a pool of workers that train the jobs. It runs until "
    "Ctrl-C\n"
    "or SIGTERM; jobs that run then go on at the next start.\n"
    "\n"
    "Settings, from flags, then the environment, then a configuration file:\n"
    "\n";

/* What was started. */
struct daemon {
    int lock;
    struct http_server *http;
    struct scheduler *scheduler;
    char **folders;
    struct service service;
};

static bool is_loopback(const char *host)
{
    struct in_addr four;
    return strcmp(host, "::1") == 0 || (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127);
}

static enum status check_listen(const struct settings *settings, struct error *err)
{
    if (is_loopback(settings->host))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "--listen %s would open this server to others, and it asks nobody who they are; listen on "
                     "127.0.0.1 or ::1",
                     settings->host);
}

static enum status listen_on(struct daemon *daemon, const struct settings *settings, struct error *err)
{
    const struct http_settings http = {.host = settings->host,
                                       .port = settings->port,
                                       .allowed_hosts = settings->allowed_hosts,
                                       .max_body = settings->max_body,
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
                                                 .dataset_folders = (const char *const *)settings->datasets};
    return scheduler_start(&scheduler, &daemon->scheduler, err);
}

static enum status start(struct daemon *daemon, const struct settings *settings, struct error *err)
{
    enum status status = check_listen(settings, err);
    if (status == STATUS_OK)
        status = data_lock_take(settings->data, &daemon->lock, err);
    if (status == STATUS_OK)
        status = dataset_search_list((const char *const *)settings->datasets, settings->data, &daemon->folders, err);
    if (status == STATUS_OK)
        status = listen_on(daemon, settings, err);
    if (status == STATUS_OK)
        status = start_scheduler(daemon, settings, err);
    if (status != STATUS_OK)
        return status;
    daemon->service = (struct service){
        .scheduler = daemon->scheduler, .folders = {(const char *const *)daemon->folders}, .data = settings->data};
    return http_start(daemon->http, &daemon->service, err);
}

static void stop(struct daemon *daemon)
{
    if (daemon->scheduler)
        events_stop(scheduler_events(daemon->scheduler));
    http_stop(daemon->http);
    scheduler_stop(daemon->scheduler);
    string_list_free(daemon->folders);
    if (daemon->lock >= 0)
        close(daemon->lock);
}

static int serve(const struct settings *settings)
{
    struct daemon daemon = {.lock = -1};
    struct error err = {""};
    signal(SIGPIPE, SIG_IGN);
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

int command_serve(int argc, char **argv)
{
    struct settings settings = {0};
    struct error err = {""};
    if (settings_read(argc, argv, &settings, &err) != STATUS_OK) {
        fprintf(stderr, "plumbline serve: %s (see plumbline serve --help)\n", err.text);
        return 2;
    }
    if (settings.help)
        return fputs(intro, stdout) < 0 || settings_print_help() != 0;
    int code = serve(&settings);
    settings_clear(&settings);
    return code;
}
