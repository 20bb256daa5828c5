/* Small trainings, and what they tell as one number, for tests. */
#ifndef PLUMBLINE_TESTS_TRAINING_H
#define PLUMBLINE_TESTS_TRAINING_H

#include "tests/files.h"

#include "core/trainer.h"
#include "core/trainer_internal.h"

/* A run's told figures as one growing text of bits, times left out. */
struct record {
    uint64_t hash;
    size_t scalars, measurements, rows, samples;
    size_t last_step;
    size_t stop_at; /* step_done asks for a stop here */
    double gradient_norm, rate, predicted;
    double worst_identity;
    struct trainer *trainer;
};

static inline void mix(struct record *r, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        r->hash = (r->hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
}

static inline enum status on_samples(void *context, const struct step_samples *s, struct error *err)
{
    (void)err;
    struct record *r = context;
    r->samples += s->count;
    r->predicted = 0;
    mix(r, s->samples, s->count * sizeof *s->samples);
    mix(r, s->losses, s->count * sizeof *s->losses);
    mix(r, s->predicted, s->count * sizeof *s->predicted);
    return STATUS_OK;
}

static inline enum status on_measurement(void *context, const struct site_measurement *m, struct error *err)
{
    (void)err;
    struct record *r = context;
    r->measurements++;
    r->rows += m->row_count;
    r->predicted += m->figures.predicted_decrease;
    for (size_t i = 0; i < m->row_count; i++) {
        const double *v = m->rows[i].values;
        for (int c = 0; c < COLUMN_COUNT; c++)
            if (!isnan(v[c])) /* the sign of a NaN means nothing */
                mix(r, &v[c], sizeof v[c]);
        double ratio = v[COLUMN_EFFECTIVE_NORM] / v[COLUMN_IDEAL_NORM];
        double square = ratio * ratio - 2 * v[COLUMN_SCALE] + 1, divergence = v[COLUMN_DIVERGENCE];
        if (!isnan(divergence))
            r->worst_identity =
                fmax(r->worst_identity, fabs(divergence * divergence - square) / fmax(1, ratio * ratio));
        if (i < m->batch_rows && !isnan(v[COLUMN_SCALE_ACROSS]))
            r->worst_identity =
                fmax(r->worst_identity, fabs(v[COLUMN_SCALE] - v[COLUMN_SELF_FACTOR] - v[COLUMN_SCALE_ACROSS]) /
                                            fmax(1, fabs(v[COLUMN_SCALE])));
    }
    return STATUS_OK;
}

static inline enum status on_contributors(void *context, const struct site_contributors *c, struct error *err)
{
    (void)err;
    struct record *r = context;
    mix(r, c->others, c->row_count * c->count * sizeof *c->others);
    mix(r, c->parts, c->row_count * c->count * sizeof *c->parts);
    mix(r, c->rest, c->row_count * sizeof *c->rest);
    return STATUS_OK;
}

static inline enum status on_scalars(void *context, size_t step, const struct scalar *scalars, size_t count,
                                     struct error *err)
{
    (void)err;
    struct record *r = context;
    assert_true(step == r->last_step + 1);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(scalars[i].key, "steps_per_second") == 0 || strcmp(scalars[i].key, "probe_share") == 0)
            continue;
        r->scalars++;
        mix(r, scalars[i].key, strlen(scalars[i].key));
        mix(r, &scalars[i].value, sizeof scalars[i].value);
        if (strcmp(scalars[i].key, "gradient_norm") == 0)
            r->gradient_norm = scalars[i].value;
        if (strcmp(scalars[i].key, "learning_rate") == 0)
            r->rate = scalars[i].value;
    }
    return STATUS_OK;
}

static inline enum status on_step_done(void *context, size_t step, size_t epoch, struct error *err)
{
    struct record *r = context;
    assert_true(epoch >= 1);
    r->last_step = step;
    return step == r->stop_at ? error_set(err, STATUS_STOPPED, "asked to") : STATUS_OK;
}

