/*
 * Orders and pages of lists: random orders held against a plain sort, pages that give each row once while the list
 * changes, tokens of others and what is no order refused.
 */
#include "tests/filter_support.h"

struct ordering {
    int fields[ORDER_MOST_FIELDS];
    bool descending[ORDER_MOST_FIELDS];
    int count;
};
static const struct ordering *sorted_by;

static int compare_values(const struct value *a, const struct value *b, bool descending)
{
    if (a->kind == VALUE_NULL || b->kind == VALUE_NULL)
        return (a->kind == VALUE_NULL) - (b->kind == VALUE_NULL);
    int order = a->kind != b->kind      ? (a->kind == VALUE_TEXT ? 1 : -1)
                : a->kind == VALUE_TEXT ? text_order(a->text, b->text)
                                        : (a->number > b->number) - (a->number < b->number);
    return descending ? -order : order;
}

static int compare_rows(const void *a, const void *b)
{
    const struct value *x = rows[*(const int *)a], *y = rows[*(const int *)b];
    for (int i = 0; i < sorted_by->count; i++) {
        int field = sorted_by->fields[i];
        int order = compare_values(&x[field], &y[field], sorted_by->descending[i]);
        if (order != 0)
            return order;
    }
    return compare_values(&x[0], &y[0], sorted_by->descending[0]);
}

static void random_ordering(struct rng *rng, struct ordering *ordering, char *text)
{
    ordering->count = 1 + (int)rng_below(rng, 4);
    for (int i = 0; i < ordering->count; i++) {
        do
            ordering->fields[i] = 1 + (int)rng_below(rng, FIELDS - 1);
        while (ordering->fields[i] == AT_TAGS);
        ordering->descending[i] = rng_below(rng, 2);
        text += sprintf(text, "%s%s%s", i ? " , " : "", fields[ordering->fields[i]].name,
                        ordering->descending[i] ? " desc"
                        : rng_below(rng, 2)     ? " ASC"
                                                : "");
    }
}

static int64_t id_at(const json_t *items, size_t i)
{
    return json_integer_value(json_object_get(json_array_get(items, i), "id"));
}

/* Reads all pages and returns how many ids were written to `ret_ids`. */
static size_t read_pages(sqlite3 *db, struct list_query query, int64_t *ret_ids)
{
    size_t count = 0;
    char token[4096];
    for (query.page_token = NULL;;) {
        json_t *page = NULL;
        struct error err;
        if (list_page(db, &jobs, &query, &page, &err) != STATUS_OK)
            fail_msg("%s: %s", query.order_by, err.text);
        const json_t *items = json_object_get(page, "items");
        for (size_t i = 0; i < json_array_size(items); i++)
            ret_ids[count++] = id_at(items, i);
        const char *next = json_string_value(json_object_get(page, "next_page_token"));
        assert_true(!next || json_array_size(items) == query.max_results);
        snprintf(token, sizeof token, "%s", next ? next : "");
        json_decref(page);
        if (!*token)
            return count;
        query.page_token = token;
    }
}

static void test_pages_in_any_order(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 21, 1);
    sqlite3 *db = fill_catalog(&rng);
    for (int i = 0; i < 300; i++) {
        struct ordering ordering;
        char text[512];
        int expected[ROWS];
        int64_t found[ROWS + 1];
        random_ordering(&rng, &ordering, text);
        for (int row = 0; row < ROWS; row++)
            expected[row] = row;
        sorted_by = &ordering;
        qsort(expected, ROWS, sizeof *expected, compare_rows);
        const struct list_query query = {.order_by = text, .max_results = 1 + rng_below(&rng, ROWS + 5)};
        assert_int_equal(read_pages(db, query, found), ROWS);
        for (int row = 0; row < ROWS; row++)
            if (found[row] != expected[row] + 1)
                fail_msg("%s by %zu: item %d is %lld, not %d", text, query.max_results, row, (long long)found[row],
                         expected[row] + 1);
    }
    cleanup_db(&db);
}

static void test_pages_with_a_filter(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 22, 1);
    sqlite3 *db = fill_catalog(&rng);
    int64_t found[ROWS];
    char expected[4 * ROWS], text[4 * ROWS];
    wanted_ids(db, "priority >= 2 AND tags LIKE '%e%'", expected);
    const struct list_query query = {.filter = "priority >= 2 AND tags LIKE '%e%'", .order_by = "id", .max_results = 3};
    size_t count = read_pages(db, query, found);
    char *to = text;
    for (size_t i = 0; i < count; i++)
        to += sprintf(to, "%lld,", (long long)found[i]);
    assert_string_equal(text, expected);
    cleanup_db(&db);
}

