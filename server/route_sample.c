/* One sample: over all steps and sites, its picture, and who moved it. */
#include <string.h>

#include "server/json_util.h"
#include "server/picture.h"
#include "server/route.h"
#include "server/run_access.h"
#include "server/scheduler.h"

const struct option contributors_parameters[] = {
    {.name = "site", .kind = OPTION_STRING, .fallback = NULL, .help = "the site, by name"},
    {.name = "step",
     .kind = OPTION_INTEGER,
     .fallback = "0",
     .minimum = 0,
     .maximum = 0x1p53,
     .help = "the probed step; 0 is the last one that has some"},
    OPTION_END,
};

const struct option picture_parameters[] = {
    {.name = "split",
     .kind = OPTION_CHOICE,
     .fallback = "\"train\"",
     .choices = (const char *const[]){"train", "test", NULL},
     .help = "of which set"},
    OPTION_END,
};

/* Samples are counted from 0. */
static enum status sample_index(const struct request *request, int64_t *ret_index, struct error *err)
{
    const char *text = request->captures[1];
    if (text[0] == '0' && text[1] == '\0') {
        *ret_index = 0;
        return STATUS_OK;
    }
    enum status status = request_id(request, 1, ret_index, err);
    if (status == STATUS_NOT_FOUND)
        return error_set(err, status,
                         "\"%s\" is no sample; they are numbered from 0, by their place in the training set", text);
    return status;
}

enum status handle_sample(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    int64_t index = 0;
    json_t *json = NULL;
    enum status status = sample_index(request, &index, err);
    if (status == STATUS_OK)
        status = run_access(request, &reader, err);
    if (status == STATUS_OK && !reader)
        return answer_json(answer, json_pack("{s:I, s:[], s:[]}", "sample", (json_int_t)index, "steps", "rows"), err);
    if (status == STATUS_OK)
        status = run_reader_sample(reader, index, &json, err);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}

enum status handle_contributors(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_run_reader) struct run_reader *reader = NULL;
    int64_t index = 0;
    json_t *json = NULL;
    enum status status = sample_index(request, &index, err);
    if (status == STATUS_OK)
        status = run_access(request, &reader, err);
    if (status == STATUS_OK && !reader)
        status = error_set(err, STATUS_NOT_FOUND, "the job has not begun: nothing is measured yet");
    if (status == STATUS_OK)
        status = run_reader_contributors(reader, option_string(request->parameters, "site"),
                                         option_integer(request->parameters, "step"), index, &json, err);
    return status == STATUS_OK ? answer_json(answer, json, err) : status;
}

enum status handle_picture(struct request *request, struct answer *answer, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    int64_t id = 0, index = 0;
    uint8_t *png = NULL;
    bool test = strcmp(option_string(request->parameters, "split"), "test") == 0;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = sample_index(request, &index, err);
    if (status == STATUS_OK)
        status = scheduler_job(request->service->scheduler, id, &job, err);
    if (status == STATUS_OK)
        status = picture_of_spec(request->service->pictures, json_object_get(job, "spec"), &request->service->folders,
                                 test ? SPLIT_TEST : SPLIT_TRAIN, (uint64_t)index, &png, &answer->size, err);
    if (status != STATUS_OK)
        return status;
    answer->bytes = png;
    answer->content_type = "image/png";
    return STATUS_OK;
}
