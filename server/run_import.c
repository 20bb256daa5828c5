/*
 * A run file that came from elsewhere. It is opened without locks and for reading only; before anything is asked of it,
 * its schema must be, object by object, what the migrations up to its version make of an empty file. A query of a table
 * then is a query of that table, and there is no view or trigger that would run something else.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "server/migrate.h"
#include "server/results.h"
#include "server/run_copy.h"
#include "server/run_reader.h"

void run_import_clear(struct run_import *import)
{
    spec_free(import->spec);
    free(import->reason);
    free(import->started_at);
    free(import->ended_at);
    json_decref(import->progress);
    json_decref(import->results);
    *import = (struct run_import){0};
}

/* ------------------------------------------------------------------ is it a run file */

static size_t big_endian(const unsigned char *bytes, size_t count)
{
    size_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* That the file is as long as its header says: SQLite reads zeros where its last page is cut short, and nothing of what
 * comes behind it. The header's fields are those of SQLite's file format, section 1.3. */
static enum status check_header(const char *path, struct error *err)
{
    enum { PAGE_SIZE_AT = 16, PAGE_COUNT_AT = 28, HEADER_SIZE = 100 };
    static const char magic[] = "SQLite format 3"; /* with its NUL */
    attribute_cleanup(cleanup_descriptor) int file = -1;
    unsigned char header[HEADER_SIZE] = "";
    size_t size = 0;
    enum status status = file_open(path, &file, &size, err);
    if (status != STATUS_OK)
        return status;
    if (size >= sizeof header)
        status = file_read_at(file, path, 0, header, sizeof header, err);
    if (status == STATUS_OK && memcmp(header, magic, sizeof magic) != 0)
        status = error_set(err, STATUS_CORRUPT, "it is no run file: it does not begin as an SQLite database does");
    if (status != STATUS_OK)
        return status;
    size_t page = big_endian(header + PAGE_SIZE_AT, 2), count = big_endian(header + PAGE_COUNT_AT, 4);
    size_t whole = (page == 1 ? 65536 : page) * count;
    if (size != whole)
        return error_set(err, STATUS_CORRUPT, "it is damaged: it has %zu bytes, and by its header %zu; send it again",
                         size, whole);
    return STATUS_OK;
}

#define OBJECTS_SQL "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"

static const char *text_at(sqlite3_stmt *statement, bool row, int column)
{
    const char *text = row ? (const char *)sqlite3_column_text(statement, column) : NULL;
    return text ? text : "";
}

/* Both lists are in the same order: the first difference names an object that is missing, or one too many. */
static enum status compare_objects(sqlite3_stmt *found, sqlite3_stmt *expected, struct error *err)
{
    for (;;) {
        bool has_found = false, has_expected = false;
        enum status status = db_row(found, &has_found, err);
        if (status == STATUS_OK)
            status = db_row(expected, &has_expected, err);
        if (status != STATUS_OK || (!has_found && !has_expected))
            return status;
        int order = strcmp(text_at(found, has_found, 0), text_at(expected, has_expected, 0));
        order = order ? order : strcmp(text_at(found, has_found, 1), text_at(expected, has_expected, 1));
        if (!has_expected || (has_found && order < 0))
            return error_set(err, STATUS_CORRUPT,
                             "it holds the %.20s \"%.60s\", which run files do not have: drop it, then import again",
                             text_at(found, has_found, 0), text_at(found, has_found, 1));
        if (!has_found || order > 0)
            return error_set(err, STATUS_CORRUPT, "it lacks the %s \"%s\"", text_at(expected, has_expected, 0),
                             text_at(expected, has_expected, 1));
        if (strcmp(text_at(found, true, 2), text_at(expected, true, 2)) != 0)
            return error_set(err, STATUS_CORRUPT, "its %s \"%s\" is not as Plumbline makes it",
                             text_at(expected, true, 0), text_at(expected, true, 1));
    }
}

static enum status check_schema(sqlite3 *db, int version, struct error *err)
{
    attribute_cleanup(cleanup_db) sqlite3 *fresh = NULL;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *found = NULL;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *expected = NULL;
    struct schema schema = run_schema;
    schema.count = (size_t)version;
    enum status status = db_open(":memory:", DB_WRITE, &fresh, err);
    if (status == STATUS_OK)
        status = migrate(fresh, &schema, err);
    if (status == STATUS_OK)
        status = db_prepare(db, OBJECTS_SQL, &found, err);
    if (status == STATUS_OK)
        status = db_prepare(fresh, OBJECTS_SQL, &expected, err);
    return status == STATUS_OK ? compare_objects(found, expected, err) : status;
}

/* The schema comes first where the file says that it is of a version that there is: even the table of migrations, which
 * migrate_check reads, could be a view that never ends. */
static enum status check_version(sqlite3 *db, struct error *err)
{
    int64_t id = 0, said = 0;
    int version = 0;
    enum status status = db_integer(db, "PRAGMA application_id", &id, err);
    if (status == STATUS_OK)
        status = db_integer(db, "PRAGMA user_version", &said, err);
    if (status == STATUS_OK && id == run_schema.application_id && said > 0 && said <= (int64_t)run_schema.count)
        status = check_schema(db, (int)said, err);
    if (status == STATUS_OK)
        status = migrate_check(db, &run_schema, &version, err);
    if (status == STATUS_OK && version == 0)
        status = error_set(err, STATUS_CORRUPT, "it is a database without a run");
    return status;
}

static enum status open_checked(const char *path, sqlite3 **ret_db, struct error *err)
{
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    enum status status = check_header(path, err);
    if (status == STATUS_OK)
        status = db_open(path, DB_IMMUTABLE, &db, err);
    if (status == STATUS_OK)
        status = check_version(db, err);
    if (status == STATUS_OK)
        status = db_check_damage(db, "integrity_check", err);
    if (status != STATUS_OK)
        return status;
    *ret_db = db;
    db = NULL;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ what it holds */

static enum status check_hash(const json_t *spec, const char *hash, struct error *err)
{
    char expected[65] = "", former[65] = "";
    enum status status = spec_hash(spec, expected, former, err);
    if (status == STATUS_OK && strcmp(hash, expected) != 0 && strcmp(hash, former) != 0)
        status =
            error_set(err, STATUS_CORRUPT, "its spec is not the one that ran: its hash is %.12s…, and the run's %.12s…",
                      expected, hash);
    return status;
}

/*
 * The spec, which must be one that this version takes, as it was written out: the hash is of what the file has, even
 * where a later version adds to it.
 */
static enum status read_spec(const char *text, const char *hash, struct spec **ret_spec, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    attribute_cleanup(problem_list_clear) struct problem_list problems = {0};
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    if (!json_is_object(json))
        return error_set(err, STATUS_CORRUPT, "its spec is not the JSON object that it should be");
    if (strlen(hash) != sizeof spec->hash - 1 || strspn(hash, "0123456789abcdef") != sizeof spec->hash - 1)
        return error_set(err, STATUS_CORRUPT, "its spec's hash is none");
    enum status status = problem_list_init(&problems, err);
    if (status == STATUS_OK)
        status = spec_parse(json, &spec, &problems, err);
    if (status == STATUS_OK)
        status = check_hash(json, hash, err);
    if (status != STATUS_OK)
        return status;
    memcpy(spec->hash, hash, sizeof spec->hash);
    *ret_spec = spec;
    spec = NULL;
    return STATUS_OK;
}

/* Whether a text is a time as this program writes it. */
static bool is_time(const char *text)
{
    static const char pattern[] = "0000-00-00T00:00:00.000Z";
    for (size_t i = 0; i < sizeof pattern; i++)
        if (pattern[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != pattern[i])
            return false;
    return true;
}

/* A copy of a column's text; NULL for NULL. */
static enum status copy_column(sqlite3_stmt *statement, int column, char **ret_text, struct error *err)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    *ret_text = text ? strdup(text) : NULL;
    return text && !*ret_text ? error_no_memory(err) : STATUS_OK;
}

enum { AT_SPEC, AT_HASH, AT_STATE, AT_REASON, AT_STARTED, AT_ENDED, AT_ATTEMPT };
#define RUN_SQL "SELECT spec, spec_hash, state, reason, started_at, ended_at, attempt FROM run"

static enum status check_row(sqlite3_stmt *run, struct error *err)
{
    const char *state = (const char *)sqlite3_column_text(run, AT_STATE);
    const char *started = (const char *)sqlite3_column_text(run, AT_STARTED);
    const char *ended = (const char *)sqlite3_column_text(run, AT_ENDED);
    enum job_state known = job_state_parse(state);
    if (known != JOB_RUNNING && (known == JOB_STATE_COUNT || !job_state_is_final(known)))
        return error_set(err, STATUS_CORRUPT, "its state is \"%.40s\", which no run has", state ? state : "");
    if (!started || !is_time(started) || (ended && !is_time(ended)))
        return error_set(err, STATUS_CORRUPT, "its times are none");
    if (sqlite3_column_int64(run, AT_ATTEMPT) < 1 || sqlite3_column_int64(run, AT_ATTEMPT) > INT32_MAX)
        return error_set(err, STATUS_CORRUPT, "its attempt is no number that attempts have");
    return STATUS_OK;
}

static enum status read_run(sqlite3 *db, struct run_import *import, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *run = NULL;
    bool row = false;
    enum status status = db_prepare(db, RUN_SQL, &run, err);
    if (status == STATUS_OK)
        status = db_row(run, &row, err);
    if (status == STATUS_OK && !row)
        status = error_set(err, STATUS_CORRUPT, "the run had not begun when it was copied");
    if (status == STATUS_OK)
        status = check_row(run, err);
    if (status != STATUS_OK)
        return status;
    const char *spec = (const char *)sqlite3_column_text(run, AT_SPEC);
    const char *hash = (const char *)sqlite3_column_text(run, AT_HASH);
    status = spec && hash ? read_spec(spec, hash, &import->spec, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = copy_column(run, AT_REASON, &import->reason, err);
    if (status == STATUS_OK)
        status = copy_column(run, AT_STARTED, &import->started_at, err);
    if (status == STATUS_OK)
        status = copy_column(run, AT_ENDED, &import->ended_at, err);
    import->state = job_state_parse((const char *)sqlite3_column_text(run, AT_STATE));
    import->attempt = sqlite3_column_int(run, AT_ATTEMPT);
    return status;
}

static enum status read_progress(sqlite3 *db, struct run_import *import, struct error *err)
{
    int64_t step = 0, steps = 0, per_epoch = 0, epochs = 0;
    enum status status = db_integer(db, "SELECT coalesce(max(step), 0) FROM scalars", &step, err);
    if (status == STATUS_OK)
        status = db_integer(db, "SELECT coalesce(steps, 0) FROM run", &steps, err);
    if (status == STATUS_OK)
        status = db_integer(db, "SELECT coalesce(steps_per_epoch, 0) FROM run", &per_epoch, err);
    if (status == STATUS_OK)
        status = db_integer(db, "SELECT coalesce(epochs, 0) FROM run", &epochs, err);
    if (status != STATUS_OK)
        return status;
    int64_t epoch = step > 0 && per_epoch > 0 ? (step - 1) / per_epoch + 1 : 0;
    import->progress = json_pack("{s:I, s:I, s:I, s:I, s:n}", "step", (json_int_t)step, "steps", (json_int_t)steps,
                                 "epoch", (json_int_t)epoch, "epochs", (json_int_t)epochs, "eta_seconds");
    return import->progress ? STATUS_OK : error_no_memory(err);
}

static enum status read_results(sqlite3 *db, struct run_import *import, struct error *err)
{
    int64_t milliseconds = 0;
    import->results = json_object();
    enum status status = import->results ? results_of_run(db, import->results, err) : error_no_memory(err);
    if (status == STATUS_OK && import->ended_at)
        status = db_integer(
            db, "SELECT CAST(round((julianday(ended_at) - julianday(started_at)) * 86400000) AS INTEGER) FROM run",
            &milliseconds, err);
    if (status == STATUS_OK && import->ended_at)
        status = json_put(import->results, "seconds", json_real((double)milliseconds / 1000), err);
    return status;
}

enum status run_import_check(const char *path, struct run_import *ret_import, struct error *err)
{
    attribute_cleanup(run_import_clear) struct run_import import = {0};
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    enum status status = open_checked(path, &db, err);
    if (status == STATUS_OK)
        status = read_run(db, &import, err);
    if (status == STATUS_OK)
        status = read_progress(db, &import, err);
    if (status == STATUS_OK)
        status = read_results(db, &import, err);
    if (status != STATUS_OK)
        return error_prefix(err, status, "the file cannot be imported: ");
    *ret_import = import;
    import = (struct run_import){0};
    return STATUS_OK;
}
