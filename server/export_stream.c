#include "server/export_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct export_stream {
    struct export_request request;
    struct export_run *runs;
    int in, out; /* the pipe's ends: what the thread writes, what is read */
    pthread_t thread;
    bool started, joined;
    enum status status; /* of the thread, once it is joined */
    struct error err;
    char first[4096]; /* what was read at the opening */
    size_t first_size, first_used;
};

static enum status write_pipe(void *context, const void *bytes, size_t size, struct error *err)
{
    const struct export_stream *stream = context;
    for (const char *at = bytes; size > 0;) {
        ssize_t count = write(stream->in, at, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(err, STATUS_STOPPED, "the reader has gone: %s", strerror(errno));
        at += count;
        size -= (size_t)count;
    }
    return STATUS_OK;
}

static void *write_export(void *context)
{
    struct export_stream *stream = context;
    const struct sink sink = {write_pipe, stream};
    stream->status = export_write(&stream->request, &sink, &stream->err);
    close(stream->in);
    return NULL;
}

static enum status copy_runs(struct export_stream *stream, const struct export_request *request, struct error *err)
{
    stream->request = *request;
    stream->runs = calloc(request->run_count + 1, sizeof *stream->runs);
    stream->request.runs = stream->runs;
    for (size_t i = 0; stream->runs && i < request->run_count; i++) {
        stream->runs[i] = (struct export_run){request->runs[i].job, strdup(request->runs[i].path)};
        if (!stream->runs[i].path)
            return error_no_memory(err);
    }
    return stream->runs ? STATUS_OK : error_no_memory(err);
}

static enum status start(struct export_stream *stream, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set(err, STATUS_IO, "cannot make a pipe: %s", strerror(errno));
    stream->out = ends[0];
    stream->in = ends[1];
    int code = pthread_create(&stream->thread, NULL, write_export, stream);
    if (code != 0) {
        close(stream->in);
        return error_set(err, STATUS_IO, "cannot start a thread: %s", strerror(code));
    }
    stream->started = true;
    return STATUS_OK;
}

static void join(struct export_stream *stream)
{
    if (stream->started && !stream->joined)
        pthread_join(stream->thread, NULL);
    stream->joined = true;
}

static ssize_t read_pipe(const struct export_stream *stream, char *buffer, size_t size)
{
    ssize_t count;
    do
        count = read(stream->out, buffer, size);
    while (count < 0 && errno == EINTR);
    return count;
}

enum status export_stream_open(const struct export_request *request, struct export_stream **ret_stream,
                               struct error *err)
{
    struct export_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return error_no_memory(err);
    stream->out = -1;
    enum status status = copy_runs(stream, request, err);
    if (status == STATUS_OK)
        status = start(stream, err);
    if (status == STATUS_OK) {
        ssize_t count = read_pipe(stream, stream->first, sizeof stream->first);
        stream->first_size = count > 0 ? (size_t)count : 0;
        if (count <= 0) { /* nothing, or nothing for a reason */
            join(stream);
            status = stream->status;
            *err = stream->err;
        }
    }
    if (status == STATUS_OK)
        *ret_stream = stream;
    else
        export_stream_close(stream);
    return status;
}

ssize_t export_stream_read(void *context, char *buffer, size_t size)
{
    struct export_stream *stream = context;
    size_t left = stream->first_size - stream->first_used;
    if (left > 0) {
        size_t count = left < size ? left : size;
        memcpy(buffer, stream->first + stream->first_used, count);
        stream->first_used += count;
        return (ssize_t)count;
    }
    ssize_t count = read_pipe(stream, buffer, size);
    if (count > 0)
        return count;
    join(stream);
    if (count == 0 && stream->status == STATUS_OK)
        return -1;
    fprintf(stderr, "plumbline: an export broke off: %s\n", stream->err.text);
    return -2;
}

void export_stream_close(void *context)
{
    struct export_stream *stream = context;
    if (stream->out >= 0)
        close(stream->out); /* the thread's next write fails, and it ends */
    join(stream);
    for (size_t i = 0; stream->runs && i < stream->request.run_count; i++)
        free((char *)(uintptr_t)stream->runs[i].path);
    free(stream->runs);
    free(stream);
}
