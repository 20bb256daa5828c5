/*
 * Loops over contiguous reals that must vectorise: sums in double, element-wise functions.
 *
 * Reductions carry `omp simd`, which lets the compiler keep several partial sums; the order is fixed at compile time,
 * so the bits are the same from run to run. MULTIVERSION compiles a function for several instruction sets, chosen at
 * load.
 */
#ifndef PLUMBLINE_CORE_VECTOR_H
#define PLUMBLINE_CORE_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/real.h"

/* ThreadSanitizer's start-up crashes in the resolvers that clones need. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(PLUMBLINE_TSAN)
#define MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MULTIVERSION
#endif

static inline double vector_dot(size_t n, const real *a, const real *b)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static inline double vector_squares(size_t n, const real *a)
{
    return vector_dot(n, a, a);
}

static inline double vector_sum(size_t n, const real *a)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i];
    return sum;
}

#ifdef PLUMBLINE_DOUBLE
static inline real real_sqrt(real x)
{
    return sqrt(x);
}

static inline real real_exp(real x)
{
    return exp(x);
}

static inline real real_tanh(real x)
{
    return tanh(x);
}
#else
static inline real real_sqrt(real x)
{
    return sqrtf(x);
}

/*
 * e^x to about 1e-7 relative from −87 to 88; below it is 0, above it stays at e^88. x = k·ln 2 + r with |r| ≤ ln 2 / 2,
 * the Taylor series of e^r to r^7, and 2^k put into the exponent. No branch, so loops of it vectorise; what is not a
 * number stays so.
 */
static inline real real_exp(real x)
{
    const float magic = 0x1.8p23F; /* adding it rounds to a whole number in the low bits */
    float bounded = x > 88.0F ? 88.0F : x;
    bounded = bounded < -87.0F ? -87.0F : bounded;
    float shifted = bounded * (float)M_LOG2E + magic;
    float k = shifted - magic;
    float r = bounded - k * 0x1.62e4p-1F - k * 0x1.7f7d1cp-20F; /* ln 2 in two parts: k times the first is exact */
    float series =
        1 + r * (1 + r * (0.5F + r * (1 / 6.F + r * (1 / 24.F + r * (1 / 120.F + r * (1 / 720.F + r / 5040))))));
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127U) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    float value = x < -87.0F ? 0 : series * power; /* no normal number is smaller */
    return x != x ? x : value;
}

/*
 * tanh x to about 2e-7 relative: the Taylor series below |x| = 0.5, 1 − 2 / (e^{2|x|} + 1) above.
 */
static inline real real_tanh(real x)
{
    float magnitude = fabsf(x), s = x * x;
    float small =
        x * (1 + s * (-1 / 3.F + s * (2 / 15.F + s * (-17 / 315.F +
                                                      s * (62 / 2835.F + s * (-1382 / 155925.F +
                                                                              s * (21844 / 6081075.F +
                                                                                   s * (-929569 / 638512875.F))))))));
    float capped = magnitude > 10 ? 10 : magnitude;
    float large = copysignf(1 - 2 / (real_exp(2 * capped) + 1), x);
    return x != x ? x : magnitude < 0.5F ? small : large;
}
#endif

#endif
