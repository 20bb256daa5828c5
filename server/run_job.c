#include "server/run_job.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blas.h"
#include "core/file_util.h"
#include "core/json_text.h"
#include "core/safetensors.h"
#include "core/trainer.h"
#include "server/clock.h"
#include "server/data_paths.h"
#include "server/json_util.h"
#include "server/results.h"
#include "server/run_file.h"

static const double TELL_SECONDS = 0.25;  /* between lines of one kind */
static const double COMMIT_SECONDS = 0.5; /* between commits: readers see rows within a second */
static const double LOCK_SECONDS = 10;    /* how long another attempt is given to end */
enum { MEDIAN = QUANTILE_COUNT / 2 };

/* Where a run stands. */
struct progress {
    const struct run_job *job;
    struct run_writer *writer;
    struct trainer *trainer;
    const struct training_plan *plan;
    json_t *results;
    double opened, started, told, committed; /* clock_seconds; `opened`: when the attempt began */
    size_t first_step;                       /* that this attempt went on from */
    size_t step, epoch;                      /* the last that was done */
    size_t checkpoint_step;                  /* of the newest checkpoint; 0: none */
    size_t checkpoints;                      /* that this attempt has made, */
    double checkpoint_seconds;               /* and what they took */
    double steps_per_second, probe_share;    /* NaN till they are known */
    bool due;                                /* lines are told at this step: it is long enough since the last ones */

    double *scales, *factors; /* the medians of each site at its newest probed step */
    size_t probed_step;       /* that step, 0 before the first */
    size_t probed_told;       /* the last probed step that was told */
    uint64_t rows;            /* of divergence that this attempt has written */
};

static void progress_clear(struct progress *p)
{
    trainer_free(p->trainer);
    json_decref(p->results);
    free(p->scales);
    free(p->factors);
}

/* Tells a line and takes it; NULL is memory that ran out. */
static enum status tell(struct progress *p, json_t *line, struct error *err)
{
    if (!line)
        return error_no_memory(err);
    enum status status = p->job->tell(p->job->context, line, err);
    json_decref(line);
    return status;
}

static enum status note(struct progress *p, const char *level, const char *text, struct error *err)
{
    enum status status = run_writer_log(p->writer, level, text, err);
    if (status == STATUS_OK)
        status = tell(p, json_pack("{s:s, s:s, s:s}", "event", "log", "level", level, "text", text), err);
    return status;
}

/* --- the observer --------------------------------------------------------------------------------------------- */

static enum status on_samples(void *context, const struct step_samples *samples, struct error *err)
{
    struct progress *p = context;
    return run_writer_samples(p->writer, samples, err);
}

static enum status on_measurement(void *context, const struct site_measurement *measurement, struct error *err)
{
    struct progress *p = context;
    p->probed_step = measurement->step;
    p->rows += measurement->row_count;
    p->scales[measurement->site] = measurement->summaries[COLUMN_SCALE].quantiles[MEDIAN];
    p->factors[measurement->site] = measurement->summaries[COLUMN_SELF_FACTOR].quantiles[MEDIAN];
    return run_writer_measurement(p->writer, measurement, err);
}

static enum status on_contributors(void *context, const struct site_contributors *contributors, struct error *err)
{
    struct progress *p = context;
    return run_writer_contributors(p->writer, contributors, err);
}

static bool is_of_epoch(const char *key)
{
    return strncmp(key, "test/", 5) == 0 || strncmp(key, "epoch/", 6) == 0;
}

static enum status tell_scalars(struct progress *p, size_t step, const struct scalar *scalars, size_t count,
                                struct error *err)
{
    json_t *values = json_object();
    json_t *line = json_pack("{s:s, s:I, s:o}", "event", "metric", "step", (json_int_t)step, "values", values);
    enum status status = line ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = json_put(values, scalars[i].key, json_number_or_word(scalars[i].value), err);
    if (status != STATUS_OK) {
        json_decref(line);
        return status;
    }
    return tell(p, line, err);
}

static void note_speed(struct progress *p, const struct scalar *scalar)
{
    if (strcmp(scalar->key, "steps_per_second") == 0)
        p->steps_per_second = scalar->value;
    else if (strcmp(scalar->key, "probe_share") == 0)
        p->probe_share = scalar->value;
}

