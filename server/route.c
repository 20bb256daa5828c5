#include "server/route.h"

#include <stdio.h>
#include <string.h>

#define API "/api/v1"

const struct route routes[] = {
    {"POST", API "/jobs", handle_jobs_submit, submit_parameters, "Spec", "Job", NULL, "Submit a job"},
    {"GET", API "/jobs", handle_jobs_list, list_parameters, NULL, "JobPage", NULL, "List jobs"},
    {"GET", API "/jobs/{id}", handle_job, NULL, NULL, "Job", NULL, "One job"},
    {"POST", API "/jobs/{id}/cancel", handle_job_cancel, NULL, NULL, "Job", NULL, "Cancel a job"},
    {"GET", API "/jobs/{id}/metrics", handle_metrics, metrics_parameters, NULL, "Metrics", NULL,
     "Scalars of a run by step"},
    {"GET", API "/jobs/{id}/divergence", handle_rows, rows_parameters, NULL, "DivergencePage", NULL,
     "What was measured of each sample"},
    {"GET", API "/jobs/{id}/divergence/summary", handle_summaries, summaries_parameters, NULL, "SummaryPage", NULL,
     "Quantiles of each column by site and step"},
    {"GET", API "/jobs/{id}/divergence/density", handle_density, density_parameters, NULL, "Density", NULL,
     "Counts of samples by two columns"},
    {"GET", API "/jobs/{id}/divergence/batch", handle_batch, batch_parameters, NULL, "BatchPage", NULL,
     "Figures of the whole batch by site and step"},
    {"GET", API "/jobs/{id}/divergence/sites", handle_sites, NULL, NULL, "Sites", NULL,
     "The sites of a run and its probed steps"},
    {"GET", API "/jobs/{id}/log", handle_log, log_parameters, NULL, "LogPage", NULL, "Log lines of a run"},
    {"GET", API "/jobs/{id}/weights.safetensors", handle_weights, NULL, NULL, NULL, "application/octet-stream",
     "The final weights"},
    {"GET", API "/events", handle_events, events_parameters, NULL, NULL, "text/event-stream", "What happens, live"},
    {"GET", API "/queue", handle_queue, NULL, NULL, "Queue", NULL, "How many jobs are in each state"},
    {"GET", API "/datasets", handle_datasets, NULL, NULL, "DatasetPage", NULL, "Data sets and whether they are there"},
    {"GET", API "/layers", handle_layers, NULL, NULL, "LayerPage", NULL, "Layer types, variants, formulas, factors"},
    {"GET", API "/version", handle_version, NULL, NULL, "Version", NULL, "What runs"},
    {"GET", "/healthz", handle_healthz, NULL, NULL, NULL, "text/plain", "Whether the server answers"},
    {"GET", "/assets/{name}", handle_asset, NULL, NULL, NULL, "*/*", "Files of the dashboard"},
    {"GET", "/{page}", handle_page, NULL, NULL, NULL, "text/html", "The dashboard"},
    {0},
};

/* Whether a segment of a pattern fits that of a path; what stands at {…} is copied. */
static bool segment_fits(const char *pattern, size_t length, const char *text, size_t size, char capture[CAPTURE_SIZE],
                         bool *ret_captured)
{
    const char *open = memchr(pattern, '{', length);
    *ret_captured = open != NULL;
    if (!open)
        return length == size && memcmp(pattern, text, size) == 0;
    const char *close = memchr(open, '}', length - (size_t)(open - pattern));
    size_t before = (size_t)(open - pattern), after = length - (size_t)(close + 1 - pattern);
    if (size <= before + after || memcmp(pattern, text, before) != 0 ||
        memcmp(close + 1, text + size - after, after) != 0)
        return false;
    size_t middle = size - before - after;
    if (middle >= CAPTURE_SIZE)
        return false;
    memcpy(capture, text + before, middle);
    capture[middle] = '\0';
    return true;
}

static bool pattern_fits(const char *pattern, const char *path, char captures[][CAPTURE_SIZE])
{
    size_t captured = 0;
    while (*pattern == '/' && *path == '/') {
        size_t length = strcspn(++pattern, "/"), size = strcspn(++path, "/");
        char capture[CAPTURE_SIZE];
        bool is_capture = false;
        if (!segment_fits(pattern, length, path, size, capture, &is_capture))
            return false;
        if (is_capture)
            memcpy(captures[captured++], capture, CAPTURE_SIZE);
        pattern += length;
        path += size;
    }
    return *pattern == '\0' && *path == '\0';
}

/* The dashboard finds its way by itself: whatever is no part of the API is its page. */
static bool route_fits(const struct route *route, const char *path, char captures[][CAPTURE_SIZE])
{
    if (route->handle == handle_page)
        return strncmp(path, "/api/", 5) != 0 && strcmp(path, "/api") != 0;
    return pattern_fits(route->pattern, path, captures);
}

static void add_method(char allowed[ALLOWED_SIZE], const char *method)
{
    size_t used = strlen(allowed);
    snprintf(allowed + used, ALLOWED_SIZE - used, "%s%s%s", used ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

const struct route *route_find(const char *method, const char *path, char captures[][CAPTURE_SIZE],
                               char ret_allowed[ALLOWED_SIZE])
{
    ret_allowed[0] = '\0';
    for (const struct route *route = routes; route->method; route++) {
        if ((route->handle == handle_page && *ret_allowed) || !route_fits(route, path, captures))
            continue;
        if (strcmp(route->method, method) == 0)
            return route;
        add_method(ret_allowed, route->method);
    }
    if (*ret_allowed)
        add_method(ret_allowed, "OPTIONS");
    return NULL;
}
