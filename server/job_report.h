/* Jobs of a server, shown to a person: one with what it measured, and one or a study's while they run. */
#ifndef PLUMBLINE_SERVER_JOB_REPORT_H
#define PLUMBLINE_SERVER_JOB_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/client.h"

/* What was measured in the last probed steps: {"sites", "self_factor": […], "scale": […]}, a new reference. */
enum status job_measures(struct client *client, int64_t id, json_t **ret_measures, struct error *err);

/* Prints a job as the API shows it, and its measures. */
void job_print(const json_t *job, const json_t *measures);

/*
 * Shows how a job goes on until it has ended, then prints it; with `json` only the job, as one line. An interrupt ends
 * the watching and not the job. Returns the exit code: 0 where it has finished. `command` is for messages.
 */
int job_watch(struct client *client, const char *command, int64_t id, bool json);

/* The same for all jobs of a study; 0 where all have finished. */
int study_watch(struct client *client, const char *command, int64_t id, bool json);

#endif
