/* A catalog of jobs made of chance, which the tests of filters and of orders ask for. */
#ifndef PLUMBLINE_TESTS_FILTER_SUPPORT_H
#define PLUMBLINE_TESTS_FILTER_SUPPORT_H

#include "core/rng.h"
#include "server/filter.h"
#include "server/list.h"
#include "server/migrate.h"
#include "server/order.h"
#include "tests/store_support.h"

#include <strings.h>

enum { ROWS = 60, FIELDS = 15, TEXT_SIZE = 64 };

struct value {
    enum value_kind kind;
    double number;
    char text[TEXT_SIZE];
};

/* The fields that the tests ask for; the values of a row stand in this order. Tags are a bit set over tag_words. */
static const struct {
    const char *name;
    enum field_kind kind;
} fields[FIELDS] = {
    {"id", FIELD_INTEGER},
    {"state", FIELD_STATE},
    {"name", FIELD_TEXT},
    {"tags", FIELD_TAGS},
    {"note", FIELD_TEXT},
    {"reason", FIELD_TEXT},
    {"priority", FIELD_INTEGER},
    {"attempt", FIELD_INTEGER},
    {"created_at", FIELD_TIME},
    {"ended_at", FIELD_TIME},
    {"spec./optimiser/learning_rate", FIELD_POINTER},
    {"spec./model/layers/1/variant", FIELD_POINTER},
    {"spec./a~1b~0c", FIELD_POINTER},
    {"result.test/accuracy", FIELD_KEY},
    {"result.median_scale/1.dense", FIELD_KEY},
};
enum { AT_TAGS = 3 };

static const char *const words[] = {"mlp",     "MLP wide", "",  "a%b",   "a_b", "it's", "say \"x\"",   "äöü",
                                    "Ärger %", "%",        "_", "cnn-3", "10",  "NaN",  "x' OR 1=1 --"};
static const char *const tag_words[] = {"demo", "Demo2", "it's", "ä%", "x"};
static const char *const state_words[] = {"queued", "running", "finished", "diverged", "cancelled"};
static const char *const time_words[] = {"2026-01-02T03:04:05.678Z", "2026-01-02T00:00:00.000Z",
                                         "2026-03-01T00:00:00.000Z", "2025-12-31T23:59:59.999Z"};
static const double numbers[] = {-1, 0, 0.5, 1, 2, 3, 0.001, 64, 1e10, -0.25};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PICK(rng, array) (array)[rng_below(rng, COUNT(array))]

static struct value rows[ROWS][FIELDS];

static inline struct value text_value(const char *text)
{
    struct value value = {.kind = VALUE_TEXT};
    snprintf(value.text, sizeof value.text, "%s", text);
    return value;
}

static inline struct value number_value(double number)
{
    return (struct value){.kind = VALUE_REAL, .number = number};
}

static const struct value missing = {.kind = VALUE_NULL};

static inline struct value any_value(struct rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return missing;
    case 1:
        return text_value(PICK(rng, words));
    default:
        return number_value(PICK(rng, numbers));
    }
}

static inline struct value random_value(struct rng *rng, int field)
{
    switch (fields[field].kind) {
    case FIELD_INTEGER:
        return number_value((double)rng_below(rng, 5));
    case FIELD_STATE:
        return text_value(PICK(rng, state_words));
    case FIELD_TIME:
        return strcmp(fields[field].name, "ended_at") == 0 && rng_below(rng, 2) ? missing
                                                                                : text_value(PICK(rng, time_words));
    case FIELD_TAGS:
        return number_value((double)rng_below(rng, 1 << COUNT(tag_words)));
    case FIELD_TEXT:
        return strcmp(fields[field].name, "reason") == 0 && rng_below(rng, 2) ? missing : text_value(PICK(rng, words));
    default:
        return any_value(rng);
    }
}

static inline json_t *value_json(const struct value *value)
{
    if (value->kind == VALUE_TEXT)
        return json_string(value->text);
    if (value->kind == VALUE_NULL)
        return json_null();
    return value->number == floor(value->number) ? json_integer((json_int_t)value->number) : json_real(value->number);
}

