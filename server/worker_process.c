#include "server/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/utf8.h"
#include "server/json_util.h"
#include "server/worker.h"

enum { LONGEST_LINE = 1 << 20, READ_SIZE = 1 << 16 };

/* The child's ends. All are above the descriptors that they become, so that no dup2 covers one that is still needed. */
struct child_ends {
    int input, lines, errors;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum status system_error(struct error *err, const char *what)
{
    return error_set(err, STATUS_IO, "cannot %s: %s", what, strerror(errno));
}

/* Moves a descriptor to 10 or above; −1 stays. */
static int raise_fd(int fd)
{
    if (fd < 0)
        return fd;
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    close(fd);
    return raised;
}

/* A pipe whose reading end stays here, not blocking. */
static enum status make_pipe(int *ret_read, int *ret_write, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return system_error(err, "make a pipe");
    *ret_read = ends[0];
    *ret_write = raise_fd(ends[1]);
    if (*ret_write < 0 || fcntl(*ret_read, F_SETFL, O_NONBLOCK) != 0)
        return system_error(err, "set up a pipe");
    return STATUS_OK;
}

/* Memory with the text in it, to be read from its start as a file. */
static enum status make_input(const char *text, int *ret_fd, struct error *err)
{
    if (!text) {
        *ret_fd = raise_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
        return *ret_fd >= 0 ? STATUS_OK : system_error(err, "open /dev/null");
    }
    *ret_fd = raise_fd(memfd_create("spec", MFD_CLOEXEC));
    if (*ret_fd < 0)
        return system_error(err, "make a memory file");
    for (size_t done = 0, size = strlen(text); done < size;) {
        ssize_t written = write(*ret_fd, text + done, size - done);
        if (written < 0 && errno != EINTR)
            return system_error(err, "fill a memory file");
        done += written > 0 ? (size_t)written : 0;
    }
    return lseek(*ret_fd, 0, SEEK_SET) == 0 ? STATUS_OK : system_error(err, "rewind a memory file");
}

extern char **environ;

/*
 * This process's environment with OpenBLAS's threads set; the list is the caller's, the strings but the first are not.
 */
static char **make_environment(char *threads)
{
    size_t count = 0, used = 0;
    while (environ[count])
        count++;
    char **copy = (char **)calloc(count + 2, sizeof *copy);
    if (!copy)
        return NULL;
    copy[used++] = threads;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "OPENBLAS_NUM_THREADS=", 21) != 0)
            copy[used++] = environ[i];
    return copy;
}

/*
 * A group of its own, so that a Ctrl-C on the terminal reaches the daemon alone; signals as a fresh process has them.
 */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawnattr_setpgroup(attributes, 0) | posix_spawnattr_setsigmask(attributes, &none) |
                 posix_spawnattr_setsigdefault(attributes, &all);
    return failed |
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct child_ends *ends)
{
    return posix_spawn_file_actions_adddup2(actions, ends->input, STDIN_FILENO) |
           posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) |
           posix_spawn_file_actions_adddup2(actions, ends->errors, STDERR_FILENO) |
           posix_spawn_file_actions_adddup2(actions, ends->lines, WORKER_LINES_FD);
}

static enum status spawn(char *const *argv, int threads, const struct child_ends *ends, pid_t *ret_pid,
                         struct error *err)
{
    char setting[64];
    snprintf(setting, sizeof setting, "OPENBLAS_NUM_THREADS=%d", threads);
    char **environment = make_environment(setting);
    if (!environment)
        return error_no_memory(err);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions); /* these two cannot fail in glibc */
    posix_spawnattr_init(&attributes);
    int code = set_attributes(&attributes) | add_actions(&actions, ends) ? ENOMEM : 0;
    if (code == 0)
        code = posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free((void *)environment);
    return code == 0 ? STATUS_OK : error_set(err, STATUS_IO, "cannot start %s: %s", argv[0], strerror(code));
}

/* Without a pidfd the end of the process would go unseen, so it is not left running. */
static enum status watch(struct worker_process *process, struct error *err)
{
    process->pidfd = pidfd_open(process->pid, 0);
    if (process->pidfd >= 0)
        return STATUS_OK;
    enum status status = system_error(err, "watch the worker");
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    return status;
}

enum status worker_spawn(char *const *argv, const char *input, int threads, struct worker_process *ret_process,
                         struct error *err)
{
    struct worker_process process = {.pidfd = -1, .lines = -1, .errors = -1};
    struct child_ends ends = {-1, -1, -1};
    enum status status = make_input(input, &ends.input, err);
    if (status == STATUS_OK)
        status = make_pipe(&process.lines, &ends.lines, err);
    if (status == STATUS_OK)
        status = make_pipe(&process.errors, &ends.errors, err);
    if (status == STATUS_OK)
        status = spawn(argv, threads, &ends, &process.pid, err);
    if (status == STATUS_OK)
        status = watch(&process, err);
    close_fd(&ends.input);
    close_fd(&ends.lines);
    close_fd(&ends.errors);
    if (status != STATUS_OK) {
        worker_clear(&process);
        return status;
    }
    *ret_process = process;
    return STATUS_OK;
}

