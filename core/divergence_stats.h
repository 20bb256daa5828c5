/*
 * Summaries of a column over the samples of one probed step and site: moments, quantiles, histogram, 2-D counts.
 *
 * Histograms have fixed signed-logarithmic bins (theory.md §5), so that counts of steps, seeds and runs add up exactly.
 */
#ifndef PLUMBLINE_CORE_DIVERGENCE_STATS_H
#define PLUMBLINE_CORE_DIVERGENCE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "core/divergence.h"
#include "core/status.h"

/* NumPy's linear quantiles at these percentages. */
#define QUANTILE_COUNT 7
extern const int quantile_percent[QUANTILE_COUNT]; /* 1 5 25 50 75 95 99 */

struct column_summary {
    size_t count;       /* finite values */
    size_t undefined;   /* the others */
    size_t nonpositive; /* finite values ≤ 0 */
    double mean;        /* NaN when count is 0 */
    double deviation;   /* divisor n − 1; NaN when count < 2 */
    double minimum, maximum;
    double quantiles[QUANTILE_COUNT];
};

/* Summarises values[0 … count−1] (stride in doubles) using `scratch` of `count` doubles. */
void column_summarise(const double *values, size_t stride, size_t count, double *scratch,
                      struct column_summary *ret_summary);

/*
 * Bins of a signed-logarithmic histogram, in ascending order of value:
 *   0                     below −1e9 ("negative over")
 *   1 … 300               −1e9 … −1e-6, 20 a decade
 *   301                   −1e-6 … 0 exclusive ("negative under")
 *   302                   exactly 0
 *   303                   0 exclusive … 1e-6 ("positive under")
 *   304 … 603             1e-6 … 1e9, 20 a decade: bin 304 + k holds 1e-6·10^(k/20) ≤ v < 1e-6·10^((k+1)/20)
 *   604                   1e9 and above
 *   605                   undefined: no finite number
 */
enum {
    BIN_PER_DECADE = 20,
    BIN_DECADES = 15,
    BIN_NEGATIVE_OVER = 0,
    BIN_NEGATIVE_UNDER = 301,
    BIN_ZERO = 302,
    BIN_POSITIVE_UNDER = 303,
    BIN_POSITIVE_FIRST = 304,
    BIN_POSITIVE_OVER = 604,
    BIN_UNDEFINED = 605,
    BIN_COUNT = 606
};

unsigned histogram_bin(double value);

/* The limits of a bin; infinite at the ends, equal at zero, NaN for undefined. */
void histogram_bin_limits(unsigned bin, double *ret_low, double *ret_high);

/* Quantile `fraction` (0…1) of merged counts[BIN_COUNT] (undefined left out), linear within a bin, clamped to
 * [minimum, maximum], the extremes of what was counted. NaN when nothing was. */
double histogram_quantile(const uint64_t counts[BIN_COUNT], double fraction, double minimum, double maximum);

/* The pairs of columns whose 2-D counts are kept. Cosine has 100 equal bins on −1 … 1, in bins 0 … 99, and
 * BIN_UNDEFINED; the others have the bins above. "relative_interference" is interference / self_factor. */
enum density_pair { DENSITY_SELF_SCALE, DENSITY_COSINE_INTERFERENCE, DENSITY_COUNT };
struct density_info {
    const char *x, *y;
};
extern const struct density_info density_pairs[DENSITY_COUNT];

/* The bins of one row for a pair. */
void density_bins(enum density_pair pair, const struct divergence_row *row, unsigned *ret_x, unsigned *ret_y);

/*
 * Sparse counts as they are stored: little-endian records, ascending, each once.
 * Histogram: u16 bin, u32 count (6 bytes). Density: u16 x bin, u16 y bin, u32 count (8 bytes).
 * `ret_bytes` has room for `rows` records; returns the bytes used.
 */
size_t histogram_encode(const double *values, size_t stride, size_t rows, uint8_t *ret_bytes);
size_t density_encode(enum density_pair pair, const struct divergence_row *rows, size_t count, uint8_t *ret_bytes,
                      uint32_t *scratch);

/* Adds a stored histogram to `counts`. STATUS_CORRUPT when it is not one. */
enum status histogram_merge(const uint8_t *bytes, size_t size, uint64_t counts[BIN_COUNT], struct error *err);

#endif
