/*
 * The slow, obvious version of the layers with weights, in plain loops and double precision, held against the fast one
 * over random shapes: forward, gradient of the parameters, effective update, and its own, within and across parts.
 */
#include "core/layout.h"
#include "tests/experiment.h"

#define CLOSE (sizeof(real) == 8 ? 1e-10 : 1e-4)

/* ------------------------------------------------------------------ feature maps, theory.md §2 */

/* The variance-like sums of `count` values `stride` apart. */
static void standardise(size_t count, size_t stride, const double *x, double *u)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < count; i++)
        mean += x[i * stride] / (double)count;
    for (size_t i = 0; i < count; i++)
        variance += (x[i * stride] - mean) * (x[i * stride] - mean) / (double)count;
    for (size_t i = 0; i < count; i++)
        u[i * stride] = (x[i * stride] - mean) / sqrt(variance + 1e-5);
}

/* u of `rows` vectors of n values; where the map scales the constant's feature too, *ret_one (one a row) tells it. */
static void plain_map(const char *map, size_t rows, size_t n, const double *x, double *u, double *ret_one)
{
    for (size_t i = 0; i < rows; i++) {
        const double *from = x + i * n;
        double square = 0, factor = 1;
        for (size_t k = 0; k < n; k++)
            square += from[k] * from[k];
        ret_one[i] = 1;
        if (strcmp(map, "affine-like") == 0)
            factor = ret_one[i] = 1 / sqrt(1 + square);
        else if (strcmp(map, "l2") == 0)
            factor = sqrt(square) < 1e-12 ? 0 : 1 / sqrt(square);
        else if (strcmp(map, "rms") == 0)
            factor = sqrt(square) < 1e-12 ? 0 : sqrt((double)n / square);
        for (size_t k = 0; k < n; k++)
            u[i * n + k] = from[k] * factor;
        if (strcmp(map, "layer") == 0)
            standardise(n, 1, from, u + i * n);
    }
    for (size_t k = 0; k < n && strcmp(map, "batch") == 0; k++)
        standardise(rows, n, x + k, u + k);
}

/* ------------------------------------------------------------------ z = W u + b one at all positions */

/* A linear layer on features: rows × positions × width, weights out × width in PyTorch's order. */
struct plain {
    size_t rows, positions, width, out;
    bool bias;
    double *u, *one; /* features; the constant's feature of each position */
    double *weight, *offset;
    double *g; /* ∂L/∂z: rows × positions × out */
    double rate;
};

static double feature_product(const struct plain *l, size_t i, size_t p, size_t j, size_t q)
{
    size_t a = i * l->positions + p, b = j * l->positions + q;
    double sum = l->bias ? l->one[a] * l->one[b] : 0;
    for (size_t k = 0; k < l->width; k++)
        sum += l->u[a * l->width + k] * l->u[b * l->width + k];
    return sum;
}

static double plain_output(const struct plain *l, size_t at, size_t o)
{
    double sum = l->bias ? l->offset[o] * l->one[at] : 0;
    for (size_t k = 0; k < l->width; k++)
        sum += l->weight[o * l->width + k] * l->u[at * l->width + k];
    return sum;
}

/* What compares two arrays: the norm of the difference against the norm. */
struct gap {
    double difference, norm;
};

static void gap_add(struct gap *gap, double got, double want)
{
    gap->difference += (got - want) * (got - want);
    gap->norm += want * want;
}

static void gap_check(const struct gap *gap, const char *text, const char *what)
{
    double error = sqrt(gap->difference) / fmax(sqrt(gap->norm), 1e-3);
    if (!(error <= CLOSE))
        fail_msg("%s: %s is off by %.3g", text, what, error);
}

/* Value o of position p in row i of an array that the network made, of any rank, positions before channels. */
static double at(const struct plain *l, const real *values, size_t i, size_t p, size_t o)
{
    return (double)values[(i * l->positions + p) * l->out + o];
}

