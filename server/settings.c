#include "server/settings.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/option.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/option_text.h"
#include "server/retention.h"

static const struct option table[] = {
    {.name = "listen",
     .kind = OPTION_STRING,
     .fallback = "\"127.0.0.1:8420\"",
     .help = "address and port, as 127.0.0.1:8420 or [::1]:8420; port 0 lets the system choose"},
    {.name = "data",
     .kind = OPTION_STRING,
     .fallback = "null",
     .nullable = true,
     .help = "the data directory; default $XDG_DATA_HOME/plumbline or ~/.local/share/plumbline"},
    {.name = "workers",
     .kind = OPTION_INTEGER,
     .fallback = "null",
     .nullable = true,
     .minimum = 1,
     .maximum = 256,
     .help = "how many jobs run at once; default: the cores there are"},
    {.name = "datasets",
     .kind = OPTION_STRINGS,
     .fallback = "[]",
     .help = "folders searched for data sets before DATA/datasets and /usr/share/datasets"},
    {.name = "allow-host",
     .kind = OPTION_STRINGS,
     .fallback = "[]",
     .help = "names by which the server may be called, besides localhost and its address"},
    {.name = "grace",
     .kind = OPTION_INTEGER,
     .fallback = "3",
     .minimum = 0,
     .maximum = 3,
     .help = "seconds a worker that is told to stop has for its last rows"},
    {.name = "keep-days", RETENTION_DAYS, .help = "jobs that ended longer ago are purged; default: never"},
    {.name = "keep-jobs",
     RETENTION_COUNT,
     .help = "so many of the jobs that have ended are kept, the trash going first; default: all"},
    {.name = "keep-bytes", RETENTION_COUNT, .help = "their run files may take so much of the disk; default: all of it"},
    {.name = "max-body",
     .kind = OPTION_INTEGER,
     .fallback = "1048576",
     .minimum = 1024,
     .maximum = 1 << 30,
     .help = "the largest JSON body that is taken, in bytes"},
    {.name = "max-upload",
     .kind = OPTION_INTEGER,
     .fallback = "4294967296",
     .minimum = 1024,
     .maximum = 0x1p53,
     .help = "the largest run file that is imported, in bytes"},
    {.name = "require-token",
     .kind = OPTION_BOOLEAN,
     .fallback = "false",
     .help = "ask for a token on the loopback too; elsewhere one is always asked for"},
    {.name = "first-token",
     .kind = OPTION_BOOLEAN,
     .fallback = "false",
     .help = "where there is no administrator's token yet, make one and print it, once"},
    {.name = "max-connections",
     .kind = OPTION_INTEGER,
     .fallback = "1000",
     .minimum = 10,
     .maximum = 100000,
     .help = "connections at once, event streams included"},
    {.name = "request-seconds",
     .kind = OPTION_INTEGER,
     .fallback = "30",
     .minimum = 1,
     .maximum = 3600,
     .help = "seconds within which a request must have been received whole"},
    OPTION_END,
};
enum { SETTING_COUNT = sizeof table / sizeof *table - 1 };

static bool is_list(const struct option *option)
{
    return option->kind == OPTION_STRINGS;
}

/* "allow-host" as "PLUMBLINE_ALLOW_HOST". */
static void variable_name(const char *name, char text[64])
{
    int length = snprintf(text, 64, "PLUMBLINE_%s", name);
    for (int i = 0; i < length; i++)
        text[i] = text[i] == '-' ? '_' : (char)toupper((unsigned char)text[i]);
}

/* --- one source after the other --------------------------------------------------------------------------------- */

/* What was given, and where: places[i] is the source of setting i, as messages name it. */
struct gathering {
    json_t *given;
    char places[SETTING_COUNT][64];
    const char *config; /* the configuration file that was read, or NULL */
};

static enum status take(struct gathering *gathering, size_t i, json_t *value, const char *place, struct error *err)
{
    snprintf(gathering->places[i], sizeof gathering->places[i], "%s", place);
    return json_put(gathering->given, table[i].name, value, err);
}

static enum status take_environment(struct gathering *gathering, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < SETTING_COUNT && status == STATUS_OK; i++) {
        char name[64];
        variable_name(table[i].name, name);
        const char *text = getenv(name);
        if (text && *text)
            status = take(gathering, i, option_from_text(&table[i], text), name, err);
    }
    return status;
}