static inline struct training_observer observer_of(struct record *r)
{
    return (struct training_observer){.context = r,
                                      .samples = on_samples,
                                      .measurement = on_measurement,
                                      .contributors = on_contributors,
                                      .scalars = on_scalars,
                                      .step_done = on_step_done};
}

/* The spec `base`, which is released, with `more` merged over it. */
static inline struct spec *spec_over(json_t *base, const char *more)
{
    struct problem_list problems;
    struct spec *spec = NULL;
    struct error err;
    json_error_t error;
    json_t *over = json_loads(more, 0, &error);
    if (!base || !over)
        fail_msg("%s: %s", more, error.text);
    json_object_update_recursive(base, over);
    assert_ok(problem_list_init(&problems, &err));
    if (spec_parse(base, &spec, &problems, &err) != STATUS_OK)
        fail_msg("%s", json_dumps(problems.items, 0));
    problem_list_clear(&problems);
    json_decref(over);
    json_decref(base);
    return spec;
}

/* A small spec on synthetic data; `more` is merged over it. */
static inline struct spec *make_spec(const char *variant, const char *more)
{
    return spec_over(json_pack("{s:{s:s, s:i, s:i, s:i, s:i, s:s}, s:{s:s, s:i, s:i, s:s}, s:{s:f}, s:i, s:i, s:{s:s}}",
                               "dataset", "name", "synthetic", "classes", 3, "features", 12, "train", 53, "test", 300,
                               "scaling", "standard", "model", "preset", "mlp", "width", 9, "depth", 2, "variant",
                               variant, "optimiser", "learning_rate", 0.1, "batch_size", 8, "epochs", 3, "probe",
                               "schedule", "every"),
                     more);
}

enum { IMAGES = 29, IMAGE_SIDE = 6, IMAGE_CHANNELS = 3, IMAGE_CLASSES = 3 };

