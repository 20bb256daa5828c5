/*
 * Series thinned for plots: a long one is cut into stretches of equally many points, and of each the points stay that
 * are the lowest or the highest by what is plotted, with the first and the last of all.
 */
#ifndef PLUMBLINE_SERVER_THIN_H
#define PLUMBLINE_SERVER_THIN_H

#include <stdbool.h>
#include <stddef.h>

/* What a point is judged by. A value that is not finite is neither low nor high. */
struct thin_key {
    const double *values;
    size_t stride;        /* from one point's value to the next, in doubles */
    bool lowest, highest; /* stay */
    bool nonfinite;       /* stays: the first of a stretch that is not finite */
};

/* Sets keep[0 … count−1] to whether the point stays: at most max_points do, and all where that is 0 or enough. */
void thin(const struct thin_key *keys, size_t key_count, size_t count, size_t max_points, bool *keep);

#endif
