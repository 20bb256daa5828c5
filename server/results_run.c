/*
 * The figures that lists show, gathered from a run's database after the fact.
 */
#include <math.h>

#include "server/json_util.h"
#include "server/results.h"
#include "server/sqlite_util.h"

static enum status gather_scalars(sqlite3 *db, json_t *results, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(db, "SELECT key, value, nonfinite FROM scalars ORDER BY key, step", &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        const char *key = (const char *)sqlite3_column_text(statement, 0);
        double value = sqlite3_column_type(statement, 1) == SQLITE_NULL
                           ? nonfinite_value((const char *)sqlite3_column_text(statement, 2))
                           : sqlite3_column_double(statement, 1);
        status = key ? results_scalar(results, key, value, err) : error_no_memory(err);
    }
    return status;
}

#define LAST_MEDIAN(column)                                                                                            \
    "(SELECT q50 FROM divergence_summary AS d WHERE d.site = sites.site AND \"column\" = '" column                     \
    "' ORDER BY step DESC LIMIT 1)"

static enum status gather_medians(sqlite3 *db, json_t *results, struct error *err)
{
    attribute_cleanup(cleanup_statement) sqlite3_stmt *statement = NULL;
    enum status status =
        db_prepare(db,
                   "SELECT name, " LAST_MEDIAN("scale") ", " LAST_MEDIAN(
                       "self_factor") " FROM sites "
                                      "WHERE EXISTS (SELECT 1 FROM divergence_batch AS b WHERE b.site = sites.site) "
                                      "ORDER BY site",
                   &statement, err);
    for (bool row = true; status == STATUS_OK;) {
        status = db_row(statement, &row, err);
        if (status != STATUS_OK || !row)
            break;
        const char *site = (const char *)sqlite3_column_text(statement, 0);
        status = site ? results_site(results, site, db_number(statement, 1), db_number(statement, 2), err)
                      : error_no_memory(err);
    }
    return status;
}

enum status results_of_run(sqlite3 *db, json_t *results, struct error *err)
{
    enum status status = gather_scalars(db, results, err);
    return status == STATUS_OK ? gather_medians(db, results, err) : status;
}
