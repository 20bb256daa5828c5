#include "server/guesses.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A bucket by address, from which a wrong token takes one and time gives back. */
enum { BUCKETS = 128, DEPTH = 60 };
static const double SECONDS_EACH = 1;

struct bucket {
    struct in6_addr address;
    double level; /* what was taken */
    double at;    /* of that time; 0: never used */
};

struct guesses {
    pthread_mutex_t mutex;
    struct bucket buckets[BUCKETS];
};

enum status guesses_create(struct guesses **ret_guesses, struct error *err)
{
    struct guesses *guesses = calloc(1, sizeof *guesses);
    if (!guesses)
        return error_no_memory(err);
    pthread_mutex_init(&guesses->mutex, NULL); /* cannot fail on Linux */
    *ret_guesses = guesses;
    return STATUS_OK;
}

void guesses_free(struct guesses *guesses)
{
    if (!guesses)
        return;
    pthread_mutex_destroy(&guesses->mutex);
    free(guesses);
}

/* What is still taken at `now`. */
static double level_at(const struct bucket *bucket, double now)
{
    double level = bucket->level - (now - bucket->at) / SECONDS_EACH;
    return level > 0 ? level : 0;
}

/* The address' bucket, else the one whose loss is the least. */
static struct bucket *find(struct guesses *guesses, const struct in6_addr *address, double now)
{
    struct bucket *least = guesses->buckets;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct bucket *bucket = &guesses->buckets[i];
        if (bucket->at > 0 && memcmp(&bucket->address, address, sizeof *address) == 0)
            return bucket;
        if (level_at(bucket, now) < level_at(least, now))
            least = bucket;
    }
    *least = (struct bucket){.address = *address, .at = now};
    return least;
}

double guesses_note(struct guesses *guesses, const struct in6_addr *address, double now)
{
    struct in6_addr network = *address;
    if (!IN6_IS_ADDR_V4MAPPED(address))
        memset(network.s6_addr + 8, 0, 8);
    pthread_mutex_lock(&guesses->mutex);
    struct bucket *bucket = find(guesses, &network, now);
    double level = level_at(bucket, now), wait = level + 1 > DEPTH ? (level + 1 - DEPTH) * SECONDS_EACH : 0;
    bucket->level = wait > 0 ? level : level + 1;
    bucket->at = now;
    pthread_mutex_unlock(&guesses->mutex);
    return wait;
}
