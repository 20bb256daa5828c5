/* What runs, what it can do, and whether it answers. */
#include <microhttpd.h>
#include <sqlite3.h>
#include <string.h>

#include "core/blas.h"
#include "core/dataset.h"
#include "core/layer_registry.h"
#include "core/real.h"
#include "server/json_util.h"
#include "server/openapi.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/version.h"

enum status handle_version(struct request *request, struct answer *answer, struct error *err)
{
    (void)request;
    return answer_json(answer, version_json(), err);
}

enum status handle_openapi(struct request *request, struct answer *answer, struct error *err)
{
    (void)request;
    json_t *document = NULL;
    enum status status = openapi_document(&document, err);
    return status == STATUS_OK ? answer_json(answer, document, err) : status;
}

/* A list that is short enough for one page. */
static enum status answer_items(struct answer *answer, json_t *items, struct error *err)
{
    return answer_json(answer, items ? json_pack("{s:o, s:n}", "items", items, "next_page_token") : NULL, err);
}

enum status handle_layers(struct request *request, struct answer *answer, struct error *err)
{
    (void)request;
    attribute_cleanup(cleanup_json) json_t *all = layers_describe();
    return answer_items(answer, json_incref(json_object_get(all, "layers")), err);
}

enum status handle_datasets(struct request *request, struct answer *answer, struct error *err)
{
    return answer_items(answer, datasets_describe(&request->service->folders), err);
}

enum status handle_queue(struct request *request, struct answer *answer, struct error *err)
{
    json_t *queue = NULL;
    enum status status = scheduler_queue(request->service->scheduler, &queue, err);
    return status == STATUS_OK ? answer_json(answer, queue, err) : status;
}

static enum status answer_ok(struct answer *answer, struct error *err)
{
    answer->bytes = strdup("ok\n");
    if (!answer->bytes)
        return error_no_memory(err);
    answer->size = strlen(answer->bytes);
    answer->content_type = "text/plain; charset=utf-8";
    return STATUS_OK;
}

enum status handle_healthz(struct request *request, struct answer *answer, struct error *err)
{
    (void)request;
    return answer_ok(answer, err);
}

enum status handle_readyz(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *queue = NULL;
    enum status status = scheduler_queue(request->service->scheduler, &queue, err);
    return status == STATUS_OK ? answer_ok(answer, err) : answer_refuse(answer, 503, "not_ready", status);
}
