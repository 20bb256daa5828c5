/*
 * The event stream (server-sent events): what happens, with ids that have no gaps, from where the client left off.
 *
 * It ends when its token is revoked. The catalog is asked only after a token, any one, was revoked, which the
 * service counts: between two events that is one number to compare.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/events.h"
#include "server/route.h"
#include "server/scheduler.h"

const struct option events_parameters[] = {
    {.name = "jobs",
     .kind = OPTION_INTEGERS,
     .fallback = "[]",
     .minimum = 1,
     .maximum = 0x1p53,
     .most = 1000,
     .help = "only events of these jobs, and those of none"},
    {.name = "last_event_id",
     .kind = OPTION_INTEGER,
     .fallback = "null",
     .nullable = true,
     .minimum = 0,
     .maximum = 0x1p53,
     .help = "the newest event that is known; the header Last-Event-ID goes before it"},
    OPTION_END,
};

enum {
    LOOK_MS = 500,       /* how often a waiting stream looks whether its client is there */
    COMMENT_SECONDS = 15 /* a comment after so long without an event */
};

struct stream {
    struct events *events;
    const struct service *service;
    int64_t token;        /* 0 for none */
    unsigned revocations; /* that there were before the token was looked up */
    int socket;
    int64_t after;
    double quiet_since;
    size_t job_count;
    char *pending; /* what did not fit the buffer */
    size_t pending_size, pending_used;
    int64_t jobs[];
};

static void stream_close(void *context)
{
    struct stream *stream = context;
    free(stream->pending);
    free(stream);
}

static bool is_wanted(const struct stream *stream, int64_t job)
{
    if (stream->job_count == 0 || job == 0)
        return true;
    for (size_t i = 0; i < stream->job_count; i++)
        if (stream->jobs[i] == job)
            return true;
    return false;
}

static bool client_is_gone(int socket)
{
    struct pollfd look = {.fd = socket, .events = POLLRDHUP};
    return poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static enum status look_up(sqlite3 *db, void *token, struct error *err)
{
    return token_stands(db, *(const int64_t *)token, err);
}

/* A look-up that fails ends the stream as well: its client comes again, and is asked for its token. */
static bool token_is_revoked(struct stream *stream)
{
    unsigned revocations = __atomic_load_n(stream->service->revocations, __ATOMIC_ACQUIRE);
    if (revocations == stream->revocations || stream->token == 0)
        return false;
    stream->revocations = revocations; /* read before the token: what is revoked meanwhile is seen the next time */
    return scheduler_read(stream->service->scheduler, look_up, &stream->token, NULL) != STATUS_OK;
}

/* Hands over as much of the pending text as fits. */
static ssize_t give(struct stream *stream, char *buffer, size_t size)
{
    size_t left = stream->pending_size - stream->pending_used, count = left < size ? left : size;
    memcpy(buffer, stream->pending + stream->pending_used, count);
    stream->pending_used += count;
    if (stream->pending_used == stream->pending_size) {
        free(stream->pending);
        stream->pending = NULL;
    }
    stream->quiet_since = clock_seconds();
    return (ssize_t)count;
}

static bool set_pending(struct stream *stream, int length)
{
    if (length < 0) {
        stream->pending = NULL;
        return false;
    }
    stream->pending_size = (size_t)length;
    stream->pending_used = 0;
    return true;
}

/* Waits for what comes next and makes its text; false where the stream is over. */
static bool next_text(struct stream *stream)
{
    for (;;) {
        struct event event;
        struct error err;
        enum status status = events_next(stream->events, stream->after, LOOK_MS, &event, &err);
        if (token_is_revoked(stream)) {
            if (status == STATUS_OK)
                free(event.text);
            return false;
        }
        if (status == STATUS_OK) {
            stream->after = event.id;
            bool wanted = is_wanted(stream, event.job);
            int length = wanted ? asprintf(&stream->pending, "id: %" PRId64 "\nevent: %s\ndata: %s\n\n", event.id,
                                           event.type, event.text)
                                : 0;
            free(event.text);
            if (wanted)
                return set_pending(stream, length);
        } else if (status == STATUS_NOT_FOUND) { /* too old, or of another catalog: the client reads all anew */
            stream->after = events_last(stream->events);
            return set_pending(
                stream, asprintf(&stream->pending, "id: %" PRId64 "\nevent: reset\ndata: {}\n\n", stream->after));
        } else if (status != STATUS_BUSY) {
            return false;
        }
        /* Nothing for this client, though other jobs may tell much. */
        if (client_is_gone(stream->socket))
            return false;
        if (clock_seconds() - stream->quiet_since > COMMENT_SECONDS)
            return set_pending(stream, asprintf(&stream->pending, ": still here\n\n"));
    }
}

static ssize_t stream_read(void *context, char *buffer, size_t size)
{
    struct stream *stream = context;
    if (!stream->pending && !next_text(stream))
        return -1;
    return give(stream, buffer, size);
}

/* Where the client left off; what is no number is refused by the caller. */
static bool read_start(const struct request *request, int64_t newest, int64_t *ret_after)
{
    const json_t *parameter = json_object_get(request->parameters, "last_event_id");
    *ret_after = json_is_integer(parameter) ? json_integer_value(parameter) : newest;
    if (!request->last_event_id || *request->last_event_id == '\0')
        return true;
    char *end;
    long long id = strtoll(request->last_event_id, &end, 10);
    *ret_after = id;
    return *end == '\0' && id >= 0;
}

enum status handle_events(struct request *request, struct answer *answer, struct error *err)
{
    struct events *events = scheduler_events(request->service->scheduler);
    int64_t newest = events_last(events), after = 0;
    if (!read_start(request, newest, &after))
        return error_set(err, STATUS_INVALID, "Last-Event-ID must be the id of an event; found \"%s\"",
                         request->last_event_id);
    const json_t *jobs = json_object_get(request->parameters, "jobs");
    size_t count = json_array_size(jobs);
    struct stream *stream = calloc(1, sizeof *stream + count * sizeof *stream->jobs);
    if (!stream)
        return error_no_memory(err);
    stream->events = events;
    stream->service = request->service;
    stream->token = request->token;
    stream->revocations = request->revocations;
    stream->socket = request->socket;
    stream->after = after;
    stream->quiet_since = clock_seconds();
    stream->job_count = count;
    for (size_t i = 0; i < count; i++)
        stream->jobs[i] = json_integer_value(json_array_get(jobs, i));
    if (!set_pending(stream, asprintf(&stream->pending, "retry: 1000\n\n"))) {
        free(stream);
        return error_no_memory(err);
    }
    answer->content_type = "text/event-stream";
    answer->read = stream_read;
    answer->close = stream_close;
    answer->context = stream;
    answer->endless = true;
    return STATUS_OK;
}
