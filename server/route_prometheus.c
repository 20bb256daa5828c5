/* What a monitor wants to know of the server, in Prometheus' text format. */
#include <stdlib.h>

#include "server/clock.h"
#include "server/http_metrics.h"
#include "server/json_util.h"
#include "server/route.h"
#include "server/scheduler.h"
#include "server/text_stream.h"

static void print(FILE *out, const char *type, const char *name, const char *help, double value)
{
    fprintf(out, "# HELP plumbline_%s %s\n# TYPE plumbline_%s %s\nplumbline_%s %.17g\n", name, help, name, type, name,
            value);
}

static void print_jobs(FILE *out, const json_t *queue)
{
    const char *state;
    json_t *count;
    fputs("# HELP plumbline_jobs Jobs by state, those in the trash left out.\n# TYPE plumbline_jobs gauge\n", out);
    json_object_foreach(json_object_get(queue, "states"), state, count)
    {
        fprintf(out, "plumbline_jobs{state=\"%s\"} %lld\n", state, (long long)json_integer_value(count));
    }
}

static void print_all(const struct service *service, const json_t *queue, FILE *out)
{
    const struct work_done work = scheduler_work_done(service->scheduler);
    fputs("# HELP plumbline_build_info What runs.\n# TYPE plumbline_build_info gauge\n"
          "plumbline_build_info{version=\"" PLUMBLINE_VERSION "\"} 1\n",
          out);
    print(out, "gauge", "uptime_seconds", "Since the server began to answer.", clock_seconds() - service->started);
    print(out, "gauge", "workers", "Jobs that may run at once.", json_number_value(json_object_get(queue, "workers")));
    print(out, "gauge", "workers_busy", "Jobs that run.", json_number_value(json_object_get(queue, "running")));
    print_jobs(out, queue);
    print(out, "counter", "steps_total", "Training steps made since the start.", (double)work.steps);
    print(out, "counter", "divergence_rows_total", "Rows of divergence written since the start.", (double)work.rows);
    print(out, "counter", "events_total", "Events told since there is this catalog.",
          (double)events_last(scheduler_events(service->scheduler)));
    http_metrics_print(service->metrics, out);
}

enum status handle_prometheus(struct request *request, struct answer *answer, struct error *err)
{
    const struct service *service = request->service;
    attribute_cleanup(cleanup_json) json_t *queue = NULL;
    struct text_stream stream;
    enum status status = scheduler_queue(service->scheduler, &queue, err);
    if (status != STATUS_OK)
        return status;
    if (!text_stream_open(&stream))
        return error_no_memory(err);
    print_all(service, queue, stream.out);
    answer->bytes = text_stream_close(&stream, &answer->size);
    if (!answer->bytes)
        return error_no_memory(err);
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return STATUS_OK;
}
