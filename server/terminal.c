#include "server/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/clock.h"

enum { BAR_CELLS = 24 };
static const double PLAIN_SECONDS = 5; /* between progress lines where there is no terminal */

/* --- texts ----------------------------------------------------------------------------------------------------- */

/* Whether colours may be written there: to a terminal, without NO_COLOR. */
static bool terminal_has_colours(FILE *to)
{
    const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(fileno(to)) == 1 && !(refused && *refused) && !(terminal && strcmp(terminal, "dumb") == 0);
}

void print_state(FILE *to, const char *state, int width)
{
    static const struct {
        const char *state, *colour;
    } colours[] = {{"running", "\033[36m"},  {"finished", "\033[32m"}, {"failed", "\033[31m"},
                   {"diverged", "\033[31m"}, {"paused", "\033[33m"},   {"cancelled", "\033[2m"}};
    const char *colour = NULL;
    for (size_t i = 0; i < sizeof colours / sizeof *colours && state; i++)
        if (strcmp(colours[i].state, state) == 0)
            colour = colours[i].colour;
    bool coloured = colour && terminal_has_colours(to);
    if (coloured)
        fputs(colour, to);
    print_text(to, state, width);
    if (coloured)
        fputs("\033[0m", to);
}

/* The bytes of the code point at `text`, no further than its end. */
static int code_point_length(const char *text)
{
    int length = 1;
    while (length < 4 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length++;
    return length;
}

static int count_code_points(const char *text)
{
    int count = 0;
    for (; *text; text += code_point_length(text))
        count++;
    return count;
}

/* Control characters of ASCII, and those of U+0080 … U+009F. */
static bool is_control(const char *text)
{
    unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
    return first < ' ' || first == 0x7f || (first == 0xc2 && second >= 0x80 && second < 0xa0);
}

void print_text(FILE *to, const char *text, int width)
{
    text = text ? text : "-";
    int whole = count_code_points(text), shown = width > 0 && whole > width ? width - 1 : whole;
    for (int i = 0; i < shown; i++) {
        int length = code_point_length(text);
        if (is_control(text))
            fputc('?', to);
        else
            fprintf(to, "%.*s", length, text);
        text += length;
    }
    if (shown < whole)
        fputs("…", to);
    if (whole < width)
        fprintf(to, "%*s", width - whole, "");
}

const char *format_seconds(double seconds, char text[32])
{
    long long s = seconds > 0 && seconds < 1e9 ? (long long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(text, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%lld:%02lld", s / 60, s % 60);
    return text;
}

const char *format_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

/* --- progress -------------------------------------------------------------------------------------------------- */

void progress_begin(struct progress *progress, bool quiet)
{
    *progress = (struct progress){.quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1, .plain = clock_seconds()};
}

bool progress_is_due(const struct progress *progress, bool last)
{
    return !progress->quiet && (progress->terminal || last || clock_seconds() - progress->plain >= PLAIN_SECONDS);
}

static int terminal_columns(void)
{
    struct winsize window;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

static void show_bar(double share)
{
    int full = (int)(share * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++)
        fputs(i < full ? "━" : "─", stderr);
    fputc(' ', stderr);
}

void progress_show(struct progress *progress, double share, const char *text)
{
    if (progress->quiet)
        return;
    progress->plain = clock_seconds();
    if (!progress->terminal) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    int room = terminal_columns() - 1 - (share >= 0 ? BAR_CELLS + 1 : 0), length = 0;
    fputs("\r\033[K", stderr);
    if (share >= 0)
        show_bar(share);
    for (int i = 0; i < room && text[length]; i++)
        length += code_point_length(text + length);
    fprintf(stderr, "%.*s", length, text);
    fflush(stderr);
    progress->shown = true;
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
    fflush(stderr);
}