/* What is added or removed between two pages moves nothing else. */
static void test_pages_while_the_list_changes(void **state)
{
    (void)state;
    struct rng rng;
    struct error err;
    rng_seed(&rng, 23, 1);
    sqlite3 *db = fill_catalog(&rng);
    json_t *first = NULL, *second = NULL;
    struct list_query query = {.order_by = "priority DESC", .max_results = 10};
    int64_t before[ROWS];
    read_pages(db, query, before);
    assert_ok(list_page(db, &jobs, &query, &first, &err));
    struct value row[FIELDS];
    memcpy(row, rows[0], sizeof row);
    row[0] = number_value(1000);
    row[6] = number_value(99); /* in front of all others */
    insert_row(db, row);
    char sql[64];
    snprintf(sql, sizeof sql, "DELETE FROM job WHERE id = %lld", (long long)before[9]); /* the page's last item */
    assert_ok(db_execute(db, sql, &err));
    query.page_token = json_string_value(json_object_get(first, "next_page_token"));
    assert_ok(list_page(db, &jobs, &query, &second, &err));
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(id_at(json_object_get(second, "items"), i), before[10 + i]);
    json_decref(first);
    json_decref(second);
    cleanup_db(&db);
}

static void test_tokens_of_others_are_refused(void **state)
{
    (void)state;
    struct rng rng;
    struct error err;
    rng_seed(&rng, 24, 1);
    sqlite3 *db = fill_catalog(&rng);
    const struct list_query query = {.filter = "id > 0", .order_by = "name, priority DESC", .max_results = 5};
    struct list_query other = query;
    json_t *page = NULL, *never = NULL;
    assert_ok(list_page(db, &jobs, &query, &page, &err));
    const char *token = json_string_value(json_object_get(page, "next_page_token"));
    char changed[512];
    for (int i = 0; i < 5; i++) {
        other = query;
        other.page_token = token;
        switch (i) {
        case 0:
            other.filter = "id > 1";
            break;
        case 1:
            other.order_by = "name DESC, priority DESC";
            break;
        case 2:
            other.order_by = NULL;
            break;
        case 3:
            other.page_token = "";
            break;
        default:
            snprintf(changed, sizeof changed, "x%s", token);
            other.page_token = changed;
        }
        assert_int_equal(list_page(db, &jobs, &other, &never, &err), STATUS_INVALID);
        assert_says(err.text, "page_token is not one that this list gave");
    }
    for (int i = 0; i < 3000; i++) { /* bytes changed at random: refused, or some page, but no fault */
        snprintf(changed, sizeof changed, "%s", token);
        changed[rng_below(&rng, (uint32_t)strlen(token))] = (char)(32 + rng_below(&rng, 96));
        other = query;
        other.page_token = changed;
        never = NULL;
        enum status status = list_page(db, &jobs, &other, &never, &err);
        assert_true(status == STATUS_OK || status == STATUS_INVALID);
        json_decref(never);
    }
    json_decref(page);
    cleanup_db(&db);
}

static void expect_order_fault(const char *text, const char *sentence)
{
    struct order *order = NULL;
    struct error err = {""};
    if (order_parse(text, "id", job_fields, 1, &order, &err) != STATUS_INVALID)
        fail_msg("%s is taken", text);
    if (!strstr(err.text, sentence))
        fail_msg("%s: %s\nnot: %s", text, err.text, sentence);
}

static void test_order_faults(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 25, 1);
    expect_order_fault("nam", "order_by, column 1: there is no field nam");
    expect_order_fault("name down", "column 6: expected ASC, DESC, a comma or the end, found down");
    expect_order_fault("name,", "column 6: expected a field, found the end");
    expect_order_fault("name,name,name,name,name,name,name,name,name", "column 41: at most 8 fields");
    /* The longest order makes the deepest condition. */
    sqlite3 *db = fill_catalog(&rng);
    int64_t found[ROWS];
    const struct list_query query = {
        .filter = "(((((((((((id > 0)))))))))))",
        .order_by = "spec./batch_size, spec./x, spec./optimiser/learning_rate, spec./seed DESC, result.a, result.b, "
                    "spec./model/layers/1/variant DESC, result.test/accuracy",
        .max_results = 7};
    assert_int_equal(read_pages(db, query, found), ROWS);
    cleanup_db(&db);
}

/* Names longer than what a token holds of them are told apart by the id. */
static void test_long_text_in_order(void **state)
{
    (void)state;
    struct error err;
    sqlite3 *db = open_catalog();
    assert_ok(
        db_execute(db,
                   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) "
                   "INSERT INTO job (id, name, tags, state, priority, spec, spec_hash, created_at) "
                   "SELECT i, replace(hex(zeroblob(500)), '0', 'é') || (100 - i), '[]', 'queued', 0, '{}', 'h', '' "
                   "FROM n",
                   &err));
    int64_t found[20];
    const struct list_query query = {.order_by = "name", .max_results = 3};
    assert_int_equal(read_pages(db, query, found), 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(found[i], i + 1);
    cleanup_db(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_in_any_order),
        cmocka_unit_test(test_pages_with_a_filter),
        cmocka_unit_test(test_pages_while_the_list_changes),
        cmocka_unit_test(test_tokens_of_others_are_refused),
        cmocka_unit_test(test_order_faults),
        cmocka_unit_test(test_long_text_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
