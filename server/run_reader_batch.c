/*
 * The figures of whole batches: by site, and by step what the sites predict together and what became of the loss.
 */
#include <math.h>
#include <stdlib.h>

#include "server/array.h"
#include "server/run_reader.h"
#include "server/thin.h"

/* Of all steps in question: what the sites predict together, and the batch's loss before and after. */
#define STEPS_SQL                                                                                                      \
    "SELECT b.step, b.predicted, x.value, y.value FROM (SELECT step, sum(predicted_decrease) AS predicted FROM "       \
    "divergence_batch WHERE site BETWEEN ?1 AND ?2 AND step BETWEEN ?3 AND ?4 GROUP BY step) b "                       \
    "LEFT JOIN scalars x ON x.key = 'loss_before' AND x.step = b.step "                                                \
    "LEFT JOIN scalars y ON y.key = 'loss_after' AND y.step = b.step ORDER BY b.step"
#define ITEMS_SQL                                                                                                      \
    "SELECT s.name AS site, b.step, b.batch_scale, b.batch_cosine, b.predicted_decrease, b.own_share, b.rows, "        \
    "b.batch_size FROM sites s CROSS JOIN divergence_batch b ON b.site = s.site AND b.step BETWEEN ?3 AND ?4 "         \
    "WHERE s.site BETWEEN ?1 AND ?2 ORDER BY s.site, b.step"
enum { ITEM_STEP = 1 };

struct batch_step {
    int64_t step;
    double predicted, before, after, fell; /* NaN where not known */
};

struct batch_steps {
    struct batch_step *steps;
    bool *keep;
    size_t count, capacity;
};

static void cleanup_batch_steps(struct batch_steps *all)
{
    free(all->steps);
    free(all->keep);
}

static enum status prepare(sqlite3 *db, const char *sql, const struct range *range, sqlite3_stmt **ret,
                           struct error *err)
{
    enum status status = db_prepare(db, sql, ret, err);
    if (status != STATUS_OK)
        return status;
    const int64_t values[] = {range->site_from, range->site_to, range->step_from, range->step_to};
    for (int i = 0; i < 4; i++)
        sqlite3_bind_int64(*ret, i + 1, values[i]);
    return STATUS_OK;
}

static enum status steps_add(struct batch_steps *all, sqlite3_stmt *statement, struct error *err)
{
    struct batch_step *steps = array_room(all->steps, all->count, &all->capacity, sizeof *steps);
    if (!steps)
        return error_no_memory(err);
    all->steps = steps;
    struct batch_step *step = &all->steps[all->count++];
    *step = (struct batch_step){.step = sqlite3_column_int64(statement, 0),
                                .predicted = db_number(statement, 1),
                                .before = db_number(statement, 2),
                                .after = db_number(statement, 3)};
    step->fell = step->before - step->after;
    return STATUS_OK;
}

static enum status steps_read(sqlite3 *db, const struct range *range, struct batch_steps *all, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = prepare(db, STEPS_SQL, range, &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        status = steps_add(all, statement, err);
    }
    return status;
}

static enum status steps_thin(struct batch_steps *all, const struct divergence_query *query, struct error *err)
{
    all->keep = calloc(all->count + 1, sizeof *all->keep);
    if (!all->keep)
        return error_no_memory(err);
    if (all->count == 0)
        return STATUS_OK;
    const size_t stride = sizeof *all->steps / sizeof(double);
    const struct thin_key keys[] = {
        {.values = &all->steps->predicted, .stride = stride, .lowest = true, .highest = true},
        {.values = &all->steps->fell, .stride = stride, .lowest = true, .highest = true},
    };
    const struct thin_steps steps = {.values = &all->steps->step, .stride = stride, .log = query->log_steps};
    thin(keys, query->even_steps ? 0 : sizeof keys / sizeof *keys, &steps, all->count, query->max_points, all->keep);
    return STATUS_OK;
}

/* The steps that stay, and how many there are of each kind. */
static json_t *steps_json(const struct batch_steps *all, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *kept = json_array();
    size_t measured = 0, as_predicted = 0, rose = 0;
    enum status status = kept ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; i < all->count && status == STATUS_OK; i++) {
        const struct batch_step *step = &all->steps[i];
        measured += !isnan(step->fell);
        as_predicted += step->fell >= step->predicted;
        rose += step->fell < 0;
        if (all->keep[i])
            status =
                json_add(kept,
                         json_pack("{s:I, s:o, s:o}", "step", (json_int_t)step->step, "loss_before",
                                   json_number_or_null(step->before), "loss_after", json_number_or_null(step->after)),
                         err);
    }
    if (status != STATUS_OK)
        return NULL;
    json_t *json = json_pack("{s:O, s:n, s:I, s:I, s:I, s:I, s:I}", "steps", kept, "next_page_token", "shown",
                             (json_int_t)json_array_size(kept), "of", (json_int_t)all->count, "measured",
                             (json_int_t)measured, "kept", (json_int_t)as_predicted, "rose", (json_int_t)rose);
    if (!json)
        error_no_memory(err);
    return json;
}

/* Whether the step stays. Both go up, but for a new site's first step: `at` is where the last one was found. */
static bool stays(const struct batch_steps *all, int64_t step, size_t *at)
{
    if (*at >= all->count || all->steps[*at].step > step)
        *at = 0;
    while (*at < all->count && all->steps[*at].step < step)
        ++*at;
    return *at < all->count && all->steps[*at].step == step && all->keep[*at];
}

static enum status items_read(sqlite3 *db, const struct range *range, const struct batch_steps *all, json_t *items,
                              struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status = prepare(db, ITEMS_SQL, range, &statement, err);
    size_t at = 0;
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        if (stays(all, sqlite3_column_int64(statement, ITEM_STEP), &at))
            status = row_to_json(statement, sqlite3_column_count(statement), items, err);
    }
    return status;
}

enum status run_reader_batch(struct run_reader *reader, const struct divergence_query *query, json_t **ret_json,
                             struct error *err)
{
    attribute_cleanup(cleanup_batch_steps) struct batch_steps all = {0};
    enum status status = db_begin_read(reader->db, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(db_end_read) sqlite3 *reading = reader->db;
    struct range range = {0};
    status = query_resolve(reader, query, 'b', &range, err);
    if (status == STATUS_OK)
        status = steps_read(reading, &range, &all, err);
    if (status == STATUS_OK)
        status = steps_thin(&all, query, err);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_json) json_t *json = steps_json(&all, err);
    if (!json)
        return STATUS_NO_MEMORY;
    json_t *items = json_array();
    status = json_put(json, "items", items, err);
    if (status == STATUS_OK)
        status = items_read(reading, &range, &all, items, err);
    if (status != STATUS_OK)
        return status;
    *ret_json = json_incref(json);
    return STATUS_OK;
}