static void check_output(const struct plain *l, const struct experiment *e, const char *text)
{
    struct gap gap = {0};
    for (size_t a = 0; a < l->rows * l->positions; a++)
        for (size_t o = 0; o < l->out; o++)
            gap_add(&gap, at(l, e->pass.logits, a / l->positions, a % l->positions, o), plain_output(l, a, o));
    gap_check(&gap, text, "the output");
}

static const struct named_tensor *tensor(const struct tensor_list *list, const char *name)
{
    const struct named_tensor *found = tensor_list_find(list, name);
    assert_non_null(found);
    return found;
}

static void check_gradient(const struct plain *l, const struct experiment *e, const char *text)
{
    struct tensor_list list;
    struct error err;
    struct gap gap = {0};
    assert_ok(network_export_block(e->network, e->network->gradient, &list, &err));
    for (size_t o = 0; o < l->out; o++)
        for (size_t k = 0; k <= l->width; k++) {
            double want = 0;
            for (size_t a = 0; a < l->rows * l->positions; a++)
                want += l->g[a * l->out + o] * (k < l->width ? l->u[a * l->width + k] : l->one[a]);
            if (k < l->width)
                gap_add(&gap, (double)tensor(&list, "layers.0.weight")->values[o * l->width + k], want);
            else if (l->bias)
                gap_add(&gap, (double)tensor(&list, "layers.0.bias")->values[o], want);
        }
    tensor_list_clear(&list);
    gap_check(&gap, text, "the gradient");
}

/* Δz by the kernel of all pairs of positions, and its parts. */
static void check_update(const struct plain *l, struct experiment *e, const char *text)
{
    struct site_update update = experiment_update(e, 0);
    const struct step_rule rule = experiment_rule(e);
    struct gap whole = {0}, own_sample = {0};
    for (size_t i = 0; i < l->rows; i++) {
        struct divergence_row row;
        double within = 0, across = 0, square = 0, own = 0;
        for (size_t p = 0; p < l->positions; p++)
            for (size_t o = 0; o < l->out; o++) {
                double a = -l->rate * l->g[(i * l->positions + p) * l->out + o], mine = 0, others = 0;
                for (size_t j = 0; j < l->rows; j++)
                    for (size_t q = 0; q < l->positions; q++) {
                        double part =
                            -l->rate * feature_product(l, i, p, j, q) * l->g[(j * l->positions + q) * l->out + o];
                        *(j == i ? &mine : &others) += part;
                    }
                double self = feature_product(l, i, p, i, p) * a;
                gap_add(&whole, at(l, update.effective, i, p, o), mine + others);
                if (update.own_sample)
                    gap_add(&own_sample, at(l, update.own_sample, i, p, o), mine);
                within += (mine - self) * a;
                across += others * a;
                own += self * a;
                square += a * a;
            }
        update_measure(&update, i, true, &rule, &row);
        const double *v = row.values;
        double floor = fmax(own / square, v[COLUMN_EFFECTIVE_NORM] / v[COLUMN_IDEAL_NORM]);
        assert_true(relative_error(v[COLUMN_SELF_FACTOR], own / square, 0) < CLOSE);
        assert_true(relative_error(v[COLUMN_SCALE_ACROSS], across / square, floor) < CLOSE);
        assert_int_equal(isnan(v[COLUMN_SCALE_WITHIN]) != 0, l->positions == 1);
        if (l->positions > 1)
            assert_true(relative_error(v[COLUMN_SCALE_WITHIN], within / square, floor) < CLOSE);
    }
    gap_check(&whole, text, "the effective update");
    gap_check(&own_sample, text, "the sample's own part");
}

