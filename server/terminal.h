/*
 * What commands show to a person: colours and bars only on a terminal, texts of others without control characters.
 */
#ifndef PLUMBLINE_SERVER_TERMINAL_H
#define PLUMBLINE_SERVER_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Prints a job's state in its colour where there are colours, filled up to `width` columns. */
void print_state(FILE *to, const char *state, int width);

/* Prints a text that may come from anyone: control characters become '?', and it is cut (…) or filled up to `width`
 * columns; 0 is as it is long. NULL is printed as "-". */
void print_text(FILE *to, const char *text, int width);

/* "1:02:03", "4:05"; returns `text`. */
const char *format_seconds(double seconds, char text[32]);

/* "3.4 MB"; returns `text`. */
const char *format_bytes(double bytes, char text[32]);

/* Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere. */
struct progress {
    bool quiet, terminal;
    bool shown;   /* the cursor is on the bar's line */
    double plain; /* clock_seconds of the last plain line */
};

/* `quiet` shows nothing. */
void progress_begin(struct progress *progress, bool quiet);

/* Whether something would be shown now; `last`: it is the last of its kind. */
bool progress_is_due(const struct progress *progress, bool last);

/* Shows a text behind a bar of `share` (0 … 1; less than 0: no bar). */
void progress_show(struct progress *progress, double share, const char *text);

/* Ends the bar's line. */
void progress_clear(struct progress *progress);

#endif
