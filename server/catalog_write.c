#include "server/catalog_write.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/data_lock.h"
#include "server/data_paths.h"
#include "server/sqlite_util.h"
#include "server/store.h"

enum status catalog_open(const char *data, struct catalog *ret_catalog, struct error *err)
{
    struct catalog *catalog = ret_catalog;
    *catalog = (struct catalog){.lock = -1};
    enum status status = data ? STATUS_OK : data_default(&catalog->data, err);
    if (data)
        catalog->data = strdup(data);
    if (status != STATUS_OK)
        return status;
    attribute_cleanup(cleanup_free) char *path = catalog->data ? path_join(catalog->data, "catalog.db") : NULL;
    status = path ? data_lock_take(catalog->data, &catalog->lock, err) : error_no_memory(err);
    return status == STATUS_OK ? store_open(path, &catalog->db, err) : status;
}

void catalog_clear(struct catalog *catalog)
{
    cleanup_db(&catalog->db);
    if (catalog->lock >= 0)
        close(catalog->lock);
    free(catalog->data);
    *catalog = (struct catalog){.lock = -1};
}

enum status catalog_write(struct catalog *catalog, enum status (*use)(sqlite3 *db, void *context, struct error *err),
                          void *context, struct error *err)
{
    enum status status = db_begin(catalog->db, err);
    if (status != STATUS_OK)
        return status;
    status = use(catalog->db, context, err);
    if (status == STATUS_OK)
        return db_commit(catalog->db, err);
    db_rollback(catalog->db);
    return status;
}
