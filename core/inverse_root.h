/* How 1/√q changes with q, without cancellation: what all normalised features move by (theory.md §5 "Precision"). */
#ifndef PLUMBLINE_CORE_INVERSE_ROOT_H
#define PLUMBLINE_CORE_INVERSE_ROOT_H

#include <math.h>

/* The norm below which a vector counts as zero (theory.md §2): its normalised part and the derivative are 0. */
#define FEATURE_ZERO_NORM 1e-12

struct inverse_root {
    double after;  /* 1/√(q + change) */
    double change; /* 1/√(q + change) − 1/√q */
};

static inline struct inverse_root inverse_root_change(double q, double change)
{
    double before = sqrt(q), after = sqrt(q + change);
    return (struct inverse_root){1 / after, -change / (before * after * (before + after))};
}

/* The same of 1/‖x‖, which is taken as 0 where x counts as zero. */
static inline struct inverse_root inverse_norm_change(double squares, double change)
{
    const double zero = FEATURE_ZERO_NORM * FEATURE_ZERO_NORM;
    double before = squares < zero ? 0 : 1 / sqrt(squares),
           after = squares + change < zero ? 0 : 1 / sqrt(squares + change);
    if (before > 0 && after > 0)
        return inverse_root_change(squares, change);
    return (struct inverse_root){after, after - before};
}

#endif
