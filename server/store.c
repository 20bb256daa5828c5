/*
 * Opening the catalog, and the read-only connections of the threads that answer requests.
 */
#include "server/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/migrate.h"
#include "server/sqlite_util.h"

enum status store_open(const char *path, sqlite3 **ret_db, struct error *err)
{
    attribute_cleanup(cleanup_db) sqlite3 *db = NULL;
    int version;
    enum status status = db_open(path, DB_WRITE, &db, err);
    if (status == STATUS_OK)
        status = migrate_check(db, &catalog_schema, &version, err);
    if (status == STATUS_OK)
        status = db_check_damage(db, "quick_check", err);
    if (status == STATUS_OK)
        status = db_use_wal(db, "FULL", err);
    if (status == STATUS_OK)
        status = migrate(db, &catalog_schema, err);
    /* A megabyte of WAL, and after a long read no more either: on a small disk the rest is the jobs'. */
    if (status == STATUS_OK)
        status = db_execute(db, "PRAGMA wal_autocheckpoint = 256; PRAGMA journal_size_limit = 1048576", err);
    if (status == STATUS_CORRUPT)
        return error_prefix(err, status, "catalog %s (restore it from a backup): ", path);
    if (status != STATUS_OK)
        return error_prefix(err, status, "catalog %s: ", path);
    *ret_db = db;
    db = NULL;
    return STATUS_OK;
}

enum { IDLE_CONNECTIONS = 8 };

struct store_pool {
    char *path;
    pthread_mutex_t mutex;
    sqlite3 *idle[IDLE_CONNECTIONS];
    int count;
};

enum status store_pool_create(const char *path, struct store_pool **ret_pool, struct error *err)
{
    struct store_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return error_no_memory(err);
    pool->path = strdup(path);
    if (!pool->path || pthread_mutex_init(&pool->mutex, NULL) != 0) {
        free(pool->path);
        free(pool);
        return error_no_memory(err);
    }
    *ret_pool = pool;
    return STATUS_OK;
}

void store_pool_free(struct store_pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < pool->count; i++)
        cleanup_db(&pool->idle[i]);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->path);
    free(pool);
}

enum status store_pool_take(struct store_pool *pool, sqlite3 **ret_db, struct error *err)
{
    sqlite3 *db = NULL;
    pthread_mutex_lock(&pool->mutex);
    if (pool->count > 0)
        db = pool->idle[--pool->count];
    pthread_mutex_unlock(&pool->mutex);
    enum status status = db ? STATUS_OK : db_open(pool->path, DB_READ, &db, err);
    if (status == STATUS_OK)
        *ret_db = db;
    return status;
}

void store_pool_give(struct store_pool *pool, sqlite3 *db)
{
    if (!db)
        return;
    db_rollback(db);
    pthread_mutex_lock(&pool->mutex);
    if (pool->count < IDLE_CONNECTIONS) {
        pool->idle[pool->count++] = db;
        db = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    cleanup_db(&db);
}
