#include "server/json_util.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"

void cleanup_json(json_t **json)
{
    json_decref(*json); /* nothing for NULL */
    *json = NULL;
}

enum status json_put(json_t *object, const char *key, json_t *value, struct error *err)
{
    return json_object_set_new(object, key, value) == 0 ? STATUS_OK : error_no_memory(err);
}

enum status json_add(json_t *array, json_t *value, struct error *err)
{
    return json_array_append_new(array, value) == 0 ? STATUS_OK : error_no_memory(err);
}

const char *nonfinite_word(double value)
{
    if (isfinite(value))
        return NULL;
    return isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

json_t *json_number_or_word(double value)
{
    const char *word = nonfinite_word(value);
    return word ? json_string(word) : json_real(value);
}

json_t *json_number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

double nonfinite_value(const char *word)
{
    if (word && strcmp(word, "Infinity") == 0)
        return INFINITY;
    return word && strcmp(word, "-Infinity") == 0 ? -INFINITY : NAN;
}

double json_to_number(const json_t *json)
{
    return json_is_number(json) ? json_number_value(json) : nonfinite_value(json_string_value(json));
}

enum status json_of_text(const char *text, size_t size, json_t **ret_json, struct error *err)
{
    json_error_t fault;
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY, &fault);
    if (!json && fault.line < 0)
        return error_no_memory(err);
    if (!json)
        return error_set(err, STATUS_CORRUPT, "what is stored is no JSON: %s", fault.text);
    *ret_json = json;
    return STATUS_OK;
}

enum status json_digest(const json_t *json, char ret_text[JSON_DIGEST_SIZE], struct error *err)
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    attribute_cleanup(cleanup_free) char *text = json ? json_text(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (!text)
        return error_no_memory(err);
    crypto_generichash(digest, sizeof digest, (const unsigned char *)text, strlen(text), NULL, 0);
    sodium_bin2hex(ret_text, JSON_DIGEST_SIZE, digest, sizeof digest);
    return STATUS_OK;
}
