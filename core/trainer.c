#include "core/trainer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/loss.h"
#include "core/rng.h"
#include "core/trainer_internal.h"
#include "core/vector.h"

enum { MAX_SCALARS = 16 };

/* Streams of the seed above the layers' own, one for each epoch's order. */
#define ORDER_STREAM (UINT64_C(1) << 32)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ------------------------------------------------------------------ making */

/* Runs every part of a probed step once on zeros, so that the arenas have their size before the first step. */
static enum status warm_up(struct trainer *t, struct error *err)
{
    size_t rows = t->batch + t->spec->probe.watch_count;
    for (size_t i = 0; i < rows; i++)
        t->indices[i] = UINT32_MAX; /* no sample, so none that is watched */
    struct network_pass pass;
    enum status status = network_forward(t->network, &t->arena, PASS_MEASURE, t->x, rows, t->batch, &pass, err);
    real *gradient = arena_reals(&t->arena, rows * t->network->classes);
    if (status != STATUS_OK || !gradient)
        return status != STATUS_OK ? status : error_no_memory(err);
    memset(gradient, 0, rows * t->network->classes * sizeof *gradient);
    status = network_backward(t->network, &pass, gradient, err);
    struct probed_step probed = {
        .rows = rows,
        .batch = t->batch,
        .samples = t->indices,
        .labels = t->labels,
        .predicted = t->predicted,
        .losses = t->losses,
        .rule = optimiser_rule(&t->optimiser, 1, t->plan.steps),
        .delta = t->optimiser.delta,
    };
    static const struct training_observer nobody = {0};
    bool measures = t->plan.probed_steps > 0;
    if (status == STATUS_OK && measures)
        status = probe_measure(&t->probe, t->network, &pass, &probed, &nobody, err);
    if (status == STATUS_OK && measures)
        status = network_forward(t->network, &t->arena, PASS_MEASURE, t->x, t->batch, t->batch, &pass, err);
    if (status == STATUS_OK && dataset_info(t->dataset)->test_count > 0)
        status = network_forward(t->network, &t->evaluation_arena, PASS_EVALUATE, t->x, EVALUATION_ROWS,
                                 EVALUATION_ROWS, &pass, err);
    arena_reset(&t->arena);
    arena_reset(&t->evaluation_arena);
    return status;
}

static enum status allocate_rows(struct trainer *t, struct error *err)
{
    size_t rows = t->batch + t->spec->probe.watch_count;
    size_t most = dataset_info(t->dataset)->test_count > 0 && rows < EVALUATION_ROWS ? EVALUATION_ROWS : rows;
    t->x = calloc(most * shape_size(&t->network->input), sizeof *t->x);
    t->indices = calloc(most, sizeof *t->indices);
    t->labels = calloc(most, sizeof *t->labels);
    t->predicted = calloc(most, sizeof *t->predicted);
    t->losses = calloc(most, sizeof *t->losses);
    t->order = calloc(dataset_info(t->dataset)->train_count, sizeof *t->order);
    return t->x && t->indices && t->labels && t->predicted && t->losses && t->order ? STATUS_OK : error_no_memory(err);
}

static enum status make_plan(struct trainer *t, struct error *err)
{
    const struct spec *spec = t->spec;
    struct training_plan *plan = &t->plan;
    plan->epochs = spec->epochs;
    plan->steps_per_epoch = spec_steps_per_epoch(spec, dataset_info(t->dataset)->train_count);
    plan->steps = plan->steps_per_epoch * plan->epochs;
    plan->parameters = t->network->parameter_count;
    plan->probed_steps = spec_probed_steps(spec, plan->steps);
    t->sites = calloc(t->probe.site_count + 1, sizeof *t->sites);
    if (!t->sites)
        return error_no_memory(err);
    for (size_t i = 0; i < t->probe.site_count; i++) {
        const struct network_site *site = &t->network->sites[t->probe.sites[i]];
        const struct layer_site *moved = site->moves ? &site->layer->sites[site->index] : NULL;
        t->sites[i] = (struct site_info){
            .name = site->name,
            .type = site->layer->ops->type,
            .part = moved && *moved->part ? moved->part : NULL,
            .variant = moved && moved->variant ? moved->variant : site->layer->variant,
            .parameters = site->layer->parameter_count,
            .input = site->layer->input,
            .output = site->layer->output,
        };
    }
    plan->sites = t->sites;
    plan->site_count = t->probe.site_count;
    return STATUS_OK;
}

/*
 * What the spec asks of the machine and of the data set. spec_check tells the same with pointers; a trainer may be made
 * without it, or where the machine is another one.
 */
