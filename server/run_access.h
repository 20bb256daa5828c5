/*
 * From a request to the run file of the job that it names.
 */
#ifndef PLUMBLINE_SERVER_RUN_ACCESS_H
#define PLUMBLINE_SERVER_RUN_ACCESS_H

#include "server/http.h"
#include "server/run_file.h"

/*
 * Opens the run of the job at the request's first capture. A job that has not begun has no run yet: STATUS_OK and NULL.
 * STATUS_NOT_FOUND where there is no such job. The caller closes it (cleanup_run_reader).
 */
enum status run_access(const struct request *request, struct run_reader **ret_reader, struct error *err);

/* The same of a job that there is. */
enum status run_open(const struct request *request, int64_t id, struct run_reader **ret_reader, struct error *err);

#endif
