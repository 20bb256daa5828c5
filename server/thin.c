#include "server/thin.h"

#include <math.h>
#include <string.h>

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

void thin(const struct thin_key *keys, size_t key_count, size_t count, size_t max_points, bool *keep)
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
    size_t buckets = kinds ? (max_points - 2) / kinds : 0, inner = count - 2;
    for (size_t b = 0; b < buckets; b++)
        for (size_t k = 0; k < key_count; k++)
            keep_extremes(&keys[k], 1 + inner * b / buckets, 1 + inner * (b + 1) / buckets, keep);
}