static enum status check_surroundings(const struct spec *spec, const struct dataset_info *info, struct error *err)
{
    if (spec->threads > spec_most_threads())
        return error_set(err, STATUS_INVALID, "the spec's %d threads are more than this machine's %d processor cores",
                         spec->threads, spec_most_threads());
    if (spec->batch_size > info->train_count)
        return error_set(err, STATUS_INVALID, "the batch size %zu is above the %zu training samples", spec->batch_size,
                         info->train_count);
    for (size_t i = 0; i < spec->probe.watch_count; i++)
        if (spec->probe.watch[i] >= info->train_count)
            return error_set(err, STATUS_INVALID, "the watched sample %u is not among the %zu training samples",
                             spec->probe.watch[i], info->train_count);
    return STATUS_OK;
}

/* The fault of a network that does not fit, as one sentence. */
static enum status network_fault(enum status status, const struct problem_list *problems, struct error *err)
{
    const json_t *first = json_array_get(problems->items, 0);
    if (status == STATUS_INVALID && first)
        return error_set(err, status, "%s: %s", json_string_value(json_object_get(first, "pointer")),
                         json_string_value(json_object_get(first, "detail")));
    return status;
}

enum status trainer_create(const struct spec *spec, const struct dataset *dataset, const struct tensor_list *weights,
                           struct trainer **ret_trainer, struct error *err)
{
    attribute_cleanup(cleanup_trainer) struct trainer *t = calloc(1, sizeof *t);
    struct problem_list problems;
    if (!t)
        return error_no_memory(err);
    enum status status = problem_list_init(&problems, err);
    if (status != STATUS_OK)
        return status;
    blas_set_threads(spec->threads);
    const struct dataset_info *info = dataset_info(dataset);
    t->spec = spec;
    t->dataset = dataset;
    t->batch = spec->batch_size;
    status = network_create(spec->layers, &info->shape, info->classes, spec->seed, &t->network, &problems, err);
    status = network_fault(status, &problems, err);
    problem_list_clear(&problems);
    if (status == STATUS_OK)
        status = check_surroundings(spec, info, err);
    if (status == STATUS_OK && weights)
        status = network_import(t->network, weights, err);
    if (status == STATUS_OK)
        status = optimiser_init(&t->optimiser, &spec->optimiser, t->network->parameter_count, err);
    if (status == STATUS_OK)
        status = probe_init(&t->probe, &spec->probe, t->network, t->batch, err);
    if (status == STATUS_OK)
        status = allocate_rows(t, err);
    if (status == STATUS_OK)
        status = make_plan(t, err);
    if (status == STATUS_OK)
        status = warm_up(t, err);
    if (status == STATUS_OK) {
        *ret_trainer = t;
        t = NULL;
    }
    return status;
}

void trainer_free(struct trainer *t)
{
    if (!t)
        return;
    network_free(t->network);
    optimiser_free(&t->optimiser);
    probe_free(&t->probe);
    arena_free(&t->arena);
    arena_free(&t->evaluation_arena);
    free(t->sites);
    free(t->x);
    free(t->indices);
    free(t->labels);
    free(t->predicted);
    free(t->losses);
    free(t->order);
    free(t);
}

void cleanup_trainer(struct trainer **trainer)
{
    trainer_free(*trainer);
}

const struct training_plan *trainer_plan(const struct trainer *trainer)
{
    return &trainer->plan;
}

size_t trainer_step(const struct trainer *trainer)
{
    return trainer->step;
}

enum status trainer_weights(const struct trainer *trainer, struct tensor_list *ret_list, struct error *err)
{
    return network_export(trainer->network, ret_list, err);
}

/* ------------------------------------------------------------------ one step */

/* The order of `epoch` depends on the seed and the epoch alone, so that a position in it is just the step. */
static void order_epoch(struct trainer *t, size_t epoch)
{
    if (t->order_epoch == epoch)
        return;
    size_t count = dataset_info(t->dataset)->train_count;
    for (size_t i = 0; i < count; i++)
        t->order[i] = (uint32_t)i;
    struct rng rng;
    rng_seed(&rng, t->spec->seed, ORDER_STREAM + epoch);
    rng_shuffle(&rng, t->order, count);
    t->order_epoch = epoch;
}

/*
 * Gathers the mini-batch of `step` and, where it is probed, the watched samples that are not in it. Returns the rows.
 */
