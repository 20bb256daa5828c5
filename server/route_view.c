/* Saved views of the dashboard. */
#include "server/json_util.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/store_view.h"

static const struct option view_body[] = {
    {.name = "name", .kind = OPTION_STRING, .fallback = "\"\"", .help = "what it is called"},
    {.name = "path", .kind = OPTION_STRING, .fallback = NULL, .help = "the page with its query: /compare?jobs=1,2"},
    OPTION_END,
};

struct view_use {
    const char *name, *id;
    const json_t *state;
    char made[VIEW_ID_LENGTH + 1];
    json_t *json;
};

static enum status insert_view(sqlite3 *db, void *context, struct error *err)
{
    struct view_use *use = context;
    return store_view_insert(db, use->name, use->state, use->made, err);
}

static enum status delete_view(sqlite3 *db, void *context, struct error *err)
{
    return store_view_delete(db, ((struct view_use *)context)->id, err);
}

static enum status read_view(sqlite3 *db, void *context, struct error *err)
{
    struct view_use *use = context;
    return store_view_json(db, use->id, &use->json, err);
}

static enum status answer_view(struct request *request, struct view_use *use, struct answer *answer, struct error *err)
{
    enum status status = scheduler_read(request->service->scheduler, read_view, use, err);
    return status == STATUS_OK ? answer_json(answer, use->json, err) : status;
}

enum status handle_views(struct request *request, struct answer *answer, struct error *err)
{
    return answer_list(request, &view_list, NULL, answer, err);
}

enum status handle_view(struct request *request, struct answer *answer, struct error *err)
{
    return answer_view(request, &(struct view_use){.id = request->captures[0]}, answer, err);
}

/* A view is a page of this site: its path begins with one slash. */
static bool is_local(const char *path)
{
    return path[0] == '/' && path[1] != '/' && path[1] != '\\';
}

enum status handle_views_save(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *body = options_expand(view_body, request->body, "", &request->problems);
    if (body && !is_local(option_string(body, "path")))
        problem_add(&request->problems, "/path", "Must be a page of this site, such as /compare?jobs=1,2.");
    if (problem_list_count(&request->problems) > 0) {
        error_set(err, STATUS_INVALID, "a view needs a path, and may have a name");
        return answer_refuse(answer, 422, "invalid_view", STATUS_INVALID);
    }
    attribute_cleanup(cleanup_json) json_t *state = json_pack("{s:O}", "path", json_object_get(body, "path"));
    if (!state)
        return error_no_memory(err);
    struct view_use use = {.name = option_string(body, "name"), .state = state};
    enum status status = scheduler_add(request->service->scheduler, insert_view, &use, err);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 422, "invalid_view", status);
    if (status != STATUS_OK)
        return status;
    use.id = use.made;
    answer->http = 201;
    answer_header(answer, "Location", "/api/v1/views/%s", use.made);
    return answer_view(request, &use, answer, err);
}

enum status handle_view_delete(struct request *request, struct answer *answer, struct error *err)
{
    struct view_use use = {.id = request->captures[0]};
    enum status status = scheduler_write(request->service->scheduler, delete_view, &use, err);
    return status == STATUS_OK ? answer_json(answer, json_pack("{s:s}", "id", use.id), err) : status;
}
