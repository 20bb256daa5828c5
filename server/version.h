/*
 * What this program is and what it was built with.
 */
#ifndef PLUMBLINE_SERVER_VERSION_H
#define PLUMBLINE_SERVER_VERSION_H

#include <jansson.h>

#include "core/real.h"

/* The compiler, and how wide a real is. */
#define PLUMBLINE_BUILD "gcc " __VERSION__ ", " REAL_NAME

/* {"name", "version", "build", "blas", "blas_kernel", "sqlite", "libmicrohttpd"}; NULL when memory runs out. */
json_t *version_json(void);

#endif