static inline char *row_tags(const struct value *value)
{
    json_t *tags = json_array();
    for (size_t i = 0; i < COUNT(tag_words); i++)
        if ((int)value->number >> i & 1)
            json_array_append_new(tags, json_string(tag_words[i]));
    char *text = json_dumps(tags, JSON_COMPACT);
    json_decref(tags);
    return text;
}

static inline void bind_value(sqlite3_stmt *statement, int index, const struct value *value)
{
    if (value->kind == VALUE_TEXT)
        sqlite3_bind_text(statement, index, value->text, -1, SQLITE_TRANSIENT);
    else if (value->kind == VALUE_REAL)
        sqlite3_bind_double(statement, index, value->number);
    else
        sqlite3_bind_null(statement, index);
}

static inline void insert_row(sqlite3 *db, const struct value *row)
{
    sqlite3_stmt *statement = NULL;
    struct error err;
    assert_ok(db_prepare(db,
                         "INSERT INTO job (id, state, name, tags, note, reason, priority, attempt, created_at, "
                         "ended_at, spec, results, spec_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'h')",
                         &statement, &err));
    json_t *spec = json_pack("{s:{s:o}, s:{s:[{}, {s:o}]}, s:o}", "optimiser", "learning_rate", value_json(&row[10]),
                             "model", "layers", "variant", value_json(&row[11]), "a/b~c", value_json(&row[12]));
    json_t *results = json_pack("{s:{s:o}}", "median_scale", "1.dense", value_json(&row[14]));
    if (row[13].kind != VALUE_NULL) /* absent, not null */
        json_object_set_new(results, "test/accuracy", value_json(&row[13]));
    for (int i = 0; i < 10; i++)
        bind_value(statement, i + 1, &row[i]);
    char *tags = row_tags(&row[AT_TAGS]), *spec_text = json_dumps(spec, JSON_COMPACT);
    char *results_text = json_dumps(results, JSON_COMPACT);
    db_bind_text(statement, 4, tags);
    db_bind_text(statement, 11, spec_text);
    db_bind_text(statement, 12, results_text);
    assert_ok(db_run(statement, &err));
    sqlite3_finalize(statement);
    json_decref(spec);
    json_decref(results);
    free(tags);
    free(spec_text);
    free(results_text);
}

static inline sqlite3 *open_catalog(void)
{
    sqlite3 *db = NULL;
    struct error err;
    assert_ok(db_open(":memory:", DB_WRITE, &db, &err));
    assert_ok(migrate(db, &catalog_schema, &err));
    return db;
}

static inline sqlite3 *fill_catalog(struct rng *rng)
{
    sqlite3 *db = open_catalog();
    struct error err;
    assert_ok(db_begin(db, &err));
    for (int i = 0; i < ROWS; i++) {
        for (int field = 0; field < FIELDS; field++)
            rows[i][field] = random_value(rng, field);
        rows[i][0] = number_value(i + 1);
        insert_row(db, rows[i]);
    }
    assert_ok(db_commit(db, &err));
    return db;
}

static const struct list jobs = {.name = "jobs",
                                 .from = "job",
                                 .columns = "id, spec",
                                 .condition = "1",
                                 .fields = job_fields,
                                 .order_by = "id DESC",
                                 .shape = {.count = 1}};

/* −1, 0 or 1. */
static inline int text_order(const char *a, const char *b)
{
    int order = strcmp(a, b);
    return (order > 0) - (order < 0);
}

/* The ids that a filter wants, as text: "1,5,". */
static inline void wanted_ids(sqlite3 *db, const char *filter, char *ret_text)
{
    struct error err;
    int64_t *ids = NULL;
    size_t count = 0;
    if (list_ids(db, &jobs, filter, &ids, &count, &err) != STATUS_OK)
        fail_msg("%s: %s", filter, err.text);
    char *to = ret_text;
    *to = '\0';
    for (size_t i = 0; i < count; i++)
        to += sprintf(to, "%lld,", (long long)ids[i]);
    free(ids);
}

#endif
