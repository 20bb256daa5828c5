/*
 * What theory.md says of the figures, held against the arrays they are made of: each identity of §5, the kernel of §2,
 * who moved a sample, and the closed form of §4.
 */
#include "core/contributors.h"
#include "core/update.h"
#include "tests/experiment.h"

enum { ROWS = 5 };

#define TIGHT (sizeof(real) == 8 ? 1e-10 : 3e-5)

/* Networks that hold every kind of site between them, on images of 3 × 6 × 6. */
static const struct shape image = {3, {3, 6, 6}};
static const char *const networks[] = {
    "[{\"type\": \"flatten\"}, {\"type\": \"dense\", \"units\": 9, \"variant\": \"affine-like\"}, {\"type\": "
    "\"tanh\"}, "
    "{\"type\": \"dense\", \"units\": 7, \"variant\": \"batch\"}, {\"type\": \"gelu\"}, {\"type\": \"dense\", "
    "\"units\": 4, "
    "\"variant\": \"l2\"}]",
    "[{\"type\": \"conv\", \"channels\": 4, \"padding\": 1, \"variant\": \"patch-affine-like\"}, {\"type\": "
    "\"leaky-relu\"}, {\"type\": \"max-pool\"}, {\"type\": \"conv\", \"channels\": 5, \"padding\": 1, \"stride\": 2, "
    "\"variant\": "
    "\"layer\"}, {\"type\": \"sigmoid\"}, {\"type\": \"flatten\"}, {\"type\": \"dense\", \"units\": 4, \"variant\": "
    "\"rms\"}]",
    "[{\"type\": \"patch-embed\", \"patch\": 2, \"dim\": 6, \"positions\": true, \"variant\": \"layer\"}, {\"type\": "
    "\"residual\", \"layers\": [{\"type\": \"attention\", \"heads\": 2, \"variant\": {\"q\": \"rms\", \"k\": \"l2\", "
    "\"v\": "
    "\"batch\", \"o\": \"affine-like\"}, \"qk_norm\": \"l2\", \"causal\": true}]}, {\"type\": \"normaliser\", "
    "\"kind\": \"batch\", "
    "\"gain\": \"per-feature\"}, {\"type\": \"dense\", \"units\": 8}, {\"type\": \"relu\"}, {\"type\": "
    "\"mean-tokens\"}, "
    "{\"type\": \"dense\", \"units\": 4}]",
    /* layers of positions that have one alone */
    "[{\"type\": \"conv\", \"channels\": 5, \"kernel\": 6, \"variant\": \"patch-affine-like\"}, {\"type\": "
    "\"flatten\"}, "
    "{\"type\": \"tanh\"}, {\"type\": \"dense\", \"units\": 4}]",
    "[{\"type\": \"patch-embed\", \"patch\": 6, \"dim\": 5, \"positions\": true}, {\"type\": \"flatten\"}, "
    "{\"type\": \"tanh\"}, {\"type\": \"dense\", \"units\": 4}]",
};
enum { NETWORKS = sizeof networks / sizeof *networks };

static void check(const char *what, const struct experiment *e, size_t site, double got, double want, double floor)
{
    double error = relative_error(got, want, floor);
    if (!(error <= TIGHT))
        fail_msg("%s at %s: %.12g, expected %.12g (off by %.3g)", what, e->network->sites[site].name, got, want, error);
}

/* Runs `test` at every site of every network. */
static void at_every_site(void (*test)(struct experiment *e, size_t site, const struct divergence_row *rows))
{
    for (size_t n = 0; n < NETWORKS; n++) {
        struct experiment e;
        struct divergence_row rows[ROWS];
        struct error err;
        experiment_begin(&e, networks[n], image, ROWS, 1, 0.05, n + 1);
        experiment_run(&e);
        assert_ok(network_difference(e.network, &e.pass, e.delta, &err));
        for (size_t site = 0; site < e.network->site_count; site++) {
            experiment_measure(&e, site, rows);
            test(&e, site, rows);
        }
        experiment_end(&e);
    }
}

