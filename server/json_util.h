/*
 * Jansson as this program uses it: what fails is a status, and numbers that JSON does not have.
 *
 * A scalar that is not finite travels as a word ("NaN", "Infinity", "-Infinity"), and so it is stored; an undefined
 * ratio is null.
 */
#ifndef PLUMBLINE_SERVER_JSON_UTIL_H
#define PLUMBLINE_SERVER_JSON_UTIL_H

#include <jansson.h>

#include "core/status.h"

/* json_decref for attribute_cleanup. */
void cleanup_json(json_t **json);

/* Gives `value` (may be NULL: memory ran out) to `object` under `key`, or to the end of `array`. */
enum status json_put(json_t *object, const char *key, json_t *value, struct error *err);
enum status json_add(json_t *array, json_t *value, struct error *err);

/* "NaN", "Infinity", "-Infinity"; NULL for a finite number. */
const char *nonfinite_word(double value);

/* The number of such a word; NaN for everything else, NULL too. */
double nonfinite_value(const char *word);

/* A new JSON number, or the word of one that is not finite. NULL when memory runs out. */
json_t *json_number_or_word(double value);

/* A new JSON number, or null for one that is not finite. NULL when memory runs out. */
json_t *json_number_or_null(double value);

/* Back from a number or a word; NaN for everything else. */
double json_to_number(const json_t *json);

/* The value that a stored text holds; STATUS_CORRUPT where it is no JSON. */
enum status json_of_text(const char *text, size_t size, json_t **ret_json, struct error *err);

/* A digest of the value's compact text, in hexadecimal: two are the same where the values are. */
#define JSON_DIGEST_SIZE 33
enum status json_digest(const json_t *json, char ret_text[JSON_DIGEST_SIZE], struct error *err);

#endif
