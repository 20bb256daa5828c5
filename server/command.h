/*
 * A subcommand described once, as data. One runner reads its command line; --help, the manual page (command_man.c) and
 * the shells' completion (command_completion.c) are made from the same description.
 */
#ifndef PLUMBLINE_SERVER_COMMAND_H
#define PLUMBLINE_SERVER_COMMAND_H

#include <jansson.h>
#include <stdio.h>

#include "server/arguments.h"

enum operand_kind { OPERAND_NONE, OPERAND_FILE, OPERAND_FOLDER, OPERAND_JOB, OPERAND_WORD };

struct command {
    const char *name;                               /* "list", "token create" */
    const char *operands;                           /* "SPEC.json", "ID..."; NULL for none */
    const char *summary;                            /* a line for lists, without a full stop */
    const char *description;                        /* paragraphs with an empty line between */
    const char *failure;                            /* when the exit code is 1; 0 is good, 2 wrong use */
    const struct argument *arguments;               /* or, where they are made from another table, */
    const struct argument *(*make_arguments)(void); /* what gives them */
    size_t options_size;                            /* of the struct that they are kept in */
    size_t least, most;                             /* operands */
    enum operand_kind operand_kind;                 /* what they are, for completion */
    const char *const *words;                       /* of OPERAND_WORD; NULL-terminated */
    /* Returns the exit code. `options` are zero but for what was given. */
    int (*run)(const void *options, const struct text_list *operands);
};

/* The numbers of jobs that operands give, as a JSON array; NULL where one is none, which is then said. */
json_t *command_ids(const struct command *command, const struct text_list *operands);

/* Rows that several tables have. */
#define DATA_ARGUMENT(options, member)                                                                                 \
    {                                                                                                                  \
        "data", ARGUMENT_TEXT, offsetof(options, member),                                                              \
            .value = "DIR", .help = "the data directory",                                                              \
            .fallback = "$XDG_DATA_HOME/plumbline or ~/.local/share/plumbline", .variable = "PLUMBLINE_DATA"           \
    }
#define DATASETS_ARGUMENT(options, member)                                                                             \
    {                                                                                                                  \
        "datasets", ARGUMENT_TEXTS, offsetof(options, member),                                                         \
            .value = "DIR", .help = "a folder searched for data sets before DATA/datasets and /usr/share/datasets"     \
    }

/* All of them, in the order they are listed; NULL at the end. */
extern const struct command *const commands[];

/* Its arguments, wherever they come from; never NULL. */
const struct argument *command_arguments(const struct command *command);

/* Runs a command with its command line, argv[0] being its name; returns the exit code. */
int command_run(const struct command *command, int argc, char **argv);

/* Says on standard error what is wrong with the command line; returns 2. */
int command_misused(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints JSON on a line of its own; returns the exit code, 0 or 1. */
int command_json(const json_t *json);

/*
 * Prints what is wrong with a document, {"valid": false, "errors": [{"pointer", "detail"}]}, on a line of its own;
 * nothing where `faults` (borrowed) is NULL or empty. Returns the exit code, 1.
 */
int command_faults(json_t *faults);

/* Whether everything that was printed went out: the exit code, 0 or 1. */
int command_flush(void);

/* --- texts (command_text.c) ---------------------------------------------------------------------------------- */

/* The list of commands; what `plumbline COMMAND --help` prints. */
void print_overview(FILE *to);
void print_help(FILE *to, const struct command *command);

/* "SPEC.json [--watch] [--tag TEXT]…": operands and options as a usage line has them, with a tab for a space at which
 * no line ends. The caller frees; NULL when memory runs out. */
char *command_synopsis(const struct command *command);

/* An option's help with its default and variable: "…; default 100; or PLUMBLINE_GRACE". The caller frees; NULL when
 * memory runs out. */
char *argument_text(const struct argument *argument);

#endif
