/*
 * The exact state of a training after a completed step.
 *
 * Layout, in the machine's byte order (a checkpoint is read back by the same build): struct header, then parameters,
 * buffers, and what the optimiser remembers, each as reals. The order of an epoch's samples depends on seed and
 * epoch alone, so the step is also the random state and the position in the data.
 */
#include <stdlib.h>
#include <string.h>

#include "core/trainer_internal.h"

struct header {
    char magic[8];
    uint32_t version;
    uint32_t real_size;
    char spec_hash[64];
    uint64_t step;
    double epoch_loss;
    uint64_t epoch_correct;
    uint64_t parameters, buffers, memory; /* counts of reals */
};

static const char magic[8] = "PLUMBCKP";

static struct header header_of(const struct trainer *t)
{
    struct header h = {
        .version = 2,
        .real_size = sizeof(real),
        .step = t->step,
        .epoch_loss = t->epoch_loss,
        .epoch_correct = t->epoch_correct,
        .parameters = t->network->parameter_count,
        .buffers = t->network->buffer_count,
        .memory = t->optimiser.memory_count,
    };
    memcpy(h.magic, magic, sizeof h.magic);
    memcpy(h.spec_hash, t->spec->hash, sizeof h.spec_hash);
    return h;
}

static size_t body_size(const struct header *h)
{
    return (h->parameters + h->buffers + h->memory) * sizeof(real);
}

enum status trainer_save(const struct trainer *t, uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
    struct header h = header_of(t);
    size_t size = sizeof h + body_size(&h);
    uint8_t *bytes = malloc(size), *at = bytes;
    if (!bytes)
        return error_no_memory(err);
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    memcpy(at, t->network->parameters, h.parameters * sizeof(real));
    at += h.parameters * sizeof(real);
    memcpy(at, t->network->buffers, h.buffers * sizeof(real));
    at += h.buffers * sizeof(real);
    memcpy(at, t->optimiser.memory, h.memory * sizeof(real));
    *ret_bytes = bytes;
    *ret_size = size;
    return STATUS_OK;
}

enum status trainer_restore(struct trainer *t, const uint8_t *bytes, size_t size, struct error *err)
{
    struct header h, own = header_of(t);
    if (size < sizeof h)
        return error_set(err, STATUS_CORRUPT, "a checkpoint of %zu bytes is too short", size);
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.version != own.version || h.real_size != own.real_size)
        return error_set(err, STATUS_CORRUPT, "not a checkpoint of this program");
    if (memcmp(h.spec_hash, own.spec_hash, sizeof h.spec_hash) != 0 &&
        memcmp(h.spec_hash, t->spec->former, sizeof h.spec_hash) != 0)
        return error_set(err, STATUS_INVALID, "the checkpoint belongs to another spec (%.12s…, not %.12s…)",
                         h.spec_hash, own.spec_hash);
    if (h.parameters != own.parameters || h.buffers != own.buffers || h.memory != own.memory ||
        h.step > t->plan.steps || size != sizeof h + body_size(&own))
        return error_set(err, STATUS_CORRUPT, "the checkpoint's sizes are not those of its spec");
    const uint8_t *at = bytes + sizeof h;
    memcpy(t->network->parameters, at, h.parameters * sizeof(real));
    at += h.parameters * sizeof(real);
    memcpy(t->network->buffers, at, h.buffers * sizeof(real));
    at += h.buffers * sizeof(real);
    memcpy(t->optimiser.memory, at, h.memory * sizeof(real));
    t->step = h.step;
    t->epoch_loss = h.epoch_loss;
    t->epoch_correct = h.epoch_correct;
    return STATUS_OK;
}
