#include "server/openapi.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/json_util.h"
#include "server/route.h"

/* The text of server/openapi.json: what is the same for all, and the schemas. Generated into build/. */
extern const char openapi_text[];

/* "get_jobs_id_metrics": unique, for a method and a pattern are. */
static void operation_id(const struct route *route, char text[128])
{
    size_t used = 0;
    const char *pattern = strncmp(route->pattern, "/api/v1", 7) == 0 ? route->pattern + 7 : route->pattern;
    for (const char *at = route->method; *at && used < 127; at++)
        text[used++] = (char)tolower((unsigned char)*at);
    for (const char *at = pattern; *at && used < 127; at++) {
        if (isalnum((unsigned char)*at))
            text[used++] = *at;
        else if (used > 0 && text[used - 1] != '_' && *at != '}')
            text[used++] = '_';
    }
    text[used] = '\0';
}

static json_t *schema_reference(const char *name)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", name);
}

static json_t *schema_of(const char *name)
{
    return name ? schema_reference(name) : json_pack("{s:s}", "type", "string");
}

/* `media` may be several, by commas. */
static json_t *content_json(const char *media, const char *schema)
{
    json_t *content = json_object();
    while (content && *media) {
        size_t length = strcspn(media, ",");
        if (json_object_setn_new(content, media, length, json_pack("{s:o}", "schema", schema_of(schema))) != 0) {
            json_decref(content);
            return NULL;
        }
        media += length + strspn(media + length, ", ");
    }
    return content;
}

static json_t *response(const char *description, const char *media, const char *schema)
{
    return json_pack("{s:s, s:o}", "description", description, "content", content_json(media, schema));
}

/* --- parameters ---------------------------------------------------------------------------------------------- */

static enum status add_bounds(json_t *schema, const struct option *option, struct error *err)
{
    enum status status = STATUS_OK;
    bool whole = option->kind == OPTION_INTEGER;
    if (option->minimum == 0 && option->maximum == 0)
        return STATUS_OK;
    status = json_put(schema, "minimum", whole ? json_integer((json_int_t)option->minimum) : json_real(option->minimum),
                      err);
    if (status == STATUS_OK && isfinite(option->maximum))
        status = json_put(schema, "maximum",
                          whole ? json_integer((json_int_t)option->maximum) : json_real(option->maximum), err);
    return status;
}

static enum status choices_json(const char *const *choices, json_t **ret_list, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *list = json_array();
    enum status status = list ? STATUS_OK : error_no_memory(err);
    for (; status == STATUS_OK && *choices; choices++)
        status = json_add(list, json_string(*choices), err);
    if (status == STATUS_OK)
        *ret_list = json_incref(list);
    return status;
}

/* {"type": "string", "enum": […]}: of a choice, and of each item of an array of choices. */
static enum status put_choices(json_t *schema, const struct option *option, struct error *err)
{
    json_t *choices = NULL;
    enum status status = choices_json(option->choices, &choices, err);
    return status == STATUS_OK ? json_put(schema, "enum", choices, err) : status;
}

static enum status parameter_schema(const struct option *option, json_t **ret_schema, struct error *err)
{
    static const char *const types[] = {
        [OPTION_INTEGER] = "integer", [OPTION_NUMBER] = "number", [OPTION_BOOLEAN] = "boolean",
        [OPTION_STRING] = "string",   [OPTION_CHOICE] = "string", [OPTION_STRINGS] = "array",
        [OPTION_INTEGERS] = "array"};
    attribute_cleanup(cleanup_json) json_t *schema = json_pack("{s:s}", "type", types[option->kind]);
    enum status status = schema ? STATUS_OK : error_no_memory(err);
    bool list = option->kind == OPTION_STRINGS || option->kind == OPTION_INTEGERS;
    if (status == STATUS_OK && list)
        status = json_put(schema, "items",
                          json_pack("{s:s}", "type", option->kind == OPTION_STRINGS ? "string" : "integer"), err);
    if (status == STATUS_OK && option->choices)
        status = put_choices(list ? json_object_get(schema, "items") : schema, option, err);
    if (status == STATUS_OK && list && option->most > 0)
        status = json_put(schema, "maxItems", json_integer((json_int_t)option->most), err);
    if (status == STATUS_OK && list && option->distinct)
        status = json_put(schema, "uniqueItems", json_true(), err);
    if (status == STATUS_OK && !list)
        status = add_bounds(schema, option, err);
    if (status == STATUS_OK && option->fallback && strcmp(option->fallback, "null") != 0)
        status = json_put(schema, "default", json_loads(option->fallback, JSON_DECODE_ANY, NULL), err);
    if (status == STATUS_OK)
        *ret_schema = json_incref(schema);
    return status;
}

static enum status add_parameter(json_t *parameters, const struct option *option, const char *in, struct error *err)
{
    json_t *schema = NULL;
    enum status status = parameter_schema(option, &schema, err);
    if (status != STATUS_OK)
        return status;
    bool list = option->kind == OPTION_STRINGS || option->kind == OPTION_INTEGERS;
    json_t *parameter = json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", option->name, "in", in, "required",
                                  option->fallback == NULL, "description", option->help, "schema", schema);
    if (parameter && list)
        json_object_set_new(parameter, "explode", json_false());
    return json_add(parameters, parameter, err);
}

/* What stands in braces in the pattern. */
static enum status add_path(json_t *parameters, const char *pattern, struct error *err)
{
    enum status status = STATUS_OK;
    for (const char *open = strchr(pattern, '{'); open && status == STATUS_OK; open = strchr(open + 1, '{')) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        bool number = strcmp(name, "id") == 0 || strcmp(name, "index") == 0;
        status = json_add(parameters,
                          json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", "path", "required", 1, "schema",
                                    "type", number ? "integer" : "string"),
                          err);
    }
    return status;
}