/* ------------------------------------------------------------------ one sample's figures */

static void divergence_follows_from_norms_and_scale(struct experiment *e, size_t site,
                                                    const struct divergence_row *rows)
{
    for (size_t i = 0; i < ROWS; i++) {
        const double *v = rows[i].values;
        if (!e->network->sites[site].moves) {
            assert_true(isnan(v[COLUMN_DIVERGENCE]) && isnan(v[COLUMN_SCALE]) && isnan(v[COLUMN_EFFECTIVE_NORM]));
            assert_false(isnan(v[COLUMN_NETWORK_DIVERGENCE]));
            continue;
        }
        double ratio = v[COLUMN_EFFECTIVE_NORM] / v[COLUMN_IDEAL_NORM];
        check("divergence²", e, site, v[COLUMN_DIVERGENCE] * v[COLUMN_DIVERGENCE],
              ratio * ratio - 2 * v[COLUMN_SCALE] + 1, ratio * ratio);
        check("cosine · ratio", e, site, v[COLUMN_COSINE] * ratio, v[COLUMN_SCALE], ratio);
    }
}

static void test_divergence_follows(void **state)
{
    (void)state;
    at_every_site(divergence_follows_from_norms_and_scale);
}

static void scale_is_the_sum_of_its_parts(struct experiment *e, size_t site, const struct divergence_row *rows)
{
    const struct network_site *at = &e->network->sites[site];
    for (size_t i = 0; i < ROWS; i++) {
        const double *v = rows[i].values;
        bool linear = at->moves && at->layer->sites[at->index].linear && at->layer->ops->sample_factors;
        assert_int_equal(isnan(v[COLUMN_SELF_FACTOR]) != 0, !linear);
        if (!linear) {
            assert_true(isnan(v[COLUMN_INTERFERENCE]) && isnan(v[COLUMN_SCALE_ACROSS]));
            continue;
        }
        double within = isnan(v[COLUMN_SCALE_WITHIN]) ? 0 : v[COLUMN_SCALE_WITHIN];
        check("scale", e, site, v[COLUMN_SELF_FACTOR] + within + v[COLUMN_SCALE_ACROSS], v[COLUMN_SCALE],
              v[COLUMN_EFFECTIVE_NORM] / v[COLUMN_IDEAL_NORM] + v[COLUMN_SELF_FACTOR]);
        /* one position has no within part; several have both */
        assert_int_equal(isnan(v[COLUMN_INTERFERENCE_WITHIN]) != 0, isnan(v[COLUMN_INTERFERENCE_ACROSS]) != 0);
    }
}

static void test_scale_is_the_sum_of_its_parts(void **state)
{
    (void)state;
    at_every_site(scale_is_the_sum_of_its_parts);
}

/* ------------------------------------------------------------------ the batch's figures */

/* ‖∂L/∂θ‖² of the parameters that move a site. */
static double gradient_squares(const struct experiment *e, size_t site)
{
    const struct network_site *at = &e->network->sites[site];
    const char *part = at->layer->sites[at->index].part;
    size_t prefix = strlen(part);
    double sum = 0;
    for (size_t t = 0; t < e->network->tensor_count; t++) {
        const struct network_tensor *item = &e->network->tensors[t];
        if (item->layer != at->layer || !item->tensor->trained || strncmp(item->tensor->name, part, prefix) != 0)
            continue;
        for (size_t i = 0; i < item->tensor->size; i++)
            sum += pow((double)e->network->gradient[item->offset + i], 2);
    }
    return sum;
}

