/*
 * The bounds of a retention (scheduler.h) as options; the name and the help are the caller's.
 */
#ifndef PLUMBLINE_SERVER_RETENTION_H
#define PLUMBLINE_SERVER_RETENTION_H

#include "core/option.h"

#define RETENTION_DAYS                                                                                                 \
    .kind = OPTION_NUMBER, .fallback = "null", .nullable = true, .minimum = 0, .maximum = 36500, .above_minimum = true
#define RETENTION_COUNT .kind = OPTION_INTEGER, .fallback = "null", .nullable = true, .minimum = 1, .maximum = 1e15

#endif
