/*
 * Errors as sentences: always text that JSON can hold, however long they were and whatever bytes came with them.
 */
#include "core/utf8.h"
#include "tests/support.h"

static bool is_text(const char *bytes)
{
    json_t *json = json_string(bytes); /* Jansson takes UTF-8 only */
    json_decref(json);
    return json != NULL;
}

static void repairs(const char *bytes, const char *expected)
{
    char text[64];
    snprintf(text, sizeof text, "%s", bytes);
    utf8_repair(text);
    assert_string_equal(text, expected);
}

static void test_what_is_no_character_is_replaced(void **state)
{
    (void)state;
    repairs("", "");
    repairs("plain \t\n", "plain \t\n");
    repairs("é…𝄞", "é…𝄞");
    repairs("caf\xe9", "caf?");
    repairs("\xe2\x80", "??");                  /* half a character at the end */
    repairs("\xa6 a", "? a");                   /* at the start */
    repairs("\xc0\xaf", "??");                  /* '/' in a longer form */
    repairs("\xe0\x80\xaf", "???");             /* and a still longer one */
    repairs("\xed\xa0\x80", "???");             /* a surrogate */
    repairs("\xf4\x90\x80\x80\xf5x", "?????x"); /* beyond the last character */
    repairs("\xe2\x80\xe2\x80\xa6", "??…");
}

/* Jansson's own check is the reference: what it takes stays as it is, everything else becomes what it takes. */
static void test_random_bytes(void **state)
{
    (void)state;
    static const unsigned char likely[] = {'a',  0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2,
                                           0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf4};
    struct rng rng;
    int valid = 0;
    rng_seed(&rng, 1, 1);
    for (int round = 0; round < 200000; round++) {
        char bytes[9], text[9];
        size_t size = (size_t)(rng_uniform(&rng) * 5);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)likely[(size_t)(rng_uniform(&rng) * (double)sizeof likely)];
        bytes[size] = '\0';
        memcpy(text, bytes, sizeof bytes);
        utf8_repair(text);
        assert_true(is_text(text));
        if (!is_text(bytes))
            continue;
        assert_string_equal(text, bytes);
        valid++;
    }
    assert_true(valid > 10000);
}

static void test_long_sentences_are_cut_between_characters(void **state)
{
    (void)state;
    struct error err;
    char word[2 * sizeof err.text];
    for (size_t shift = 0; shift < 6; shift++) {
        memset(word, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof word; i += 3)
            memcpy(word + i, "…", 4);
        assert_int_equal(error_set(&err, STATUS_IO, "%s", word), STATUS_IO);
        assert_true(is_text(err.text) && strlen(err.text) == sizeof err.text - 1);
        assert_int_equal(error_prefix(&err, STATUS_CORRUPT, "a%s", "é"), STATUS_CORRUPT);
        assert_true(is_text(err.text) && strlen(err.text) == sizeof err.text - 1);
        assert_int_equal(strncmp(err.text, "aéx…", shift == 1 ? 7 : 3), 0);
        assert_int_equal(error_prefix(&err, STATUS_CORRUPT, "%s", word), STATUS_CORRUPT);
        assert_true(is_text(err.text));
    }
    error_set(&err, STATUS_NOT_FOUND, "no file caf\xe9");
    assert_string_equal(err.text, "no file caf?");
    assert_int_equal(error_set(NULL, STATUS_BUSY, "unheard"), STATUS_BUSY);
    assert_int_equal(error_prefix(NULL, STATUS_BUSY, "unheard"), STATUS_BUSY);
}

static void test_names(void **state)
{
    (void)state;
    for (int a = 0; a < STATUS_COUNT; a++) {
        const char *name = status_name((enum status)a);
        assert_true(strlen(name) > 1 && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(name, status_name((enum status)b));
    }
    assert_string_equal(status_name(STATUS_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_character_is_replaced),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_long_sentences_are_cut_between_characters),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
