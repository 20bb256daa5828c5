/*
 * The OpenAPI 3.1 document: paths, parameters and statuses from the table of routes, schemas from server/openapi.json.
 */
#ifndef PLUMBLINE_SERVER_OPENAPI_H
#define PLUMBLINE_SERVER_OPENAPI_H

#include <jansson.h>

#include "core/status.h"

/* A new document; the caller's. */
enum status openapi_document(json_t **ret_document, struct error *err);

#endif
