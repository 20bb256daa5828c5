/*
 * JSON objects described once, as data.
 *
 * The keys of a spec, of each of its parts and of each layer type are tables of `struct option`. One checker reads
 * them: it refuses unknown keys and wrong types with the JSON pointer of the place, and writes out the defaults. The
 * same tables answer GET /layers and fill the form of the dashboard.
 */
#ifndef PLUMBLINE_CORE_OPTION_H
#define PLUMBLINE_CORE_OPTION_H

#include <jansson.h>
#include <stdbool.h>

#include "core/status.h"

enum option_kind {
    OPTION_INTEGER, /* a whole number within minimum … maximum */
    OPTION_NUMBER,  /* any finite number within minimum … maximum */
    OPTION_BOOLEAN,
    OPTION_STRING,
    OPTION_CHOICE,   /* one of `choices`, a NULL-terminated list */
    OPTION_STRINGS,  /* an array of strings */
    OPTION_INTEGERS, /* an array of whole numbers, each within minimum … maximum */
    OPTION_PARTS,    /* one of `choices` for all `parts`, or an object that gives one to each; becomes the object */
    OPTION_LAYERS,   /* an array of layers, expanded by the spec's checker */
    OPTION_ANY,      /* checked by its owner: `layers`, `model` */
};

struct option {
    const char *name;
    enum option_kind kind;
    const char *fallback;       /* the default as JSON text; NULL where the key must be given */
    double minimum, maximum;    /* of numbers; maximum 0 with minimum 0 means "no bounds" */
    size_t most;                /* of arrays: so many items at most; 0: any number */
    bool distinct;              /* of arrays: no item twice */
    bool above_minimum;         /* the minimum itself is refused */
    bool nullable;              /* null is accepted and means "all" or "none" */
    bool omitted;               /* where it is null it is not written out */
    const char *const *choices; /* of OPTION_CHOICE; of OPTION_STRINGS where each item is one of them */
    const char *const *parts;   /* of OPTION_PARTS: the object's keys, NULL-terminated */
    bool below_maximum;         /* the maximum itself is refused */
    const char *when_key;       /* taken only where this key, which stands before it in the table, has one of the */
    const char *const *when;    /* words `when`; elsewhere its default is passed over and any other value refused */
    const char *too_small;      /* what a number below the minimum would do ("would climb the loss"), or NULL */
    const char *help;           /* one line for a person: meaning, unit */
};

#define OPTION_END                                                                                                     \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

/* What is wrong with a JSON document, place by place. */
struct problem_list {
    json_t *items; /* an array of {"pointer": "/model/layers/3/kernel", "detail": "…"}; owned */
};

enum status problem_list_init(struct problem_list *list, struct error *err);
void problem_list_clear(struct problem_list *list);
size_t problem_list_count(const struct problem_list *list);

/*
 * Adds one fault at `pointer` (RFC 6901; "" or NULL is the whole document). A list that cannot grow keeps what it has.
 */
void problem_add(struct problem_list *list, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Checks `object` (any JSON value) against `options` and returns a new object with every default written out, in the
 * order of the table. Each fault is added to `list` with its pointer below `base`. Returns NULL when there was a
 * fault, or when memory ran out (then a fault says so; a NULL object is that too). Keys of kind OPTION_ANY are copied
 * as they are.
 */
json_t *options_expand(const struct option *options, const json_t *object, const char *base, struct problem_list *list);

/* Reads of an object that options_expand made: the key is there, of its kind. Programmer's errors are asserted. */
long long option_integer(const json_t *object, const char *key);
double option_number(const json_t *object, const char *key);
bool option_boolean(const json_t *object, const char *key);
const char *option_string(const json_t *object, const char *key); /* NULL for null */

/* The texts of OPTION_STRINGS, NULL behind the last; the caller frees the list, the texts are the object's. NULL when
 * memory runs out. */
const char **option_strings(const json_t *object, const char *key);

/*
 * A description of the table for the API: [{"name", "kind", "required", "default", "nullable", "minimum",
 * "above_minimum", "maximum", "below_maximum", "choices", "help"}], and {"when": {"key", "values"}} of a key that is
 * taken only there. `kind` is "integer", "number", "boolean", "string",
 * "choice", "strings", "integers" or "any"; default, minimum, maximum and choices are null where there is none. NULL
 * when memory runs out.
 */
json_t *options_describe(const struct option *options);

/* A number as a person writes it: the shortest digits that read back the same, with a true minus sign. */
#define NUMBER_TEXT_SIZE 40
const char *number_format(double value, char text[NUMBER_TEXT_SIZE]);

/*
 * The pointer of member `key` of the object at `base`, escaped by RFC 6901; of item `index` of the array. The caller
 * frees. NULL when memory runs out, for which problem_add takes the whole document.
 */
char *pointer_member(const char *base, const char *key);
char *pointer_item(const char *base, size_t index);

#endif
