#include "server/list.h"

#include <stdlib.h>

#include "core/file_util.h"
#include "server/array.h"
#include "server/filter.h"
#include "server/json_util.h"
#include "server/order.h"
#include "server/sqlite_util.h"

/* What a page is made with. `context` is what else selects it, for its token. */
struct page {
    struct filter *filter;
    struct order *order;
    char *context;
    sqlite3_stmt *statement;
};

static void page_clear(struct page *page)
{
    cleanup_statement(&page->statement);
    filter_free(page->filter);
    order_free(page->order);
    free(page->context);
}

static enum status prepare_page(sqlite3 *db, const struct list *list, const struct list_query *query, struct page *page,
                                struct error *err)
{
    enum status status = filter_parse(query->filter, list->fields, &page->filter, err);
    if (status == STATUS_OK)
        status =
            order_parse(query->order_by, list->order_by, list->fields, list->keys ? list->keys : 1, &page->order, err);
    if (status != STATUS_OK)
        return status;
    page->context = text_format("%s\n%s", list->name, query->filter ? query->filter : "");
    if (!page->context)
        return error_no_memory(err);
    if (query->page_token)
        status = order_after(page->order, query->page_token, page->context, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *sql =
        text_format("SELECT %s, %s FROM %s WHERE %s AND %s AND %s ORDER BY %s LIMIT :limit", list->columns,
                    order_columns(page->order), list->from, list->condition, filter_sql(page->filter),
                    order_condition(page->order), order_terms(page->order));
    if (!sql)
        return error_no_memory(err);
    status = db_prepare(db, sql, &page->statement, err);
    if (status == STATUS_OK)
        status = filter_bind(page->filter, page->statement, err);
    if (status == STATUS_OK)
        status = order_bind(page->order, page->statement, err);
    if (status == STATUS_OK) /* one more than asked for tells whether there is a next page */
        sqlite3_bind_int64(page->statement, sqlite3_bind_parameter_index(page->statement, ":limit"),
                           (sqlite3_int64)query->max_results + 1);
    return status;
}

/* Writes the items; *ret_token is that of the next page, or NULL. */
static enum status write_items(const struct list *list, const struct page *page, size_t max_results,
                               struct sink_buffer *out, char **ret_token, struct error *err)
{
    attribute_cleanup(cleanup_free) char *token = NULL;
    for (size_t count = 0;;) {
        bool row = false;
        enum status status = db_row(page->statement, &row, err);
        if (status != STATUS_OK)
            return status;
        if (!row || count == max_results) {
            *ret_token = row ? token : NULL;
            token = row ? NULL : token;
            return STATUS_OK;
        }
        sink_text(out, count > 0 ? "," : "");
        status = row_write(page->statement, &list->shape, out, err);
        if (status != STATUS_OK)
            return error_prefix(err, status, "%s, %s: ", list->name, sqlite3_column_text(page->statement, 0));
        if (++count == max_results)
            status = order_token(page->order, page->statement, page->context, &token, err);
        if (status != STATUS_OK)
            return status;
    }
}

static enum status write_page(sqlite3 *db, const struct list *list, const struct list_query *query,
                              struct sink_buffer *out, struct error *err)
{
    attribute_cleanup(page_clear) struct page page = {0};
    attribute_cleanup(cleanup_free) char *token = NULL;
    enum status status = prepare_page(db, list, query, &page, err);
    if (status != STATUS_OK)
        return status;
    sink_text(out, "{\"items\":[");
    status = write_items(list, &page, query->max_results, out, &token, err);
    sink_text(out, "],\"next_page_token\":");
    if (token)
        sink_json_string(out, token);
    else
        sink_text(out, "null");
    sink_text(out, "}\n");
    return status == STATUS_OK ? sink_flush(out, err) : status;
}

enum status list_page_text(sqlite3 *db, const struct list *list, const struct list_query *query, char **ret_text,
                           size_t *ret_size, struct error *err)
{
    struct sink_memory memory = {0};
    const struct sink sink = sink_to_memory(&memory);
    attribute_cleanup(cleanup_free) struct sink_buffer *out = NULL;
    enum status status = sink_buffer_create(&sink, &out, err);
    if (status == STATUS_OK)
        status = write_page(db, list, query, out, err);
    if (status != STATUS_OK) {
        free(memory.bytes);
        return status;
    }
    *ret_text = memory.bytes;
    *ret_size = memory.size;
    return STATUS_OK;
}

enum status list_page(sqlite3 *db, const struct list *list, const struct list_query *query, json_t **ret_page,
                      struct error *err)
{
    attribute_cleanup(cleanup_free) char *text = NULL;
    size_t size = 0;
    enum status status = list_page_text(db, list, query, &text, &size, err);
    return status == STATUS_OK ? json_of_text(text, size, ret_page, err) : status;
}

enum status list_ids(sqlite3 *db, const struct list *list, const char *filter, int64_t **ret_ids, size_t *ret_count,
                     struct error *err)
{
    attribute_cleanup(cleanup_filter) struct filter *parsed = NULL;
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    attribute_cleanup(cleanup_free) int64_t *ids = NULL;
    size_t count = 0, capacity = 0;
    enum status status = filter_parse(filter, list->fields, &parsed, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *sql =
        text_format("SELECT %s FROM %s WHERE %s AND %s ORDER BY 1", list->fields->column, list->from, list->condition,
                    filter_sql(parsed));
    status = sql ? db_prepare(db, sql, &statement, err) : error_no_memory(err);
    if (status == STATUS_OK)
        status = filter_bind(parsed, statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        int64_t *larger = array_room(ids, count, &capacity, sizeof *ids);
        if (!larger)
            return error_no_memory(err);
        ids = larger;
        ids[count++] = sqlite3_column_int64(statement, 0);
    }
    if (status != STATUS_OK)
        return status;
    *ret_ids = ids;
    *ret_count = count;
    ids = NULL;
    return STATUS_OK;
}
