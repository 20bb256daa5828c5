/* The sentences for faults of a JSON document. Private to the checkers of option.c and of the spec. */
#ifndef PLUMBLINE_CORE_OPTION_PROBLEM_H
#define PLUMBLINE_CORE_OPTION_PROBLEM_H

#include "core/option.h"

/* Whether `word` is in the NULL-terminated list; `words` may be NULL. */
bool is_one_of(const char *word, const char *const *words);

/* "Must be `wanted`; found `value`." */
void problem_found(struct problem_list *list, const char *pointer, const char *wanted, const json_t *value);

/* Each item of an array (any other value has none) that stands in it before; returns how many. Also for an item that
 * could not be looked at, for want of memory. */
size_t problem_repeats(struct problem_list *list, const char *pointer, const json_t *array);

/* A key that is not in `options`: names the one that was meant where it looks like a typo, else all of them. */
void problem_unknown_key(struct problem_list *list, const char *pointer, const char *key, const struct option *options);

/* A word that is not among `choices`: names them, and the one that was meant. */
void problem_choice(struct problem_list *list, const char *pointer, const char *word, const char *const *choices);

#endif
