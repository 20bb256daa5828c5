/* The keys of a spec, as tables. */
#include "core/spec_internal.h"

#include <math.h>

const char *const optimiser_names[] = {
    [OPTIMISER_SGD] = "sgd", [OPTIMISER_ADAM] = "adam", [OPTIMISER_ADAMW] = "adamw", NULL};
static const char *const only_sgd[] = {"sgd", NULL};
static const char *const only_adam[] = {"adam", "adamw", NULL};

const char *const schedule_names[] = {
    [SCHEDULE_CONSTANT] = "constant", [SCHEDULE_COSINE] = "cosine", [SCHEDULE_STEP] = "step", NULL};
static const char *const only_step[] = {"step", NULL};

const char *const probe_schedule_names[] = {
    [PROBE_NONE] = "none", [PROBE_EVERY] = "every", [PROBE_LOG] = "log", [PROBE_EPOCHS] = "epochs", NULL};

static const char *const views[] = {"layer", "network", NULL};

const struct option spec_options[] = {
    {"name", OPTION_STRING, "\"\"", .help = "what a person calls the run"},
    {"tags", OPTION_STRINGS, "[]", .help = "words to find the run by"},
    {"dataset", OPTION_ANY, NULL, .help = "an object with the name of the data set"},
    {"model", OPTION_ANY, NULL, .help = "an object with layers, or with a preset"},
    {"weights", OPTION_STRING, "null", .nullable = true,
     .help = "initial weights, a safetensors file below weights/; null draws them from the seed"},
    {"optimiser", OPTION_ANY, "{}", .help = "how the weights are stepped"},
    {"batch_size", OPTION_INTEGER, "64", 1, UINT32_MAX, .help = "samples a step"},
    {"epochs", OPTION_INTEGER, "5", 1, 1000000, .help = "passes over the training samples"},
    {"seed", OPTION_INTEGER, "1", 0, 9007199254740991, .help = "of initial weights and sample order, to 2^53 − 1"},
    {"probe", OPTION_ANY, "{}", .help = "when and where the divergence is measured"},
    {"threads", OPTION_INTEGER, "1", 1, INFINITY, .help = "threads of one product; results differ in the last bits"},
    {"priority", OPTION_INTEGER, "0", -1000000, 1000000, .help = "among queued jobs, higher first"},
    {"checkpoint_every", OPTION_INTEGER, "500", 1, UINT32_MAX, .help = "steps between checkpoints"},
    {"memory_limit", OPTION_INTEGER, "null", 1048576, 9007199254740991, .nullable = true, .omitted = true,
     .help = "bytes that the job may take beyond what every worker takes; null is no limit"},
    {"time_limit", OPTION_NUMBER, "null", 0, INFINITY, .above_minimum = true, .nullable = true, .omitted = true,
     .help = "seconds that the job may run, all attempts together; null is no limit"},
    OPTION_END,
};

const struct option spec_optimiser_options[] = {
    {"name", OPTION_CHOICE, "\"sgd\"", .choices = optimiser_names, .help = "the method"},
    {"learning_rate", OPTION_NUMBER, "0.05", 0, INFINITY, .above_minimum = true, .too_small = "would climb the loss",
     .help = "η, the length of a step"},
    {"momentum", OPTION_NUMBER, "0.0", 0, 1, .below_maximum = true, .too_small = "would undo its own steps",
     .when_key = "name", .when = only_sgd, .help = "share of the last direction that is kept"},
    {"nesterov", OPTION_BOOLEAN, "false", .when_key = "name", .when = only_sgd,
     .help = "look ahead along the momentum"},
    {"beta1", OPTION_NUMBER, "0.9", 0, 1, .below_maximum = true, .when_key = "name", .when = only_adam,
     .help = "share of the mean gradient that is kept"},
    {"beta2", OPTION_NUMBER, "0.999", 0, 1, .below_maximum = true, .when_key = "name", .when = only_adam,
     .help = "share of the mean squared gradient that is kept"},
    {"epsilon", OPTION_NUMBER, "1e-8", 0, INFINITY, .above_minimum = true, .when_key = "name", .when = only_adam,
     .help = "added to the root of the mean squared gradient"},
    {"weight_decay", OPTION_NUMBER, "0.0", 0, INFINITY, .too_small = "would make all weights grow",
     .help = "λ: sgd and adam add λθ to the gradient of all parameters, adamw takes ηλθ from them"},
    {"schedule", OPTION_CHOICE, "\"constant\"", .choices = schedule_names,
     .help = "of the learning rate. cosine: half a wave down to 0 at the last step; step: multiplied now and then"},
    {"step_every", OPTION_INTEGER, "1000", 1, UINT32_MAX, .when_key = "schedule", .when = only_step,
     .help = "steps between two multiplications"},
    {"step_factor", OPTION_NUMBER, "0.1", 0, INFINITY, .above_minimum = true, .when_key = "schedule", .when = only_step,
     .help = "what the learning rate is multiplied by"},
    {"warmup_steps", OPTION_INTEGER, "0", 0, UINT32_MAX,
     .help = "steps in which the learning rate rises linearly to its value, before the schedule begins"},
    OPTION_END,
};

const struct option spec_probe_options[] = {
    {"schedule", OPTION_CHOICE, "\"log\"", .choices = probe_schedule_names,
     .help = "every: steps 1, 1 + every, …; log: evenly on a logarithmic axis; epochs: the last step of each; none"},
    {"every", OPTION_INTEGER, "1", 1, UINT32_MAX, .help = "of schedule every: steps between probes"},
    {"count", OPTION_INTEGER, "100", 2, 1000000, .help = "of schedule log: probes, less those that fall together"},
    {"views", OPTION_STRINGS, "[\"layer\"]", .choices = views, .distinct = true,
     .help = "layer: each layer's input held fixed; network: what all layers' steps do together, besides"},
    {"sites", OPTION_ANY, "\"all\"", .help = "all, or an array of names such as 1.dense"},
    {"samples", OPTION_INTEGER, "null", 1, UINT32_MAX, .nullable = true,
     .help = "measured of each batch, the first so many; null is all"},
    {"watch", OPTION_INTEGERS, "[]", 0, UINT32_MAX - 1.0, .distinct = true,
     .help = "training samples measured at every probed step, in the batch or not"},
    {"contributors", OPTION_INTEGER, "0", 0, 1024,
     .help = "of plain SGD: for each sample and site so many other samples whose gradients moved it most; 0 is none"},
    OPTION_END,
};
