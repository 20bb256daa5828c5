/*
 * Connections that do not get their request across in time are closed. libmicrohttpd's own timeout is of inactivity
 * only: a byte now and then would hold a thread for ever.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "server/clock.h"
#include "server/http_internal.h"

void watch_init(struct watch *watch, double seconds)
{
    *watch = (struct watch){.seconds = seconds};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&watch->mutex, NULL); /* these cannot fail on Linux */
    pthread_cond_init(&watch->stopping, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void shut_down_late(struct watch *watch)
{
    double now = clock_seconds();
    for (struct watched *at = watch->first; at; at = at->next)
        if (at->deadline > 0 && now > at->deadline) {
            shutdown(at->socket, SHUT_RDWR); /* its thread sees the end and closes */
            at->deadline = 0;
        }
}

static void *watch_thread(void *context)
{
    struct watch *watch = context;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stopped) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&watch->stopping, &watch->mutex, &until);
        shut_down_late(watch);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

enum status watch_start(struct watch *watch, struct error *err)
{
    int code = pthread_create(&watch->thread, NULL, watch_thread, watch);
    if (code != 0)
        return error_set(err, STATUS_IO, "cannot start a thread: %s", strerror(code));
    watch->started = true;
    return STATUS_OK;
}

void watch_stop(struct watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    watch->stopped = true;
    pthread_cond_signal(&watch->stopping);
    pthread_mutex_unlock(&watch->mutex);
    if (watch->started)
        pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->stopping);
    pthread_mutex_destroy(&watch->mutex);
}

struct watched *watch_open(struct watch *watch, int socket)
{
    struct watched *watched = calloc(1, sizeof *watched);
    if (!watched)
        return NULL;
    watched->socket = socket;
    watched->deadline = clock_seconds() + watch->seconds;
    pthread_mutex_lock(&watch->mutex);
    watched->next = watch->first;
    watched->link = &watch->first;
    if (watched->next)
        watched->next->link = &watched->next;
    watch->first = watched;
    pthread_mutex_unlock(&watch->mutex);
    return watched;
}

void watch_close(struct watch *watch, struct watched *watched)
{
    if (!watched)
        return;
    pthread_mutex_lock(&watch->mutex);
    *watched->link = watched->next;
    if (watched->next)
        watched->next->link = watched->link;
    pthread_mutex_unlock(&watch->mutex);
    free(watched);
}

static void set_deadline(struct watch *watch, struct watched *watched, double deadline)
{
    if (!watched)
        return;
    pthread_mutex_lock(&watch->mutex);
    watched->deadline = deadline;
    pthread_mutex_unlock(&watch->mutex);
}

void watch_goes_on(struct watch *watch, struct watched *watched, double seconds)
{
    set_deadline(watch, watched, clock_seconds() + seconds);
}

void watch_received(struct watch *watch, struct watched *watched)
{
    set_deadline(watch, watched, 0);
}

void watch_answered(struct watch *watch, struct watched *watched)
{
    set_deadline(watch, watched, clock_seconds() + watch->seconds);
}
