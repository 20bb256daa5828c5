/*
 * Run files put in order by children of their own: sealed where no worker is left to do it, migrated after an upgrade.
 *
 * Many jobs may end at once without a worker, as by a cancel of all; a few children at a time see to their runs, and
 * the rest wait. What is not done when the server ends, or fails for want of space, is found by tidy_runs; what fails
 * because someone reads the run is tried again after a while.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/run_file.h"
#include "server/run_migrate.h"
#include "server/scheduler_internal.h"
#include "server/store_import.h"

enum { MAX_SEALING = 4 }; /* children at once */

/* A run that waits to be sealed. */
struct seal {
    struct seal *next;
    int64_t job;
    enum job_state state;
    char *reason;
};

static void seal_free(struct seal *seal)
{
    free(seal->reason);
    free(seal);
}

void seals_drop(struct scheduler *s)
{
    for (struct seal *seal = s->seals, *next; seal; seal = next) {
        next = seal->next;
        seal_free(seal);
    }
    s->seals = NULL;
}

/* --- children ---------------------------------------------------------------------------------------------------- */

/* Starts a child that puts run files in order; `job` 0 is of no one job. */
static void start_helper(struct scheduler *s, int64_t job, const char *const *arguments)
{
    struct error err;
    attribute_cleanup(cleanup_running) struct running *running = running_new(job);
    enum status status = running ? STATUS_OK : error_no_memory(&err);
    if (status == STATUS_OK) {
        running->sealing = true;
        status = worker_spawn((char *const *)(void *)arguments, NULL, 1, &running->process, &err);
        if (s->stopping)
            tell_to_stop(running, 0);
    }
    if (status != STATUS_OK) {
        fprintf(stderr, "plumbline: job %" PRId64 ": %s\n", job, err.text);
        return;
    }
    add_running(s, running);
    running = NULL;
}

static void start_seal(struct scheduler *s, const struct seal *seal)
{
    attribute_cleanup(cleanup_free) char *run = NULL;
    if (scheduler_run_path(s, seal->job, &run, NULL) != STATUS_OK)
        return;
    const char *arguments[] = {s->program, "work",       "--seal", "--run", run, "--state", job_state_name(seal->state),
                               "--reason", seal->reason, NULL};
    start_helper(s, seal->job, arguments);
}

static int sealing(const struct scheduler *s)
{
    int count = 0;
    for (const struct running *r = s->running; r; r = r->next)
        count += r->sealing;
    return count;
}

void start_seals(struct scheduler *s)
{
    while (s->seals && sealing(s) < MAX_SEALING) {
        struct seal *seal = s->seals;
        s->seals = seal->next;
        start_seal(s, seal);
        seal_free(seal);
    }
}

bool seal_ended(struct running *r)
{
    const char *words = worker_last_words(&r->process);
    if (strcmp(r->how, "exited with code 0") == 0)
        return true;
    fprintf(stderr, "plumbline: job %" PRId64 ": what puts its run file in order %s %s\n", r->job, r->how, words);
    return false;
}

/* --- what is to be sealed ---------------------------------------------------------------------------------------- */

void seal_run(struct scheduler *s, int64_t job, enum job_state state, const char *reason)
{
    attribute_cleanup(cleanup_free) char *run = NULL;
    if (scheduler_run_path(s, job, &run, NULL) != STATUS_OK || access(run, F_OK) != 0)
        return;
    struct seal *seal = calloc(1, sizeof *seal), **last = &s->seals;
    char *text = strdup(reason ? reason : "");
    if (!seal || !text) {
        fprintf(stderr, "plumbline: job %" PRId64 ": out of memory for the end of its run\n", job);
        free(text);
        free(seal);
        return;
    }
    *seal = (struct seal){.job = job, .state = state, .reason = text};
    while (*last)
        last = &(*last)->next;
    *last = seal;
}

bool run_is_sealed(struct scheduler *s, int64_t job)
{
    attribute_cleanup(cleanup_free) char *run = NULL;
    return scheduler_run_path(s, job, &run, NULL) == STATUS_OK && run_file_is_sealed(run);
}

bool is_being_sealed(const struct scheduler *s, int64_t job)
{
    for (const struct running *r = s->running; r; r = r->next)
        if (r->sealing && r->job == job)
            return true;
    for (const struct seal *seal = s->seals; seal; seal = seal->next)
        if (seal->job == job)
            return true;
    return false;
}

/* At the first start of a newer program. */
static void migrate_runs(struct scheduler *s)
{
    const char *arguments[] = {s->program, "work", "--migrate", "--data", s->data, NULL};
    if (run_files_are_old(s->data))
        start_helper(s, 0, arguments);
}

/* A run whose job has ended, but whose file was not closed for good. */
static void seal_leftover(struct scheduler *s, const char *runs, const char *name)
{
    attribute_cleanup(cleanup_free) char *path = path_join(runs, name);
    attribute_cleanup(cleanup_json) json_t *json = NULL;
    char *end = NULL;
    long long job = strtoll(name, &end, 10);
    if (!path || job <= 0 || strcmp(end, ".db") != 0 || run_file_is_sealed(path) || is_being_sealed(s, job) ||
        store_job_json(s->db, job, &json, NULL) != STATUS_OK)
        return;
    enum job_state state = job_state_parse(json_string_value(json_object_get(json, "state")));
    if (job_state_is_final(state))
        seal_run(s, job, state, json_string_value(json_object_get(json, "reason")));
}

static void seal_leftovers(struct scheduler *s)
{
    attribute_cleanup(cleanup_free) char *path = path_join(s->data, "runs");
    DIR *runs = path ? opendir(path) : NULL;
    if (!runs)
        return;
    for (struct dirent *entry = readdir(runs); entry; entry = readdir(runs))
        seal_leftover(s, path, entry->d_name);
    closedir(runs);
}

static enum status change_ids(struct scheduler *s, void *context, struct error *err)
{
    return store_ids_pass(s->db, *(const int64_t *)context, err);
}

/* Keeps run files that belong to no job from the jobs to come. */
static void pass_unknown(struct scheduler *s)
{
    struct error err;
    int64_t largest = 0;
    enum status status = store_unknown_runs(s->db, s->data, &largest, &err);
    if (status == STATUS_OK && largest > 0)
        status = hard_change(s, change_ids, &largest, &err);
    if (status != STATUS_OK)
        fprintf(stderr, "plumbline: run files of no job cannot be passed over: %s\n", err.text);
}

void tidy_runs(struct scheduler *s)
{
    pass_unknown(s);
    migrate_runs(s);
    seal_leftovers(s);
}

void seal_when_due(struct scheduler *s)
{
    if (s->stopping || s->seal_at == 0 || clock_seconds() < s->seal_at)
        return;
    s->seal_at = 0;
    seal_leftovers(s);
}
