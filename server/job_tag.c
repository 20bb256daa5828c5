#include "server/job_tag.h"

#include <stdio.h>
#include <string.h>

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

bool job_tag_is_wanted(const char *if_match, const char *tag)
{
    const char *at = if_match + strspn(if_match, " \t");
    if (*at == '*')
        return at[1 + strspn(at + 1, " \t")] == '\0';
    size_t length = strlen(tag);
    for (at += strspn(at, " \t,"); *at; at += strspn(at, " \t,")) {
        bool weak = strncmp(at, "W/", 2) == 0;
        const char *open = weak ? at + 2 : at, *close = *open == '"' ? strchr(open + 1, '"') : NULL;
        if (!close || !strchr(" \t,", close[1]))
            return false;
        if (!weak && (size_t)(close + 1 - open) == length && memcmp(open, tag, length) == 0)
            return true;
        at = close + 1;
    }
    return false;
}