static void what_a_site_promises(struct experiment *e, size_t site, const struct divergence_row *rows)
{
    const struct network_site *at = &e->network->sites[site];
    const struct step_rule rule = experiment_rule(e);
    struct batch_figures figures = update_batch_figures(rows, ROWS, &rule);
    struct site_update update = experiment_update(e, site);
    double product = 0, ideal = 0, effective = 0, own = 0;
    if (!at->moves) {
        assert_true(isnan(figures.batch_scale) && isnan(figures.predicted_decrease));
        return;
    }
    for (size_t i = 0; i < ROWS * update.size; i++) {
        double a = -e->rate * (double)update.gradient[i], step = (double)update.effective[i];
        product += step * a;
        ideal += a * a;
        effective += step * step;
    }
    for (size_t i = 0; i < ROWS; i++)
        own += rows[i].values[COLUMN_SELF_FACTOR] * pow(rows[i].values[COLUMN_IDEAL_NORM], 2);
    double scale = sqrt(effective / ideal);
    check("batch_scale", e, site, figures.batch_scale, product / ideal, scale);
    check("batch_cosine", e, site, figures.batch_cosine, product / sqrt(effective * ideal), 1);
    check("predicted_decrease", e, site, figures.predicted_decrease, product / e->rate, scale * ideal / e->rate);
    if (!isnan(own))
        check("own_share", e, site, figures.own_share, own / product, sqrt(ideal * effective) / fabs(product));
    if (at->layer->sites[at->index].linear)
        check("Σ e·a/η", e, site, product / e->rate, e->rate * gradient_squares(e, site), 0);
}

static void test_what_a_site_promises(void **state)
{
    (void)state;
    at_every_site(what_a_site_promises);
}

#ifdef PLUMBLINE_DOUBLE /* two single-precision losses, or forwards, cannot be subtracted */
/* With a small step the loss falls by what all layers together promise: η‖∂L/∂θ‖², to first order. */
static void test_the_loss_falls_as_promised(void **state)
{
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        struct experiment e;
        struct error err;
        uint32_t labels[ROWS] = {0, 3, 1, 2, 1}, predicted[ROWS];
        double losses[2][ROWS], promised = 0, fall = 0;
        experiment_begin(&e, networks[n], image, ROWS, 1, 1e-7, n + 9);
        assert_ok(network_forward(e.network, &e.arena, PASS_MEASURE, e.x, ROWS, ROWS, &e.pass, &err));
        loss_cross_entropy(e.pass.logits, labels, ROWS, ROWS, 4, losses[0], predicted, e.g);
        experiment_run(&e);
        for (size_t i = 0; i < e.network->parameter_count; i++) {
            promised -= (double)(e.delta[i] * e.network->gradient[i]);
            e.network->parameters[i] += e.delta[i];
        }
        assert_ok(network_forward(e.network, &e.arena, PASS_MEASURE, e.x, ROWS, ROWS, &e.pass, &err));
        loss_cross_entropy(e.pass.logits, labels, ROWS, ROWS, 4, losses[1], predicted, NULL);
        for (size_t i = 0; i < ROWS; i++)
            fall += (losses[0][i] - losses[1][i]) / ROWS;
        assert_true(relative_error(fall, promised, 0) < 1e-4);
        experiment_end(&e);
    }
}

/* The change at every site, parameterless ones too, is what the stepped network gives less what it gave. */
static void test_network_view_is_the_stepped_network(void **state)
{
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        struct experiment e;
        struct network_pass after;
        struct error err;
        experiment_begin(&e, networks[n], image, ROWS, 1, 0.05, n + 1);
        experiment_run(&e);
        assert_ok(network_difference(e.network, &e.pass, e.delta, &err));
        for (size_t i = 0; i < e.network->parameter_count; i++)
            e.network->parameters[i] += e.delta[i];
        assert_ok(network_forward(e.network, &e.arena, PASS_MEASURE, e.x, ROWS, ROWS, &after, &err));
        size_t compared = 0;
        for (size_t site = 0; site < e.network->site_count; site++) {
            const struct network_site *at = &e.network->sites[site];
            const struct layer_pass *before = e.pass.all[at->layer->id];
            if (at->layer->site_count > 1)
                continue; /* the parts of attention are no layer's output */
            compared++;
            for (size_t i = 0; i < ROWS * at->size; i++) {
                double want = (double)(after.all[at->layer->id]->z[i] - before->z[i]);
                double got = (double)before->changes[at->index][i];
                if (!(fabs(got - want) < 1e-12))
                    fail_msg("%s moves value %zu by %.15g, expected %.15g", at->name, i, got, want);
            }
        }
        assert_true(compared >= 4);
        experiment_end(&e);
    }
}
#endif

