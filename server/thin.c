#include "server/thin.h"

#include <math.h>
#include <string.h>

size_t stretch_of(const struct stretches *all, size_t index, int64_t step)
{
    double at = (double)index / (double)all->points;
    if (all->log && all->last > all->first)
        at = log((double)step / (double)all->first) / log((double)all->last / (double)all->first);
    double stretch = floor(at * (double)all->count);
    return stretch < (double)all->count ? (size_t)fmax(stretch, 0) : all->count - 1;
}

/* Marks in `keep` what stays of points first … end−1 by one key. */
static void keep_extremes(const struct thin_key *key, size_t first, size_t end, bool *keep)
{
    size_t low = end, high = end, odd = end;
    for (size_t i = first; i < end; i++) {
        double value = key->values[i * key->stride];
        if (!isfinite(value)) {
            odd = odd == end ? i : odd;
            continue;
        }
        low = low == end || value < key->values[low * key->stride] ? i : low;
        high = high == end || value > key->values[high * key->stride] ? i : high;
    }
    if (key->lowest && low < end)
        keep[low] = true;
    if (key->highest && high < end)
        keep[high] = true;
    if (key->nonfinite && odd < end)
        keep[odd] = true;
}

void thin(const struct thin_key *keys, size_t key_count, const struct thin_steps *steps, size_t count,
          size_t max_points, bool *keep)
{
    bool all = max_points == 0 || count <= max_points;
    memset(keep, all, count * sizeof *keep);
    if (all)
        return;
    keep[count - 1] = true;
    if (max_points == 1)
        return;
    keep[0] = true;
    size_t kinds = 0;
    for (size_t k = 0; k < key_count; k++)
        kinds += (size_t)keys[k].lowest + keys[k].highest + keys[k].nonfinite;
    const size_t inner = count - 2, stride = steps->stride;
    const struct stretches by = {.count = (max_points - 2) / (kinds ? kinds : 1),
                                 .points = inner,
                                 .first = steps->values[stride],
                                 .last = steps->values[inner * stride],
                                 .log = steps->log};
    for (size_t first = 1, end; by.count > 0 && first <= inner; first = end) {
        size_t stretch = stretch_of(&by, first - 1, steps->values[first * stride]);
        for (end = first + 1; end <= inner && stretch_of(&by, end - 1, steps->values[end * stride]) == stretch;)
            end++;
        keep[end - 1] |= key_count == 0;
        for (size_t k = 0; k < key_count; k++)
            keep_extremes(&keys[k], first, end, keep);
    }
}
