/*
 * A network: an ordered list of layers between the sample's shape and the classes, with one block for all parameters.
 */
#ifndef PLUMBLINE_CORE_NETWORK_H
#define PLUMBLINE_CORE_NETWORK_H

#include <jansson.h>
#include <stddef.h>

#include "core/option.h"
#include "core/shape.h"
#include "core/status.h"

/*
 * Infers every layer's shape from the expanded `layers` of a spec without making anything. `classes` is what the last
 * layer must give; 0 skips that check. Faults go to `problems` with pointers "/model/layers/3" or
 * "/model/layers/3/units", then STATUS_INVALID. `ret_description` (may be NULL) gets
 * {"layers": [{"index": "1", "type", "variant", "shape", "parameters", "flops"}], "sites": ["1.dense", …],
 * "parameters", "flops_per_sample"}.
 */
enum status network_check(const json_t *layers, const struct shape *input, size_t classes, json_t **ret_description,
                          struct problem_list *problems, struct error *err);

#endif
