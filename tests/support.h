/* What several tests need: cmocka's headers in their order, reading fixtures, and errors made visible. */
#ifndef PLUMBLINE_TESTS_SUPPORT_H
#define PLUMBLINE_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/network.h"
#include "core/real.h"
#include "core/rng.h"
#include "core/status.h"

/* cmocka does not say so, and compilers and analysers follow paths on which a test goes on after it has failed. */
void _fail(const char *const file, const int line) __attribute__((noreturn));

/* Fails with the error's sentence unless the call succeeds. */
#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        enum status status_ = (call);                                                                                  \
        if (status_ != STATUS_OK)                                                                                      \
            fail_msg("%s: %s: %s", #call, status_name(status_), err.text);                                             \
    } while (0)

/* The tolerance of this build against double-precision references (theory.md "exact"). */
#ifdef PLUMBLINE_DOUBLE
#define TOLERANCE 1e-9
#else
#define TOLERANCE 2e-4
#endif

static inline json_t *read_fixture(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, "tests/fixtures/%s", name);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return json;
}

/* Expands one layer object, so that a test may leave out defaults. The caller owns the result. */
json_t *expand_layer(const json_t *layer);

/* Expands an array of layers. */
json_t *expand_layers(const json_t *layers);

/* A network of expanded or unexpanded layers on samples of the given shape; classes 0 takes any head. */
struct network *make_network(const json_t *layers, struct shape input, size_t classes);

/* Standard normal numbers. */
static inline void fill_normal(struct rng *rng, real *values, size_t count, double deviation)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (real)(deviation * rng_normal(rng));
}

#endif