static double *doubles(size_t count)
{
    double *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

/* Copies weights and gradients out of a network of one layer and checks everything. `l` has features and sizes. */
static void check_layer(struct plain *l, struct experiment *e, const char *text)
{
    struct tensor_list list;
    struct error err;
    assert_ok(network_export(e->network, &list, &err));
    l->weight = doubles(l->out * l->width);
    l->offset = doubles(l->out);
    l->g = doubles(l->rows * l->positions * l->out);
    l->rate = e->rate;
    for (size_t i = 0; i < l->out * l->width; i++)
        l->weight[i] = (double)tensor(&list, "layers.0.weight")->values[i];
    for (size_t o = 0; l->bias && o < l->out; o++)
        l->offset[o] = (double)tensor(&list, "layers.0.bias")->values[o];
    for (size_t i = 0; i < l->rows * l->positions * l->out; i++)
        l->g[i] = (double)e->g[i];
    tensor_list_clear(&list);
    check_output(l, e, text);
    check_gradient(l, e, text);
    check_update(l, e, text);
    free(l->weight);
    free(l->offset);
    free(l->g);
    free(l->u);
    free(l->one);
}

/* ------------------------------------------------------------------ dense */

static void check_dense(const char *variant, struct shape shape, size_t rows, size_t units, bool bias, uint64_t seed)
{
    char text[256];
    struct experiment e;
    snprintf(text, sizeof text, "[{\"type\": \"dense\", \"units\": %zu, \"variant\": \"%s\", \"bias\": %s}]", units,
             variant, bias ? "true" : "false");
    experiment_begin(&e, text, shape, rows, 1.5, 0.03, seed);
    experiment_run(&e);
    struct plain l = {.rows = rows,
                      .positions = shape.rank == 2 ? shape.dims[0] : 1,
                      .width = shape.dims[shape.rank - 1],
                      .out = units,
                      .bias = bias};
    double *x = doubles(rows * e.in);
    l.u = doubles(rows * e.in);
    l.one = doubles(rows * l.positions);
    for (size_t i = 0; i < rows * e.in; i++)
        x[i] = (double)e.x[i];
    plain_map(variant, rows * l.positions, l.width, x, l.u, l.one);
    snprintf(text, sizeof text, "dense %s of %zu × %zu × %zu to %zu", variant, rows, l.positions, l.width, units);
    check_layer(&l, &e, text);
    free(x);
    experiment_end(&e);
}

static void dense_layers(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 31, 0);
    for (const char *const *variant = feature_map_names; *variant; variant++) {
        check_dense(*variant, (struct shape){1, {1}}, 2, 1, true, 1);    /* one feature, one unit */
        check_dense(*variant, (struct shape){1, {9}}, 1, 4, true, 2);    /* one sample */
        check_dense(*variant, (struct shape){2, {1, 5}}, 3, 4, true, 3); /* one token */
        for (uint64_t round = 0; round < 12; round++) {
            size_t n = 1 + rng_below(&rng, 40), tokens = 1 + rng_below(&rng, 9);
            struct shape shape = round % 2 ? (struct shape){2, {tokens, n}} : (struct shape){1, {n}};
            check_dense(*variant, shape, 1 + rng_below(&rng, 7), 1 + rng_below(&rng, 20), round % 3 != 0, 100 + round);
        }
    }
}

/* ------------------------------------------------------------------ convolution, theory.md §3 */

struct form {
    size_t channels, height, width, out, kernel, stride, padding;
};

/* The normalised images of the variants that normalise the whole input. */
static void normalise_images(const char *variant, bool by_position, size_t rows, const struct form *f, double *x)
{
    size_t pixels = f->height * f->width, size = f->channels * pixels;
    double *by_pixel = doubles(rows * size), *u = doubles(rows * size), *one = doubles(rows * pixels);
    bool channels_together = by_position || strcmp(variant, "batch") == 0;
    for (size_t i = 0; i < rows; i++) /* positions first, so that a position's channels are one vector */
        for (size_t c = 0; c < f->channels; c++)
            for (size_t p = 0; p < pixels; p++)
                by_pixel[(i * pixels + p) * f->channels + c] = x[i * size + c * pixels + p];
    if (channels_together)
        plain_map(variant, rows * pixels, f->channels, by_pixel, u, one);
    else
        plain_map(variant, rows, size, by_pixel, u, one);
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < f->channels; c++)
            for (size_t p = 0; p < pixels; p++)
                x[i * size + c * pixels + p] = u[(i * pixels + p) * f->channels + c];
    free(by_pixel);
    free(u);
    free(one);
}