/* ------------------------------------------------------------------ the network view */

static void test_first_layer_is_the_same_in_both_views(void **state)
{
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        struct experiment e;
        struct divergence_row rows[ROWS];
        struct error err;
        experiment_begin(&e, networks[n], image, ROWS, 1, 0.05, n + 1);
        experiment_run(&e);
        assert_ok(network_difference(e.network, &e.pass, e.delta, &err));
        experiment_measure(&e, 0, rows);
        for (size_t i = 0; i < ROWS; i++) {
            const double *v = rows[i].values;
            double ratio = v[COLUMN_EFFECTIVE_NORM] / v[COLUMN_IDEAL_NORM];
            check("network_scale", &e, 0, v[COLUMN_NETWORK_SCALE], v[COLUMN_SCALE], ratio);
            check("network_cosine", &e, 0, v[COLUMN_NETWORK_COSINE], v[COLUMN_COSINE], 1);
            check("network_divergence", &e, 0, v[COLUMN_NETWORK_DIVERGENCE], v[COLUMN_DIVERGENCE], 0);
        }
        experiment_end(&e);
    }
}

/* ------------------------------------------------------------------ the kernel of theory.md §2 */

/* k_(ip)(jq) = u_ip·u_jq, in plain loops; learned places add 1 where p = q. */
static double kernel(const struct sample_factors *a, size_t p, const struct sample_factors *b, size_t q)
{
    double sum = a->learned_place && p == q ? 1 : 0;
    for (size_t k = 0; k < a->f.u.cols; k++)
        sum += (double)a->f.u.values[p * a->f.u.stride + k] * (double)b->f.u.values[q * b->f.u.stride + k];
    if (a->f.bias)
        sum += a->f.constant ? (double)a->f.constant[p] * (double)b->f.constant[q] : 1;
    return sum;
}

/* Copies of all rows' factors, since a layer's are valid until the next call. */
static void copy_factors(struct experiment *e, size_t site, struct sample_factors *ret_factors)
{
    const struct network_site *at = &e->network->sites[site];
    for (size_t i = 0; i < e->rows; i++) {
        struct sample_factors f;
        at->layer->ops->sample_factors(at->layer, e->pass.all[at->layer->id], at->index, i, &f);
        size_t rows = f.f.u.rows, cols = f.f.u.cols;
        real *copy = arena_reals(&e->arena, rows * (cols + 1));
        assert_non_null(copy);
        for (size_t p = 0; p < rows; p++)
            memcpy(copy + p * cols, f.f.u.values + p * f.f.u.stride, cols * sizeof *copy);
        f.f.u = matrix_of(copy, rows, cols);
        if (f.f.constant)
            f.f.constant = memcpy(copy + rows * cols, f.f.constant, rows * sizeof *copy);
        ret_factors[i] = f;
    }
}

/* −η Σ_q k_(ip)(jq) g_jq at every position p of sample i, added to `out`. */
static void add_kernel_step(const struct experiment *e, const struct sample_factors *i, const struct sample_factors *j,
                            double *out)
{
    for (size_t p = 0; p < i->f.u.rows; p++)
        for (size_t q = 0; q < j->f.u.rows; q++) {
            double k = kernel(i, p, j, q);
            for (size_t c = 0; c < i->out; c++)
                out[p * i->out + c] -= e->rate * k * (double)j->g[q * j->out + c];
        }
}

