/*
 * A layer type: what it takes, how it runs forward and backward, and what its sites do in a step.
 *
 * A layer is planned once (its keys read, its shapes inferred, its tensors declared) and then runs on passes. It owns
 * no numbers: parameters, their gradients and steps are views of the network's blocks, and all that a pass makes comes
 * from the step's arena. Adding a layer is one file with a `struct layer_ops` and one row of LAYER_TABLE.
 */
#ifndef PLUMBLINE_CORE_LAYER_H
#define PLUMBLINE_CORE_LAYER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/feature_map.h"
#include "core/linear.h"
#include "core/option.h"
#include "core/real.h"
#include "core/shape.h"
#include "core/status.h"
#include "core/update.h"

#define LAYER_MAX_TENSORS 16
#define LAYER_MAX_SITES 8
#define LAYER_PATH_SIZE 32
#define LAYER_POINTER_SIZE 256 /* "/model/layers/4/layers/1" of any path that fits */

/* A product counts its rows and columns in an int, so a layer has no more values than these, of one sample or of all
 * rows of a pass. Parameters are counted in JSON too, whose numbers are doubles, and exact up to here. */
#define LAYER_MOST_VALUES ((size_t)INT32_MAX)
#define LAYER_MOST_PARAMETERS 0x1p53

/* A named array of a layer, shaped as PyTorch has it: a trained parameter, or a buffer such as a running mean. */
struct layer_tensor {
    const char *name; /* "weight" */
    int rank;
    size_t dims[4];
    size_t size;   /* product of dims */
    size_t offset; /* into the layer's own parameters, or its buffers */
    bool trained;
    bool transposed; /* kept with the first dimension last in memory: in × out, where PyTorch has out × in; of rank 4
                        as height × width × in × out, where PyTorch has out × in × height × width */
    double start;    /* where it begins, unless it is a weight that is drawn */
    bool drawn;
};

/* An activation of a layer that its parameters move. */
struct layer_site {
    const char *part;    /* "q", "logits", …; "" where the layer has one site */
    const char *variant; /* NULL: the layer's */
    size_t size;         /* values of one sample; set to the layer's output where `plan` leaves 0 */
    bool linear;         /* its layer view is by effective_update; else by `difference` */
    size_t positions;    /* of a linear site */
    size_t scratch;      /* reals that its effective_update takes besides what it returns */
};

/* Reals that a layer takes from the arena: of each row, and of a pass however many rows it has. What is passed on to
 * the next layer's `difference` is its caller's. */
struct layer_memory {
    size_t forward, backward, change; /* a row: forward, backward besides, `difference` */
    size_t forward_fixed, backward_fixed, change_fixed;
};

/* A layer in its network. Filled by `plan`; constant afterwards. */
struct layer {
    const struct layer_ops *ops;
    char path[LAYER_PATH_SIZE]; /* "3", or "4.1" inside a residual */
    struct shape input, output; /* of one sample */
    size_t in, out;             /* their sizes */
    struct layer_tensor tensors[LAYER_MAX_TENSORS];
    size_t tensor_count;
    size_t parameter_count, buffer_count;     /* reals */
    size_t parameter_offset, buffer_offset;   /* into the slices of what holds the layer: network or residual */
    const char *variant;                      /* NULL where there is none; static */
    struct layer_site sites[LAYER_MAX_SITES]; /* none where there are no parameters */
    size_t site_count;
    bool files_order;       /* the network's first layer, which takes samples as files have them (ops->takes_files) */
    double init_gain;       /* set by the network from the activation that follows: He or Glorot */
    struct layer *children; /* a residual's own layers; owned */
    size_t child_count;
    bool first;   /* nothing before it has parameters: no gradient of its input is wanted */
    size_t id;    /* place in the network's list of all layers, inner ones included */
    void *detail; /* the type's own struct of ops->detail_size bytes; the network's */
};

/* ∂l_i/∂W̃ of one sample i is UᵀG. */
struct sample_factors {
    struct feature_rows f;
    const real *g; /* positions × out */
    size_t out;
    bool learned_place; /* every position has a feature of its own besides: 1 there, 0 elsewhere */
};

enum pass_mode {
    PASS_TRAIN,    /* batch statistics, and the running ones follow */
    PASS_MEASURE,  /* batch statistics, nothing changes: the loss after a step */
    PASS_EVALUATE, /* running statistics */
};

/*
 * One layer's part of a pass over `rows` samples, of which the first `batch` make statistics and gradients; the others
 * are only watched. Arrays are row-major, a sample a row. Of rank 3 a sample lies as height × width × channels
 * (layout.h), though its shape says channels × height × width, as a spec does; layer->files_order is the exception.
 */
