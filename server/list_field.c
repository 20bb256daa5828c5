#include "server/list_field.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct list_field job_fields[] = {
    {"id", "job.id", FIELD_INTEGER, true},
    {"state", "job.state", FIELD_STATE, true},
    {"name", "job.name", FIELD_TEXT, false},
    {"tags", "job.tags", FIELD_TAGS, false},
    {"note", "job.note", FIELD_TEXT, false},
    {"reason", "job.reason", FIELD_TEXT, false},
    {"priority", "job.priority", FIELD_INTEGER, true},
    {"attempt", "job.attempt", FIELD_INTEGER, true},
    {"study", "(SELECT study FROM study_job WHERE job = job.id)", FIELD_INTEGER, false},
    {"position", "(SELECT position FROM study_job WHERE job = job.id)", FIELD_INTEGER, false},
    {"spec_hash", "job.spec_hash", FIELD_TEXT, false},
    {"created_at", "job.created_at", FIELD_TIME, true},
    {"started_at", "job.started_at", FIELD_TIME, false},
    {"ended_at", "job.ended_at", FIELD_TIME, false},
    {"trashed_at", "job.trashed_at", FIELD_TIME, false},
    {"retry_of", "job.retry_of", FIELD_INTEGER, false},
    {"spec.", "job.spec", FIELD_POINTER, false},
    {"result.", "job.results", FIELD_KEY, false},
    {NULL, NULL, FIELD_TEXT, false},
};

/* Of a field with a path, "spec./optimiser/learning_rate". */
#define PATH_MOST 512

static bool has_path(const struct list_field *field)
{
    return field->kind == FIELD_POINTER || field->kind == FIELD_KEY;
}

static const struct list_field *find(const struct lexer *lexer, const struct list_field *fields)
{
    for (const struct list_field *field = fields; field->name; field++) {
        size_t length = strlen(field->name);
        if (strncmp(lexer->start, field->name, length < lexer->length ? length : lexer->length) == 0 &&
            (has_path(field) ? lexer->length > length : lexer->length == length))
            return field;
    }
    return NULL;
}

static enum status unknown_field(const struct lexer *lexer, const struct list_field *fields, struct error *err)
{
    char known[384] = "";
    for (const struct list_field *field = fields; field->name; field++) {
        const char *rest = field->kind == FIELD_POINTER ? "/POINTER" : field->kind == FIELD_KEY ? "KEY" : "";
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s%s", used ? ", " : "", field->name, rest);
    }
    if (lexer->kind != TOKEN_WORD)
        return lexer_expected(lexer, err, "a field");
    return lexer_fault(lexer, lexer->start, err, "there is no field %.*s; there are %s",
                       (int)(lexer->length < 40 ? lexer->length : 40), lexer->start, known);
}

/* Where a path is written, as SQLite's JSON functions want it: $."key"[3]. */
struct path {
    char text[PATH_MOST];
    size_t used;
};

static bool path_add(struct path *path, const char *text, size_t length)
{
    if (length >= sizeof path->text - path->used)
        return false;
    memcpy(path->text + path->used, text, length);
    path->used += length;
    path->text[path->used] = '\0';
    return true;
}

/* One member: SQLite knows no escapes within the quotes, so a key must not hold one. */
static bool path_member(struct path *path, const char *key, size_t length)
{
    return length > 0 && !memchr(key, '"', length) && path_add(path, ".\"", 2) && path_add(path, key, length) &&
           path_add(path, "\"", 1);
}

/* One token of a pointer; digits alone are an index of an array. */
static bool path_token(struct path *path, const char *token, size_t length)
{
    char key[PATH_MOST];
    size_t size = 0;
    if (length > 0 && length <= 6 && strspn(token, "0123456789") >= length)
        return path_add(path, "[", 1) && path_add(path, token, length) && path_add(path, "]", 1);
    for (size_t i = 0; i < length; i++) {
        if (token[i] == '~' && (i + 1 == length || (token[i + 1] != '0' && token[i + 1] != '1')))
            return false;
        key[size++] = token[i] == '~' ? (token[++i] == '0' ? '~' : '/') : token[i];
    }
    return path_member(path, key, size);
}

static bool pointer_path(struct path *path, const char *pointer, size_t length)
{
    if (*pointer != '/')
        return false;
    for (size_t at = 0; at < length;) {
        const char *token = pointer + at + 1;
        const char *end = memchr(token, '/', length - at - 1);
        size_t size = end ? (size_t)(end - token) : length - at - 1;
        if (!path_token(path, token, size))
            return false;
        at += size + 1;
    }
    return true;
}

/*
 * Keys of results hold slashes themselves ("test/accuracy"); only these two are objects, with a member for each site.
 */
static bool key_path(struct path *path, const char *key, size_t length)
{
    static const char *const by_site[] = {"median_scale", "median_self_factor"};
    for (int i = 0; i < 2; i++) {
        size_t whole = strlen(by_site[i]);
        if (length > whole && strncmp(key, by_site[i], whole) == 0 && key[whole] == '/')
            return path_member(path, key, whole) && path_member(path, key + whole + 1, length - whole - 1);
    }
    return path_member(path, key, length);
}

enum status field_take(struct lexer *lexer, const struct list_field *fields, struct bound_values *values,
                       struct field_use *ret_use, struct error *err)
{
    const struct list_field *field = lexer->kind == TOKEN_WORD ? find(lexer, fields) : NULL;
    if (!field)
        return unknown_field(lexer, fields, err);
    struct field_use use = {.field = field};
    snprintf(use.sql, sizeof use.sql, "%s", field->column);
    if (has_path(field)) {
        size_t prefix = strlen(field->name), length = lexer->length - prefix, number = 0;
        const char *rest = lexer->start + prefix;
        struct path path = {"$", 1};
        if (length >= PATH_MOST || !(field->kind == FIELD_POINTER ? pointer_path : key_path)(&path, rest, length))
            return lexer_fault(lexer, rest, err, "%s is followed by %s", field->name,
                               field->kind == FIELD_POINTER ? "a JSON pointer, as in spec./optimiser/learning_rate"
                                                            : "a key, as in result.test/accuracy");
        const struct bound_value value = {.kind = VALUE_TEXT, .text = path.text};
        enum status status = bound_values_add(values, &value, &number, err);
        if (status != STATUS_OK)
            return status;
        snprintf(use.sql, sizeof use.sql, "json_extract(%s, :%c%zu)", field->column, values->letter, number);
    }
    enum status status = lexer_next(lexer, err);
    if (status == STATUS_OK)
        *ret_use = use;
    return status;
}
