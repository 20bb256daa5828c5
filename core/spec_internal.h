/*
 * What the files of the spec share: spec.c (parsing), spec_text.c (reading and hashing), spec_schema.c (keys),
 * spec_model.c (layers), spec_preset.c (presets), spec_check.c (does it fit), spec_cost.c (what it costs).
 */
#ifndef PLUMBLINE_CORE_SPEC_INTERNAL_H
#define PLUMBLINE_CORE_SPEC_INTERNAL_H

#include "core/spec.h"

/* The keys at the top of a spec, and of its parts. `dataset` is dataset_options. */
extern const struct option spec_options[];
extern const struct option spec_optimiser_options[];
extern const struct option spec_probe_options[];

/* Names in the order of the enums. */
extern const char *const optimiser_names[];
extern const char *const schedule_names[];
extern const char *const probe_schedule_names[];

/*
 * Expands `model` (as given) into {"layers": […]} with every layer's defaults written out. `dataset` is the typed view
 * of a checked data set, or NULL where that had faults; a preset's last layer needs its classes, which may have to be
 * read from its files in `folders` (NULL: they cannot). Returns NULL after a fault.
 */
json_t *spec_expand_model(const json_t *model, const struct dataset_spec *dataset,
                          const struct dataset_folders *folders, struct problem_list *problems);

/* dataset_inspect; what is wrong is a fault of the spec, too. */
enum status spec_inspect_dataset(const struct dataset_spec *dataset, const struct dataset_folders *folders,
                                 struct dataset_info *ret_info, struct problem_list *problems, struct error *err);

struct preset {
    const char *name;
    const struct option *options; /* besides "preset" */
    /* Its layers as a person would write them, from its expanded keys. NULL when memory runs out. */
    json_t *(*expand)(const json_t *keys, size_t classes);
};

/* The preset of that name, or NULL; all names, NULL-terminated. */
const struct preset *spec_preset_find(const char *name);
extern const char *const spec_preset_names[];

/* Faults past the first `before` that lie at layers are put where the person wrote: see spec_check. */
void spec_preset_faults(const struct preset *preset, struct problem_list *problems, size_t before);

/* What a run costs, as spec_check tells it (spec_cost.c), once the spec fits its data set and `network` its layers. */
struct network;
enum status spec_cost(const struct spec *spec, const struct dataset_info *info, const struct network *network,
                      json_t **ret_cost, struct error *err);

/*
 * Puts the faults past the first `before` into one sentence: the first of them, and how many more. STATUS_INVALID, or
 * STATUS_NO_MEMORY where the list lost it.
 */
enum status spec_problems_error(const struct problem_list *problems, size_t before, struct error *err);

#endif
