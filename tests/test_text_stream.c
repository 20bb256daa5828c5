/* Texts gathered in memory: all of what was written, or the word that memory ran out. */
#include "server/text_stream.h"
#include "tests/support.h"

#include <stdint.h>

/* An allocation that is refused is what is tested. */
const char *__asan_default_options(void); /* NOLINT: the sanitizer's own name */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_all_of_it(void **state)
{
    (void)state;
    struct text_stream stream;
    size_t size = 0;
    assert_true(text_stream_open(&stream));
    for (int i = 0; i < 10000; i++)
        fprintf(stream.out, "%04d,", i);
    char *text = text_stream_close(&stream, &size);
    assert_non_null(text);
    assert_int_equal(size, 50000);
    assert_int_equal(strlen(text), 50000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(strtol(text + 5L * i, NULL, 10), i);
    free(text);
    assert_true(text_stream_open(&stream));
    text = text_stream_close(&stream, &size);
    assert_string_equal(text, "");
    assert_int_equal(size, 0);
    free(text);
    assert_null(text_stream_close(&stream, NULL)); /* closed already */
}

/* What came before and after fits: without the word the text would lack its middle. */
static void test_memory_that_runs_out(void **state)
{
    (void)state;
    struct text_stream stream;
    assert_true(text_stream_open(&stream));
    fputs("state = 'finished' AND ", stream.out);
    fflush(stream.out);
    const struct sink_memory had = stream.memory;
    stream.memory.size = stream.memory.capacity = PTRDIFF_MAX / 2; /* as if so much were there: more cannot be had */
    fputs("NOT ", stream.out);
    fflush(stream.out);
    stream.memory = had;
    clearerr(stream.out);
    fputs("id = 1", stream.out);
    assert_null(text_stream_close(&stream, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
