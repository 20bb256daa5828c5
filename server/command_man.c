/*
 * `plumbline man`: the manual page, made from the same descriptions as --help.
 */
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "server/commands.h"

/* A text for troff: a hyphen that is one, no escapes; a line that begins with a dot or quote is no request. */
static void put_text(const char *text)
{
    bool line_begins = true;
    for (; *text; text++) {
        if (line_begins && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        line_begins = *text == '\n';
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\t')
            fputs("\\ ", stdout);
        else if (*text == '~' || *text == '^' || *text == '`')
            printf("%s", *text == '~' ? "\\(ti" : *text == '^' ? "\\(ha" : "\\(ga");
        else
            putchar(*text);
    }
}

/* Paragraphs, with an empty line between. */
static void put_paragraphs(const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t length = end ? (size_t)(end - text) : strlen(text);
        attribute_cleanup(cleanup_free) char *paragraph = strndup(text, length);
        puts(".PP");
        put_text(paragraph ? paragraph : "");
        putchar('\n');
        text += length + (end ? 2 : 0);
    }
}

static void put_argument(const struct argument *argument)
{
    attribute_cleanup(cleanup_free) char *text = argument_text(argument);
    fputs(".TP\n\\fB\\-\\-", stdout);
    put_text(argument->name);
    fputs("\\fR", stdout);
    if (argument->value) {
        fputs(" \\fI", stdout);
        put_text(argument->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    put_text(text ? text : argument->help);
    putchar('\n');
}

static void put_command(const struct command *command)
{
    attribute_cleanup(cleanup_free) char *synopsis = command_synopsis(command);
    fputs(".SS \"", stdout);
    put_text(command->name);
    fputs("\"\n\\fBplumbline ", stdout);
    put_text(command->name);
    fputs("\\fR ", stdout);
    put_text(synopsis ? synopsis : "");
    putchar('\n');
    put_paragraphs(command->description);
    for (const struct argument *argument = command_arguments(command); argument->name; argument++)
        put_argument(argument);
    fputs(".PP\nExit status: 0 good, 1 ", stdout);
    put_text(command->failure);
    puts(", 2 wrong use.");
}

static void put_list(void)
{
    for (const struct command *const *command = commands; *command; command++) {
        fputs(".TP\n\\fBplumbline ", stdout);
        put_text((*command)->name);
        fputs("\\fR\n", stdout);
        put_text((*command)->summary);
        putchar('\n');
    }
}

/* The variables that options may be given by, each once. */
static void put_variables(void)
{
    const char *told[128];
    size_t count = 0;
    for (const struct command *const *command = commands; *command; command++)
        for (const struct argument *argument = command_arguments(*command); argument->name; argument++) {
            bool known = !argument->variable || count == sizeof told / sizeof *told;
            for (size_t i = 0; i < count && !known; i++)
                known = strcmp(told[i], argument->variable) == 0;
            if (known)
                continue;
            told[count++] = argument->variable;
            fputs(".TP\n\\fB", stdout);
            put_text(argument->variable);
            fputs("\\fR\nstands for \\fB\\-\\-", stdout);
            put_text(argument->name);
            fputs("\\fR: ", stdout);
            put_text(argument->help);
            putchar('\n');
        }
}

static int run(const void *options, const struct text_list *operands)
{
    (void)options;
    (void)operands;
    puts(".TH PLUMBLINE 1 \"\" \"Plumbline " PLUMBLINE_VERSION "\" \"User Commands\"\n"
         ".SH NAME\n"
         "plumbline \\- measure how far gradient descent's steps on activations are from ideal\n"
         ".SH SYNOPSIS\n"
         ".B plumbline\n"
         "\\fICOMMAND\\fR [\\fIoption\\fR ...]\n"
         ".SH DESCRIPTION\n"
         "Plumbline trains networks and logs, for every sample and layer, the step that its activation should take\n"
         "against the step that it does take. One program is the server, the worker, and the commands that speak to a\n"
         "server over its REST API.\n"
         ".SH LIST OF COMMANDS");
    put_list();
    puts(".SH COMMANDS\nEvery command also takes \\fB\\-\\-help\\fR.");
    for (const struct command *const *command = commands; *command; command++)
        put_command(*command);
    puts(".SH ENVIRONMENT\n"
         "An option goes before its variable.");
    put_variables();
    puts(".TP\n\\fBPLUMBLINE_TOKEN\\fR\n"
         "the token that commands show to a server\n"
         ".TP\n\\fBNO_COLOR\\fR\n"
         "if it is set, nothing is coloured on a terminal\n"
         ".SH FILES\n"
         "Below the data directory:\n"
         ".TP\n\\fIcatalog.db\\fR\njobs, studies, tokens, events (SQLite)\n"
         ".TP\n\\fIruns/ID.db\\fR\na job's run: what it measured (SQLite)\n"
         ".TP\n\\fIdatasets/\\fR, \\fIweights/\\fR\ndata sets and initial weights that specs name\n"
         ".TP\n\\fIsocket\\fR\nwhere the server answers the commands of its own user");
    return command_flush();
}

const struct command man_command = {
    .name = "man",
    .summary = "print the manual page (plumbline man | man -l -)",
    .description = "Prints the manual page in the form that man reads: plumbline man | man -l -",
    .failure = "it could not be printed",
    .run = run,
};
