/*
 * What people ask for: jobs submitted, stopped, gone on with, tried again, thrown away, renamed.
 *
 * An action is a row of the table below: `change` checks the job's state and writes, within the transaction; `after`
 * does what depends on it once that is durable, and cannot fail. Many jobs are one transaction.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/json_util.h"
#include "server/scheduler_internal.h"
#include "server/store_study.h"

static const double PAUSE_SECONDS = 30; /* for the present step and a checkpoint; nothing waits for it */

static enum status refuse(const struct job_row *row, const char *why, struct error *err)
{
    return error_set(err, STATUS_CONFLICT, "job %" PRId64 " is %s: %s", row->id, job_state_name(row->state), why);
}

/* What an action is given. */
struct act {
    struct scheduler *s;
    const struct acts *all;
    const struct job_row *row;
    struct job_outcome *outcome;
    char **text; /* a copy of the reason, to be taken */
};

static enum status change_to(struct act *act, enum job_state to, struct error *err)
{
    return store_job_change(act->s->db, act->row->id, &(struct job_change){.to = to, .reason = act->all->reason}, err);
}

/* --- cancel ------------------------------------------------------------------------------------------------------ */

/* A job that runs is only asked here; that its worker is told comes after the commit. */
static enum status change_cancel(struct act *act, struct error *err)
{
    if (job_state_is_final(act->row->state))
        return refuse(act->row, "there is nothing left to cancel", err);
    if (act->row->state == JOB_RUNNING)
        return store_job_ask_cancel(act->s->db, act->row->id, act->all->reason, err);
    return change_to(act, JOB_CANCELLED, err);
}

/* Gives the copy of the reason away. */
static void give(char **to, char **text)
{
    free(*to);
    *to = *text;
    *text = NULL;
}

static void after_cancel(struct act *act)
{
    struct running *running = find_running(act->s, act->outcome->id);
    if (running) {
        give(&running->cancel_reason, act->text);
        tell_to_stop(running, act->s->grace_seconds);
    } else { /* it was queued; an earlier attempt may have left a run */
        seal_run(act->s, act->outcome->id, JOB_CANCELLED, act->all->reason);
    }
}

/* --- pause and resume -------------------------------------------------------------------------------------------- */

static enum status change_pause(struct act *act, struct error *err)
{
    const struct job_row *row = act->row;
    if (row->state == JOB_QUEUED)
        return change_to(act, JOB_PAUSED, err);
    if (row->state == JOB_RUNNING && !row->cancel_reason)
        return store_job_ask_pause(act->s->db, row->id, act->all->reason, err);
    return refuse(row, row->cancel_reason ? "it is being cancelled" : "only a queued or running job can be paused",
                  err);
}

static void after_pause(struct act *act)
{
    struct running *running = find_running(act->s, act->outcome->id);
    if (!running)
        return;
    give(&running->pause_reason, act->text);
    tell_to_stop(running, PAUSE_SECONDS);
}

/* A pause that has not come about yet is taken back; the worker, told to stop, is started again. */
static enum status change_resume(struct act *act, struct error *err)
{
    if (act->row->state == JOB_PAUSED)
        return change_to(act, JOB_QUEUED, err);
    if (act->row->state == JOB_RUNNING && act->row->pause_reason)
        return store_job_ask_pause(act->s->db, act->row->id, NULL, err);
    return refuse(act->row, "only a paused job can be resumed", err);
}

static void after_resume(struct act *act)
{
    struct running *running = find_running(act->s, act->outcome->id);
    if (!running)
        return;
    free(running->pause_reason);
    running->pause_reason = NULL;
}

/* --- again, and away --------------------------------------------------------------------------------------------- */

