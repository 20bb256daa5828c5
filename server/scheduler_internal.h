/*
 * What the parts of the scheduler share: scheduler.c (starting, stopping, the calls of other threads),
 * scheduler_loop.c (the thread: waiting, transactions, commands), scheduler_actions.c (what people do to jobs),
 * scheduler_retention.c, scheduler_worker.c (a job from its worker's start to its end), scheduler_lines.c (what workers
 * tell), scheduler_seal.c (run files put in order), scheduler_locked.c (runs that others write) and scheduler_space.c
 * (a full disk).
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
    bool sealing;   /* not a worker, but `work --seal` of a run whose worker is gone */
    bool unstarted; /* there is no process: `fault` says why */
    bool told;      /* SIGTERM was sent */
    double kill_at; /* when it was told: clock_seconds at which it is killed */
    bool ended;     /* reaped: `how` says how; its state is not recorded yet */
    double ended_at;
    double retry_at; /* when recording failed: when to try again */
    char how[64];
    char *cancel_reason; /* NULL where no cancel was asked for */
    char *pause_reason;  /* NULL where no pause was asked for, or it was taken back */
    char fault[256];     /* what was wrong with it, for which it was killed */
    char last_log[384];  /* the end of what it logged */

    double began;        /* clock_seconds of its start */
    double earlier;      /* seconds that earlier attempts ran */
    double heard;        /* when it last gave a sign of life */
    double stepped;      /* when it last told something of its work */
    double longest_step; /* the longest time between two such */

    json_t *end;                               /* the end line, once it came */
    json_t *progress, *results;                /* as the API shows them */
    bool dirty;                                /* these are newer than the catalog's */
    double written;                            /* when they were written */
    long long first_step, step, steps, epochs; /* first_step: that it went on from */
    long long rows;                            /* that it has written */
};

/* A call of another thread, on its stack; it waits until `done`. */
struct command {
    enum status (*run)(struct scheduler *s, void *argument, struct error *err);
    void *argument;
    enum status status;
    struct error *err;
    bool done;
    struct command *next;
};

/* Whether the disk is full (scheduler_space.c). */
struct space {
    bool full;        /* no job is started, and what adds to the catalog is refused */
    bool unrecovered; /* jobs that an earlier daemon left running are still to be put back */
    double look_at;   /* when to look again */
    double wait;      /* between looks, longer when the disk fills again at once */
    bool again;       /* there was space again, and no job has ended since */
};

/* Jobs whose run another process writes (scheduler_locked.c). */
struct locked {
    int64_t *jobs;
    size_t count, capacity;
    double look_at; /* when to look again */
};

struct scheduler {
    char *program, *data, *catalog;
    char **dataset_folders;
    int workers, grace_seconds;
    double heartbeat_seconds, hang_seconds;
    struct retention retention;
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
    struct seal *seals; /* runs that wait to be sealed */
    int busy;           /* workers that have not ended, or whose end is not recorded */
    bool stopping;
    double start_at;   /* after a failure: when to try to start a job again; else 0 */
    double start_wait; /* that long after the next failure */
    double retain_at;  /* when to apply the retention again */
    double seal_at;    /* when to seal again what could not be; else 0 */
    struct space space;
    struct locked locked;
    int64_t queue_running, queue_queued; /* of the last queue event */

    struct work_done work; /* atomic */
};

/* Hands a call to the thread and waits for its answer (scheduler.c). */
enum status scheduler_call(struct scheduler *s,
                           enum status (*run)(struct scheduler *s, void *argument, struct error *err), void *argument,
                           struct error *err);

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

/* The same for a job that is about to be purged. */
enum status append_purged(struct scheduler *s, int64_t id, struct error *err);

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

/* A child that is not there yet; NULL where memory has run out. add_running takes it. */
struct running *running_new(int64_t job);
void add_running(struct scheduler *s, struct running *running);
void running_free(struct running *running);
void cleanup_running(struct running **running);

/* Puts the jobs that an earlier daemon left running back into the queue, or where else it had been asked for. */
enum status recover_jobs(struct scheduler *s, void *context, struct error *err);

/* --- run files (scheduler_seal.c) --------------------------------------------------------------------------------- */

/* Has `work --seal` done to the job's run file, if there is one, as soon as there is a child for it. */
void seal_run(struct scheduler *s, int64_t job, enum job_state state, const char *reason);

/* Whether it waits for that, or is at it. */
bool is_being_sealed(const struct scheduler *s, int64_t job);

/* Starts children for those that wait, a few at a time. */
void start_seals(struct scheduler *s);

/* Whether a child has done what it was to do; says how it failed where it has not. */
bool seal_ended(struct running *running);

/* Whether there is a run file of the job that is sealed. */
bool run_is_sealed(struct scheduler *s, int64_t job);

/* Looks, where it is due, for runs that could not be sealed. */
void seal_when_due(struct scheduler *s);

/* Forgets those that wait. */
void seals_drop(struct scheduler *s);

/* Seals what could not be sealed before, migrates what an older program left, and keeps run files of no job from jobs
 * to come. */
void tidy_runs(struct scheduler *s);

/* --- lines (scheduler_lines.c) ----------------------------------------------------------------------------------- */

/* Reads what there is; a worker that breaks the protocol is killed. */
void read_lines(struct scheduler *s, struct running *running);

/* Kills workers that are silent, or make no step. */
void kill_silent(struct scheduler *s);

/* When kill_silent has the next one to look at. */
double silent_at(const struct scheduler *s, const struct running *running);

/* --- commands (scheduler_actions.c, scheduler_retention.c) -------------------------------------------------------- */

struct submission {
    const struct spec *spec;
    const struct submission_key *key; /* or NULL */
    int64_t id;
    bool again;
};
enum status command_submit(struct scheduler *s, void *submission, struct error *err);

struct acts {
    enum job_action action;
    const char *reason;
    struct job_outcome *outcomes;
    size_t count;
    bool many;    /* a refusal is one job's */
    char **texts; /* copies of the reason, for the workers that are told; NULL where one was taken */
};
enum status command_act(struct scheduler *s, void *acts, struct error *err);

struct patch_command {
    int64_t id;
    const struct job_patch *patch;
};
enum status command_patch(struct scheduler *s, void *patch_command, struct error *err);

struct retain_command {
    const struct retention *retention;
    bool dry_run;
    json_t *report;
};
enum status command_retain(struct scheduler *s, void *retain_command, struct error *err);

/* Applies the scheduler's own retention where it is due. */
void retain_when_due(struct scheduler *s);

/* The bytes that a job's run file and what is beside it take on the disk. */
int64_t run_bytes(const struct scheduler *s, int64_t job);

/* --- locked runs (scheduler_locked.c) ----------------------------------------------------------------------------- */

/* The job's run is being written by another process: it is not started before that has ended. */
void locked_add(struct scheduler *s, int64_t job);

/* Looks, where it is due, which of them may be started again. */
void locked_look(struct scheduler *s);

/* --- space (scheduler_space.c) ------------------------------------------------------------------------------------ */

/* Keeps some bytes of the disk, so that the states of jobs can be written when it is full. */
void space_reserve(struct scheduler *s);

/* The disk is full: `what` could not be written. */
void space_lost(struct scheduler *s, const char *what);

/* STATUS_NO_SPACE while the disk is full: for what would add to the catalog. */
enum status space_check(const struct scheduler *s, struct error *err);

/* Gives the kept bytes to a change that has to be written. */
void space_release(struct scheduler *s);

/* Looks, where it is due, whether there is space again; the jobs that wait for it go back to the queue. */
void space_look(struct scheduler *s);

#endif
