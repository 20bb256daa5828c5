/*
 * The safetensors format: named tensors, a JSON header and raw little-endian data, exchanged with PyTorch.
 *
 * Reading accepts F32 and F64 (converted to `real`); writing makes F32. Headers that overlap, point outside the file,
 * repeat a name, or whose sizes overflow are refused with what was found and what was expected.
 */
#ifndef PLUMBLINE_CORE_SAFETENSORS_H
#define PLUMBLINE_CORE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"
#include "core/status.h"

#define TENSOR_MAX_RANK 8

/* One tensor in memory, C order. */
struct named_tensor {
    char *name;
    int rank;
    size_t dims[TENSOR_MAX_RANK];
    size_t size;  /* product of dims */
    real *values; /* NULL where only the header was read */
};

struct tensor_list {
    struct named_tensor *items;
    size_t count;
};

void tensor_list_clear(struct tensor_list *list);

/* The tensor of that name, or NULL. */
const struct named_tensor *tensor_list_find(const struct tensor_list *list, const char *name);

/* Reads the header of a file and checks it: names and shapes, no values. The caller clears the list. */
enum status safetensors_inspect(const char *path, struct tensor_list *ret_list, struct error *err);

/* Reads all tensors of a file; the caller clears the list. */
enum status safetensors_read(const char *path, struct tensor_list *ret_list, struct error *err);

/* The bytes of a safetensors file holding `list`; the caller frees *ret_bytes. Names in the given order, data aligned
 * to 8 bytes. */
enum status safetensors_encode(const struct tensor_list *list, uint8_t **ret_bytes, size_t *ret_size,
                               struct error *err);

#endif