static enum status change_retry(struct act *act, struct error *err)
{
    if (!job_state_is_final(act->row->state))
        return refuse(act->row, "only a job that has ended can be tried again", err);
    enum status status = store_job_retry(act->s->db, act->row->id, &act->outcome->made, err);
    if (status == STATUS_OK)
        status = store_study_retry(act->s->db, act->row->id, act->outcome->made, err);
    return status == STATUS_OK ? append_state(act->s, act->outcome->made, err) : status;
}

static enum status change_trash(struct act *act, struct error *err)
{
    if (act->row->trashed)
        return refuse(act->row, "it is in the trash already", err);
    if (act->row->state == JOB_RUNNING)
        return refuse(act->row, "cancel it first", err);
    enum status status = job_state_is_final(act->row->state) ? STATUS_OK : change_to(act, JOB_CANCELLED, err);
    return status == STATUS_OK ? store_job_trash(act->s->db, act->row->id, true, err) : status;
}

static void after_trash(struct act *act)
{
    if (!job_state_is_final(act->row->state))
        after_cancel(act);
}

static enum status change_restore(struct act *act, struct error *err)
{
    if (!act->row->trashed)
        return refuse(act->row, "it is not in the trash", err);
    return store_job_trash(act->s->db, act->row->id, false, err);
}

static const char *const run_suffixes[] = {"", "-wal", "-shm", ".lock", ".damaged", ".damaged-wal", ".damaged-shm"};

static char *run_part(const struct scheduler *s, int64_t job, size_t i)
{
    char *path;
    return asprintf(&path, "%s/runs/%" PRId64 ".db%s", s->data, job, run_suffixes[i]) < 0 ? NULL : path;
}

int64_t run_bytes(const struct scheduler *s, int64_t job)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof run_suffixes / sizeof *run_suffixes; i++) {
        attribute_cleanup(cleanup_free) char *path = run_part(s, job, i);
        struct stat info;
        if (path && stat(path, &info) == 0)
            bytes += (int64_t)info.st_blocks * 512;
    }
    return bytes;
}

/* Removes them. */
static enum status run_unlink(const struct scheduler *s, int64_t job, int64_t *ret_bytes, struct error *err)
{
    int64_t bytes = run_bytes(s, job);
    for (size_t i = 0; i < sizeof run_suffixes / sizeof *run_suffixes; i++) {
        attribute_cleanup(cleanup_free) char *path = run_part(s, job, i);
        if (!path)
            return error_no_memory(err);
        if (unlink(path) != 0 && errno != ENOENT)
            return error_set(err, STATUS_IO, "cannot remove %s: %s", path, strerror(errno));
    }
    *ret_bytes = bytes;
    return STATUS_OK;
}

/* The file goes before the rows: where the server dies between, the job is still there to be purged once more. */
static enum status change_purge(struct act *act, struct error *err)
{
    int64_t id = act->row->id;
    if (!job_state_is_final(act->row->state))
        return refuse(act->row, "only a job that has ended can be purged; cancel it first", err);
    if (is_being_sealed(act->s, id))
        return error_set(err, STATUS_BUSY, "the run file of job %" PRId64 " is just being closed", id);
    enum status status = run_unlink(act->s, id, &act->outcome->bytes, err);
    if (status == STATUS_OK)
        status = append_purged(act->s, id, err);
    return status == STATUS_OK ? store_job_delete(act->s->db, id, err) : status;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum status (*change)(struct act *act, struct error *err);
    void (*after)(struct act *act); /* NULL: nothing */
    bool told;                      /* the event job.state is the action's own */
    bool adds;                      /* refused while the disk is full */
} actions[ACTION_COUNT] = {
    [ACTION_CANCEL] = {"cancel", change_cancel, after_cancel, false, false},
    [ACTION_PAUSE] = {"pause", change_pause, after_pause, false, false},
    [ACTION_RESUME] = {"resume", change_resume, after_resume, false, true},
    [ACTION_RETRY] = {"retry", change_retry, NULL, true, true},
    [ACTION_TRASH] = {"trash", change_trash, after_trash, false, false},
    [ACTION_RESTORE] = {"restore", change_restore, NULL, false, false},
    [ACTION_PURGE] = {"purge", change_purge, NULL, true, false},
};

