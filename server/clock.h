/*
 * The time of day for people, and a steady clock for intervals.
 */
#ifndef PLUMBLINE_SERVER_CLOCK_H
#define PLUMBLINE_SERVER_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 25

/* The present time as RFC 3339 in UTC, "2026-01-02T03:04:05.678Z"; returns `text`. */
const char *clock_now(char text[CLOCK_TEXT_SIZE]);

/* The same, `seconds` ago. Texts of this form sort as their times do. */
const char *clock_ago(int64_t seconds, char text[CLOCK_TEXT_SIZE]);

/* Seconds of a clock that never jumps; only differences mean something. */
double clock_seconds(void);

/* Waits so long, or till a signal comes. */
void clock_pause(double seconds);

#endif
