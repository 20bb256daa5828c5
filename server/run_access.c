#include "server/run_access.h"

#include "server/json_util.h"
#include "server/scheduler.h"

enum status run_access(const struct request *request, struct run_reader **ret_reader, struct error *err)
{
    attribute_cleanup(cleanup_free) char *path = NULL;
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    struct scheduler *scheduler = request->service->scheduler;
    int64_t id = 0;
    *ret_reader = NULL;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = scheduler_job(scheduler, id, &job, err);
    if (status == STATUS_OK)
        status = scheduler_run_path(scheduler, id, &path, err);
    if (status != STATUS_OK)
        return status;
    status = run_reader_open(path, ret_reader, err);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