static void effective_update_is_the_kernel(struct experiment *e, size_t site, const struct divergence_row *rows)
{
    const struct network_site *at = &e->network->sites[site];
    struct sample_factors f[ROWS];
    if (!at->moves || !at->layer->sites[at->index].linear || !at->layer->ops->sample_factors)
        return;
    copy_factors(e, site, f);
    struct site_update update = experiment_update(e, site);
    double *step = calloc(update.size, sizeof *step);
    assert_non_null(step);
    for (size_t i = 0; i < ROWS; i++) {
        double gap = 0, all = 0, own = 0, square = 0, mine_gap = 0, mine = 0;
        memset(step, 0, update.size * sizeof *step);
        add_kernel_step(e, &f[i], &f[i], step);
        for (size_t k = 0; update.own_sample && k < update.size; k++) {
            mine_gap += pow((double)update.own_sample[i * update.size + k] - step[k], 2);
            mine += step[k] * step[k];
        }
        for (size_t j = 0; j < ROWS; j++)
            if (j != i)
                add_kernel_step(e, &f[i], &f[j], step);
        for (size_t k = 0; k < update.size; k++) {
            gap += pow((double)update.effective[i * update.size + k] - step[k], 2);
            all += step[k] * step[k];
        }
        assert_true(sqrt(gap) <= TIGHT * sqrt(all) && sqrt(mine_gap) <= TIGHT * sqrt(mine));
        for (size_t p = 0; p < f[i].f.u.rows; p++)
            for (size_t c = 0; c < f[i].out; c++) {
                double g = (double)f[i].g[p * f[i].out + c];
                own += kernel(&f[i], p, &f[i], p) * g * g;
                square += g * g;
            }
        check("self_factor", e, site, rows[i].values[COLUMN_SELF_FACTOR], own / square, 0);
    }
    free(step);
}

static void test_effective_update_is_the_kernel(void **state)
{
    (void)state;
    at_every_site(effective_update_is_the_kernel);
}

/* −η k_ij g_j·a_i/‖a_i‖² of one pair, in plain loops. */
static double part_of(const struct experiment *e, const struct sample_factors *i, const struct sample_factors *j)
{
    double *step = calloc(i->f.u.rows * i->out, sizeof *step), along = 0, square = 0;
    assert_non_null(step);
    add_kernel_step(e, i, j, step);
    for (size_t k = 0; k < i->f.u.rows * i->out; k++) {
        double a = -e->rate * (double)i->g[k];
        along += step[k] * a;
        square += a * a;
    }
    free(step);
    return along / square;
}

static void contributors_are_the_kernels(struct experiment *e, size_t site, const struct divergence_row *rows)
{
    enum { MOST = 3 };
    const struct network_site *at = &e->network->sites[site];
    const size_t wanted[] = {4, 0, 2};
    struct sample_factors f[ROWS];
    uint32_t others[3 * MOST];
    double parts[3 * MOST], rest[3];
    struct error err;
    if (!at->moves || !at->layer->sites[at->index].linear || !at->layer->ops->sample_factors)
        return;
    copy_factors(e, site, f);
    assert_ok(contributors_find(at->layer, e->pass.all[at->layer->id], at->index, wanted, 3, MOST, others, parts, rest,
                                &err));
    for (size_t w = 0; w < 3; w++) {
        size_t i = wanted[w];
        double all = rest[w], floor = 0, weakest = INFINITY;
        bool named[ROWS] = {false};
        named[i] = true;
        for (size_t j = 0; j < ROWS; j++)
            floor = fmax(floor, j == i ? 0 : fabs(part_of(e, &f[i], &f[j])));
        for (size_t k = 0; k < MOST; k++) {
            size_t j = others[w * MOST + k];
            double part = parts[w * MOST + k];
            assert_false(named[j]);
            named[j] = true;
            assert_true(fabs(part) <= weakest);
            weakest = fabs(part);
            check("part", e, site, part, part_of(e, &f[i], &f[j]), floor);
            all += part;
        }
        for (size_t j = 0; j < ROWS; j++)
            assert_true(named[j] || fabs(part_of(e, &f[i], &f[j])) <= weakest + TIGHT * floor);
        check("sum of all parts", e, site, all, rows[i].values[COLUMN_SCALE_ACROSS], floor);
    }
}

static void test_contributors_are_the_kernels(void **state)
{
    (void)state;
    at_every_site(contributors_are_the_kernels);
}

