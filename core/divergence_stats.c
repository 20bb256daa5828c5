#include "core/divergence_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const int quantile_percent[QUANTILE_COUNT] = {1, 5, 25, 50, 75, 95, 99};

const struct density_info density_pairs[DENSITY_COUNT] = {
    [DENSITY_SELF_SCALE] = {"self_factor", "scale"},
    [DENSITY_COSINE_INTERFERENCE] = {"cosine", "relative_interference"},
};

static void sort_by_insertion(double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

static double middle_of(double a, double b, double c)
{
    double low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* Quicksort of finite values: a probed step sorts every column of every site, and qsort's calls would be felt. */
static void sort_doubles(double *values, size_t count)
{
    while (count > 24) {
        double pivot = middle_of(values[0], values[count / 2], values[count - 1]);
        size_t i = 0, j = count - 1;
        for (;; i++, j--) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            double kept = values[i];
            values[i] = values[j];
            values[j] = kept;
        }
        /* the shorter part by a call, the longer one in place: the depth stays logarithmic */
        size_t left = j + 1, right = count - left;
        if (left < right) {
            sort_doubles(values, left);
            values += left;
            count = right;
        } else {
            sort_doubles(values + left, right);
            count = left;
        }
    }
    sort_by_insertion(values, count);
}

/* NumPy's linear method: the value at position fraction·(count − 1), between two values by proportion. */
static double sorted_quantile(const double *sorted, size_t count, double fraction)
{
    double position = fraction * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count)
        return sorted[count - 1];
    double share = position - (double)below;
    return sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

void column_summarise(const double *values, size_t stride, size_t count, double *scratch,
                      struct column_summary *ret_summary)
{
    struct column_summary s = {.mean = NAN, .deviation = NAN, .minimum = NAN, .maximum = NAN};
    for (size_t i = 0; i < count; i++) {
        double value = values[i * stride];
        if (isfinite(value)) {
            scratch[s.count++] = value;
            s.nonpositive += value <= 0;
        }
    }
    s.undefined = count - s.count;
    for (int q = 0; q < QUANTILE_COUNT; q++)
        s.quantiles[q] = NAN;
    if (s.count > 0) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < s.count; i++)
            sum += scratch[i];
        s.mean = sum / (double)s.count;
        for (size_t i = 0; i < s.count; i++)
            squares += (scratch[i] - s.mean) * (scratch[i] - s.mean);
        if (s.count > 1)
            s.deviation = sqrt(squares / (double)(s.count - 1));
        sort_doubles(scratch, s.count);
        s.minimum = scratch[0];
        s.maximum = scratch[s.count - 1];
        for (int q = 0; q < QUANTILE_COUNT; q++)
            s.quantiles[q] = sorted_quantile(scratch, s.count, quantile_percent[q] / 100.0);
    }
    *ret_summary = s;
}

/* The lower limit of step k of the positive bins: 1e-6·10^(k/20). */
static double step_limit(int k)
{
    return pow(10, k / (double)BIN_PER_DECADE - 6);
}

/* The step 0 … 299 that holds a magnitude of 1e-6 … 1e9; the limits decide where the logarithm is rounded. */
static int magnitude_step(double magnitude)
{
    double place = (log10(magnitude) + 6) * BIN_PER_DECADE;
    int k = (int)place, last = BIN_PER_DECADE * BIN_DECADES - 1;
    k = k < 0 ? 0 : k > last ? last : k;
    if (place - k > 1e-9 && place - k < 1 - 1e-9)
        return k; /* far from any limit, by all that the logarithm can be off */
    if (magnitude < step_limit(k) && k > 0)
        k--;
    else if (k < last && magnitude >= step_limit(k + 1))
        k++;
    return k;
}

unsigned histogram_bin(double value)
{
    if (!isfinite(value))
        return BIN_UNDEFINED;
    if (value == 0)
        return BIN_ZERO;
    double magnitude = fabs(value);
    if (magnitude < 1e-6)
        return value > 0 ? BIN_POSITIVE_UNDER : BIN_NEGATIVE_UNDER;
    if (magnitude >= 1e9)
        return value > 0 ? BIN_POSITIVE_OVER : BIN_NEGATIVE_OVER;
    int k = magnitude_step(magnitude);
    return (unsigned)(value > 0 ? BIN_POSITIVE_FIRST + k : BIN_NEGATIVE_UNDER - 1 - k);
}

