/*
 * One daemon a data directory: DATA/lock, held with flock and naming the holder's pid.
 */
#ifndef PLUMBLINE_SERVER_DATA_LOCK_H
#define PLUMBLINE_SERVER_DATA_LOCK_H

#include "core/status.h"

/* Makes the directory (and those above it) where it is missing, and takes its lock. STATUS_BUSY names the pid of who
 * holds it. What an earlier holder, killed, has left in DATA/tmp is removed (temporary.h). *ret_lock is a descriptor;
 * the lock goes when it is closed, and with the process. */
enum status data_lock_take(const char *data, int *ret_lock, struct error *err);

#endif
