/*
 * NumPy's .npy format: a header in Python's notation, then the elements. Read: little-endian, C order, the types below.
 */
#ifndef PLUMBLINE_CORE_NPY_H
#define PLUMBLINE_CORE_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#define NPY_MAX_RANK 4

enum npy_type {
    NPY_INT8,
    NPY_INT16,
    NPY_INT32,
    NPY_INT64,
    NPY_UINT8,
    NPY_UINT16,
    NPY_UINT32,
    NPY_UINT64,
    NPY_FLOAT32,
    NPY_FLOAT64,
    NPY_TYPE_COUNT
};

/* An open file whose header is checked: its data fill the file exactly. */
struct npy_file {
    char *path;
    int descriptor;
    enum npy_type type;
    int rank;                  /* 1 … NPY_MAX_RANK */
    size_t dims[NPY_MAX_RANK]; /* each at least 1 */
    size_t item_bytes;         /* of one entry along the first dimension */
    size_t data_offset;        /* of the first element in the file */
};

/* Opens folder/name. The caller closes by npy_close, after a failure too; initialise with NPY_CLOSED. */
#define NPY_CLOSED                                                                                                     \
    {                                                                                                                  \
        .descriptor = -1                                                                                               \
    }
enum status npy_open(const char *folder, const char *name, struct npy_file *file, struct error *err);
void npy_close(struct npy_file *file);

/* Reads `count` entries along the first dimension from the one numbered `first`, as they are stored. */
enum status npy_read(const struct npy_file *file, size_t first, size_t count, void *ret_bytes, struct error *err);

/* "uint8", as NumPy calls it; bytes of one element. */
const char *npy_type_name(enum npy_type type);
size_t npy_type_size(enum npy_type type);

#endif
