/* A network's shapes, tensors and sites, without its numbers. */
#ifndef PLUMBLINE_CORE_NETWORK_PLAN_H
#define PLUMBLINE_CORE_NETWORK_PLAN_H

#include "core/network.h"

/*
 * Infers every layer's shape from the expanded `layers` of a spec; no blocks are allocated yet. `classes` is what the
 * last layer must give; 0 skips that check. Faults go to `problems` with pointers "/model/layers/3" or
 * "/model/layers/3/units", then STATUS_INVALID. The caller frees by network_free.
 */
enum status network_plan(const json_t *layers, const struct shape *input, size_t classes, struct network **ret_network,
                         struct problem_list *problems, struct error *err);

/* The name of a layer's site, or of the layer where it has none (product.md "Names"). */
void network_site_name(const struct layer *layer, size_t index, char text[NETWORK_NAME_SIZE]);

#endif
