#include "core/normaliser.h"

const char *const normaliser_axes[] = {"all", "channel", NULL};

struct normaliser normaliser_make(const struct feature_map *map, const struct shape *shape, bool by_position)
{
    size_t size = shape_size(shape), n = size;
    if (shape->rank == 2)
        n = shape->dims[1];
    else if (shape->rank == 3 && (by_position || map->running_statistics))
        n = shape->dims[0];
    return (struct normaliser){.map = map, .vectors = size / n, .n = n};
}

size_t normaliser_add_tensors(const struct normaliser *normaliser, struct layer *layer)
{
    size_t buffers = layer->buffer_count;
    if (normaliser->map->running_statistics) {
        layer_add_tensor(layer, "running_mean", false, 1, (size_t[]){normaliser->n});
        layer_add_tensor(layer, "running_var", false, 1, (size_t[]){normaliser->n})->start = 1;
    }
    return buffers;
}

enum status normaliser_apply(const struct normaliser *normaliser, const struct layer_pass *pass, size_t buffers,
                             struct features *ret_features, struct error *err)
{
    struct features f = {
        .map = normaliser->map,
        .rows = pass->rows * normaliser->vectors,
        .counted = pass->batch * normaliser->vectors,
        .n = normaliser->n,
        .x = pass->x,
    };
    struct running_statistics running = {0};
    if (f.map->running_statistics)
        running = (struct running_statistics){pass->buffers + buffers, pass->buffers + buffers + f.n};
    enum status status = features_apply(&f, layer_pass_statistics(pass), running, pass->arena, err);
    if (status == STATUS_OK)
        *ret_features = f;
    return status;
}
