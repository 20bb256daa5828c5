/*
 * A child and its pipes: lines however they are cut, lines that break the protocol, the last words of its standard
 * error, and how its end is told. Children are shells, and where the cuts matter a pipe that the test writes itself.
 */
#include "server/worker_process.h"
#include "tests/store_support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "server/clock.h"

static const double DEADLINE = 60; /* seconds, for what takes milliseconds */

/* What the lines were, one after the other, sorted and compact. */
struct heard {
    char text[4096];
    int lines;
    int refuse; /* at this line the listener itself gives up; 0 for never */
};

static enum status hear(void *context, const json_t *line, struct error *err)
{
    struct heard *heard = context;
    size_t used = strlen(heard->text);
    if (++heard->lines == heard->refuse)
        return error_set(err, STATUS_NO_SPACE, "no more");
    char *text = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);
    assert_non_null(text);
    snprintf(heard->text + used, sizeof heard->text - used, "%s", text);
    free(text);
    return STATUS_OK;
}

/* A process that is no more than the reading end of a pipe; *ret_write is the other. */
static struct worker_process pipe_only(int *ret_write)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    *ret_write = ends[1];
    return (struct worker_process){.pidfd = -1, .lines = ends[0], .errors = -1};
}

static void send(int fd, const char *text, size_t size)
{
    assert_int_equal(write(fd, text, size), size);
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

static void test_lines_are_cut_anywhere(void **state)
{
    static const char text[] = "{\"a\":1}\n{\"b\":\"é\\n\"}\n{}\n";
    (void)state;
    struct error err;
    for (size_t first = 0; first < sizeof text; first++)
        for (size_t second = first; second < sizeof text; second++) {
            int end;
            struct worker_process process = pipe_only(&end);
            struct heard heard = {0};
            send(end, text, first);
            assert_ok(worker_read_lines(&process, hear, &heard, &err));
            send(end, text + first, second - first);
            assert_ok(worker_read_lines(&process, hear, &heard, &err));
            send(end, text + second, sizeof text - 1 - second);
            assert_ok(worker_read_lines(&process, hear, &heard, &err));
            assert_int_equal(heard.lines, 3);
            assert_string_equal(heard.text, "{\"a\":1}{\"b\":\"é\\n\"}{}");
            assert_true(process.lines >= 0); /* more may come */
            close(end);
            assert_ok(worker_read_lines(&process, hear, &heard, &err));
            assert_int_equal(process.lines, -1);
            assert_ok(worker_read_lines(&process, hear, &heard, &err)); /* nothing, for good */
            worker_clear(&process);
        }
}

static void test_half_a_line_at_the_end_is_no_line(void **state)
{
    (void)state;
    struct error err;
    struct heard heard = {0};
    int end;
    struct worker_process process = pipe_only(&end);
    send(end, "{}\n{\"cut", 8);
    close(end);
    assert_ok(worker_read_lines(&process, hear, &heard, &err));
    assert_string_equal(heard.text, "{}");
    worker_clear(&process);
}

static void test_what_is_no_object_is_refused(void **state)
{
    static const char *const lines[] = {
        "", "x", "[1]", "1", "null", "\"text\"", "{\"a\":}", "{} {}", "{\"a\":\"\xff\"}", "{\"a\":1"};
    (void)state;
    struct error err;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct heard heard = {0};
        int end;
        struct worker_process process = pipe_only(&end);
        send(end, "{}\n", 3);
        send(end, lines[i], strlen(lines[i]));
        send(end, "\n{}\n", 4);
        if (worker_read_lines(&process, hear, &heard, &err) != STATUS_CORRUPT)
            fail_msg("the line \"%s\" is taken", lines[i]);
        assert_says(err.text, "the worker sent a line that is no JSON object");
        assert_int_equal(heard.lines, 1); /* and nothing after it */
        close(end);
        worker_clear(&process);
    }
}

static void test_the_listener_may_give_up(void **state)
{
    (void)state;
    struct error err;
    struct heard heard = {.refuse = 2};
    int end;
    struct worker_process process = pipe_only(&end);
    send(end, "{}\n{}\n{}\n", 9);
    assert_int_equal(worker_read_lines(&process, hear, &heard, &err), STATUS_NO_SPACE);
    assert_string_equal(err.text, "no more");
    assert_int_equal(heard.lines, 2);
    close(end);
    worker_clear(&process);
}

static size_t length_heard;

static enum status measure(void *context, const json_t *line, struct error *err)
{
    (void)err;
    (void)context;
    length_heard = json_string_length(json_object_get(line, "a"));
    return STATUS_OK;
}