static size_t gather(struct trainer *t, size_t step, bool probed)
{
    size_t position = (step - 1) % t->plan.steps_per_epoch * t->batch, rows = t->batch;
    order_epoch(t, (step - 1) / t->plan.steps_per_epoch + 1);
    memcpy(t->indices, t->order + position, t->batch * sizeof *t->indices);
    for (size_t w = 0; probed && w < t->spec->probe.watch_count; w++) {
        size_t i = 0;
        while (i < rows && t->indices[i] != t->spec->probe.watch[w])
            i++;
        if (i == rows)
            t->indices[rows++] = t->spec->probe.watch[w];
    }
    dataset_gather(t->dataset, SPLIT_TRAIN, t->indices, rows, t->x, t->labels);
    return rows;
}

/* Mean loss and number of right predictions of the first `count` rows. */
static double mean_loss(const struct trainer *t, size_t count, size_t *ret_correct)
{
    double sum = 0;
    size_t correct = 0;
    for (size_t i = 0; i < count; i++) {
        sum += t->losses[i];
        correct += t->predicted[i] == t->labels[i];
    }
    *ret_correct = correct;
    return sum / (double)count;
}

/* What a step gathers for the observer. */
struct told {
    struct scalar items[MAX_SCALARS];
    size_t count;
};

static void tell(struct told *told, const char *key, double value)
{
    assert(told->count < MAX_SCALARS);
    told->items[told->count++] = (struct scalar){key, value};
}

static enum status diverged(const struct trainer *t, const struct network_pass *pass, size_t step, const char *what,
                            struct error *err)
{
    char name[NETWORK_NAME_SIZE];
    const char *site = network_first_nonfinite(t->network, pass, t->optimiser.delta, name);
    return error_set(err, STATUS_NOT_FINITE, "The %s was not finite at step %zu, first at %s. Logged until step %zu.",
                     what, step, site ? site : "the parameters", step - 1);
}

/* Forward, loss and backward of the gathered rows; the mean loss and the number right are of the batch. */
static enum status compute(struct trainer *t, size_t rows, struct network_pass *ret_pass, double *ret_loss,
                           size_t *ret_correct, struct error *err)
{
    enum status status = network_forward(t->network, &t->arena, PASS_TRAIN, t->x, rows, t->batch, ret_pass, err);
    if (status != STATUS_OK)
        return status;
    real *gradient = arena_reals(&t->arena, rows * t->network->classes);
    if (!gradient)
        return error_no_memory(err);
    loss_cross_entropy(ret_pass->logits, t->labels, rows, t->batch, t->network->classes, t->losses, t->predicted,
                       gradient);
    *ret_loss = mean_loss(t, t->batch, ret_correct);
    return network_backward(t->network, ret_pass, gradient, err);
}

/* What the step Δθ does at all sites, from θ, which is not stepped yet. */
static enum status measure_sites(struct trainer *t, struct network_pass *pass, const struct step_rule *rule,
                                 const struct training_observer *observer, struct error *err)
{
    struct probed_step probed = {
        .step = rule->step,
        .rows = pass->rows,
        .batch = t->batch,
        .samples = t->indices,
        .labels = t->labels,
        .predicted = t->predicted,
        .losses = t->losses,
        .rule = *rule,
        .delta = t->optimiser.delta,
    };
    return probe_measure(&t->probe, t->network, pass, &probed, observer, err);
}

/* The loss on the same mini-batch with the parameters after the step. */
static enum status measure_loss_after(struct trainer *t, double loss, struct told *told, struct error *err)
{
    struct network_pass after;
    size_t correct;
    if (!t->probe.loss_after)
        return STATUS_OK;
    enum status status = network_forward(t->network, &t->arena, PASS_MEASURE, t->x, t->batch, t->batch, &after, err);
    if (status != STATUS_OK)
        return status;
    loss_cross_entropy(after.logits, t->labels, t->batch, t->batch, t->network->classes, t->losses, t->predicted, NULL);
    tell(told, "loss_before", loss);
    tell(told, "loss_after", mean_loss(t, t->batch, &correct));
    return STATUS_OK;
}

/* Takes the step Δθ; a probed one is measured from where it starts. */
static enum status take_step(struct trainer *t, struct network_pass *pass, const struct step_rule *rule, bool probed,
                             double loss, struct told *told, const struct training_observer *observer,
                             struct error *err)
{
    if (!probed) {
        optimiser_apply(&t->optimiser, t->network->parameters);
        return STATUS_OK;
    }
    double began = now();
    enum status status = measure_sites(t, pass, rule, observer, err);
    t->clock_probe += now() - began;
    if (status != STATUS_OK)
        return status;
    optimiser_apply(&t->optimiser, t->network->parameters);
    began = now();
    status = measure_loss_after(t, loss, told, err);
    t->clock_probe += now() - began;
    return status;
}

