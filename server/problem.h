/*
 * Refusals as RFC 9457 problem documents: one table from statuses to HTTP.
 */
#ifndef PLUMBLINE_SERVER_PROBLEM_H
#define PLUMBLINE_SERVER_PROBLEM_H

#include <jansson.h>

#include "core/status.h"

/* How a status is answered unless the handler says otherwise. */
struct problem_kind {
    int http;
    const char *code; /* stable, for programs */
};
struct problem_kind problem_of_status(enum status status);

/* {"type", "title", "status", "detail", "code", "errors": [{pointer, detail}]}; `errors` may be NULL and is borrowed.
 * NULL when memory runs out. */
json_t *problem_json(int http, const char *code, const char *detail, json_t *errors);

#endif
