#include "server/job_tag.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/json_util.h"

enum status job_tag(const json_t *job, char ret_tag[JOB_TAG_SIZE], struct error *err)
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    char hex[2 * sizeof digest + 1];
    attribute_cleanup(cleanup_json) json_t *what =
        json_pack("[O, O, O, O]", json_object_get(job, "name"), json_object_get(job, "note"),
                  json_object_get(job, "tags"), json_object_get(job, "priority"));
    attribute_cleanup(cleanup_free) char *text = what ? json_dumps(what, JSON_COMPACT) : NULL;
    if (!text)
        return error_no_memory(err);
    crypto_generichash(digest, sizeof digest, (const unsigned char *)text, strlen(text), NULL, 0);
    snprintf(ret_tag, JOB_TAG_SIZE, "\"%s\"", sodium_bin2hex(hex, sizeof hex, digest, sizeof digest));
    return STATUS_OK;
}
