#include "server/run_access.h"

#include "server/json_util.h"
#include "server/scheduler.h"

enum status run_open(const struct request *request, int64_t id, struct run_reader **ret_reader, struct error *err)
{
    attribute_cleanup(cleanup_free) char *path = NULL;
    *ret_reader = NULL;
    enum status status = scheduler_run_path(request->service->scheduler, id, &path, err);
    if (status != STATUS_OK)
        return status;
    status = run_reader_open(path, ret_reader, err);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status run_access(const struct request *request, struct run_reader **ret_reader, struct error *err)
{
    attribute_cleanup(cleanup_json) json_t *job = NULL;
    int64_t id = 0;
    *ret_reader = NULL;
    enum status status = request_id(request, 0, &id, err);
    if (status == STATUS_OK)
        status = scheduler_job(request->service->scheduler, id, &job, err);
    return status == STATUS_OK ? run_open(request, id, ret_reader, err) : status;
}
