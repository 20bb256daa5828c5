/* The catalog of a data directory that no server has open, for the commands that write it then. */
#ifndef PLUMBLINE_SERVER_CATALOG_WRITE_H
#define PLUMBLINE_SERVER_CATALOG_WRITE_H

#include <sqlite3.h>

#include "core/status.h"

struct catalog {
    char *data;  /* the data directory */
    int lock;    /* on it, as a server holds it */
    sqlite3 *db; /* open for writing, migrated */
};

/* Locks the data directory (`data`, or the default where that is NULL), made where it is missing, and opens its
 * catalog. STATUS_BUSY where a server has it. The caller clears, in any case. */
enum status catalog_open(const char *data, struct catalog *ret_catalog, struct error *err);
void catalog_clear(struct catalog *catalog);

/* Runs `use` in a transaction, committed where it returns STATUS_OK. */
enum status catalog_write(struct catalog *catalog, enum status (*use)(sqlite3 *db, void *context, struct error *err),
                          void *context, struct error *err);

#endif
