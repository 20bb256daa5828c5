/*
 * The tag of what people change of a job (its name, note, tags, priority), for ETag and If-Match: two who edit at once
 * do not overwrite each other, while the job's progress leaves the tag alone.
 */
#ifndef PLUMBLINE_SERVER_JOB_TAG_H
#define PLUMBLINE_SERVER_JOB_TAG_H

#include <jansson.h>
#include <stdbool.h>

#include "core/status.h"

#define JOB_TAG_SIZE 35

/* Of a job as the API shows it: 32 hexadecimal digits in quotes. */
enum status job_tag(const json_t *job, char ret_tag[JOB_TAG_SIZE], struct error *err);

/*
 * Whether If-Match wants this tag (RFC 9110, section 13.1.1): the header is "*" or a list of tags, of which one is the
 * same. Weak ones (W/"…") never are. A list that is broken wants none behind the break.
 */
bool job_tag_is_wanted(const char *if_match, const char *tag);

#endif