static enum status take_config(struct gathering *gathering, const char *path, struct error *err)
{
    json_error_t fault;
    if (access(path, R_OK) != 0)
        return error_set(err, STATUS_INVALID, "the config file %s cannot be read: %s", path, strerror(errno));
    attribute_cleanup(cleanup_json) json_t *config = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(config))
        return error_set(err, STATUS_INVALID, "%s is no JSON object: line %d, column %d: %s", path,
                         config ? 1 : fault.line, config ? 1 : fault.column,
                         config ? "found another value" : fault.text);
    gathering->config = path;
    return json_object_update(gathering->given, config) == 0 ? STATUS_OK : error_no_memory(err);
}

static json_t *texts_to_json(const struct text_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < list->count; i++)
        if (json_array_append_new(array, json_string(list->items[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static enum status take_flags(struct gathering *gathering, const struct setting_flags *flags, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < SETTING_COUNT && status == STATUS_OK; i++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", table[i].name);
        const struct setting_flag *flag = &flags->flags[i];
        if (flag->text)
            status = take(gathering, i, option_from_text(&table[i], flag->text), name, err);
        else if (flag->list.count > 0)
            status = take(gathering, i, texts_to_json(&flag->list), name, err);
        else if (flag->on)
            status = take(gathering, i, json_true(), name, err);
    }
    return status;
}

/* $XDG_CONFIG_HOME/plumbline/config.json, or ~/.config/…; NULL where there is none. */
static char *default_config(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;
    if (xdg && *xdg == '/')
        path = path_join(xdg, "plumbline/config.json");
    else if (home && *home)
        path = path_join(home, ".config/plumbline/config.json");
    if (path && access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* --- checked and typed --------------------------------------------------------------------------------------- */

static enum status refuse(const struct gathering *gathering, const struct problem_list *problems, struct error *err)
{
    const json_t *first = json_array_get(problems->items, 0);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    const char *detail = json_string_value(json_object_get(first, "detail"));
    for (size_t i = 0; pointer && i < SETTING_COUNT; i++)
        if (strcmp(pointer + (*pointer == '/'), table[i].name) == 0 && *gathering->places[i])
            return error_set(err, STATUS_INVALID, "%s: %s", gathering->places[i], detail);
    return error_set(err, STATUS_INVALID, "%s%s%s: %s", gathering->config ? gathering->config : "settings",
                     gathering->config ? ": " : "", pointer ? pointer : "", detail ? detail : "out of memory");
}

/* "127.0.0.1:8420", "[::1]:8420". */
static enum status read_listen(struct settings *settings, struct error *err)
{
    const char *text = option_string(settings->values, "listen"), *colon = strrchr(text, ':');
    bool six = *text == '[';
    size_t length = colon ? (size_t)(colon - text) : 0;
    char *end = NULL;
    long port = colon && isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10) : -1;
    if (port < 0 || port > 65535 || *end != '\0' || length < 1 || length >= sizeof settings->host ||
        (six && (length < 3 || text[length - 1] != ']')))
        return error_set(err, STATUS_INVALID,
                         "--listen must be an address and a port, such as 127.0.0.1:8420 or [::1]:8420; found \"%s\"",
                         text);
    snprintf(settings->host, sizeof settings->host, "%.*s", (int)length - 2 * six, text + six);
    settings->port = (uint16_t)port;
    return STATUS_OK;
}

static enum status read_data(struct settings *settings, struct error *err)
{
    const char *named = option_string(settings->values, "data");
    if (!named)
        return data_default(&settings->data, err);
    settings->data = strdup(named);
    return settings->data ? STATUS_OK : error_no_memory(err);
}

static enum status read_values(struct settings *settings, struct error *err)
{
    const json_t *values = settings->values, *workers = json_object_get(values, "workers");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    settings->workers = (int)(json_is_integer(workers) ? json_integer_value(workers) : cores < 1 ? 1 : cores);
    settings->grace_seconds = (int)option_integer(values, "grace");
    settings->keep_days = json_number_value(json_object_get(values, "keep-days")); /* 0 for null */
    settings->keep_jobs = json_integer_value(json_object_get(values, "keep-jobs"));
    settings->keep_bytes = json_integer_value(json_object_get(values, "keep-bytes"));
    settings->max_body = (size_t)option_integer(values, "max-body");
    settings->max_upload = (uint64_t)option_integer(values, "max-upload");
    settings->require_token = option_boolean(values, "require-token");
    settings->first_token = option_boolean(values, "first-token");
    settings->max_connections = (unsigned)option_integer(values, "max-connections");
    settings->request_seconds = (unsigned)option_integer(values, "request-seconds");
    enum status status = read_listen(settings, err);
    if (status == STATUS_OK)
        status = read_data(settings, err);
    settings->datasets = option_strings(values, "datasets");
    settings->allowed_hosts = option_strings(values, "allow-host");
    return status == STATUS_OK && !(settings->datasets && settings->allowed_hosts) ? error_no_memory(err) : status;
}

static enum status check(struct settings *settings, const struct gathering *gathering, struct error *err)
{
    struct problem_list problems;
    enum status status = problem_list_init(&problems, err);
    if (status != STATUS_OK)
        return status;
    settings->values = options_expand(table, gathering->given, "", &problems);
    status = settings->values ? STATUS_OK : refuse(gathering, &problems, err);
    problem_list_clear(&problems);
    return status;
}

static enum status gather(struct settings *settings, const struct setting_flags *flags, struct error *err)
{
    attribute_cleanup(cleanup_free) char *found = flags->config ? NULL : default_config();
    const char *named = getenv("PLUMBLINE_CONFIG");
    const char *config = flags->config ? flags->config : named && *named ? named : found;
    attribute_cleanup(cleanup_json) json_t *given = json_object();
    struct gathering gathering = {.given = given};
    enum status status = given ? STATUS_OK : error_no_memory(err);
    if (status == STATUS_OK && config)
        status = take_config(&gathering, config, err);
    if (status == STATUS_OK)
        status = take_environment(&gathering, err);
    if (status == STATUS_OK)
        status = take_flags(&gathering, flags, err);
    if (status == STATUS_OK)
        status = check(settings, &gathering, err);
    return status == STATUS_OK ? read_values(settings, err) : status;
}

enum status settings_read(const struct setting_flags *flags, struct settings *ret_settings, struct error *err)
{
    struct settings settings = {0};
    enum status status = gather(&settings, flags, err);
    if (status == STATUS_OK)
        *ret_settings = settings;
    else
        settings_clear(&settings);
    return status;
}

void settings_clear(struct settings *settings)
{
    json_decref(settings->values);
    free(settings->data);
    free((void *)settings->datasets);
    free((void *)settings->allowed_hosts);
    *settings = (struct settings){0};
}

/* --- as flags ------------------------------------------------------------------------------------------------ */

static struct argument as_argument(size_t i, const char *variable)
{
    const struct option *option = &table[i];
    size_t at = offsetof(struct setting_flags, flags) + i * sizeof(struct setting_flag);
    struct argument argument = {.name = option->name, .help = option->help, .variable = variable};
    if (option->kind == OPTION_BOOLEAN) {
        argument.kind = ARGUMENT_SWITCH;
        argument.at = at + offsetof(struct setting_flag, on);
        return argument;
    }
    argument.kind = is_list(option) ? ARGUMENT_TEXTS : ARGUMENT_TEXT;
    argument.at = at + (is_list(option) ? offsetof(struct setting_flag, list) : offsetof(struct setting_flag, text));
    argument.value = option->kind == OPTION_INTEGER || option->kind == OPTION_NUMBER              ? "N"
                     : strcmp(option->name, "data") == 0 || strcmp(option->name, "datasets") == 0 ? "DIR"
                                                                                                  : "TEXT";
    if (!is_list(option) && strcmp(option->fallback, "null") != 0)
        argument.fallback = option->fallback;
    return argument;
}

const struct argument *settings_arguments(void)
{
    static struct argument arguments[SETTING_COUNT + 2];
    static char variables[SETTING_COUNT][64];
    static_assert((int)SETTING_COUNT <= (int)SETTING_MOST, "setting_flags has room for each");
    if (arguments[0].name)
        return arguments;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        variable_name(table[i].name, variables[i]);
        arguments[i] = as_argument(i, variables[i]);
    }
    arguments[SETTING_COUNT] = (struct argument){
        .name = "config",
        .kind = ARGUMENT_TEXT,
        .at = offsetof(struct setting_flags, config),
        .value = "FILE",
        .help = "a JSON object with these settings as keys",
        .fallback = "$XDG_CONFIG_HOME/plumbline/config.json or ~/.config/plumbline/config.json",
        .variable = "PLUMBLINE_CONFIG",
    };
    return arguments;
}
