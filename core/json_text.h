/* JSON written as text. */
#ifndef PLUMBLINE_CORE_JSON_TEXT_H
#define PLUMBLINE_CORE_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

enum { REAL_TEXT_SIZE = 32 };

/*
 * Writes a finite number as most programs do: with the fewest of 15 to 17 significant digits that are read as the same
 * double, and with a point or an exponent of at least two digits, so that they are read as a real again (0.05, 1.0,
 * 1e-08: what Python's repr gives, but between 1e15 and 1e16 and below 1e-307). Returns `text`.
 */
const char *real_text(double value, char text[REAL_TEXT_SIZE]);

/*
 * What json_dumps gives, but reals are as real_text has them; the caller frees. NULL when memory runs out, for sure:
 * where json_dumps cannot grow its text while it writes a key, it leaves that out and goes on (Jansson 2.14), and the
 * text is another one.
 */
char *json_text(const json_t *json, size_t flags);

/* The same with reals as Jansson has them, with 17 significant digits. */
char *json_raw_text(const json_t *json, size_t flags);

#endif
