/* JSON written as text. */
#ifndef PLUMBLINE_CORE_JSON_TEXT_H
#define PLUMBLINE_CORE_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

/*
 * What json_dumps gives; the caller frees. NULL when memory runs out, for sure: where json_dumps cannot grow its text
 * while it writes a key, it leaves that out and goes on (Jansson 2.14), and the text is another one.
 */
char *json_text(const json_t *json, size_t flags);

#endif
