/*
 * A signal can tell nothing to anyone but through a variable of the process, hence the one below. A descriptor to poll
 * (signalfd) would need the signals blocked in every thread, and OpenBLAS has started its own before main begins.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "server/worker.h"

static atomic_bool stop_seen; /* the handler may run on another thread than the one that looks */

static void on_signal(int number)
{
    (void)number;
    stop_seen = true;
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
    return stop_seen;
}