/* A sample without a gradient is moved by the others, but has no ideal step to be moved along. */
static void test_contributors_of_a_sample_without_gradient(void **state)
{
    (void)state;
    struct experiment e;
    struct error err;
    uint32_t others[2];
    double parts[2], rest;
    const size_t row = 1;
    experiment_begin(&e, "[{\"type\": \"dense\", \"units\": 3}]", (struct shape){1, {4}}, ROWS, 1, 0.1, 3);
    memset(e.g + 3 * row, 0, 3 * sizeof *e.g);
    experiment_run(&e);
    assert_ok(contributors_find(e.network->all[0], e.pass.all[0], 0, &row, 1, 2, others, parts, &rest, &err));
    assert_true(isnan(parts[0]) && isnan(parts[1]) && isnan(rest));
    experiment_end(&e);
}

/* ------------------------------------------------------------------ attention's logits, theory.md §4 */

/* M = U Uᵀ of one projection of the only sample. */
static void make_gram(struct experiment *e, size_t site, size_t tokens, double *ret_gram)
{
    struct sample_factors f[1];
    copy_factors(e, site, f);
    for (size_t p = 0; p < tokens; p++)
        for (size_t q = 0; q < tokens; q++)
            ret_gram[p * tokens + q] = kernel(&f[0], p, &f[0], q);
}

static void multiply(size_t n, size_t m, size_t k, const double *a, const double *b, bool transposed, double *ret_c)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += a[i * k + l] * (transposed ? b[j * k + l] : b[l * m + j]);
            ret_c[i * m + j] = sum;
        }
}

/* Feature l of a position, the constant's behind the others. */
static double feature(const struct sample_factors *f, size_t position, size_t l)
{
    if (l < f->f.u.cols)
        return (double)f->f.u.values[position * f->f.u.stride + l];
    return f->f.constant ? (double)f->f.constant[position] : 1;
}

/* ΔS = −(η/d) [M_q G K Kᵀ + Q Qᵀ G M_k] for one sample alone, to first order. */
static void check_logits(const char *variant, size_t heads)
{
    enum { T = 5, N = 6 };
    char text[160];
    struct experiment e;
    snprintf(text, sizeof text, "[{\"type\": \"attention\", \"heads\": %zu, \"variant\": \"%s\"}]", heads, variant);
    experiment_begin(&e, text, (struct shape){2, {T, N}}, 1, 1, 1e-9, 5 + heads);
    experiment_run(&e);
    size_t d = N / heads;
    double mq[T * T], mk[T * T], q[T * N], k[T * N], kk[T * T], qq[T * T], g[T * T], one[T * T], two[T * T],
        left[T * T], right[T * T];
    const struct layer *layer = e.network->all[0];
    const struct layer_pass *pass = e.pass.all[0];
    make_gram(&e, 0, T, mq);
    make_gram(&e, 1, T, mk);
    struct site_update logits = experiment_update(&e, 4), at_q = experiment_update(&e, 0),
                       at_k = experiment_update(&e, 1);
    struct sample_factors fq, fk;
    layer->ops->sample_factors(layer, pass, 0, 0, &fq);
    layer->ops->sample_factors(layer, pass, 1, 0, &fk);
    assert_true(at_q.size == (size_t)T * N && at_k.size == (size_t)T * N && logits.size == heads * T * T);
    for (size_t h = 0; h < heads; h++) {
        /* Q and K of the head from features and weights, in plain loops */
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < d; c++) {
                double sum_q = 0, sum_k = 0;
                for (size_t l = 0; l <= N; l++) { /* the bias is the last row of each */
                    size_t at = l * N + h * d + c;
                    sum_q += feature(&fq, t, l) * (double)pass->parameters[at];
                    sum_k += feature(&fk, t, l) * (double)pass->parameters[(N + 1) * N + at];
                }
                q[t * d + c] = sum_q;
                k[t * d + c] = sum_k;
            }
        for (size_t i = 0; i < (size_t)T * T; i++)
            g[i] = (double)logits.gradient[h * T * T + i];
        multiply(T, T, d, k, k, true, kk);
        multiply(T, T, d, q, q, true, qq);
        multiply(T, T, T, mq, g, false, one);
        multiply(T, T, T, one, kk, false, left);
        multiply(T, T, T, qq, g, false, two);
        multiply(T, T, T, two, mk, false, right);
        double gap = 0, all = 0;
        for (size_t i = 0; i < (size_t)T * T; i++) {
            double want = -(e.rate / (double)d) * (left[i] + right[i]);
            gap += pow((double)logits.effective[h * T * T + i] - want, 2);
            all += want * want;
        }
        double error = sqrt(gap / all);
        if (!(error < (sizeof(real) == 8 ? 1e-7 : 1e-4)))
            fail_msg("%s, head %zu of %zu: the closed form is off by %.3g", variant, h, heads, error);
    }
    experiment_end(&e);
}

