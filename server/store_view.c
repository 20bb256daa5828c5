#include "server/store_view.h"

#include <sodium.h>
#include <string.h>

#include "core/json_text.h"
#include "server/clock.h"
#include "server/json_util.h"
#include "server/sqlite_util.h"

/* No 0 and o, 1, i and l, and no vowels, so that no word comes out. */
static const char letters[] = "23456789bcdfghjkmnpqrstvwxyz";

static enum status unknown_view(const char *id, struct error *err)
{
    return error_set(err, STATUS_NOT_FOUND, "there is no saved view %.40s", id);
}

/* Makes an id of chance. At a billion views one in three hundred would be taken, which the table then refuses. */
static void make_id(char ret_id[VIEW_ID_LENGTH + 1])
{
    for (int i = 0; i < VIEW_ID_LENGTH; i++)
        ret_id[i] = letters[randombytes_uniform(sizeof letters - 1)];
    ret_id[VIEW_ID_LENGTH] = '\0';
}

enum status store_view_insert(sqlite3 *db, const char *name, const json_t *state, char ret_id[VIEW_ID_LENGTH + 1],
                              struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) char *text = json_text(state, JSON_COMPACT);
    char id[VIEW_ID_LENGTH + 1], now[CLOCK_TEXT_SIZE];
    if (!text)
        return error_no_memory(err);
    if (strlen(name) > VIEW_MOST_NAME)
        return error_set(err, STATUS_INVALID, "a view's name has at most %d bytes; found %zu", VIEW_MOST_NAME,
                         strlen(name));
    if (!json_is_object(state) || strlen(text) > VIEW_MOST_STATE)
        return error_set(err, STATUS_INVALID, "a view's state is a JSON object of at most %d bytes; found %zu",
                         VIEW_MOST_STATE, strlen(text));
    enum status status =
        db_prepare(db, "INSERT INTO saved_view (id, name, state, created_at) VALUES (?, ?, ?, ?)", &statement, err);
    if (status != STATUS_OK)
        return status;
    make_id(id);
    db_bind_text(statement, 1, id);
    db_bind_text(statement, 2, name);
    db_bind_text(statement, 3, text);
    db_bind_text(statement, 4, clock_now(now));
    status = db_run(statement, err);
    if (status == STATUS_OK)
        memcpy(ret_id, id, sizeof id);
    return status;
}

enum status store_view_delete(sqlite3 *db, const char *id, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = db_prepare(db, "DELETE FROM saved_view WHERE id = ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, id);
    status = db_run(statement, err);
    return status == STATUS_OK && sqlite3_changes(db) == 0 ? unknown_view(id, err) : status;
}

#define VIEW_COLUMNS "id, name, json_extract(state, '$.path') AS path, created_at"

enum status store_view_json(sqlite3 *db, const char *id, json_t **ret_view, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum status status = db_prepare(db, "SELECT " VIEW_COLUMNS " FROM saved_view WHERE id = ?", &statement, err);
    if (status != STATUS_OK)
        return status;
    db_bind_text(statement, 1, id);
    status = db_row(statement, &row, err);
    if (status != STATUS_OK)
        return status;
    return row ? row_json(statement, &view_list.shape, ret_view, err) : unknown_view(id, err);
}

static const struct list_field view_fields[] = {
    {"number", "saved_view.number", FIELD_INTEGER, true},
    {"id", "saved_view.id", FIELD_TEXT, false},
    {"name", "saved_view.name", FIELD_TEXT, false},
    {"created_at", "saved_view.created_at", FIELD_TIME, true},
    {NULL, NULL, FIELD_TEXT, false},
};

const struct list view_list = {.name = "views",
                               .from = "saved_view",
                               .columns = VIEW_COLUMNS,
                               .condition = "1",
                               .fields = view_fields,
                               .order_by = "number DESC",
                               .shape = {.count = 4}};
