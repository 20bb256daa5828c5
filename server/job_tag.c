#include "server/job_tag.h"

#include <stdio.h>

#include "server/json_util.h"

enum status job_tag(const json_t *job, char ret_tag[JOB_TAG_SIZE], struct error *err)
{
    char digest[JSON_DIGEST_SIZE] = "";
    attribute_cleanup(cleanup_json) json_t *what =
        json_pack("[O, O, O, O]", json_object_get(job, "name"), json_object_get(job, "note"),
                  json_object_get(job, "tags"), json_object_get(job, "priority"));
    enum status status = json_digest(what, digest, err);
    if (status == STATUS_OK)
        snprintf(ret_tag, JOB_TAG_SIZE, "\"%s\"", digest);
    return status;
}
