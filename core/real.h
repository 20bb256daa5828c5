/*
 * The one floating-point type of activations, parameters and gradients.
 *
 * Production is single precision. The same source built with -DPLUMBLINE_DOUBLE is double precision, which is what
 * the tests hold against the reference cases. Squares, sums and norms are accumulated in double in both.
 */
#ifndef PLUMBLINE_CORE_REAL_H
#define PLUMBLINE_CORE_REAL_H

#ifdef PLUMBLINE_DOUBLE
typedef double real;
#define REAL_NAME "float64"
#else
typedef float real;
#define REAL_NAME "float32"
#endif

#endif