/* Sends one line of so many bytes, reading all the while. */
static enum status send_long(size_t size, struct error *err)
{
    int end;
    struct worker_process process = pipe_only(&end);
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + size - 2, "\"}\n", 3);
    enum status status = STATUS_OK;
    for (size_t done = 0; done < size + 1 && status == STATUS_OK;) {
        ssize_t written = write(end, text + done, size + 1 - done);
        done += written > 0 ? (size_t)written : 0;
        status = worker_read_lines(&process, measure, NULL, err);
    }
    free(text);
    close(end);
    worker_clear(&process);
    return status;
}

static void test_a_line_may_be_a_megabyte(void **state)
{
    (void)state;
    struct error err;
    length_heard = 0;
    assert_ok(send_long(1 << 20, &err));
    assert_int_equal(length_heard, (1 << 20) - 8);
    length_heard = 0;
    assert_int_equal(send_long((1 << 20) + 1, &err), STATUS_CORRUPT);
    assert_string_equal(err.text, "the worker sent a line of more than 1048576 bytes");
    assert_int_equal(send_long(5 << 20, &err), STATUS_CORRUPT);
    assert_int_equal(length_heard, 0);
}

/* --- last words -------------------------------------------------------------------------------------------------- */

/* What is kept of `text`, sent in pieces of `piece` bytes on standard error. */
static const char *words_of(struct worker_process *process, const char *text, size_t piece)
{
    int end, own = hush();
    *process = pipe_only(&end);
    process->errors = process->lines;
    process->lines = -1;
    for (size_t done = 0, size = strlen(text); done < size; done += piece) {
        send(end, text + done, size - done < piece ? size - done : piece);
        worker_read_errors(process);
    }
    close(end);
    worker_read_errors(process);
    unhush(own);
    assert_int_equal(process->errors, -1);
    return worker_last_words(process);
}

static void test_last_words(void **state)
{
    (void)state;
    struct worker_process process;
    assert_string_equal(words_of(&process, "", 1), "");
    assert_string_equal(words_of(&process, "\n\n", 1), "");
    assert_string_equal(words_of(&process, "one\ntwo\tthree\n\n", 100), "one two three");
    assert_string_equal(worker_last_words(&process), "one two three"); /* asked again */
    /* of very much, the end, however it came */
    static char text[10000], first[512];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i * i % 23);
    for (size_t piece = 1; piece < 6000; piece = piece * 3 + 1) {
        const char *words = words_of(&process, text, piece);
        size_t length = strlen(words);
        assert_true(length >= 300 && length <= 400);
        assert_string_equal(words, text + sizeof text - 1 - length);
        if (piece == 1)
            snprintf(first, sizeof first, "%s", words);
        assert_string_equal(words, first);
    }
}

/* Text that people read, as JSON too: no half characters, whatever the child wrote and wherever it is cut. */
static void test_last_words_are_text(void **state)
{
    (void)state;
    struct worker_process process;
    static char text[3000];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 0, sizeof text);
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof text; i += 3)
            memcpy(text + i, "…", 3);
        json_t *json = json_string(words_of(&process, text, 7));
        assert_non_null(json);
        assert_true(json_string_length(json) > 300);
        json_decref(json);
    }
    assert_string_equal(words_of(&process, "caf\xe9 \xff\xfe ok …", 3), "caf? ?? ok …");
}

/* --- processes --------------------------------------------------------------------------------------------------- */

/* Runs `script` in a shell until it has ended; everything that came is in `heard` and in the process. */
static void run_shell(const char *script, const char *input, struct worker_process *process, struct heard *heard,
                      char how[64])
{
    struct error err;
    char *arguments[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, strdup(script), NULL};
    double start = clock_seconds();
    *heard = (struct heard){0};
    assert_ok(worker_spawn(arguments, input, 3, process, &err));
    free(arguments[2]);
    while (!worker_reap(process, how, 64)) {
        assert_true(clock_seconds() - start < DEADLINE);
        struct pollfd fds[] = {{.fd = process->lines, .events = POLLIN},
                               {.fd = process->errors, .events = POLLIN},
                               {.fd = process->pidfd, .events = POLLIN}};
        poll(fds, 3, 1000);
        assert_ok(worker_read_lines(process, hear, heard, &err));
    }
    assert_ok(worker_read_lines(process, hear, heard, &err));
    worker_read_errors(process);
    assert_true(process->pidfd == -1 && process->lines == -1 && process->errors == -1);
}