static enum status on_scalars(void *context, size_t step, const struct scalar *scalars, size_t count, struct error *err)
{
    struct progress *p = context;
    enum status status = STATUS_OK;
    bool of_epoch = false;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        note_speed(p, &scalars[i]);
        of_epoch |= is_of_epoch(scalars[i].key);
        status = run_writer_scalar(p->writer, step, scalars[i].key, scalars[i].value, err);
        if (status == STATUS_OK)
            status = results_scalar(p->results, scalars[i].key, scalars[i].value, err);
    }
    p->due |= clock_seconds() - p->told >= TELL_SECONDS;
    if (status == STATUS_OK && (p->due || of_epoch))
        status = tell_scalars(p, step, scalars, count, err);
    return status;
}

static enum status tell_divergence(struct progress *p, struct error *err)
{
    if (p->probed_step == p->probed_told)
        return STATUS_OK;
    p->probed_told = p->probed_step;
    json_t *sites = json_object();
    json_t *line =
        json_pack("{s:s, s:I, s:o}", "event", "divergence", "step", (json_int_t)p->probed_step, "sites", sites);
    enum status status = line ? STATUS_OK : error_no_memory(err);
    for (size_t i = 0; i < p->plan->site_count && status == STATUS_OK; i++) {
        const char *name = p->plan->sites[i].name;
        status = json_put(sites, name,
                          json_pack("{s:o, s:o}", "median_scale", json_number_or_null(p->scales[i]),
                                    "median_self_factor", json_number_or_null(p->factors[i])),
                          err);
        if (status == STATUS_OK)
            status = results_site(p->results, name, p->scales[i], p->factors[i], err);
    }
    if (status != STATUS_OK) {
        json_decref(line);
        return status;
    }
    return tell(p, line, err);
}

static enum status tell_progress(struct progress *p, struct error *err)
{
    double passed = clock_seconds() - p->started;
    double speed = isfinite(p->steps_per_second) ? p->steps_per_second : (double)(p->step - p->first_step) / passed;
    return tell(p,
                json_pack("{s:s, s:I, s:I, s:I, s:o, s:o}", "event", "progress", "step", (json_int_t)p->step, "epoch",
                          (json_int_t)p->epoch, "rows", (json_int_t)p->rows, "steps_per_second",
                          json_number_or_null(speed), "probe_share", json_number_or_null(p->probe_share)),
                err);
}

static enum status store_checkpoint(struct progress *p, struct error *err)
{
    attribute_cleanup(cleanup_free) uint8_t *bytes = NULL;
    size_t size = 0;
    if (p->checkpoint_step == p->step)
        return STATUS_OK;
    double start = clock_seconds();
    enum status status = trainer_save(p->trainer, &bytes, &size, err);
    if (status == STATUS_OK)
        status = run_writer_checkpoint(p->writer, p->step, bytes, size, err);
    if (status == STATUS_OK)
        p->checkpoint_step = p->step;
    p->checkpoints++;
    p->checkpoint_seconds += clock_seconds() - start;
    return status;
}

/* What the checkpoints cost, next to all else that the attempt did. */
static enum status note_checkpoints(struct progress *p, struct error *err)
{
    double seconds = clock_seconds() - p->started;
    char text[128];
    snprintf(text, sizeof text, "%zu checkpoints took %.3g s of %.3g s (%.2f %%)", p->checkpoints,
             p->checkpoint_seconds, seconds, 100 * p->checkpoint_seconds / seconds);
    return p->checkpoints > 0 ? note(p, "info", text, err) : STATUS_OK;
}

/* Whether the job ends after this step, and how: asked to stop, with a checkpoint, or its time is over. */
static enum status check_end(struct progress *p, struct error *err)
{
    const struct run_job *job = p->job;
    double limit = job->spec->time_limit;
    if (p->step == p->plan->steps)
        return STATUS_OK;
    if (limit > 0 && job->seconds + clock_seconds() - p->opened >= limit)
        return error_set(err, STATUS_CONFLICT,
                         "time_limit: the %g seconds that it may run were over at step %zu of %zu", limit, p->step,
                         p->plan->steps);
    if (!job->stop(job->context))
        return STATUS_OK;
    enum status status = store_checkpoint(p, err);
    return status == STATUS_OK
               ? error_set(err, STATUS_STOPPED, "stopped after step %zu of %zu", p->step, p->plan->steps)
               : status;
}

