/* The planning half of network.h, shared by network_check and network_create. */
#ifndef PLUMBLINE_CORE_NETWORK_PLAN_H
#define PLUMBLINE_CORE_NETWORK_PLAN_H

#include "core/network.h"

/* A network with shapes, tensors and sites, and no blocks yet. The caller frees by network_free. */
enum status network_plan(const json_t *layers, const struct shape *input, size_t classes, struct network **ret_network,
                         struct problem_list *problems, struct error *err);

#endif
