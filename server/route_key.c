/* The key of a request that makes something once. */
#include <string.h>

#include "server/route.h"

enum { KEY_MOST = 128 };
#define KEY_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:~"

enum status request_key(const struct request *request, const json_t *asked, struct request_key *ret_key,
                        struct error *err)
{
    const char *text = request->idempotency_key;
    ret_key->given = NULL;
    if (!text)
        return STATUS_OK;
    size_t length = strlen(text);
    if (length < 1 || length > KEY_MOST || strspn(text, KEY_LETTERS) != length)
        return error_set(err, STATUS_INVALID,
                         "Idempotency-Key must be 1 to %d letters, digits and -_.:~ (a UUID for instance)", KEY_MOST);
    ret_key->key = (struct submission_key){.token = request->token, .text = text, .request = ret_key->digest};
    ret_key->given = &ret_key->key;
    return json_digest(asked, ret_key->digest, err);
}
