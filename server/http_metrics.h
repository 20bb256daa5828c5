/*
 * How many requests came and how long they took, by route and status, for Prometheus.
 */
#ifndef PLUMBLINE_SERVER_HTTP_METRICS_H
#define PLUMBLINE_SERVER_HTTP_METRICS_H

#include <stdio.h>

#include "core/status.h"

struct route;
struct http_metrics; /* opaque; safe from any thread */

enum status http_metrics_create(struct http_metrics **ret_metrics, struct error *err);
void http_metrics_free(struct http_metrics *metrics); /* nothing for NULL */

/* A request was answered. `route` is NULL where there was none; `seconds` from its headers to the last byte of the
 * answer, NaN for an event stream, which takes as long as someone listens. */
void http_metrics_note(struct http_metrics *metrics, const struct route *route, int http, double seconds);

/* In Prometheus' text format; faults of the stream are left to its owner. */
void http_metrics_print(struct http_metrics *metrics, FILE *out);

#endif