/* --- operations ---------------------------------------------------------------------------------------------- */

/*
 * The refusals that the table implies. Of any request: one that is malformed or has a wrong parameter (400), that comes
 * from another site's page (403), that comes while the server stops or has all its connections (503). Others are left
 * to "default".
 */
static bool refuses(const struct route *route, int http)
{
    bool reads = strcmp(route->method, "GET") == 0;
    for (size_t i = 0; i < sizeof route->refusals / sizeof *route->refusals; i++)
        if (route->refusals[i] == http)
            return true;
    switch (http) {
    case 400:
    case 403:
    case 503:
        return true;
    case 401:
    case 429:
        return !route->open;
    case 404:
        return strchr(route->pattern, '{') != NULL;
    case 413:
    case 415:
        return !reads;
    case 422:
        return route->body || route->upload;
    case 507:
        return !reads && !route->open;
    default:
        return false;
    }
}

static enum status add_refusals(json_t *responses, const struct route *route, struct error *err)
{
    static const int all[] = {400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 503, 507};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && status == STATUS_OK; i++) {
        char code[16];
        snprintf(code, sizeof code, "%d", all[i]);
        if (refuses(route, all[i]))
            status = json_put(responses, code, json_pack("{s:s+}", "$ref", "#/components/responses/", code), err);
    }
    return status == STATUS_OK
               ? json_put(responses, "default", json_pack("{s:s}", "$ref", "#/components/responses/Problem"), err)
               : status;
}

static enum status add_responses(json_t *operation, const struct route *route, struct error *err)
{
    const char *media = route->media ? route->media : "application/json";
    json_t *responses = json_object();
    char success[16];
    snprintf(success, sizeof success, "%d", route->success ? route->success : 200);
    enum status status = json_put(operation, "responses", responses, err);
    if (status == STATUS_OK && route->unmade)
        status = json_put(
            responses, "200",
            response("Nothing was made: it was only checked, or the same request came before.", media, route->unmade),
            err);
    if (status == STATUS_OK)
        status = json_put(
            responses, success,
            response(route->success == 201 ? "What was made." : "What was asked for.", media, route->answer), err);
    return status == STATUS_OK ? add_refusals(responses, route, err) : status;
}

/* The role that a token must have, by either way to show it; where the server asks nobody, none need be shown. */
static json_t *security_json(const struct route *route)
{
    const char *role = token_role_name(route->role);
    return route->open ? json_array() : json_pack("[{s:[s]}, {s:[s]}, {}]", "bearer", role, "cookie", role);
}

static enum status make_operation(const struct route *route, json_t **ret_operation, struct error *err)
{
    char id[128];
    operation_id(route, id);
    attribute_cleanup(cleanup_json) json_t *operation =
        json_pack("{s:s, s:s}", "operationId", id, "summary", route->summary);
    attribute_cleanup(cleanup_json) json_t *parameters = json_array();
    enum status status = operation && parameters ? add_path(parameters, route->pattern, err) : error_no_memory(err);
    for (const struct option *o = route->parameters; status == STATUS_OK && o && o->name; o++)
        status = add_parameter(parameters, o, "query", err);
    for (const struct option *o = route->headers; status == STATUS_OK && o && o->name; o++)
        status = add_parameter(parameters, o, "header", err);
    if (status == STATUS_OK && json_array_size(parameters) > 0)
        status = json_put(operation, "parameters", json_incref(parameters), err);
    if (status == STATUS_OK && (route->body || route->upload))
        status = json_put(
            operation, "requestBody",
            json_pack("{s:b, s:o}", "required", 1, "content",
                      content_json(route->upload ? "application/vnd.sqlite3" : "application/json", route->body)),
            err);
    if (status == STATUS_OK)
        status = json_put(operation, "security", security_json(route), err);
    if (status == STATUS_OK)
        status = add_responses(operation, route, err);
    if (status == STATUS_OK)
        *ret_operation = json_incref(operation);
    return status;
}

static enum status add_route(json_t *paths, const struct route *route, struct error *err)
{
    char method[16];
    size_t length = strlen(route->method);
    json_t *operation = NULL, *path = json_object_get(paths, route->pattern);
    for (size_t i = 0; i <= length; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    enum status status = STATUS_OK;
    if (!path) {
        path = json_object();
        status = json_put(paths, route->pattern, path, err);
    }
    if (status == STATUS_OK)
        status = make_operation(route, &operation, err);
    return status == STATUS_OK ? json_put(path, method, operation, err) : status;
}

enum status openapi_document(json_t **ret_document, struct error *err)
{
    json_error_t fault;
    attribute_cleanup(cleanup_json) json_t *document = json_loads(openapi_text, 0, &fault);
    if (!document)
        return error_set(err, STATUS_NO_MEMORY, "the API's document cannot be made: %s", fault.text);
    json_t *paths = json_object();
    enum status status = json_put(document, "paths", paths, err);
    if (status == STATUS_OK)
        status = json_put(json_object_get(document, "info"), "version", json_string(PLUMBLINE_VERSION), err);
    for (const struct route *route = routes; route->method && status == STATUS_OK; route++)
        if (route->handle != handle_page && route->handle != handle_asset) /* the dashboard is no part of the API */
            status = add_route(paths, route, err);
    if (status == STATUS_OK)
        *ret_document = json_incref(document);
    return status;
}