static enum status on_step_done(void *context, size_t step, size_t epoch, struct error *err)
{
    struct progress *p = context;
    enum status status = STATUS_OK;
    p->step = step;
    p->epoch = epoch;
    double now = clock_seconds();
    if (p->due || step == p->plan->steps) {
        status = tell_divergence(p, err);
        if (status == STATUS_OK)
            status = tell_progress(p, err);
        p->told = now;
        p->due = false;
    }
    /* None at the last step: final weights and state are committed with its rows. */
    if (status == STATUS_OK && step % p->job->spec->checkpoint_every == 0 && step < p->plan->steps)
        status = store_checkpoint(p, err);
    if (status == STATUS_OK)
        status = check_end(p, err);
    if (status == STATUS_OK && now - p->committed >= COMMIT_SECONDS) {
        status = run_writer_commit(p->writer, err);
        p->committed = now;
    }
    return status;
}

/* --- from the data to the first step, and from the last to the file -------------------------------------------- */

/* A path below weights/ and nowhere else. */
static enum status read_weights(const struct run_job *job, struct tensor_list *ret_list, struct error *err)
{
    const char *name = job->spec->weights, *fault = path_fault(name);
    if (fault)
        return error_set(err, STATUS_INVALID, "The path of the weights \"%s\" %s.", name, fault);
    attribute_cleanup(cleanup_free) char *folder = path_join(job->data, "weights");
    attribute_cleanup(cleanup_free) char *path = folder ? path_join(folder, name) : NULL;
    return path ? safetensors_read(path, ret_list, err) : error_no_memory(err);
}

static enum status make_trainer(struct progress *p, const struct dataset *dataset, struct error *err)
{
    struct tensor_list weights = {0};
    bool given = p->job->spec->weights != NULL;
    enum status status = given ? read_weights(p->job, &weights, err) : STATUS_OK;
    if (status == STATUS_OK)
        status = trainer_create(p->job->spec, dataset, given ? &weights : NULL, &p->trainer, err);
    tensor_list_clear(&weights);
    if (status != STATUS_OK)
        return status;
    p->plan = trainer_plan(p->trainer);
    p->scales = calloc(p->plan->site_count + 1, sizeof *p->scales);
    p->factors = calloc(p->plan->site_count + 1, sizeof *p->factors);
    return p->scales && p->factors ? STATUS_OK : error_no_memory(err);
}

/*
 * Restores the checkpoint that the file holds; one that does not fit is given up with a word, and the run starts over.
 */
static enum status go_on(struct progress *p, struct error *err)
{
    attribute_cleanup(cleanup_free) uint8_t *bytes = NULL;
    size_t step = 0, size = 0;
    struct error fault = {""};
    char text[sizeof fault.text + 64];
    enum status status = run_writer_checkpoint_read(p->writer, &step, &bytes, &size, &fault);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status == STATUS_OK)
        status = trainer_restore(p->trainer, bytes, size, &fault);
    if (status == STATUS_OK) {
        p->first_step = p->step = p->checkpoint_step = trainer_step(p->trainer);
        p->epoch = p->step ? (p->step - 1) / p->plan->steps_per_epoch + 1 : 0;
        snprintf(text, sizeof text, "attempt %d goes on from step %zu", p->job->attempt, p->step);
        status = run_writer_results(p->writer, p->results, err);
        return status == STATUS_OK ? note(p, "info", text, err) : status;
    }
    if (status != STATUS_CORRUPT && status != STATUS_INVALID)
        return error_set(err, status, "%s", fault.text);
    snprintf(text, sizeof text, "%s; the run starts over", fault.text);
    status = run_writer_rewind(p->writer, 0, err);
    return status == STATUS_OK ? note(p, "warning", text, err) : status;
}

