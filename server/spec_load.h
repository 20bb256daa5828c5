/*
 * A spec from a file, for the commands that take one.
 */
#ifndef PLUMBLINE_SERVER_SPEC_LOAD_H
#define PLUMBLINE_SERVER_SPEC_LOAD_H

#include <jansson.h>

#include "core/spec.h"

/*
 * Reads the spec at `path` and checks it with its data set. What is wrong is printed on standard error, a line a place,
 * behind the command's name where it is of none. `ret_cost` as spec_check's; may be NULL. `ret_faults` (may be NULL) is
 * what is wrong, [{"pointer", "detail"}], "" for what is of no place. The caller frees all three.
 */
enum status spec_load(const char *command, const char *path, const struct dataset_folders *folders,
                      struct spec **ret_spec, json_t **ret_cost, json_t **ret_faults);

#endif
