/*
 * What the loaders of data sets share with dataset.c.
 *
 * A data set is one file with a `struct dataset_loader` and one row in DATASET_TABLE. A loader finds its files in one
 * folder, tells their shape from the headers, and reads them; limits, scaling and gathering are common.
 */
#ifndef PLUMBLINE_CORE_DATASET_INTERNAL_H
#define PLUMBLINE_CORE_DATASET_INTERNAL_H

#include <math.h>
#include <stdbool.h>

#include "core/dataset.h"

/* Row: name in a spec, loader. */
#define DATASET_TABLE(ROW)                                                                                             \
    ROW("fashion-mnist", dataset_fashion_mnist)                                                                        \
    ROW("mnist", dataset_mnist)                                                                                        \
    ROW("cifar-10", dataset_cifar_10)                                                                                  \
    ROW("cifar-100", dataset_cifar_100)                                                                                \
    ROW("npy", dataset_npy)                                                                                            \
    ROW("synthetic", dataset_synthetic)

/* A label above this is no class of anything: it would only make a last layer of absurd width. */
#define DATASET_MAX_CLASSES 1048576

/* How samples are stored in memory. */
enum element { ELEMENT_BYTE, ELEMENT_FLOAT, ELEMENT_DOUBLE, ELEMENT_COUNT };
size_t element_size(enum element element);

struct dataset_split {
    void *values; /* count × the sample's size elements; owned */
    uint32_t *labels;
    size_t count;
};

struct dataset;
struct scaler;
/* out = (values − shift) · factor for one sample. */
typedef void (*scale_function)(const struct scaler *scaler, const void *values, real *ret_scaled);

/*
 * The scaling of one sample: `groups` runs of `run` elements. With `repeated` figures (rank 2) element i of every run
 * takes shift[i]; otherwise all elements of run g take shift[g], or shift[0] where there is one figure.
 */
struct scaler {
    size_t groups, run;
    bool repeated;
    double *shift, *factor; /* owned */
    scale_function scale;
};

struct dataset {
    struct dataset_info info;
    enum element element;
    struct dataset_split splits[2]; /* by enum split */
    struct scaler scaler;
};

struct dataset_loader {
    const char *name;
    const char *folder;           /* below each data set folder; NULL: npy takes its path, synthetic needs none */
    const struct option *options; /* of `dataset` with this name */
    size_t classes;               /* where the data set has a fixed number; else 0 */
    const char *remedy;           /* what to do where it is not found: the end of a sentence */
    bool on_disk;
    /*
     * Tells shape, classes and the counts of the whole files from their headers. `folder` is the data set's own folder
     * (NULL where not on disk). STATUS_NOT_FOUND where files are missing.
     */
    enum status (*inspect)(const struct dataset_spec *spec, const char *folder, struct dataset_info *ret_info,
                           struct error *err);
    /*
     * Fills element and splits of `dataset`, whose info is already that of inspect with the limits applied: the first
     * so many samples are kept, all of the files is checked. What it allocated is freed by the caller in any case.
     */
    enum status (*load)(const struct dataset_spec *spec, const char *folder, struct dataset *dataset,
                        struct error *err);
};

#define DATASET_DECLARE(name, loader) extern const struct dataset_loader loader;
DATASET_TABLE(DATASET_DECLARE)
#undef DATASET_DECLARE

extern const char *const dataset_name_list[];
extern const char *const dataset_scaling_names[];

/* The keys that every data set takes. */
#define DATASET_COMMON_OPTIONS                                                                                         \
    {"name", OPTION_CHOICE, NULL, .choices = dataset_name_list, .help = "the data set"},                               \
        {"train_limit",                                                                                                \
         OPTION_INTEGER,                                                                                               \
         "null",                                                                                                       \
         1,                                                                                                            \
         UINT32_MAX,                                                                                                   \
         .nullable = true,                                                                                             \
         .help = "training samples used, the first in file order; null is all"},                                       \
        {"test_limit",                                                                                                 \
         OPTION_INTEGER,                                                                                               \
         "null",                                                                                                       \
         0,                                                                                                            \
         UINT32_MAX,                                                                                                   \
         .nullable = true,                                                                                             \
         .help = "test samples used, the first in file order; null is all"},                                           \
    {                                                                                                                  \
        "scaling", OPTION_CHOICE, "\"standard\"",                                                                      \
            .choices = dataset_scaling_names,                                                                          \
            .help = "none: as stored; unit: 0 to 1; standard: mean 0, deviation 1 over the training samples used"      \
    }

/* The loader of that name, or NULL. */
const struct dataset_loader *dataset_loader_find(const char *name);

/*
 * dataset_inspect that also gives the folder it was found in: the caller frees *ret_folder, NULL where the data set is
 * not on disk.
 */
enum status dataset_find(const struct dataset_spec *spec, const struct dataset_folders *folders, char **ret_folder,
                         struct dataset_info *ret_info, struct error *err);

/* Allocates a split of `count` samples of `sample_bytes` each. */
enum status dataset_split_allocate(struct dataset_split *split, size_t count, size_t sample_bytes, struct error *err);

/* Sets dataset->scaler from the training samples (dataset_scale.c). */
enum status dataset_scaler_init(struct dataset *dataset, enum scaling scaling, struct error *err);

#endif
