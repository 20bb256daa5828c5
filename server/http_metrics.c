#include "server/http_metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/route.h"

/* Upper bounds in seconds; a last bucket has no bound. */
static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};
enum { BOUND_COUNT = sizeof bounds / sizeof *bounds, LOWEST_STATUS = 200, STATUS_SLOTS = 400 };

struct route_count {
    uint64_t by_status[STATUS_SLOTS]; /* from LOWEST_STATUS on */
    uint64_t buckets[BOUND_COUNT + 1];
    double seconds;
};

struct http_metrics {
    pthread_mutex_t mutex;
    size_t count;
    struct route_count routes[]; /* in the order of the table; the last is of requests without a route */
};

static size_t route_count(void)
{
    size_t count = 0;
    while (routes[count].method)
        count++;
    return count;
}

enum status http_metrics_create(struct http_metrics **ret_metrics, struct error *err)
{
    size_t count = route_count() + 1;
    struct http_metrics *metrics = calloc(1, sizeof *metrics + count * sizeof *metrics->routes);
    if (!metrics)
        return error_no_memory(err);
    metrics->count = count;
    pthread_mutex_init(&metrics->mutex, NULL); /* cannot fail on Linux */
    *ret_metrics = metrics;
    return STATUS_OK;
}

void http_metrics_free(struct http_metrics *metrics)
{
    if (metrics)
        pthread_mutex_destroy(&metrics->mutex);
    free(metrics);
}

void http_metrics_note(struct http_metrics *metrics, const struct route *route, int http, double seconds)
{
    size_t bucket = 0;
    struct route_count *own = &metrics->routes[route ? (size_t)(route - routes) : metrics->count - 1];
    if (http < LOWEST_STATUS || http >= LOWEST_STATUS + STATUS_SLOTS)
        return;
    while (bucket < BOUND_COUNT && seconds > bounds[bucket])
        bucket++;
    pthread_mutex_lock(&metrics->mutex);
    own->by_status[http - LOWEST_STATUS]++;
    if (!isnan(seconds)) {
        own->buckets[bucket]++;
        own->seconds += seconds;
    }
    pthread_mutex_unlock(&metrics->mutex);
}

static const char *method_of(const struct http_metrics *metrics, size_t i)
{
    return i + 1 < metrics->count ? routes[i].method : "";
}

static const char *pattern_of(const struct http_metrics *metrics, size_t i)
{
    return i + 1 < metrics->count ? routes[i].pattern : "";
}

static void print_requests(const struct http_metrics *metrics, FILE *out)
{
    fputs("# HELP plumbline_http_requests_total Requests that were answered; without a route those of no path.\n"
          "# TYPE plumbline_http_requests_total counter\n",
          out);
    for (size_t i = 0; i < metrics->count; i++)
        for (int slot = 0; slot < STATUS_SLOTS; slot++)
            if (metrics->routes[i].by_status[slot] > 0)
                fprintf(out, "plumbline_http_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"} %" PRIu64 "\n",
                        method_of(metrics, i), pattern_of(metrics, i), LOWEST_STATUS + slot,
                        metrics->routes[i].by_status[slot]);
}

static void print_duration(const struct http_metrics *metrics, size_t i, FILE *out)
{
    const struct route_count *own = &metrics->routes[i];
    const char *method = method_of(metrics, i), *pattern = pattern_of(metrics, i);
    uint64_t sum = 0;
    for (size_t bucket = 0; bucket <= BOUND_COUNT; bucket++) {
        char bound[32] = "+Inf";
        if (bucket < BOUND_COUNT)
            snprintf(bound, sizeof bound, "%g", bounds[bucket]);
        sum += own->buckets[bucket];
        fprintf(out,
                "plumbline_http_request_duration_seconds_bucket{method=\"%s\",route=\"%s\",le=\"%s\"} %" PRIu64 "\n",
                method, pattern, bound, sum);
    }
    fprintf(out,
            "plumbline_http_request_duration_seconds_sum{method=\"%s\",route=\"%s\"} %.9g\n"
            "plumbline_http_request_duration_seconds_count{method=\"%s\",route=\"%s\"} %" PRIu64 "\n",
            method, pattern, own->seconds, method, pattern, sum);
}

static bool was_timed(const struct route_count *own)
{
    for (size_t bucket = 0; bucket <= BOUND_COUNT; bucket++)
        if (own->buckets[bucket] > 0)
            return true;
    return false;
}

void http_metrics_print(struct http_metrics *metrics, FILE *out)
{
    pthread_mutex_lock(&metrics->mutex);
    print_requests(metrics, out);
    fputs("# HELP plumbline_http_request_duration_seconds From a request's headers to the last byte of its answer; "
          "event streams are left out.\n"
          "# TYPE plumbline_http_request_duration_seconds histogram\n",
          out);
    for (size_t i = 0; i < metrics->count; i++)
        if (was_timed(&metrics->routes[i]))
            print_duration(metrics, i, out);
    pthread_mutex_unlock(&metrics->mutex);
}