static enum status announce(struct progress *p, const struct dataset *dataset, struct error *err)
{
    const struct training_plan *plan = p->plan;
    const struct dataset_info *info = dataset_info(dataset);
    char text[512];
    enum status status = run_writer_plan(p->writer, plan, err);
    if (status == STATUS_OK)
        status = tell(p,
                      json_pack("{s:s, s:I, s:I, s:O, s:I, s:I, s:I, s:I, s:s, s:s}", "event", "started", "step",
                                (json_int_t)p->first_step, "epoch", (json_int_t)p->epoch, "results", p->results,
                                "steps", (json_int_t)plan->steps, "steps_per_epoch", (json_int_t)plan->steps_per_epoch,
                                "epochs", (json_int_t)plan->epochs, "parameters", (json_int_t)plan->parameters, "blas",
                                blas_version(), "kernel", blas_kernel()),
                      err);
    if (status == STATUS_OK && dataset_warning(dataset))
        status = note(p, "warning", dataset_warning(dataset), err);
    snprintf(text, sizeof text,
             "attempt %d: %zu steps in %zu epochs on %zu training and %zu test samples, %zu parameters, %zu steps "
             "measured at %zu sites; %d thread%s of %s (%s)",
             p->job->attempt, plan->steps, plan->epochs, info->train_count, info->test_count, plan->parameters,
             plan->probed_steps, plan->site_count, p->job->spec->threads, p->job->spec->threads == 1 ? "" : "s",
             blas_version(), blas_kernel());
    if (status == STATUS_OK)
        status = note(p, "info", text, err);
    return status == STATUS_OK ? run_writer_commit(p->writer, err) : status;
}

static enum status store_weights(struct progress *p, struct error *err)
{
    struct tensor_list list = {0};
    attribute_cleanup(cleanup_free) uint8_t *bytes = NULL;
    size_t size;
    enum status status = trainer_weights(p->trainer, &list, err);
    if (status == STATUS_OK)
        status = safetensors_encode(&list, &bytes, &size, err);
    tensor_list_clear(&list);
    return status == STATUS_OK ? run_writer_weights(p->writer, bytes, size, err) : status;
}

static enum status train(struct progress *p, struct error *err)
{
    attribute_cleanup(cleanup_dataset) struct dataset *dataset = NULL;
    const struct run_job *job = p->job;
    const struct training_observer observer = {.context = p,
                                               .samples = on_samples,
                                               .measurement = on_measurement,
                                               .contributors = on_contributors,
                                               .scalars = on_scalars,
                                               .step_done = on_step_done};
    enum status status = dataset_load(&job->spec->dataset, &job->folders, &dataset, err);
    if (status == STATUS_OK)
        status = make_trainer(p, dataset, err);
    if (status == STATUS_OK)
        status = go_on(p, err);
    if (status == STATUS_OK)
        status = announce(p, dataset, err);
    if (status == STATUS_OK && job->stop(job->context))
        status = error_set(err, STATUS_STOPPED, "stopped before the first step");
    p->started = p->told = p->committed = clock_seconds();
    if (status == STATUS_OK)
        status = trainer_run(p->trainer, SIZE_MAX, &observer, err);
    if (status == STATUS_OK)
        status = note_checkpoints(p, err);
    struct error late;
    if (p->plan && status != STATUS_OK) /* after the last step it has been told; a failure changes no end but that */
        (void)tell_divergence(p, &late);
    if (status == STATUS_OK)
        status = store_weights(p, err);
    trainer_free(p->trainer); /* before the data set that it borrows; the plan goes with it */
    p->trainer = NULL;
    p->plan = NULL;
    return status;
}

/* A run file that cannot be read any more is kept for who wants to look into it, and a new one takes its place. */
static enum status set_aside(const char *path, struct error *err)
{
    static const char *const beside[] = {"-wal", "-shm"};
    attribute_cleanup(cleanup_free) char *aside = text_format("%s.damaged", path);
    if (!aside)
        return error_no_memory(err);
    if (rename(path, aside) != 0)
        return error_set(err, STATUS_IO, "cannot rename the damaged %s: %s", path, strerror(errno));
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        attribute_cleanup(cleanup_free) char *from = text_format("%s%s", path, beside[i]);
        attribute_cleanup(cleanup_free) char *to = text_format("%s%s", aside, beside[i]);
        if (!from || !to)
            return error_no_memory(err);
        if (rename(from, to) != 0 && errno != ENOENT)
            return error_set(err, STATUS_IO, "cannot rename the damaged %s: %s", from, strerror(errno));
    }
    return STATUS_OK;
}

