/*
 * Layers one after the other: a network's, or those that a residual holds. Offsets of parameters and buffers are into
 * the slices of what holds the stack.
 */
#ifndef PLUMBLINE_CORE_LAYER_STACK_H
#define PLUMBLINE_CORE_LAYER_STACK_H

#include "core/layer.h"

struct layer_stack {
    struct layer *layers;
    size_t count;
    size_t parameter_count, buffer_count;
    struct shape output;
};

/*
 * Plans `specs` (expanded) on samples of shape `input`. `pointer` is the JSON pointer of `specs`; `path` is put in
 * front of each layer's path ("4." inside a residual, "" in a network). The caller frees by layer_stack_free, also
 * after a fault.
 */
enum status layer_stack_plan(struct layer_stack *stack, const json_t *specs, const struct shape *input,
                             const char *pointer, const char *path, struct problem_list *problems, struct error *err);
void layer_stack_free(struct layer_stack *stack);

/*
 * Runs the layers on whole->x and sets whole->z. `whole` is the pass of what holds the stack: its mode, rows, slices,
 * arena and list of passes are handed on; the layers' passes are entered in that list.
 */
enum status layer_stack_forward(const struct layer *layers, size_t count, struct layer_pass *whole, struct error *err);

/* Sets the gradients of all parameters and, unless whole->skip_dx, whole->dx from whole->dz. */
enum status layer_stack_backward(const struct layer *layers, size_t count, struct layer_pass *whole, struct error *err);

/* The change of the stack's output with its input and parameters, as layer_ops.difference; enters every layer's
 * changes. */
enum status layer_stack_difference(const struct layer *layers, size_t count, struct layer_pass *whole, const real *dx,
                                   const real *delta, real *ret_dz, struct error *err);

#endif