/* The patch of one output position in channel, row, column order, zeros outside. */
static void cut_patch(const struct form *f, const double *image, size_t oy, size_t ox, double *patch)
{
    for (size_t c = 0; c < f->channels; c++)
        for (size_t ky = 0; ky < f->kernel; ky++)
            for (size_t kx = 0; kx < f->kernel; kx++) {
                long y = (long)(oy * f->stride + ky) - (long)f->padding,
                     x = (long)(ox * f->stride + kx) - (long)f->padding;
                bool inside = y >= 0 && x >= 0 && y < (long)f->height && x < (long)f->width;
                *patch++ = inside ? image[(c * f->height + (size_t)y) * f->width + (size_t)x] : 0;
            }
}

static void check_conv(const char *variant, const char *axes, struct form f, size_t rows, bool bias, uint64_t seed)
{
    char text[300];
    struct experiment e;
    snprintf(text, sizeof text,
             "[{\"type\": \"conv\", \"channels\": %zu, \"kernel\": %zu, \"stride\": %zu, \"padding\": %zu, "
             "\"variant\": \"%s\", "
             "\"axes\": \"%s\", \"bias\": %s}]",
             f.out, f.kernel, f.stride, f.padding, variant, axes, bias ? "true" : "false");
    experiment_begin(&e, text, (struct shape){3, {f.channels, f.height, f.width}}, rows, 1, 0.03, seed);
    experiment_run(&e);
    size_t out_height = (f.height + 2 * f.padding - f.kernel) / f.stride + 1;
    size_t out_width = (f.width + 2 * f.padding - f.kernel) / f.stride + 1;
    struct plain l = {.rows = rows,
                      .positions = out_height * out_width,
                      .width = f.channels * f.kernel * f.kernel,
                      .out = f.out,
                      .bias = bias};
    const char *map = strncmp(variant, "patch-", 6) == 0 ? variant + 6 : "affine";
    double *x = doubles(rows * e.in), *patches = doubles(rows * l.positions * l.width);
    l.u = doubles(rows * l.positions * l.width);
    l.one = doubles(rows * l.positions);
    for (size_t i = 0; i < rows * e.in; i++)
        x[i] = (double)e.x[i];
    if (strncmp(variant, "patch-", 6) != 0 && strcmp(variant, "affine") != 0)
        normalise_images(variant, strcmp(axes, "channel") == 0, rows, &f, x);
    for (size_t i = 0; i < rows; i++)
        for (size_t p = 0; p < l.positions; p++)
            cut_patch(&f, x + i * e.in, p / out_width, p % out_width, patches + (i * l.positions + p) * l.width);
    plain_map(map, rows * l.positions, l.width, patches, l.u, l.one);
    snprintf(text, sizeof text, "conv %s (%s) of %zu × %zu×%zu×%zu to %zu, kernel %zu, stride %zu, padding %zu",
             variant, axes, rows, f.channels, f.height, f.width, f.out, f.kernel, f.stride, f.padding);
    check_layer(&l, &e, text);
    free(x);
    free(patches);
    experiment_end(&e);
}

