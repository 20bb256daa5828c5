/*
 * Steps in stretches, for plots: a long series is cut into stretches that are of equally many points, or equally long
 * on a logarithmic axis. Thinned, of each stretch the points stay that are the lowest or the highest by what is
 * plotted, or where nothing tells them apart the last, with the first and the last of all.
 */
#ifndef PLUMBLINE_SERVER_THIN_H
#define PLUMBLINE_SERVER_THIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How points are cut into stretches. */
struct stretches {
    size_t count, points; /* of stretches, and of points */
    int64_t first, last;  /* steps, from 1 */
    bool log;
};

/* The stretch, from 0, of the point with this index (from 0) and step; it goes up with both. */
size_t stretch_of(const struct stretches *all, size_t index, int64_t step);

/* What a point is judged by. A value that is not finite is neither low nor high. */
struct thin_key {
    const double *values;
    size_t stride;        /* from one point's value to the next, in doubles */
    bool lowest, highest; /* stay */
    bool nonfinite;       /* stays: the first of a stretch that is not finite */
};

/* The steps of a series: ascending, so many 8-byte words from one to the next. `log`: stretches are equally long on a
 * logarithmic axis. */
struct thin_steps {
    const int64_t *values;
    size_t stride;
    bool log;
};

/* Sets keep[0 … count−1] to whether the point stays: at most max_points do, and all where that is 0 or enough. Without
 * a key what stays depends on the steps alone: series over the same steps keep the same. */
void thin(const struct thin_key *keys, size_t key_count, const struct thin_steps *steps, size_t count,
          size_t max_points, bool *keep);

#endif