static inline void write_npy(const char *folder, const char *name, const char *type, const char *shape,
                             const void *values, size_t size)
{
    unsigned char bytes[128] = "\x93NUMPY\x01";
    size_t header = 118; /* 128 bytes with what stands before it */
    bytes[8] = (unsigned char)header;
    memset(bytes + 10, ' ', header - 1);
    int n = snprintf((char *)bytes + 10, header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    bytes[10 + n] = ' ';
    bytes[127] = '\n';
    unsigned char *whole = malloc(sizeof bytes + size);
    assert_non_null(whole);
    memcpy(whole, bytes, sizeof bytes);
    memcpy(whole + sizeof bytes, values, size);
    files_write(folder, name, whole, sizeof bytes + size);
    free(whole);
}

/* A folder of small random images, for a data set npy with the path "images" there. */
static inline void images_begin(char root[TEST_PATH_SIZE])
{
    enum { SIZE = IMAGES * IMAGE_CHANNELS * IMAGE_SIDE * IMAGE_SIDE };
    char folder[TEST_PATH_SIZE + 16], shape[64];
    float *x = calloc(SIZE, sizeof *x);
    unsigned char labels[IMAGES];
    struct rng rng;
    assert_non_null(x);
    files_begin(root);
    snprintf(folder, sizeof folder, "%s/images", root);
    assert_int_equal(mkdir(folder, 0700), 0);
    rng_seed(&rng, 21, 0);
    for (size_t i = 0; i < SIZE; i++)
        x[i] = (float)rng_normal(&rng);
    for (size_t i = 0; i < IMAGES; i++)
        labels[i] = (unsigned char)(i % IMAGE_CLASSES);
    snprintf(shape, sizeof shape, "(%d, %d, %d, %d)", IMAGES, IMAGE_CHANNELS, IMAGE_SIDE, IMAGE_SIDE);
    write_npy(folder, "train_x.npy", "<f4", shape, x, SIZE * sizeof *x);
    snprintf(shape, sizeof shape, "(%d,)", IMAGES);
    write_npy(folder, "train_y.npy", "|u1", shape, labels, sizeof labels);
    write_npy(folder, "test_x.npy", "<f4", "(5, 3, 6, 6)", x, SIZE / IMAGES * 5 * sizeof *x);
    write_npy(folder, "test_y.npy", "|u1", "(5,)", labels, 5);
    free(x);
}

/* A spec of these layers (JSON text of the array) on the images; `more` is merged over it. */
static inline struct spec *make_image_spec(const char *layers, const char *more)
{
    json_t *list = json_loads(layers, 0, NULL);
    assert_non_null(list);
    return spec_over(json_pack("{s:{s:s, s:s, s:i, s:s}, s:{s:o}, s:{s:f}, s:i, s:i, s:{s:s}}", "dataset", "name",
                               "npy", "path", "images", "classes", IMAGE_CLASSES, "scaling", "standard", "model",
                               "layers", list, "optimiser", "learning_rate", 0.05, "batch_size", 7, "epochs", 2,
                               "probe", "schedule", "every"),
                     more);
}

/* Small networks that hold every layer type between them. */
static const char *const image_networks[] = {
    "[{\"type\": \"conv\", \"channels\": 4, \"padding\": 1, \"variant\": \"patch-affine-like\"}, {\"type\": "
    "\"leaky-relu\"}, {\"type\": \"max-pool\"}, {\"type\": \"conv\", \"channels\": 5, \"padding\": 1, \"variant\": "
    "\"batch\"}, {\"type\": \"sigmoid\"}, {\"type\": \"avg-pool\"}, {\"type\": \"flatten\"}, {\"type\": "
    "\"dense\", \"units\": 3}]",
    "[{\"type\": \"patch-embed\", \"patch\": 2, \"dim\": 6, \"positions\": true}, {\"type\": \"residual\", "
    "\"layers\": [{\"type\": \"attention\", \"heads\": 2, \"variant\": {\"q\": \"rms\", \"k\": \"l2\", \"v\": "
    "\"batch\", \"o\": \"affine-like\"}, \"qk_norm\": \"l2\"}]}, {\"type\": \"residual\", \"layers\": [{\"type\": "
    "\"normaliser\", \"kind\": \"batch\", \"gain\": \"per-feature\"}, {\"type\": \"dense\", \"units\": 12, "
    "\"variant\": \"layer\"}, {\"type\": \"gelu\"}, {\"type\": \"dense\", \"units\": 6}]}, {\"type\": "
    "\"mean-tokens\"}, {\"type\": \"relu\"}, {\"type\": \"dense\", \"units\": 5}, {\"type\": \"tanh\"}, {\"type\": "
    "\"dense\", \"units\": 3}]",
};

/* `root`: the folder of images_begin, or NULL for synthetic data. */
static inline struct dataset *load_from(const struct spec *spec, const char *root)
{
    const char *const paths[] = {root, NULL};
    const struct dataset_folders folders = {.paths = paths};
    struct dataset *dataset = NULL;
    struct error err;
    assert_ok(dataset_load(&spec->dataset, &folders, &dataset, &err));
    return dataset;
}

static inline struct dataset *load(const struct spec *spec)
{
    return load_from(spec, NULL);
}

/* Trains to the end and returns what was told; the weights' bits are mixed in. */
static inline struct record train(const struct spec *spec, const struct dataset *dataset)
{
    struct record r = {0};
    struct trainer *trainer = NULL;
    struct error err;
    assert_ok(trainer_create(spec, dataset, NULL, &trainer, &err));
    r.trainer = trainer;
    const struct training_observer observer = observer_of(&r);
    assert_ok(trainer_run(trainer, SIZE_MAX, &observer, &err));
    mix(&r, trainer->network->parameters, trainer->network->parameter_count * sizeof(real));
    mix(&r, trainer->network->buffers, trainer->network->buffer_count * sizeof(real));
    trainer_free(trainer);
    return r;
}

#endif