enum job_action job_action_parse(const char *name)
{
    int action = 0;
    while (action < ACTION_COUNT && strcmp(actions[action].name, name) != 0)
        action++;
    return (enum job_action)action;
}

/* The jobs of a call, with their states of before. */
struct act_all {
    struct acts *acts;
    struct job_row *rows;
};

static enum status change_one(struct scheduler *s, struct act_all *all, size_t i, struct error *err)
{
    struct acts *acts = all->acts;
    struct act act = {s, acts, &all->rows[i], &acts->outcomes[i], &acts->texts[i]};
    enum status status = store_job_row(s->db, acts->outcomes[i].id, &all->rows[i], err);
    if (status == STATUS_OK)
        status = actions[acts->action].change(&act, err);
    if (status == STATUS_OK && !actions[acts->action].told)
        status = append_state(s, acts->outcomes[i].id, err);
    return status;
}

static bool is_refusal(enum status status)
{
    return status == STATUS_NOT_FOUND || status == STATUS_CONFLICT || status == STATUS_BUSY;
}

static enum status change_all(struct scheduler *s, void *context, struct error *err)
{
    struct act_all *all = context;
    for (size_t i = 0; i < all->acts->count; i++) {
        struct job_outcome *outcome = &all->acts->outcomes[i];
        struct error refusal;
        outcome->status = change_one(s, all, i, &refusal);
        if (outcome->status == STATUS_OK)
            continue;
        if (!all->acts->many || !is_refusal(outcome->status))
            return error_set(err, outcome->status, "%s", refusal.text);
        snprintf(outcome->detail, sizeof outcome->detail, "%.250s", refusal.text);
    }
    return STATUS_OK;
}

enum status command_act(struct scheduler *s, void *argument, struct error *err)
{
    struct acts *acts = argument;
    enum status status = actions[acts->action].adds ? space_check(s, err) : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    struct act_all all = {acts, calloc(acts->count + 1, sizeof *all.rows)};
    if (!all.rows)
        return error_no_memory(err);
    status = hard_change(s, change_all, &all, err);
    for (size_t i = 0; i < acts->count; i++) {
        struct act act = {s, acts, &all.rows[i], &acts->outcomes[i], &acts->texts[i]};
        if (status == STATUS_OK && acts->outcomes[i].status == STATUS_OK && actions[acts->action].after)
            actions[acts->action].after(&act);
        job_row_clear(&all.rows[i]);
    }
    free(all.rows);
    return status;
}

/* --- submit and patch -------------------------------------------------------------------------------------------- */

static enum status change_submit(struct scheduler *s, void *context, struct error *err)
{
    struct submission *submission = context;
    enum status status = store_submission_find(s->db, submission->key, "job", &submission->id, err);
    submission->again = submission->id != 0;
    if (status != STATUS_OK || submission->again)
        return status;
    status = store_job_insert(s->db, submission->spec, &submission->id, err);
    if (status == STATUS_OK)
        status = store_submission_add(s->db, submission->key, "job", submission->id, err);
    return status == STATUS_OK ? append_state(s, submission->id, err) : status;
}

enum status command_submit(struct scheduler *s, void *submission, struct error *err)
{
    enum status status = space_check(s, err);
    return status == STATUS_OK ? hard_change(s, change_submit, submission, err) : status;
}

static enum status change_patch(struct scheduler *s, void *context, struct error *err)
{
    const struct patch_command *command = context;
    enum status status = store_job_patch(s->db, command->id, command->patch, err);
    return status == STATUS_OK ? append_state(s, command->id, err) : status;
}

enum status command_patch(struct scheduler *s, void *patch_command, struct error *err)
{
    return hard_change(s, change_patch, patch_command, err);
}