/* The test set in evaluation mode. */
static enum status evaluate(struct trainer *t, struct told *told, struct error *err)
{
    size_t count = dataset_info(t->dataset)->test_count, correct = 0;
    double sum = 0;
    if (count == 0)
        return STATUS_OK;
    for (size_t from = 0; from < count; from += EVALUATION_ROWS) {
        size_t rows = count - from < EVALUATION_ROWS ? count - from : EVALUATION_ROWS, right;
        for (size_t i = 0; i < rows; i++)
            t->indices[i] = (uint32_t)(from + i);
        dataset_gather(t->dataset, SPLIT_TEST, t->indices, rows, t->x, t->labels);
        struct network_pass pass;
        enum status status =
            network_forward(t->network, &t->evaluation_arena, PASS_EVALUATE, t->x, rows, rows, &pass, err);
        if (status != STATUS_OK)
            return status;
        loss_cross_entropy(pass.logits, t->labels, rows, rows, t->network->classes, t->losses, t->predicted, NULL);
        sum += mean_loss(t, rows, &right) * (double)rows;
        correct += right;
        arena_reset(&t->evaluation_arena);
    }
    tell(told, "test/loss", sum / (double)count);
    tell(told, "test/accuracy", (double)correct / (double)count);
    return STATUS_OK;
}

static enum status end_epoch(struct trainer *t, struct told *told, struct error *err)
{
    double steps = (double)t->plan.steps_per_epoch;
    tell(told, "epoch/train/loss", t->epoch_loss / steps);
    tell(told, "epoch/train/accuracy", (double)t->epoch_correct / (steps * (double)t->batch));
    t->epoch_loss = 0;
    t->epoch_correct = 0;
    return evaluate(t, told, err);
}

/* Once a second and at the last step: how fast it goes, and the share of the time that measuring takes. */
static void tell_speed(struct trainer *t, size_t step, struct told *told)
{
    double at = now(), passed = at - t->clock_start;
    t->clock_steps++;
    if ((passed < 1 && step != t->plan.steps) || !(passed > 0))
        return;
    tell(told, "steps_per_second", (double)t->clock_steps / passed);
    tell(told, "probe_share", t->clock_probe / passed);
    t->clock_start = at;
    t->clock_steps = 0;
    t->clock_probe = 0;
}

MULTIVERSION
static double gradient_squares(const struct network *network)
{
    return vector_squares(network->parameter_count, network->gradient);
}

static enum status run_step(struct trainer *t, const struct training_observer *observer, struct error *err)
{
    size_t step = t->step + 1, correct = 0;
    bool probed = spec_step_is_probed(t->spec, step, t->plan.steps, t->plan.steps_per_epoch);
    struct told told = {.count = 0};
    struct network_pass pass;
    double loss = 0;
    arena_reset(&t->arena);
    enum status status = compute(t, gather(t, step, probed), &pass, &loss, &correct, err);
    if (status != STATUS_OK)
        return status;
    double norm = sqrt(gradient_squares(t->network));
    if (!isfinite(loss) || !isfinite(norm))
        return diverged(t, &pass, step, isfinite(loss) ? "gradient" : "loss", err);
    struct step_rule rule = optimiser_rule(&t->optimiser, step, t->plan.steps);
    if (!optimiser_step(&t->optimiser, &rule, t->network->parameters, t->network->gradient))
        return diverged(t, &pass, step, "step", err);
    tell(&told, "train/loss", loss);
    tell(&told, "train/accuracy", (double)correct / (double)t->batch);
    tell(&told, "learning_rate", rule.learning_rate);
    tell(&told, "gradient_norm", norm);
    t->epoch_loss += loss;
    t->epoch_correct += correct;
    status = take_step(t, &pass, &rule, probed, loss, &told, observer, err);
    if (status == STATUS_OK && step % t->plan.steps_per_epoch == 0)
        status = end_epoch(t, &told, err);
    if (status != STATUS_OK)
        return status;
    tell_speed(t, step, &told);
    if (observer->scalars)
        status = observer->scalars(observer->context, step, told.items, told.count, err);
    t->step = step;
    return status;
}

enum status trainer_run(struct trainer *t, size_t until, const struct training_observer *observer, struct error *err)
{
    if (until > t->plan.steps)
        until = t->plan.steps;
    t->clock_start = now();
    t->clock_steps = 0;
    t->clock_probe = 0;
    while (t->step < until) {
        enum status status = run_step(t, observer, err);
        if (status == STATUS_OK && observer->step_done)
            status = observer->step_done(observer->context, t->step, (t->step - 1) / t->plan.steps_per_epoch + 1, err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}
