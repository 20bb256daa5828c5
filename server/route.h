/*
 * The one table of routes. What it says of parameters, bodies and answers is what the server checks and what the
 * OpenAPI document tells.
 */
#ifndef PLUMBLINE_SERVER_ROUTE_H
#define PLUMBLINE_SERVER_ROUTE_H

#include "server/http.h"

typedef enum status route_handler(struct request *request, struct answer *answer, struct error *err);

struct route {
    const char *method;
    const char *pattern; /* "/api/v1/jobs/{id}/metrics" */
    route_handler *handle;
    const struct option *parameters; /* of the query; NULL for none */
    const char *body;                /* the schema of the JSON body; NULL where there is none */
    const char *answer;              /* the schema of the answer; NULL for other media */
    const char *media;               /* of the answer; NULL is application/json */
    const char *summary;
};

/* Ends with a row without a method. */
extern const struct route routes[];

/* A route of this path and method, its captures filled in; NULL where there is none. Then *ret_allowed lists the methods
 * that the path does have ("GET, HEAD, OPTIONS"), "" where it is no path at all. */
enum { ALLOWED_SIZE = 64 };
const struct route *route_find(const char *method, const char *path, char captures[][CAPTURE_SIZE],
                               char ret_allowed[ALLOWED_SIZE]);

/* The handlers, by file. */
route_handler handle_jobs_submit, handle_jobs_list, handle_job, handle_job_cancel;          /* route_job.c */
route_handler handle_metrics, handle_log, handle_weights;                                   /* route_run.c */
route_handler handle_rows, handle_summaries, handle_density, handle_batch, handle_sites;    /* route_divergence.c */
route_handler handle_events;                                                                /* route_events.c */
route_handler handle_version, handle_layers, handle_datasets, handle_queue, handle_healthz; /* route_service.c */
route_handler handle_page, handle_asset;                                                    /* route_page.c */

extern const struct option submit_parameters[], list_parameters[];
extern const struct option metrics_parameters[], log_parameters[];
extern const struct option rows_parameters[], summaries_parameters[], density_parameters[], batch_parameters[];
extern const struct option events_parameters[];

#endif