static void test_how_it_ended(void **state)
{
    static const char *const ends[][2] = {
        {"exit 0", "exited with code 0"},
        {"exit 3", "exited with code 3"},
        {"kill -KILL $$", "killed by SIGKILL"},
        {"kill -SEGV $$", "killed by SIGSEGV"},
        {"kill -TERM $$", "killed by SIGTERM"},
        {"kill -ABRT $$", "killed by SIGABRT"},
        {"exec /nonexistent", "exited with code 127"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct worker_process process;
        struct heard heard;
        char how[64];
        run_shell(ends[i][0], NULL, &process, &heard, how);
        assert_string_equal(how, ends[i][1]);
        worker_signal(&process, SIGKILL); /* of one that is gone: nothing */
        worker_clear(&process);
    }
}

/* Where the system reaps by itself, that it has ended is seen all the same. */
static void test_an_end_that_is_not_told(void **state)
{
    (void)state;
    struct worker_process process;
    struct heard heard;
    char how[64];
    signal(SIGCHLD, SIG_IGN);
    run_shell("echo '{}' >&3; exit 3", NULL, &process, &heard, how);
    signal(SIGCHLD, SIG_DFL);
    assert_string_equal(heard.text, "{}");
    assert_string_equal(how, "ended, it is not known how");
    worker_clear(&process);
}

static void test_a_child_talks_and_dies(void **state)
{
    (void)state;
    struct worker_process process;
    struct heard heard;
    char how[64];
    run_shell("echo '{\"n\":1}' >&3; echo lost; echo '{\"n\":2}' >&3; echo 'last words' >&2; kill -SEGV $$", NULL,
              &process, &heard, how);
    assert_string_equal(heard.text, "{\"n\":1}{\"n\":2}");
    assert_string_equal(worker_last_words(&process), "last words");
    assert_string_equal(how, "killed by SIGSEGV");
    worker_clear(&process);
}

/* Standard input is the text, its group is its own, each pipe is open once, signals are as they come. */
static void test_what_a_child_is_given(void **state)
{
    (void)state;
    struct worker_process process;
    struct heard heard;
    char how[64];
    signal(SIGTERM, SIG_IGN);
    run_shell("cat >&3; echo \"{\\\"threads\\\":$OPENBLAS_NUM_THREADS}\" >&3\n"
              "[ $(ps -o pgid= -p $$) = $$ ] && echo '{\"own\":1}' >&3\n"
              "for n in 2 3; do\n"
              "    pipe=$(readlink /proc/$$/fd/$n)\n"
              "    for fd in /proc/$$/fd/*; do\n"
              "        [ \"$(readlink $fd)\" = \"$pipe\" ] && echo \"{\\\"fd\\\":${fd##*/}}\" >&3\n"
              "    done\n"
              "done\n"
              "kill -TERM $$",
              "{\"spec\":\"Größe\"}\n", &process, &heard, how);
    signal(SIGTERM, SIG_DFL);
    assert_string_equal(heard.text, "{\"spec\":\"Größe\"}{\"threads\":3}{\"own\":1}{\"fd\":2}{\"fd\":3}");
    assert_string_equal(how, "killed by SIGTERM");
    worker_clear(&process);
    run_shell("[ -z \"$(cat)\" ] && echo '{}' >&3", NULL, &process, &heard, how); /* no text: nothing to read */
    assert_string_equal(heard.text, "{}");
    worker_clear(&process);
}

static void test_a_child_is_told_to_stop(void **state)
{
    (void)state;
    struct error err;
    struct worker_process process;
    char *arguments[] = {(char[]){"/bin/sleep"}, (char[]){"1000"}, NULL}, how[64] = "";
    double start = clock_seconds();
    assert_ok(worker_spawn(arguments, NULL, 1, &process, &err));
    assert_false(worker_reap(&process, how, sizeof how));
    worker_signal(&process, SIGINT);
    while (!worker_reap(&process, how, sizeof how)) {
        assert_true(clock_seconds() - start < DEADLINE);
        poll(&(struct pollfd){.fd = process.pidfd, .events = POLLIN}, 1, 1000);
    }
    assert_string_equal(how, "killed by SIGINT");
    worker_clear(&process);
}

static void test_a_program_that_is_not_there(void **state)
{
    (void)state;
    struct error err;
    struct worker_process process = {.pidfd = -7};
    char *arguments[] = {(char[]){"/nonexistent/plumbline"}, NULL};
    assert_int_equal(worker_spawn(arguments, "{}", 1, &process, &err), STATUS_IO);
    assert_string_equal(err.text, "cannot start /nonexistent/plumbline: No such file or directory");
    assert_int_equal(process.pidfd, -7); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_cut_anywhere),       cmocka_unit_test(test_half_a_line_at_the_end_is_no_line),
        cmocka_unit_test(test_what_is_no_object_is_refused), cmocka_unit_test(test_the_listener_may_give_up),
        cmocka_unit_test(test_a_line_may_be_a_megabyte),     cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_last_words_are_text),          cmocka_unit_test(test_how_it_ended),
        cmocka_unit_test(test_a_child_talks_and_dies),       cmocka_unit_test(test_what_a_child_is_given),
        cmocka_unit_test(test_a_child_is_told_to_stop),      cmocka_unit_test(test_a_program_that_is_not_there),
        cmocka_unit_test(test_an_end_that_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
