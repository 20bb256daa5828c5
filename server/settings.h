/*
 * The daemon's settings, described once: flags, environment, configuration file, help, defaults.
 *
 * A flag --allow-host, the variable PLUMBLINE_ALLOW_HOST and the key "allow-host" of the configuration file are the
 * same setting; a flag goes before the environment, that before the file, that before the default.
 */
#ifndef PLUMBLINE_SERVER_SETTINGS_H
#define PLUMBLINE_SERVER_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "server/arguments.h"

/* The flags that were given. */
enum { SETTING_MOST = 32 };
struct setting_flags {
    struct setting_flag {
        const char *text;
        bool on;
        struct text_list list;
    } flags[SETTING_MOST]; /* in the table's order */
    const char *config;
};

/* The settings as flags: they are read into a struct setting_flags. */
const struct argument *settings_arguments(void);

struct settings {
    json_t *values; /* all settings, expanded; owned; the texts below are its */
    char *data;     /* the data directory; owned */
    char host[64];  /* of --listen, numeric */
    uint16_t port;
    int workers;
    int grace_seconds;
    double keep_days; /* 0: no bound, as of the next two */
    int64_t keep_jobs, keep_bytes;
    const char **datasets, **allowed_hosts; /* NULL-terminated; owned lists of borrowed texts */
    size_t max_body;
    uint64_t max_upload;
    bool require_token, first_token;
    unsigned max_connections, request_seconds;
};

/* Reads the flags, the environment and the configuration file. STATUS_INVALID names the place ("--workers",
 * "PLUMBLINE_WORKERS", "/etc/…/config.json: /workers") and what would be right. The caller clears. */
enum status settings_read(const struct setting_flags *flags, struct settings *ret_settings, struct error *err);
void settings_clear(struct settings *settings);

#endif
