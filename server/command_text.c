/* What --help prints, made from the descriptions of the commands. */
#include <stdlib.h>
#include <string.h>

#include "core/file_util.h"
#include "server/command.h"

enum { WIDTH = 80, OPTION_INDENT = 26 };

/* --- words in lines -------------------------------------------------------------------------------------------- */

/* Columns of a text: its code points. */
static int text_width(const char *text, size_t length)
{
    int width = 0;
    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static int print_line_as_is(FILE *to, const char *text, int indent)
{
    size_t length = strcspn(text, "\n");
    fprintf(to, "%*s%.*s", indent, "", (int)length, text);
    return (int)length;
}

/* Prints words in lines of the terminal's usual width, each after the first behind `indent` spaces; the first begins at
 * `column`. A tab is a space at which no line ends; a line that begins with a space is printed as it stands. */
static void print_wrapped(FILE *to, const char *text, int column, int indent)
{
    bool begins = true; /* a line with no word on it yet */
    while (*text) {
        if (*text == '\n') {
            fputc('\n', to);
            text++;
            column = 0;
            begins = true;
            if (*text == ' ')
                text += print_line_as_is(to, text, indent);
            continue;
        }
        size_t length = strcspn(text, " \n");
        int width = text_width(text, length);
        if (!begins && column + 1 + width > WIDTH) {
            fputc('\n', to);
            column = 0;
            begins = true;
        }
        column += fprintf(to, "%*s", begins ? (column < indent ? indent - column : 0) : 1, "");
        for (size_t i = 0; i < length; i++)
            fputc(text[i] == '\t' ? ' ' : text[i], to);
        column += width;
        begins = false;
        text += length;
        text += *text == ' ';
    }
    fputc('\n', to);
}

/* --- options --------------------------------------------------------------------------------------------------- */

char *argument_text(const struct argument *argument)
{
    bool repeats = argument->kind == ARGUMENT_TEXTS;
    return text_format("%s%s%s%s%s%s", argument->help, repeats ? "; may be given several times" : "",
                       argument->fallback ? "; default " : "", argument->fallback ? argument->fallback : "",
                       argument->variable ? "; or " : "", argument->variable ? argument->variable : "");
}

/* "--out FILE", "--json"; the tab is a space at which no line ends. */
static char *argument_form(const struct argument *argument)
{
    return text_format("--%s%s%s", argument->name, argument->value ? "\t" : "", argument->value ? argument->value : "");
}

static void print_option(FILE *to, const char *form, const char *text)
{
    fputs("  ", to);
    for (const char *c = form; *c; c++)
        fputc(*c == '\t' ? ' ' : *c, to);
    int column = 2 + (int)strlen(form);
    if (column + 2 > OPTION_INDENT) {
        fputc('\n', to);
        column = 0;
    }
    print_wrapped(to, text, column, OPTION_INDENT);
}

static void print_options(FILE *to, const struct argument *arguments)
{
    for (const struct argument *argument = arguments; argument->name; argument++) {
        attribute_cleanup(cleanup_free) char *form = argument_form(argument);
        attribute_cleanup(cleanup_free) char *text = argument_text(argument);
        if (form && text)
            print_option(to, form, text);
    }
    print_option(to, "--help", "this text");
}

char *command_synopsis(const struct command *command)
{
    char *all = strdup(command->operands ? command->operands : "");
    for (const struct argument *argument = command_arguments(command); all && argument->name; argument++) {
        attribute_cleanup(cleanup_free) char *before = all;
        attribute_cleanup(cleanup_free) char *form = argument_form(argument);
        all = form ? text_format("%s%s[%s]%s", before, *before ? " " : "", form,
                                 argument->kind == ARGUMENT_TEXTS ? "..." : "")
                   : NULL;
    }
    return all;
}

/* --- pages ------------------------------------------------------------------------------------------------------- */

void print_help(FILE *to, const struct command *command)
{
    attribute_cleanup(cleanup_free) char *synopsis = command_synopsis(command);
    int column = fprintf(to, "Usage: plumbline %s", command->name);
    fputc(' ', to);
    print_wrapped(to, synopsis ? synopsis : "", column + 1, 17);
    fputc('\n', to);
    print_wrapped(to, command->description, 0, 0);
    fputs("\nOptions:\n", to);
    print_options(to, command_arguments(command));
    fputc('\n', to);
    attribute_cleanup(cleanup_free) char *codes =
        text_format("Exit code: 0 good, 1 %s, 2 wrong use.", command->failure);
    print_wrapped(to, codes ? codes : "", 0, 0);
}

void print_overview(FILE *to)
{
    fputs("Usage: plumbline COMMAND [options]\n\n", to);
    print_wrapped(to,
                  "Measures how far gradient descent leans: for every sample and layer, the step its activation should "
                  "take against the step it does take.",
                  0, 0);
    fputc('\n', to);
    for (const struct command *const *command = commands; *command; command++)
        fprintf(to, "  %-14s %s\n", (*command)->name, (*command)->summary);
    fputs("\nEach command explains itself: plumbline COMMAND --help\n", to);
}
