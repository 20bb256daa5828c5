/*
 * A signal can tell nothing to anyone but through a variable of the process, hence the one below. A descriptor to poll
 * (signalfd) would need the signals blocked in every thread, and OpenBLAS has started its own before main begins.
 */
#include <signal.h>
#include <stddef.h>

#include "server/worker.h"

static volatile sig_atomic_t stop_seen;

static void on_signal(int number)
{
    (void)number;
    stop_seen = 1;
}

void stop_signals_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND}; /* once */
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

bool stop_signals_seen(void)
{
    return stop_seen != 0;
}