struct layer_pass {
    enum pass_mode mode;
    size_t rows, batch;
    struct arena *arena;
    const real *parameters; /* the layer's slice of the network's blocks */
    real *gradient;         /* likewise: ∂L/∂θ, set by backward */
    real *buffers;
    const real *x;                          /* rows × in */
    real *z;                                /* rows × out; set by forward */
    const real *dz;                         /* ∂L/∂z, rows × out; for backward */
    real *dx;                               /* ∂L/∂x, rows × in; set by backward unless `skip_dx` */
    bool skip_dx;                           /* no gradient of the input is wanted: layer->first */
    struct layer_pass **all;                /* the passes of all layers of the network, by layer->id */
    const real *gradients[LAYER_MAX_SITES]; /* at each site, where a layer has several; set by backward */
    bool record;                            /* `difference` enters the sites' changes */
    const real *changes[LAYER_MAX_SITES];   /* of each site, or of the output of a layer that has none */
    void *kept;                             /* what forward keeps for backward and for the effective update */
};

/*
 * What a type is. Obligatory are type, formula, options, plan, forward, backward and difference, and effective_update
 * where a site is linear; the others say when they are NULL.
 */
struct layer_ops {
    const char *type;
    const char *formula;          /* for the API */
    const struct option *options; /* keys besides "type" */
    size_t detail_size;           /* of the type's own struct; 0 for none */
    bool takes_files; /* as the first layer of a network it wants images as files have them, not layout.h's */
    /*
     * Reads `spec` (expanded), checks layer->input and sets output, tensors, sites, variant and detail. A fault goes to
     * `problems` with a pointer below `pointer`, then STATUS_INVALID.
     */
    enum status (*plan)(struct layer *layer, const json_t *spec, const char *pointer, struct problem_list *problems,
                        struct error *err);
    enum status (*forward)(const struct layer *layer, struct layer_pass *pass, struct error *err);
    enum status (*backward)(const struct layer *layer, struct layer_pass *pass, struct error *err);
    /*
     * What the step `delta` (Δθ of this layer's parameters, before it is rounded into θ) does to these rows of the
     * linear site `site`, the layer's input held fixed (theory.md §1), after a backward pass. The split by samples is
     * made where `rule` is plain and not whole. It may use what forward kept as scratch: one call at a time. NULL for
     * layers without linear sites.
     */
    enum status (*effective_update)(const struct layer *layer, const struct layer_pass *pass, size_t site,
                                    struct row_range rows, const real *delta, const struct step_rule *rule,
                                    struct site_update *ret_update, struct error *err);
    /* The gradient of one row's loss by the parameters of a site z = W̃u, in two factors; the features are valid until
     * the next call. NULL for layers without such a site. */
    void (*sample_factors)(const struct layer *layer, const struct layer_pass *pass, size_t site, size_t row,
                           struct sample_factors *ret_factors);
    /*
     * The change of the output when the input changes by dx (rows × in; NULL for none) and the parameters by `delta`
     * (NULL for none): rows × out, exact and never by subtracting two forwards (theory.md §5 "Precision"). Batch
     * statistics are taken anew. After a forward pass, with pass->parameters as they were in it. A layer with several
     * sites sets pass->changes if pass->record.
     */
    enum status (*difference)(const struct layer *layer, struct layer_pass *pass, const real *dx, const real *delta,
                              real *ret_dz, struct error *err);
    /* Floating-point operations of forward and backward for one sample; NULL where they do not matter. */
    double (*flops)(const struct layer *layer);
    /* What it takes at most; NULL where that is its output in forward and the gradient of its input in backward. */
    struct layer_memory (*memory)(const struct layer *layer);
    /* Variants for the API; NULL where there are none. */
    json_t *(*describe_variants)(void);
    /* He's gain √(2/(1+slope²)) of an activation; NULL for other layers, which take Glorot's rule. */
    double (*he_gain)(const struct layer *layer);
};

/*
 * Floating-point operations of a linear map in a step, which takes `multiplications` for one sample forward: as many
 * for the gradient of its parameters and, unless the layer is first, of its input.
 */
static inline double layer_map_flops(const struct layer *layer, double multiplications)
{
    return (layer->first ? 4 : 6) * multiplications;
}

/* The gradient at a site. */
static inline const real *layer_pass_gradient(const struct layer_pass *pass, size_t site)
{
    return pass->gradients[site] ? pass->gradients[site] : pass->dz;
}

/* Where the mode of a pass takes batch statistics from. */
static inline enum statistics_mode layer_pass_statistics(const struct layer_pass *pass)
{
    return pass->mode == PASS_TRAIN     ? STATISTICS_BATCH_AND_TRACK
           : pass->mode == PASS_MEASURE ? STATISTICS_BATCH
                                        : STATISTICS_RUNNING;
}

/* Declares one tensor in `plan`; returns its place. Dims as PyTorch has them. */
struct layer_tensor *layer_add_tensor(struct layer *layer, const char *name, bool trained, int rank,
                                      const size_t *dims);

/* What a layer takes from the arena, at most. */
struct layer_memory layer_memory_of(const struct layer *layer);

/* Declares a site in `plan`; `size` 0 is that of the output. */
void layer_add_site(struct layer *layer, struct layer_site site);

#endif
