/*
 * The daemon's settings, described once: flags, environment, configuration file, help, defaults.
 *
 * A flag --allow-host, the variable PLUMBLINE_ALLOW_HOST and the key "allow-host" of the configuration file are the same
 * setting; a flag goes before the environment, that before the file, that before the default.
 */
#ifndef PLUMBLINE_SERVER_SETTINGS_H
#define PLUMBLINE_SERVER_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct settings {
    json_t *values; /* all settings, expanded; owned; the texts below are its */
    bool help;      /* --help was given: nothing else is set */
    char *data;     /* the data directory; owned */
    char host[64];  /* of --listen, numeric */
    uint16_t port;
    int workers;
    int grace_seconds;
    const char **datasets, **allowed_hosts; /* NULL-terminated; owned lists of borrowed texts */
    size_t max_body;
    uint64_t max_upload;
    bool require_token, first_token;
    unsigned max_connections, request_seconds;
};

/* Reads argv[1 … argc−1], the environment and the configuration file. STATUS_INVALID names the place ("--workers",
 * "PLUMBLINE_WORKERS", "/etc/…/config.json: /workers") and what would be right. The caller clears. */
enum status settings_read(int argc, char **argv, struct settings *ret_settings, struct error *err);
void settings_clear(struct settings *settings);

/* The table for `serve --help`, printed to standard output. */
int settings_print_help(void);

#endif