/* Takes the run's lock: an attempt whose server died is ending just now, so it gets some time. */
static enum status wait_for_writer(struct progress *p, const struct run_identity *identity, struct error *err)
{
    const struct run_job *job = p->job;
    double start = clock_seconds();
    for (;;) {
        enum status status = run_writer_open(job->path, identity, &p->writer, err);
        if (status != STATUS_BUSY || clock_seconds() - start > LOCK_SECONDS)
            return status;
        if (job->stop(job->context))
            return error_set(err, STATUS_STOPPED, "stopped before the first step");
        clock_pause(0.1);
    }
}

static enum status open_writer(struct progress *p, struct error *err)
{
    const struct run_job *job = p->job;
    attribute_cleanup(cleanup_free) char *text = json_text(job->spec->expanded, JSON_COMPACT);
    if (!text)
        return error_no_memory(err);
    const struct run_identity identity = {.spec_text = text,
                                          .spec_hash = job->spec->hash,
                                          .former_hash = job->spec->former,
                                          .name = job->spec->name,
                                          .attempt = job->attempt,
                                          .threads = job->spec->threads,
                                          .anew = job->anew};
    enum status status = wait_for_writer(p, &identity, err);
    if (status != STATUS_CORRUPT || !job->own_file)
        return status;
    struct error damage = *err;
    status = set_aside(job->path, err);
    if (status == STATUS_OK)
        status = wait_for_writer(p, &identity, err);
    return status == STATUS_OK ? note(p, "warning", damage.text, err) : status;
}

static const char *end_state(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return "finished";
    case STATUS_NOT_FINITE:
        return "diverged";
    case STATUS_STOPPED:
        return "stopped";
    case STATUS_NO_SPACE:
        return "full";
    case STATUS_BUSY:
        return "busy";
    default:
        return "failed";
    }
}

/* Writes how it ended; a failure to write makes it failed, or full. */
static enum status finish(struct progress *p, enum status status, struct error *err)
{
    if (!p->writer)
        return status;
    struct error closing;
    enum status closed = STATUS_OK;
    if (status == STATUS_NO_SPACE) {
        run_writer_abandon(p->writer);
    } else if (status == STATUS_STOPPED && !p->job->seal_stopped) {
        closed = run_writer_close(p->writer, &closing);
    } else {
        if (status != STATUS_OK && status != STATUS_STOPPED)
            (void)run_writer_log(p->writer, "error", err->text, &closing); /* the reason is in the end line as well */
        closed = run_writer_seal(p->writer, status == STATUS_STOPPED ? "cancelled" : end_state(status),
                                 status == STATUS_OK ? NULL : err->text, &closing);
    }
    p->writer = NULL;
    if (closed != STATUS_OK && (status == STATUS_OK || status == STATUS_STOPPED || closed == STATUS_NO_SPACE)) {
        *err = closing;
        return closed;
    }
    return status;
}

static json_t *end_line(const struct progress *p, enum status status, const struct error *err)
{
    return json_pack("{s:s, s:s, s:s?, s:I, s:O}", "event", "end", "state", end_state(status), "reason",
                     status == STATUS_OK ? NULL : err->text, "step", (json_int_t)p->step, "results", p->results);
}

enum status run_job(const struct run_job *job, json_t **ret_end, struct error *err)
{
    struct progress progress = {
        .job = job, .results = json_object(), .steps_per_second = NAN, .probe_share = NAN, .opened = clock_seconds()};
    struct error reason = {""};
    enum status status = progress.results ? open_writer(&progress, &reason) : error_no_memory(&reason);
    if (status == STATUS_OK)
        status = train(&progress, &reason);
    if (status == STATUS_NO_MEMORY && job->spec->memory_limit > 0)
        error_set(&reason, status, "out of memory: the job may take %" PRId64 " bytes (memory_limit)",
                  job->spec->memory_limit);
    double seconds = job->seconds + clock_seconds() - progress.opened;
    if (progress.results && json_object_set_new(progress.results, "seconds", json_real(seconds)) != 0)
        status = error_no_memory(&reason);
    status = finish(&progress, status, &reason);
    json_t *end = progress.results ? end_line(&progress, status, &reason) : NULL;
    progress_clear(&progress);
    if (!end)
        return error_no_memory(err);
    *ret_end = end;
    return STATUS_OK;
}
