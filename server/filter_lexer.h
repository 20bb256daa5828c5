/*
 * The words of `filter` and `order_by`, one after the other, and faults with the column they are at.
 */
#ifndef PLUMBLINE_SERVER_FILTER_LEXER_H
#define PLUMBLINE_SERVER_FILTER_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

/* A longer text is refused. */
enum { FILTER_MOST_BYTES = 4096 };

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* a field or a keyword: a letter, then anything but spaces, quotes and =!<>(), */
    TOKEN_NUMBER, /* 3, -0.5, 1e-3 */
    TOKEN_STRING, /* 'text' or "text", with its quotes; a quote inside is doubled */
    TOKEN_SIGN,   /* = != < <= > >= ( ) , */
};

struct lexer {
    const char *what; /* "filter" or "order_by", for the sentences */
    const char *text;
    enum token_kind kind; /* of the present token */
    const char *start;    /* of the present token, in `text` */
    size_t length;
};

/* Whether a text says nothing: NULL, or spaces alone. */
bool text_is_blank(const char *text);

/* Begins with the first token. STATUS_INVALID for text that is too long, not UTF-8, or begins with a fault. */
enum status lexer_begin(struct lexer *lexer, const char *what, const char *text, struct error *err);

/* Goes to the next token. */
enum status lexer_next(struct lexer *lexer, struct error *err);

/* Whether the present token is this keyword (in any case), or this sign. */
bool lexer_is(const struct lexer *lexer, const char *word);

/* If it is, goes on; *ret_taken says whether. */
enum status lexer_take(struct lexer *lexer, const char *word, bool *ret_taken, struct error *err);

/* STATUS_INVALID: "filter, column 7: <the sentence>". The column counts characters from 1. */
enum status lexer_fault(const struct lexer *lexer, const char *at, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same at the present token, which is not `wanted`: "expected <wanted>, found <the token>". */
enum status lexer_expected(const struct lexer *lexer, struct error *err, const char *wanted);

#endif
