/*
 * Saved views: a page of the dashboard with its settings, kept under a short id that fits a link.
 */
#ifndef PLUMBLINE_SERVER_STORE_VIEW_H
#define PLUMBLINE_SERVER_STORE_VIEW_H

#include <jansson.h>
#include <sqlite3.h>

#include "core/status.h"
#include "server/list.h"

/* Of letters and digits that are not taken for each other. */
enum { VIEW_ID_LENGTH = 8, VIEW_MOST_NAME = 200, VIEW_MOST_STATE = 65536 };

/* Within the caller's transaction. `state` is an object, the page's own. STATUS_INVALID for a name or a state that is
 * too long. */
enum status store_view_insert(sqlite3 *db, const char *name, const json_t *state, char ret_id[VIEW_ID_LENGTH + 1],
                              struct error *err);

/* STATUS_NOT_FOUND. */
enum status store_view_delete(sqlite3 *db, const char *id, struct error *err);

/* {"id", "name", "path" (of its state), "created_at"}. STATUS_NOT_FOUND. */
enum status store_view_json(sqlite3 *db, const char *id, json_t **ret_view, struct error *err);

/* Views by number (in which they were made), id, name, created_at; the newest first. */
extern const struct list view_list;

#endif
