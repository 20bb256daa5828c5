/*
 * Data sets: labelled samples in memory, found on disk below given folders and never downloaded.
 *
 * Samples are kept as they are stored (bytes stay bytes), in the file's own order (C order of the sample's shape), and
 * are scaled as they are gathered into a mini-batch.
 */
#ifndef PLUMBLINE_CORE_DATASET_H
#define PLUMBLINE_CORE_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "core/option.h"
#include "core/real.h"
#include "core/shape.h"
#include "core/status.h"

enum scaling {
    SCALING_NONE,     /* the stored values */
    SCALING_UNIT,     /* 0 … 1: bytes divided by 255, others by their range over the training samples used */
    SCALING_STANDARD, /* mean 0, deviation 1 (divisor N, 0 taken as 1) over the training samples used: by channel for
                         rank 3, by feature for rank 2, one figure for rank 1 */
};

enum split { SPLIT_TRAIN, SPLIT_TEST };

/* The `dataset` part of a spec. Strings are borrowed from the spec. */
struct dataset_spec {
    const char *name;
    const char *path;               /* of npy: a folder below `datasets/`; else NULL */
    size_t train_limit, test_limit; /* the first so many in file order; SIZE_MAX is all */
    enum scaling scaling;
    size_t classes; /* of synthetic; of npy, where 0 is the largest label + 1; else 0 */
    /* of synthetic */
    size_t features, train, test;
    double norm_spread; /* sample norms are multiplied by exp(norm_spread · N(0,1)) */
    uint64_t seed;
};

/* The folders that are searched, in order, NULL-terminated. */
struct dataset_folders {
    const char *const *paths;
};

/* What is known of a data set before its samples are read. */
struct dataset_info {
    struct shape shape;
    size_t classes;
    size_t train_count, test_count; /* after the limits */
    size_t sample_bytes;            /* that a sample takes in memory */
    char remark[96]; /* for the run's log: "2 of 5 data_batch files found: …"; empty where there is none */
};

struct dataset; /* opaque; immutable after loading, so any number of threads may read it */

/* The option tables of `dataset`: what every data set takes, with the keys of synthetic and npy where `name` is one. */
const struct option *dataset_options(const char *name);

/* The names a spec may give, NULL-terminated. */
const char *const *dataset_names(void);

/* The typed view of an object that options_expand made with dataset_options. Strings are borrowed from it. */
void dataset_spec_read(const json_t *expanded, struct dataset_spec *ret_spec);

/* The number of classes where the spec alone tells it; 0 where only the files do (npy without `classes`). */
size_t dataset_known_classes(const struct dataset_spec *spec);

/*
 * Finds the data set and reads no more than file headers (and npy's labels, where they alone tell the classes).
 * STATUS_NOT_FOUND names the folders that were searched and the
 * Debian package or files that would be right; STATUS_CORRUPT says what was found and what was expected.
 */
enum status dataset_inspect(const struct dataset_spec *spec, const struct dataset_folders *folders,
                            struct dataset_info *ret_info, struct error *err);

/* Reads and checks the samples and computes the scaling. The caller owns the result: dataset_free. */
enum status dataset_load(const struct dataset_spec *spec, const struct dataset_folders *folders,
                         struct dataset **ret_dataset, struct error *err);

void dataset_free(struct dataset *dataset);
void cleanup_dataset(struct dataset **dataset);

const struct dataset_info *dataset_info(const struct dataset *dataset);

/* The remark of dataset_info, or NULL where there is none. */
const char *dataset_warning(const struct dataset *dataset);

/*
 * Copies `count` samples, scaled, into `ret_samples` (count × shape_size reals) and their labels (0 … classes−1) into
 * `ret_labels`. `indices` are 0-based in the whole split, below its count. No allocation.
 */
void dataset_gather(const struct dataset *dataset, enum split split, const uint32_t *indices, size_t count,
                    real *ret_samples, uint32_t *ret_labels);

/*
 * Every data set with whether it was found, for GET /datasets: [{"name", "found", "folder", "path", "shape", "classes",
 * "train", "test", "detail", "options"}]. For npy there is one item for each folder with a train_x.npy, `path` being
 * what a spec would give, or one that was not found; synthetic is described with its defaults. `detail` says what is
 * wrong where `found` is false, and else is the remark of dataset_info, or null. `options` is options_describe of its
 * keys. NULL when memory runs out.
 */
json_t *datasets_describe(const struct dataset_folders *folders);

#endif