void histogram_bin_limits(unsigned bin, double *ret_low, double *ret_high)
{
    int last = BIN_PER_DECADE * BIN_DECADES;
    if (bin >= BIN_UNDEFINED) {
        *ret_low = *ret_high = NAN;
    } else if (bin == BIN_ZERO) {
        *ret_low = *ret_high = 0;
    } else if (bin > BIN_ZERO) {
        int k = (int)bin - BIN_POSITIVE_FIRST;
        *ret_low = k < 0 ? 0 : step_limit(k);
        *ret_high = k >= last ? INFINITY : step_limit(k + 1);
    } else {
        histogram_bin_limits(2 * BIN_ZERO - bin, ret_high, ret_low);
        *ret_low = -*ret_low;
        *ret_high = -*ret_high;
    }
}

static double clamp(double value, double minimum, double maximum)
{
    return value < minimum ? minimum : value > maximum ? maximum : value;
}

double histogram_quantile(const uint64_t counts[BIN_COUNT], double fraction, double minimum, double maximum)
{
    uint64_t total = 0;
    for (unsigned bin = 0; bin < BIN_UNDEFINED; bin++)
        total += counts[bin];
    if (total == 0)
        return NAN;
    double wanted = fraction * (double)total, below = 0;
    unsigned bin = 0;
    while (bin < BIN_UNDEFINED - 1 && (counts[bin] == 0 || below + (double)counts[bin] < wanted))
        below += (double)counts[bin++];
    double low, high;
    histogram_bin_limits(bin, &low, &high);
    low = clamp(low, minimum, maximum);
    high = clamp(high, minimum, maximum);
    double share = counts[bin] ? clamp((wanted - below) / (double)counts[bin], 0, 1) : 0;
    return low + share * (high - low);
}

static unsigned cosine_bin(double cosine)
{
    if (!isfinite(cosine))
        return BIN_UNDEFINED;
    double place = (cosine + 1) / 2 * 100;
    return place < 0 ? 0 : place >= 100 ? 99 : (unsigned)place;
}

void density_bins(enum density_pair pair, const struct divergence_row *row, unsigned *ret_x, unsigned *ret_y)
{
    const double *v = row->values;
    if (pair == DENSITY_SELF_SCALE) {
        *ret_x = histogram_bin(v[COLUMN_SELF_FACTOR]);
        *ret_y = histogram_bin(v[COLUMN_SCALE]);
    } else {
        *ret_x = cosine_bin(v[COLUMN_COSINE]);
        *ret_y = histogram_bin(v[COLUMN_INTERFERENCE] / v[COLUMN_SELF_FACTOR]);
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint8_t *put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    return to + 2;
}

static uint8_t *put32(uint8_t *to, uint32_t value)
{
    return put16(put16(to, value & 0xffff), value >> 16);
}

size_t histogram_encode(const double *values, size_t stride, size_t rows, uint8_t *ret_bytes)
{
    uint32_t counts[BIN_COUNT] = {0};
    for (size_t i = 0; i < rows; i++)
        counts[histogram_bin(values[i * stride])]++;
    uint8_t *to = ret_bytes;
    for (unsigned bin = 0; bin < BIN_COUNT; bin++)
        if (counts[bin] > 0)
            to = put32(put16(to, bin), counts[bin]);
    return (size_t)(to - ret_bytes);
}

size_t density_encode(enum density_pair pair, const struct divergence_row *rows, size_t count, uint8_t *ret_bytes,
                      uint32_t *scratch)
{
    for (size_t i = 0; i < count; i++) {
        unsigned x, y;
        density_bins(pair, &rows[i], &x, &y);
        scratch[i] = x << 16 | y;
    }
    qsort(scratch, count, sizeof *scratch, compare_u32);
    uint8_t *to = ret_bytes;
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i; next < count && scratch[next] == scratch[i];)
            next++;
        to = put16(put16(to, scratch[i] >> 16), scratch[i] & 0xffff);
        to = put32(to, (uint32_t)(next - i));
    }
    return (size_t)(to - ret_bytes);
}

enum status histogram_merge(const uint8_t *bytes, size_t size, uint64_t counts[BIN_COUNT], struct error *err)
{
    if (size % 6 != 0)
        return error_set(err, STATUS_CORRUPT, "a histogram of %zu bytes: not a multiple of 6", size);
    for (const uint8_t *at = bytes; at < bytes + size; at += 6) {
        unsigned bin = at[0] | (unsigned)at[1] << 8;
        uint32_t count = at[2] | (uint32_t)at[3] << 8 | (uint32_t)at[4] << 16 | (uint32_t)at[5] << 24;
        if (bin >= BIN_COUNT)
            return error_set(err, STATUS_CORRUPT, "a histogram with bin %u: the last one is %d", bin, BIN_UNDEFINED);
        counts[bin] += count;
    }
    return STATUS_OK;
}
