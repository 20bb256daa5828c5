#include "server/clock.h"

#include <stdio.h>
#include <time.h>

const char *clock_ago(int64_t seconds, char text[CLOCK_TEXT_SIZE])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    time_t whole = now.tv_sec - (time_t)seconds;
    char day[20] = "1970-01-01T00:00:00";
    if (gmtime_r(&whole, &parts))
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, CLOCK_TEXT_SIZE, "%s.%03uZ", day, (unsigned)(now.tv_nsec / 1000000) % 1000U);
    return text;
}

const char *clock_now(char text[CLOCK_TEXT_SIZE])
{
    return clock_ago(0, text);
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void clock_pause(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}
