/*
 * The lock of a run: two attempts at one run never write beside each other.
 *
 * A file "<run file>.lock" beside the database, locked with flock. Not the database itself: closing any descriptor of
 * it would drop the POSIX locks that SQLite holds in this process. The kernel drops the lock when the holder dies,
 * however it dies; the file is removed when the lock is given back.
 */
#ifndef PLUMBLINE_SERVER_RUN_LOCK_H
#define PLUMBLINE_SERVER_RUN_LOCK_H

#include <stdbool.h>

#include "core/status.h"

/* Takes the lock of the run file at `path`; STATUS_BUSY if another process holds it. *ret_lock is a descriptor. */
enum status run_lock_take(const char *path, int *ret_lock, struct error *err);

/* Whether another process holds it just now. */
bool run_lock_is_held(const char *path);

/* Removes the lock's file and gives it back. Nothing for −1. */
void run_lock_release(const char *path, int lock);

#endif
