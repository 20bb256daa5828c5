/*
 * The descriptor is the process's, and so are the lock of what is written to it and the heartbeat's thread. That thread
 * allocates nothing: its arena would count against the job's memory limit. It goes by a clock that nobody sets.
 */
#include "server/worker_lines.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/json_text.h"
#include "server/worker.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static pthread_t heartbeat;
static bool beating;

/* Writes all of it; 0 or an error of the system. The lock is held. */
static int write_all(const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t written = write(WORKER_LINES_FD, text + done, size - done);
        if (written < 0 && errno != EINTR)
            return errno;
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static void *beat(void *context)
{
    static const char line[] = "{\"event\":\"alive\"}\n";
    struct timespec next;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&mutex);
    while (beating) {
        /* The server is gone, and with it who could go on with the run: what is committed is what the next attempt has.
         */
        if (write_all(line, sizeof line - 1) != 0)
            _exit(1);
        next.tv_sec++;
        while (beating && pthread_cond_clockwait(&ended, &mutex, CLOCK_MONOTONIC, &next) != ETIMEDOUT) {
        }
        clock_gettime(CLOCK_MONOTONIC, &next);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

enum status worker_lines_begin(struct error *err)
{
    beating = true;
    int code = pthread_create(&heartbeat, NULL, beat, NULL);
    if (code == 0)
        return STATUS_OK;
    beating = false;
    return error_set(err, STATUS_IO, "cannot start the heartbeat's thread: %s", strerror(code));
}

enum status worker_line_write(void *context, const json_t *line, struct error *err)
{
    (void)context;
    attribute_cleanup(cleanup_free) char *text = json_text(line, JSON_COMPACT);
    if (!text)
        return error_no_memory(err);
    size_t size = strlen(text);
    text[size++] = '\n'; /* in place of the terminator */
    pthread_mutex_lock(&mutex);
    int code = write_all(text, size);
    pthread_mutex_unlock(&mutex);
    if (code != 0)
        return error_set(err, STATUS_STOPPED, "the server that started this worker is gone (%s)", strerror(code));
    return STATUS_OK;
}

void worker_lines_end(void)
{
    pthread_mutex_lock(&mutex);
    bool was = beating;
    beating = false;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&mutex);
    if (was)
        pthread_join(heartbeat, NULL);
}