static void convolutions(void **state)
{
    (void)state;
    static const char *const variants[] = {
        "affine", "patch-affine-like", "patch-l2", "patch-rms", "batch", "layer", "rms", "l2"};
    static const struct form edges[] = {
        {2, 2, 3, 3, 5, 1, 2},   /* the kernel larger than the image */
        {1, 1, 1, 1, 3, 1, 1},   /* one pixel, one channel */
        {3, 7, 8, 4, 3, 3, 1},   /* stride 3 */
        {2, 6, 5, 3, 1, 2, 0},   /* a kernel of one pixel that jumps over some */
        {1, 5, 5, 2, 3, 1, 0},   /* one channel */
        {2, 3, 4, 2, 2, 3, 3},   /* patches that lie in the padding alone */
        {3, 8, 8, 16, 3, 1, 1},  /* the usual one */
        {16, 6, 7, 5, 3, 1, 1},  /* more channels than pixels of the kernel */
        {17, 9, 5, 33, 3, 1, 1}, /* sizes that are no multiple of a register */
    };
    struct rng rng;
    rng_seed(&rng, 32, 0);
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        for (size_t k = 0; k < sizeof edges / sizeof *edges; k++)
            check_conv(variants[v], "all", edges[k], 1 + k % 3, k % 4 != 3, k);
        for (uint64_t round = 0; round < 10; round++) {
            struct form f = {.channels = 1 + rng_below(&rng, 5),
                             .height = 1 + rng_below(&rng, 8),
                             .width = 1 + rng_below(&rng, 8),
                             .out = 1 + rng_below(&rng, 6),
                             .kernel = 1 + rng_below(&rng, 5),
                             .stride = 1 + rng_below(&rng, 3)};
            size_t smallest = f.height < f.width ? f.height : f.width;
            size_t needed = f.kernel > smallest ? (f.kernel - smallest + 1) / 2 : 0;
            f.padding = needed + rng_below(&rng, 3);
            check_conv(variants[v], round % 2 ? "channel" : "all", f, 1 + rng_below(&rng, 4), round % 3 != 0,
                       200 + round);
        }
    }
}

/* ------------------------------------------------------------------ attention, theory.md §4 */

/* The parameters of an attention layer in double, and one forward pass of one sample. */
struct plain_attention {
    size_t tokens, n, heads;
    bool causal, qk_norm;
    const char *variant;
    double *weight[4], *bias[4];
    double *q, *k, *v, *logits, *context, *output;
};

static void project(const struct plain_attention *a, const double *x, int which, double *z)
{
    double *u = doubles(a->tokens * a->n), *one = doubles(a->tokens);
    plain_map(a->variant, a->tokens, a->n, x, u, one);
    for (size_t t = 0; t < a->tokens; t++)
        for (size_t o = 0; o < a->n; o++) {
            z[t * a->n + o] = a->bias[which][o] * one[t];
            for (size_t k = 0; k < a->n; k++)
                z[t * a->n + o] += a->weight[which][o * a->n + k] * u[t * a->n + k];
        }
    free(u);
    free(one);
}

static double head_norm(const struct plain_attention *a, const double *values, size_t t, size_t h)
{
    size_t d = a->n / a->heads;
    double square = 0;
    for (size_t c = 0; c < d; c++)
        square += pow(values[t * a->n + h * d + c], 2);
    return a->qk_norm ? sqrt(square) : 1;
}

static void plain_forward(struct plain_attention *a, const double *x)
{
    size_t tokens = a->tokens, d = a->n / a->heads;
    project(a, x, 0, a->q);
    project(a, x, 1, a->k);
    project(a, x, 2, a->v);
    memset(a->context, 0, tokens * a->n * sizeof *a->context);
    for (size_t h = 0; h < a->heads; h++)
        for (size_t t = 0; t < tokens; t++) {
            double *row = a->logits + (h * tokens + t) * tokens, sum = 0, top = -INFINITY;
            size_t seen = a->causal ? t + 1 : tokens;
            for (size_t j = 0; j < seen; j++) {
                row[j] = 0;
                for (size_t c = 0; c < d; c++)
                    row[j] += a->q[t * a->n + h * d + c] * a->k[j * a->n + h * d + c];
                row[j] /= sqrt((double)d) * head_norm(a, a->q, t, h) * head_norm(a, a->k, j, h);
                top = fmax(top, row[j]);
            }
            for (size_t j = 0; j < seen; j++)
                sum += exp(row[j] - top);
            for (size_t j = 0; j < seen; j++)
                for (size_t c = 0; c < d; c++)
                    a->context[t * a->n + h * d + c] += exp(row[j] - top) / sum * a->v[j * a->n + h * d + c];
        }
    project(a, a->context, 3, a->output);
}

static void attention_free(struct plain_attention *a)
{
    for (int p = 0; p < 4; p++) {
        free(a->weight[p]);
        free(a->bias[p]);
    }
    free(a->q);
    free(a->k);
    free(a->v);
    free(a->logits);
    free(a->context);
    free(a->output);
}

