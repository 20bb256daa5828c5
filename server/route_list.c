/* Pages of the catalog's lists. */
#include "server/list.h"
#include "server/route.h"
#include "server/scheduler.h"

const struct option catalog_list_parameters[] = {LIST_PARAMETERS("null"), OPTION_END};

struct page_read {
    const struct list *list;
    struct list_query query;
    char *text;
    size_t size;
};

static enum status read_page(sqlite3 *db, void *context, struct error *err)
{
    struct page_read *read = context;
    return list_page_text(db, read->list, &read->query, &read->text, &read->size, err);
}

struct list_query list_query(const json_t *parameters)
{
    return (struct list_query){.filter = option_string(parameters, "filter"),
                               .order_by = option_string(parameters, "order_by"),
                               .page_token = option_string(parameters, "page_token"),
                               .max_results = (size_t)option_integer(parameters, "max_results")};
}

enum status answer_list(struct request *request, const struct list *list, const char *filter, struct answer *answer,
                        struct error *err)
{
    struct page_read read = {.list = list, .query = list_query(request->parameters)};
    if (filter)
        read.query.filter = filter;
    enum status status = scheduler_read(request->service->scheduler, read_page, &read, err);
    if (status == STATUS_INVALID)
        return answer_refuse(answer, 400, "invalid_parameter", status);
    if (status != STATUS_OK)
        return status;
    answer->bytes = read.text;
    answer->size = read.size;
    return STATUS_OK;
}