void worker_clear(struct worker_process *process)
{
    close_fd(&process->pidfd);
    close_fd(&process->lines);
    close_fd(&process->errors);
    free(process->buffer);
    process->buffer = NULL;
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

static enum status too_long(struct error *err)
{
    return error_set(err, STATUS_CORRUPT, "the worker sent a line of more than %d bytes", LONGEST_LINE);
}

static enum status reserve(struct worker_process *process, struct error *err)
{
    if (process->used > LONGEST_LINE)
        return too_long(err);
    if (process->capacity - process->used >= READ_SIZE)
        return STATUS_OK;
    size_t capacity = process->used + READ_SIZE * 2;
    char *buffer = realloc(process->buffer, capacity);
    if (!buffer)
        return error_no_memory(err);
    process->buffer = buffer;
    process->capacity = capacity;
    return STATUS_OK;
}

static enum status handle_line(const char *line, size_t size,
                               enum status (*handle)(void *context, const json_t *line, struct error *err),
                               void *context, struct error *err)
{
    if (size > LONGEST_LINE)
        return too_long(err);
    json_error_t fault;
    attribute_cleanup(cleanup_json) json_t *json = json_loadb(line, size, 0, &fault);
    if (!json && fault.line < 0)
        return error_no_memory(err);
    if (!json_is_object(json))
        return error_set(err, STATUS_CORRUPT, "the worker sent a line that is no JSON object: %.80s", fault.text);
    return handle(context, json, err);
}

enum status worker_read_lines(struct worker_process *process,
                              enum status (*handle)(void *context, const json_t *line, struct error *err),
                              void *context, struct error *err)
{
    for (enum status status = STATUS_OK; process->lines >= 0;) {
        status = reserve(process, err);
        if (status != STATUS_OK)
            return status;
        ssize_t got = read(process->lines, process->buffer + process->used, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return STATUS_OK;
        if (got <= 0) {
            close_fd(&process->lines);
            return STATUS_OK;
        }
        process->used += (size_t)got;
        size_t start = 0;
        char *end;
        while (status == STATUS_OK && (end = memchr(process->buffer + start, '\n', process->used - start))) {
            size_t size = (size_t)(end - process->buffer) - start;
            status = handle_line(process->buffer + start, size, handle, context, err);
            start += size + 1;
        }
        process->used -= start;
        memmove(process->buffer, process->buffer + start, process->used);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* --- last words ------------------------------------------------------------------------------------------------- */

static void keep_words(struct worker_process *process, const char *text, size_t size)
{
    if (size > WORKER_LAST_WORDS) {
        text += size - WORKER_LAST_WORDS;
        size = WORKER_LAST_WORDS;
    }
    size_t drop = process->last_size + size > WORKER_LAST_WORDS ? process->last_size + size - WORKER_LAST_WORDS : 0;
    memmove(process->last_words, process->last_words + drop, process->last_size - drop);
    memcpy(process->last_words + process->last_size - drop, text, size);
    process->last_size += size - drop;
    process->last_words[process->last_size] = '\0';
}

void worker_read_errors(struct worker_process *process)
{
    char text[4096];
    while (process->errors >= 0) {
        ssize_t got = read(process->errors, text, sizeof text);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            close_fd(&process->errors);
            return;
        }
        keep_words(process, text, (size_t)got);
        if (fwrite(text, 1, (size_t)got, stderr) < (size_t)got)
            clearerr(stderr); /* nowhere left to say so */
    }
}

const char *worker_last_words(struct worker_process *process)
{
    enum { SHOWN = 400 };
    char *words = process->last_words;
    while (process->last_size > 0 && (unsigned char)words[process->last_size - 1] <= ' ')
        words[--process->last_size] = '\0';
    for (char *at = words; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    if (process->last_size > SHOWN)
        words += process->last_size - SHOWN;
    while (((unsigned char)*words & 0xc0) == 0x80) /* it begins with a whole character */
        words++;
    utf8_repair(words);
    return words;
}

/* --- its end ---------------------------------------------------------------------------------------------------- */

void worker_signal(const struct worker_process *process, int signal)
{
    if (process->pidfd >= 0)
        pidfd_send_signal(process->pidfd, signal, NULL, 0); /* one that has ended already needs none */
}

bool worker_reap(struct worker_process *process, char *text, size_t size)
{
    siginfo_t info = {0};
    int failed = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
    if (failed && errno == ECHILD) { /* someone else has reaped it, or the system, where SIGCHLD is ignored */
        snprintf(text, size, "ended, it is not known how");
        close_fd(&process->pidfd);
        return true;
    }
    if (failed || info.si_pid == 0)
        return false;
    const char *name = info.si_code == CLD_EXITED ? NULL : sigabbrev_np(info.si_status);
    if (name)
        snprintf(text, size, "killed by SIG%s", name);
    else
        snprintf(text, size, "%s %d", info.si_code == CLD_EXITED ? "exited with code" : "killed by signal",
                 info.si_status);
    close_fd(&process->pidfd);
    return true;
}
