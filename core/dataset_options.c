/* The data sets' names and keys, and the typed view of them. */
#include <assert.h>
#include <string.h>

#include "core/dataset_internal.h"

#define DATASET_NAME(name, loader) name,
const char *const dataset_name_list[] = {DATASET_TABLE(DATASET_NAME) NULL};
#undef DATASET_NAME

const char *const dataset_scaling_names[] = {
    [SCALING_NONE] = "none", [SCALING_UNIT] = "unit", [SCALING_STANDARD] = "standard", NULL};

static const struct option common_options[] = {DATASET_COMMON_OPTIONS, OPTION_END};

const char *const *dataset_names(void)
{
    return dataset_name_list;
}

const struct dataset_loader *dataset_loader_find(const char *name)
{
#define DATASET_LOADER(name, loader) &loader,
    static const struct dataset_loader *const loaders[] = {DATASET_TABLE(DATASET_LOADER)};
#undef DATASET_LOADER
    for (size_t i = 0; name && i < sizeof loaders / sizeof *loaders; i++)
        if (strcmp(loaders[i]->name, name) == 0)
            return loaders[i];
    return NULL;
}

const struct option *dataset_options(const char *name)
{
    const struct dataset_loader *loader = dataset_loader_find(name);
    return loader ? loader->options : common_options;
}

/* A count that is null for "all", or that this data set does not have. */
static size_t read_size(const json_t *expanded, const char *key, size_t otherwise)
{
    const json_t *value = json_object_get(expanded, key);
    return json_is_integer(value) ? (size_t)json_integer_value(value) : otherwise;
}

static enum scaling read_scaling(const char *name)
{
    for (int i = 0; dataset_scaling_names[i]; i++)
        if (strcmp(dataset_scaling_names[i], name) == 0)
            return (enum scaling)i;
    assert(!"a scaling that options_expand let through");
    return SCALING_STANDARD;
}

void dataset_spec_read(const json_t *expanded, struct dataset_spec *ret_spec)
{
    *ret_spec = (struct dataset_spec){
        .name = option_string(expanded, "name"),
        .path = json_string_value(json_object_get(expanded, "path")),
        .train_limit = read_size(expanded, "train_limit", SIZE_MAX),
        .test_limit = read_size(expanded, "test_limit", SIZE_MAX),
        .scaling = read_scaling(option_string(expanded, "scaling")),
        .classes = read_size(expanded, "classes", 0),
        .features = read_size(expanded, "features", 0),
        .train = read_size(expanded, "train", 0),
        .test = read_size(expanded, "test", 0),
        .norm_spread = json_number_value(json_object_get(expanded, "norm_spread")),
        .seed = read_size(expanded, "seed", 0),
    };
}

size_t dataset_known_classes(const struct dataset_spec *spec)
{
    const struct dataset_loader *loader = dataset_loader_find(spec->name);
    return loader && loader->classes ? loader->classes : spec->classes;
}