/* A layer's parameters plus `step`, which may be NULL. */
static struct plain_attention attention_of(const struct experiment *e, const struct plain_attention *form, bool stepped)
{
    struct plain_attention a = *form;
    struct tensor_list list, steps;
    struct error err;
    size_t values = a.tokens * a.n;
    assert_ok(network_export(e->network, &list, &err));
    assert_ok(network_export_block(e->network, e->delta, &steps, &err));
    for (int p = 0; p < 4; p++) {
        char name[32];
        a.weight[p] = doubles(a.n * a.n);
        a.bias[p] = doubles(a.n);
        for (size_t i = 0; i < a.n * a.n + a.n; i++) {
            bool weight = i < a.n * a.n;
            snprintf(name, sizeof name, "layers.0.%c.%s", "qkvo"[p], weight ? "weight" : "bias");
            size_t place = weight ? i : i - a.n * a.n;
            double value = (double)tensor(&list, name)->values[place];
            if (stepped)
                value += (double)tensor(&steps, name)->values[place];
            (weight ? a.weight[p] : a.bias[p])[place] = value;
        }
    }
    tensor_list_clear(&list);
    tensor_list_clear(&steps);
    a.q = doubles(values);
    a.k = doubles(values);
    a.v = doubles(values);
    a.logits = doubles(a.heads * a.tokens * a.tokens);
    a.context = doubles(values);
    a.output = doubles(values);
    return a;
}

/* Forward, and what the step does to the sites that are not linear in the parameters, by stepping for real. */
static void check_attention(const char *variant, size_t tokens, size_t n, size_t heads, bool causal, bool qk_norm,
                            size_t rows, uint64_t seed)
{
    char text[300];
    struct experiment e;
    snprintf(text, sizeof text,
             "[{\"type\": \"attention\", \"heads\": %zu, \"variant\": \"%s\", \"qk_norm\": \"%s\", \"causal\": %s}]",
             heads, variant, qk_norm ? "l2" : "none", causal ? "true" : "false");
    experiment_begin(&e, text, (struct shape){2, {tokens, n}}, rows, 1, 0.3, seed);
    experiment_run(&e);
    const struct plain_attention form = {
        .tokens = tokens, .n = n, .heads = heads, .causal = causal, .qk_norm = qk_norm, .variant = variant};
    struct plain_attention before = attention_of(&e, &form, false), after = attention_of(&e, &form, true);
    struct site_update logits = experiment_update(&e, 4), context = experiment_update(&e, 5),
                       output = experiment_update(&e, 6);
    struct gap gaps[4] = {{0}};
    double *x = doubles(tokens * n);
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < tokens * n; k++)
            x[k] = (double)e.x[i * tokens * n + k];
        plain_forward(&before, x);
        plain_forward(&after, x);
        for (size_t k = 0; k < tokens * n; k++) {
            gap_add(&gaps[0], (double)e.pass.logits[i * tokens * n + k], before.output[k]);
            gap_add(&gaps[2], (double)context.effective[i * context.size + k], after.context[k] - before.context[k]);
            gap_add(&gaps[3], (double)output.effective[i * output.size + k], after.output[k] - before.output[k]);
        }
        for (size_t k = 0; k < heads * tokens * tokens; k++)
            gap_add(&gaps[1], (double)logits.effective[i * logits.size + k], after.logits[k] - before.logits[k]);
    }
    static const char *const what[] = {"the output", "Δlogits", "Δcontext", "Δoutput"};
    for (size_t k = 0; k < 4; k++)
        gap_check(&gaps[k], text, what[k]);
    free(x);
    attention_free(&before);
    attention_free(&after);
    experiment_end(&e);
}

