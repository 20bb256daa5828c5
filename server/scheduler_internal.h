/*
 * What the parts of the scheduler share: scheduler.c (starting, stopping, the calls of other threads),
 * scheduler_loop.c (the thread: waiting, transactions, commands) and scheduler_worker.c (a job from its worker's start
 * to its end).
 *
 * Transactions on the catalog are of two kinds. Lines of progress are gathered in a soft one, committed a tenth of a
 * second after its first; if that fails they are lost, and the next ones make up for it. A change of a job's state is a
 * hard one of its own, and what depends on it (a worker started, told to stop, forgotten) happens after its commit; if
 * it fails, nothing has happened, and it is tried again.
 */
#ifndef PLUMBLINE_SERVER_SCHEDULER_INTERNAL_H
#define PLUMBLINE_SERVER_SCHEDULER_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "server/scheduler.h"
#include "server/store.h"
#include "server/worker_process.h"

/* A child of the scheduler. */
struct running {
    struct running *next;
    struct worker_process process;
    int64_t job;
    bool sealing;    /* not a worker, but `work --seal` of a run whose worker is gone */
    bool told;       /* SIGTERM was sent */
    double kill_at;  /* when it was told: clock_seconds at which it is killed */
    bool ended;      /* reaped: `how` says how; its state is not recorded yet */
    double retry_at; /* when recording failed: when to try again */
    char how[64];
    char *cancel_reason; /* NULL where no cancel was asked for */
    char fault[256];     /* what was wrong with its lines; it is killed for that */

    json_t *end;                /* the end line, once it came */
    json_t *progress, *results; /* as the API shows them */
    bool dirty;                 /* these are newer than the catalog's */
    double written;             /* when they were written */
    long long step, steps, epochs;
};

enum command_kind { COMMAND_SUBMIT, COMMAND_CANCEL, COMMAND_KINDS };

/* A call of another thread, on its stack; it waits until `done`. */
struct command {
    enum command_kind kind;
    const struct spec *spec;
    int64_t id; /* of the job; of COMMAND_SUBMIT the result */
    const char *reason;
    enum status status;
    struct error *err;
    bool done;
    struct command *next;
};

struct scheduler {
    char *program, *data, *catalog;
    char **dataset_folders;
    int workers, grace_seconds;
    struct store_pool *pool;
    struct events *events;
    pthread_t thread;
    int wake; /* eventfd: there is a command, or a stop */

    pthread_mutex_t mutex; /* the mailbox: these three */
    pthread_cond_t answered;
    struct command *commands, **last_command;
    bool stop_asked, closed;

    /* the scheduler's thread alone (before it starts, the one that starts it) */
    sqlite3 *db;
    bool open;        /* the soft transaction is */
    double opened_at; /* clock_seconds */
    struct running *running;
    int busy; /* workers that have not ended, or whose end is not recorded */
    bool stopping;
    double start_at;                     /* after a failure: when to try to start a job again */
    int64_t queue_running, queue_queued; /* of the last queue event */
};

/* --- transactions (scheduler_loop.c) ----------------------------------------------------------------------------- */

/* Makes sure that the soft transaction is open. */
enum status soft_begin(struct scheduler *s, struct error *err);

/* Commits it and publishes its events, or loses both with a word on standard error. Nothing when it is not open. */
void soft_commit(struct scheduler *s);

/* Loses what is in it. */
void soft_abandon(struct scheduler *s, const struct error *err);

/* Runs `change` in a transaction of its own, adds a queue event if the counts have changed, commits and publishes. */
enum status hard_change(struct scheduler *s,
                        enum status (*change)(struct scheduler *s, void *context, struct error *err), void *context,
                        struct error *err);

/* Within a transaction: the event job.state, of the job as it is in the catalog. */
enum status append_state(struct scheduler *s, int64_t id, struct error *err);

/* The thread; `context` is the scheduler. */
void *scheduler_thread(void *context);

/* --- workers (scheduler_worker.c) -------------------------------------------------------------------------------- */

/* Starts queued jobs while workers are free. */
void start_jobs(struct scheduler *s);

/* Reads what a child sent, and looks whether it has ended. `poll_lines`, `poll_errors`, `poll_end`: which is ready. */
void serve_running(struct scheduler *s, struct running *running, bool lines, bool errors, bool end);

/* Records the ends that are due, and forgets those children. */
void record_ends(struct scheduler *s);

/* Sends SIGTERM, once, and sets the time of the SIGKILL; one that seals a run is not told, and has a second. */
void tell_to_stop(struct running *running, double grace);

/* Kills those whose time is over. */
void kill_late(struct scheduler *s);

struct running *find_running(struct scheduler *s, int64_t job);
void running_free(struct running *running);

/* Starts `work --seal` on the job's run file, if there is one. */
void seal_run(struct scheduler *s, int64_t job, const char *state, const char *reason);

/* Puts a job that an earlier daemon left running back into the queue, or cancels it where that had been asked for. */
enum status recover_job(struct scheduler *s, void *id, struct error *err);

#endif
