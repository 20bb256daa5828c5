#include "server/route.h"

#include <stdio.h>
#include <string.h>

#define API "/api/v1"

static const struct option submit_headers[] = {
    {.name = "Idempotency-Key",
     .kind = OPTION_STRING,
     .fallback = "null",
     .help = "the same request sent again with the same key makes nothing again, and is answered as the first was; "
             "kept for a day"},
    OPTION_END,
};
static const struct option patch_headers[] = {
    {.name = "If-Match",
     .kind = OPTION_STRING,
     .fallback = "null",
     .help =
         "the ETag that the job had when it was read, or a list of them, or *; where it has another now, nothing is "
         "changed"},
    OPTION_END,
};
static const struct option events_headers[] = {
    {.name = "Last-Event-ID",
     .kind = OPTION_STRING,
     .fallback = "null",
     .help = "the newest event that is known: those after it come first"},
    OPTION_END,
};

const struct route routes[] = {
    {"POST", API "/jobs", handle_jobs_submit, .role = ROLE_SUBMITTER, .parameters = submit_parameters, .body = "Spec",
     .answer = "Job", .summary = "Submit a job", .success = 201, .unmade = "CheckedJob", .headers = submit_headers,
     .refusals = {409}},
    {"GET", API "/jobs", handle_jobs_list, .parameters = list_parameters, .answer = "JobPage", .summary = "List jobs"},
    {"GET", API "/jobs/{id}", handle_job, .answer = "Job", .summary = "One job"},
    {"PATCH", API "/jobs/{id}", handle_job_patch, .role = ROLE_SUBMITTER, .body = "JobPatch", .answer = "Job",
     .summary = "Change a job's name, note, tags or priority", .headers = patch_headers, .refusals = {412}},
    {"DELETE", API "/jobs/{id}", handle_job_delete, .role = ROLE_SUBMITTER, .parameters = delete_parameters,
     .answer = "DeletedJob", .summary = "Move a job to the trash, or delete it for good", .refusals = {409}},
    {"POST", API "/jobs/{id}/cancel", handle_job_action, .role = ROLE_SUBMITTER, .answer = "Job",
     .summary = "Cancel a job", .refusals = {409}},
    {"POST", API "/jobs/{id}/pause", handle_job_action, .role = ROLE_SUBMITTER, .answer = "Job",
     .summary = "Pause a job at a checkpoint", .refusals = {409}},
    {"POST", API "/jobs/{id}/resume", handle_job_action, .role = ROLE_SUBMITTER, .answer = "Job",
     .summary = "Put a paused job back into the queue", .refusals = {409}},
    {"POST", API "/jobs/{id}/retry", handle_job_action, .role = ROLE_SUBMITTER, .answer = "Job",
     .summary = "Submit a job that has ended again", .success = 201, .refusals = {409}},
    {"POST", API "/jobs/{id}/restore", handle_job_action, .role = ROLE_SUBMITTER, .answer = "Job",
     .summary = "Take a job out of the trash", .refusals = {409}},
    {"POST", API "/jobs:cancel", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Cancel many jobs"},
    {"POST", API "/jobs:pause", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Pause many jobs"},
    {"POST", API "/jobs:resume", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Resume many jobs"},
    {"POST", API "/jobs:retry", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Retry many jobs"},
    {"POST", API "/jobs:trash", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Trash many jobs"},
    {"POST", API "/jobs:restore", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Restore many jobs"},
    {"POST", API "/jobs:purge", handle_jobs_action, .role = ROLE_SUBMITTER, .body = "JobSelection",
     .answer = "Outcomes", .summary = "Purge many jobs"},
    {"POST", API "/jobs:retain", handle_jobs_retain, .role = ROLE_ADMIN, .body = "Retention",
     .answer = "RetentionReport", .summary = "Purge what is old, too many or too much, or tell what that would be"},
    {"GET", API "/jobs/{id}/metrics", handle_metrics, .parameters = metrics_parameters, .answer = "Metrics",
     .summary = "Scalars of a run by step"},
    {"GET", API "/jobs/{id}/divergence", handle_rows, .parameters = rows_parameters, .answer = "DivergencePage",
     .summary = "What was measured of each sample"},
    {"GET", API "/jobs/{id}/divergence/summary", handle_summaries, .parameters = summaries_parameters,
     .answer = "SummaryPage", .summary = "Quantiles of each column by site and step"},
    {"GET", API "/jobs/{id}/divergence/histogram", handle_histograms, .parameters = histograms_parameters,
     .answer = "HistogramPage", .summary = "The same with histograms"},
    {"GET", API "/jobs/{id}/divergence/density", handle_density, .parameters = density_parameters, .answer = "Density",
     .summary = "Counts of samples by two columns"},
    {"GET", API "/jobs/{id}/divergence/batch", handle_batch, .parameters = batch_parameters, .answer = "BatchPage",
     .summary = "Figures of the whole batch by site and step"},
    {"GET", API "/jobs/{id}/divergence/sites", handle_sites, .answer = "Sites",
     .summary = "The sites of a run and its probed steps"},
    {"GET", API "/jobs/{id}/samples/{index}.png", handle_picture, .parameters = picture_parameters,
     .media = "image/png", .summary = "A sample's picture"},
    {"GET", API "/jobs/{id}/samples/{index}/contributors", handle_contributors, .parameters = contributors_parameters,
     .answer = "Contributors", .summary = "Who moved a sample"},
    {"GET", API "/jobs/{id}/samples/{index}", handle_sample, .answer = "Sample",
     .summary = "One sample over all steps and sites"},
    {"GET", API "/jobs/{id}/log", handle_log, .parameters = log_parameters, .answer = "LogPage",
     .summary = "Log lines of a run"},
    {"GET", API "/jobs/{id}/export", handle_export, .parameters = export_parameters,
     .media = "text/csv, application/x-ndjson, application/zip, application/octet-stream",
     .summary = "A run as a table"},
    {"GET", API "/jobs/{id}/weights.safetensors", handle_weights, .media = "application/octet-stream",
     .summary = "The final weights"},
    {"GET", API "/jobs/{id}/run.sqlite", handle_run_sqlite, .media = "application/vnd.sqlite3",
     .summary = "The run's database, of one moment", .refusals = {507}},
    {"GET", API "/export", handle_export_many, .parameters = export_many_parameters,
     .media = "text/csv, application/x-ndjson, application/zip, application/octet-stream",
     .summary = "Several runs as one table"},
    {"POST", API "/import", handle_import, .role = ROLE_ADMIN, .answer = "Job",
     .summary = "Take in a run file of another server", .upload = true, .success = 201},
    {"GET", API "/compare", handle_compare, .parameters = compare_parameters, .answer = "Comparison",
     .summary = "Runs side by side: where their specs differ, their scalars on one axis", .refusals = {404}},
    {"POST", API "/studies", handle_studies_submit, .role = ROLE_SUBMITTER, .parameters = submit_parameters,
     .body = "StudySpec", .answer = "Study", .summary = "Submit a study: a grid of jobs", .success = 201,
     .unmade = "CheckedStudy", .headers = submit_headers, .refusals = {409}},
    {"GET", API "/studies", handle_studies, .parameters = catalog_list_parameters, .answer = "StudyPage",
     .summary = "List studies"},
    {"GET", API "/studies/{id}", handle_study, .answer = "Study", .summary = "One study"},
    {"DELETE", API "/studies/{id}", handle_study_delete, .role = ROLE_SUBMITTER, .answer = "Deleted",
     .summary = "Forget a study; its jobs stay"},
    {"POST", API "/studies/{id}/cancel", handle_study_cancel, .role = ROLE_SUBMITTER, .answer = "Study",
     .summary = "Cancel a study's jobs"},
    {"GET", API "/studies/{id}/jobs", handle_study_jobs, .parameters = study_jobs_parameters, .answer = "StudyJobs",
     .summary = "A study's jobs in the grid's order"},
    {"GET", API "/studies/{id}/results", handle_study_results, .parameters = results_parameters,
     .answer = "StudyResults", .summary = "A study's figures over seeds"},
    {"GET", API "/studies/{id}/export", handle_study_export, .parameters = study_export_parameters,
     .media = "text/csv, application/x-ndjson, application/zip, application/octet-stream",
     .summary = "A study's jobs as a table, or what they have measured"},
    {"GET", API "/views", handle_views, .parameters = catalog_list_parameters, .answer = "ViewPage",
     .summary = "List saved views"},
    {"POST", API "/views", handle_views_save, .role = ROLE_SUBMITTER, .body = "ViewBody", .answer = "View",
     .summary = "Save a view", .success = 201},
    {"GET", API "/views/{view}", handle_view, .answer = "View", .summary = "One saved view"},
    {"DELETE", API "/views/{view}", handle_view_delete, .role = ROLE_SUBMITTER, .answer = "Deleted",
     .summary = "Delete a saved view"},
    {"GET", API "/tokens", handle_tokens, .role = ROLE_ADMIN, .parameters = catalog_list_parameters,
     .answer = "TokenPage", .summary = "List tokens"},
    {"POST", API "/tokens", handle_token_create, .role = ROLE_ADMIN, .body = "TokenBody", .answer = "NewToken",
     .summary = "Make a token; it is shown this once", .success = 201},
    {"DELETE", API "/tokens/{id}", handle_token_revoke, .role = ROLE_ADMIN, .answer = "Deleted",
     .summary = "Revoke a token"},
    {"GET", API "/session", handle_session, .answer = "Session",
     .summary = "Whether a token is wanted, and what the one shown lets do", .open = true},
    {"POST", API "/login", handle_login, .body = "Login", .answer = "Session", .summary = "Keep a token in a cookie",
     .open = true, .refusals = {401, 429}},
    {"POST", API "/logout", handle_logout, .answer = "Session", .summary = "Take the cookie away", .open = true},
    {"GET", API "/events", handle_events, .parameters = events_parameters, .media = "text/event-stream",
     .summary = "What happens, live", .headers = events_headers},
    {"GET", API "/queue", handle_queue, .answer = "Queue", .summary = "How many jobs are in each state"},
    {"GET", API "/datasets", handle_datasets, .answer = "DatasetPage",
     .summary = "Data sets and whether they are there"},
    {"GET", API "/layers", handle_layers, .answer = "LayerPage", .summary = "Layer types, variants, formulas, factors"},
    {"GET", API "/version", handle_version, .answer = "Version", .summary = "What runs"},
    {"GET", API "/openapi.json", handle_openapi, .answer = "Document", .summary = "This document", .open = true},
    {"GET", "/healthz", handle_healthz, .media = "text/plain", .summary = "Whether the server answers", .open = true},
    {"GET", "/readyz", handle_readyz, .media = "text/plain", .summary = "Whether the catalog can be read",
     .open = true},
    {"GET", "/metrics", handle_prometheus, .media = "text/plain", .summary = "Figures for Prometheus"},
    {"GET", "/assets/{name}", handle_asset, .media = "*/*", .summary = "Files of the dashboard", .open = true},
    {"GET", "/{page}", handle_page, .media = "text/html", .summary = "The dashboard", .open = true},
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

/* A path may fit several patterns of one method: "…/samples/7.png" is also "…/samples/{index}". */
static void add_method(char allowed[ALLOWED_SIZE], const char *method)
{
    size_t used = strlen(allowed);
    if (!strstr(allowed, method))
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
