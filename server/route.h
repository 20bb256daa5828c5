/*
 * The one table of routes. What it says of parameters, bodies and answers is what the server checks and what the
 * OpenAPI document tells.
 */
#ifndef PLUMBLINE_SERVER_ROUTE_H
#define PLUMBLINE_SERVER_ROUTE_H

#include "server/export.h"
#include "server/http.h"
#include "server/json_util.h"
#include "server/store.h"

typedef enum status route_handler(struct request *request, struct answer *answer, struct error *err);

struct route {
    const char *method;
    const char *pattern; /* "/api/v1/jobs/{id}/metrics" */
    route_handler *handle;
    enum token_role role;            /* what a token must let do */
    const struct option *parameters; /* of the query; NULL for none */
    const char *body;                /* the schema of the JSON body; NULL where there is none */
    const char *answer;              /* the schema of the answer; NULL for other media */
    const char *media;               /* of the answer, by commas; NULL is application/json */
    const char *summary;
    bool open;   /* needs no token */
    bool upload; /* the body is a run file */

    /* What else the document tells. */
    int success;                  /* 0 is 200 */
    const char *unmade;           /* the schema of a 200 beside a success of 201: nothing was made */
    const struct option *headers; /* that the handler reads, by their names */
    int refusals[2];              /* besides those that follow from the rest (openapi.c) */
};

/* Ends with a row without a method. */
extern const struct route routes[];

/* A route of this path and method, its captures filled in; NULL where there is none. Then *ret_allowed lists the
 * methods that the path does have ("GET, HEAD, OPTIONS"), "" where it is no path at all. */
enum { ALLOWED_SIZE = 64 };
const struct route *route_find(const char *method, const char *path, char captures[][CAPTURE_SIZE],
                               char ret_allowed[ALLOWED_SIZE]);

/* What every list takes; `order` is the JSON of its default order, "null" for the list's own; `size` is the JSON of a
 * page's items where nothing is said, and `most` how many it may have. */
#define LIST_PARAMETERS(order) LIST_PARAMETERS_OF(order, "100", 1000)
#define LIST_PARAMETERS_OF(order, size, most)                                                                          \
    {.name = "filter",                                                                                                 \
     .kind = OPTION_STRING,                                                                                            \
     .fallback = "null",                                                                                               \
     .nullable = true,                                                                                                 \
     .help = "which items: name LIKE '%x%' AND created_at >= '2026-01-01'"},                                           \
        {.name = "order_by",                                                                                           \
         .kind = OPTION_STRING,                                                                                        \
         .fallback = order,                                                                                            \
         .nullable = true,                                                                                             \
         .help = "fields, each with ASC or DESC, by commas"},                                                          \
        {.name = "max_results",                                                                                        \
         .kind = OPTION_INTEGER,                                                                                       \
         .fallback = size,                                                                                             \
         .minimum = 1,                                                                                                 \
         .maximum = most,                                                                                              \
         .help = "items of a page"},                                                                                   \
    {                                                                                                                  \
        .name = "page_token", .kind = OPTION_STRING, .fallback = "null", .nullable = true,                             \
        .help = "next_page_token of the page before"                                                                   \
    }

/* What LIST_PARAMETERS ask for. */
struct list_query list_query(const json_t *parameters);

/* A page of one of the catalog's lists, by the parameters of LIST_PARAMETERS; `filter`, where it is not NULL, stands
 * for that of the request (route_list.c). */
struct list;
enum status answer_list(struct request *request, const struct list *list, const char *filter, struct answer *answer,
                        struct error *err);
extern const struct option catalog_list_parameters[];

/*
 * What an export takes: one of the tables `whats`; `what_first` is the JSON of that which is meant where none is
 * named.
 */
#define EXPORT_PARAMETERS(what_first, whats, what_help)                                                                \
    {.name = "what", .kind = OPTION_CHOICE, .fallback = what_first, .choices = whats, .help = what_help},              \
    {                                                                                                                  \
        .name = "format", .kind = OPTION_CHOICE, .fallback = "\"csv\"", .choices = export_format_names,                \
        .help = "how they are written"                                                                                 \
    }

/*
 * What these runs have measured, by the parameters of EXPORT_PARAMETERS; `name` is the file's beginning
 * (route_export.c).
 */
enum status answer_export(struct request *request, const int64_t *ids, size_t count, const char *name, bool several,
                          struct answer *answer, struct error *err);
/*
 * The request's header Idempotency-Key: the same request sent again makes nothing new; keys are told apart by token.
 * `asked` is what it asks for, whole. `given` is NULL where there is no key. STATUS_INVALID for what is no key
 * (route_key.c).
 */
struct request_key {
    struct submission_key key, *given; /* store.h; `given` is NULL, or the key beside it */
    char digest[JSON_DIGEST_SIZE];
};
enum status request_key(const struct request *request, const json_t *asked, struct request_key *ret_key,
                        struct error *err);

/* The job as it is, with its ETag (route_job.c). */
enum status answer_job(struct request *request, int64_t id, struct answer *answer, struct error *err);

/* The handlers and their parameters, by file. */
route_handler handle_jobs_submit, handle_jobs_list, handle_job; /* route_job.c */
extern const struct option submit_parameters[], list_parameters[];

route_handler handle_job_action, handle_jobs_action, handle_job_patch, handle_job_delete, /* route_control.c */
    handle_jobs_retain;
extern const struct option delete_parameters[];

route_handler handle_metrics, handle_log, handle_weights; /* route_run.c */
extern const struct option metrics_parameters[], log_parameters[];

/* route_divergence.c */
route_handler handle_rows, handle_summaries, handle_histograms, handle_density, handle_batch, handle_sites;
extern const struct option rows_parameters[], summaries_parameters[], histograms_parameters[], density_parameters[],
    batch_parameters[];

route_handler handle_prometheus; /* route_prometheus.c */

route_handler handle_compare; /* route_compare.c */
extern const struct option compare_parameters[];

route_handler handle_sample, handle_contributors, handle_picture; /* route_sample.c */
extern const struct option contributors_parameters[], picture_parameters[];

route_handler handle_export, handle_export_many, handle_run_sqlite, handle_import; /* route_export.c */
extern const struct option export_parameters[], export_many_parameters[];

/* route_study.c */
route_handler handle_studies, handle_studies_submit, handle_study, handle_study_jobs, handle_study_results,
    handle_study_export, handle_study_cancel, handle_study_delete;
extern const struct option results_parameters[], study_export_parameters[], study_jobs_parameters[];

route_handler handle_views, handle_views_save, handle_view, handle_view_delete; /* route_view.c */

/* route_token.c */
route_handler handle_tokens, handle_token_create, handle_token_revoke, handle_session, handle_login, handle_logout;

route_handler handle_events; /* route_events.c */
extern const struct option events_parameters[];

/* route_service.c */
route_handler handle_version, handle_layers, handle_datasets, handle_queue, handle_openapi, handle_healthz,
    handle_readyz;

route_handler handle_page, handle_asset; /* route_page.c */

#endif