static void test_closed_form_of_the_logits(void **state)
{
    (void)state;
    for (const char *const *variant = feature_map_names; *variant; variant++)
        for (size_t heads = 1; heads <= 3; heads++)
            check_logits(*variant, heads);
}

/* ------------------------------------------------------------------ the factor that is 1 */

static void check_own_factor(const char *layer, struct shape shape, size_t site, double length)
{
    struct experiment e;
    struct divergence_row rows[ROWS];
    experiment_begin(&e, layer, shape, ROWS, 1, 0.1, 4);
    for (size_t i = 0; i < ROWS; i++) {
        double square = 0;
        for (size_t k = 0; k < e.in; k++)
            square += pow((double)e.x[i * e.in + k], 2);
        for (size_t k = 0; k < e.in; k++)
            e.x[i * e.in + k] *= (real)(length / sqrt(square));
    }
    experiment_run(&e);
    experiment_measure(&e, site, rows);
    for (size_t i = 0; i < ROWS; i++) {
        double factor = rows[i].values[COLUMN_SELF_FACTOR];
        if (!(fabs(factor - 1) < (sizeof(real) == 8 ? 1e-14 : 5e-7)))
            fail_msg("%s: own factor %.9g at input norm %g", layer, factor, length);
    }
    experiment_end(&e);
}

static void test_own_factor_is_one(void **state)
{
    (void)state;
    static const double lengths[] = {0, 1e-20, 1e-12, 1e-3, 1, 28, 1e4, 1e15};
    const struct shape vectors = {1, {50}}, tokens = {2, {4, 6}};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const char *dense = "[{\"type\": \"dense\", \"units\": 3, \"variant\": \"affine-like\"}]";
        check_own_factor(dense, vectors, 0, lengths[i]);
        check_own_factor(dense, tokens, 0, lengths[i]);
        check_own_factor("[{\"type\": \"conv\", \"channels\": 3, \"padding\": 1, \"variant\": \"patch-affine-like\"}]",
                         image, 0, lengths[i]);
        check_own_factor("[{\"type\": \"patch-embed\", \"patch\": 3, \"dim\": 4, \"variant\": \"affine-like\"}]", image,
                         0, lengths[i]);
        for (size_t v = 2; v <= 3; v++) /* v and o: queries and keys of equal tokens have no gradient */
            check_own_factor("[{\"type\": \"attention\", \"variant\": \"affine-like\"}]", tokens, v, lengths[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divergence_follows),
        cmocka_unit_test(test_scale_is_the_sum_of_its_parts),
        cmocka_unit_test(test_what_a_site_promises),
        cmocka_unit_test(test_first_layer_is_the_same_in_both_views),
#ifdef PLUMBLINE_DOUBLE
        cmocka_unit_test(test_the_loss_falls_as_promised),
        cmocka_unit_test(test_network_view_is_the_stepped_network),
#endif
        cmocka_unit_test(test_effective_update_is_the_kernel),
        cmocka_unit_test(test_contributors_are_the_kernels),
        cmocka_unit_test(test_contributors_of_a_sample_without_gradient),
        cmocka_unit_test(test_closed_form_of_the_logits),
        cmocka_unit_test(test_own_factor_is_one),
    };
    return cmocka_run_group_tests_name("identities (" REAL_NAME ")", tests, NULL, NULL);
}