static void attention_layers(void **state)
{
    (void)state;
    static const char *const variants[] = {"affine", "l2", "rms", "layer", "affine-like"};
    struct rng rng;
    rng_seed(&rng, 33, 0);
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        check_attention(variants[v], 1, 4, 2, false, false, 3, 1); /* one token */
        check_attention(variants[v], 4, 6, 6, false, true, 1, 2);  /* heads of width 1, one sample */
        for (uint64_t round = 0; round < 8; round++) {
            size_t heads = 1 + rng_below(&rng, 4), width = 1 + rng_below(&rng, 20);
            check_attention(variants[v], 1 + rng_below(&rng, 19), heads * width, heads, round & 1, round & 2,
                            1 + rng_below(&rng, 3), 300 + round);
        }
    }
}

/* ------------------------------------------------------------------ activations */

/* f(x + d) − f(x) in long double: the values' rounding is then beyond what a real of either precision holds. */
static double plain_tanh_change(double x, double d)
{
    long double y = (long double)x + d;
    /* one value subtracted from the other where the signs differ; else by e^−2|·|, for both are near the same ±1 */
    if ((x < 0) != (y < 0))
        return (double)(tanhl(y) - tanhl(x));
    long double at_x = expl(-2 * fabsl(x)), at_y = expl(-2 * fabsl(y));
    return (double)copysignl(2 * fmaxl(at_x, at_y) * -expm1l(-2 * fabsl(d)) / ((1 + at_x) * (1 + at_y)), d);
}

static double plain_sigmoid_change(double x, double d)
{
    return plain_tanh_change(x / 2, d / 2) / 2;
}

static void check_activation(const char *type, double wanted(double x, double d), const real *x, const real *d,
                             size_t count)
{
    const double least = sizeof(real) == 8 ? 1e-290 : 1e-30, close = sizeof(real) == 8 ? 1e-13 : 1e-6;
    char layers[96];
    struct experiment e;
    struct error err;
    snprintf(layers, sizeof layers, "[{\"type\": \"dense\", \"units\": %zu}, {\"type\": \"%s\"}]", count, type);
    experiment_begin(&e, layers, (struct shape){1, {1}}, 1, 1, 0.1, 1);
    experiment_run(&e);
    real *change = calloc(count, sizeof *change);
    assert_non_null(change);
    e.pass.all[1]->x = x;
    assert_ok(e.network->all[1]->ops->difference(e.network->all[1], e.pass.all[1], d, NULL, change, &err));
    for (size_t i = 0; i < count; i++) {
        double want = wanted((double)x[i], (double)d[i]);
        if (!(relative_error((double)change[i], want, least) < close))
            fail_msg("%s from %g by %g: %.9g, expected %.9g", type, (double)x[i], (double)d[i], (double)change[i],
                     want);
    }
    free(change);
    experiment_end(&e);
}

/* A unit that is saturated, crosses over, or hardly moves: its change is exact each time, and finite. */
static void activations_that_saturate(void **state)
{
    (void)state;
    static const double values[] = {0, 1e-30, 1e-6, 0.1, 1, 3, 9, 18, 20, 25, 40, 80, 400, 800, 1e4, 1e15, 1e30};
    enum { VALUES = sizeof values / sizeof *values, SIGNS = 4 };
    static real x[SIGNS * VALUES * VALUES], d[SIGNS * VALUES * VALUES];
    assert_true(fabs(plain_tanh_change(-20, 25) - 1.9999092043) < 1e-9 && fabs(plain_tanh_change(-18, 18) - 1) < 1e-9);
    for (size_t i = 0; i < (size_t)SIGNS * VALUES * VALUES; i++) {
        x[i] = (real)((i & 1 ? -1 : 1) * values[i / SIGNS / VALUES]);
        d[i] = (real)((i & 2 ? -1 : 1) * values[i / SIGNS % VALUES]);
    }
    check_activation("tanh", plain_tanh_change, x, d, (size_t)SIGNS * VALUES * VALUES);
    check_activation("sigmoid", plain_sigmoid_change, x, d, (size_t)SIGNS * VALUES * VALUES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_layers),
        cmocka_unit_test(convolutions),
        cmocka_unit_test(attention_layers),
        cmocka_unit_test(activations_that_saturate),
    };
    return cmocka_run_group_tests_name("plain loops (" REAL_NAME ")", tests, NULL, NULL);
}
