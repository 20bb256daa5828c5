/*
 * `plumbline completion`: a script for bash or zsh, made from the same descriptions as --help. Both shells run one
 * function that is told the words so far; zsh does so by its own emulation of bash's completion.
 */
#include <string.h>

#include "server/commands.h"

static const char *const shells[] = {"bash", "zsh", NULL};

/* The first words of all commands, each once. */
static void put_names(void)
{
    const char *before = "";
    for (const struct command *const *command = commands; *command; command++) {
        size_t length = strcspn((*command)->name, " ");
        bool again = strncmp((*command)->name, before, length) == 0 && strcspn(before, " ") == length;
        if (!again)
            printf(" %.*s", (int)length, (*command)->name);
        before = (*command)->name;
    }
}

static void put_words(const char *const *words)
{
    for (; words && *words; words++)
        printf(" %s", *words);
}

/* What may stand behind --option: "words", "files" or "folders". */
static void put_value(const struct command *command, const struct argument *argument)
{
    if (!argument->value)
        return;
    printf("    \"%s --%s\")", command->name, argument->name);
    if (argument->choices) {
        fputs(" _plumbline_words \"", stdout);
        put_words(argument->choices);
        fputs("\";;\n", stdout);
    } else if (strcmp(argument->value, "DIR") == 0) {
        fputs(" _plumbline_folders;;\n", stdout);
    } else if (strstr(argument->value, "FILE") || strstr(argument->value, ".db")) {
        fputs(" _plumbline_files;;\n", stdout);
    } else {
        fputs(" ;;\n", stdout); /* nothing is known of it */
    }
}

static void put_values(void)
{
    fputs("_plumbline_value() {\n    case \"$1\" in\n", stdout);
    for (const struct command *const *command = commands; *command; command++)
        for (const struct argument *argument = command_arguments(*command); argument->name; argument++)
            put_value(*command, argument);
    fputs("    *) return 1;;\n    esac\n}\n\n", stdout);
}

/* What may stand anywhere else: options, and operands of the command's kind. */
static void put_rest(const struct command *command)
{
    printf("    \"%s\")\n        _plumbline_words \"--help", command->name);
    for (const struct argument *argument = command_arguments(command); argument->name; argument++)
        printf(" --%s", argument->name);
    put_words(command->words);
    fputs("\"\n", stdout);
    if (command->operand_kind == OPERAND_FILE)
        fputs("        _plumbline_files\n", stdout);
    if (command->operand_kind == OPERAND_FOLDER)
        fputs("        _plumbline_folders\n", stdout);
    fputs("        ;;\n", stdout);
}

static void put_rests(void)
{
    const char *before = "";
    fputs("_plumbline_rest() {\n    case \"$1\" in\n    \"\") _plumbline_words \"--help --version", stdout);
    put_names();
    fputs("\";;\n", stdout);
    for (const struct command *const *command = commands; *command; command++) {
        const char *name = (*command)->name;
        size_t length = strcspn(name, " ");
        if (name[length] == ' ' && strncmp(before, name, length) != 0) { /* the first of its family */
            printf("    \"%.*s\") _plumbline_words \"", (int)length, name);
            for (const struct command *const *member = command; *member; member++)
                if (strncmp((*member)->name, name, length + 1) == 0)
                    printf(" %s", (*member)->name + length + 1);
            fputs("\";;\n", stdout);
        }
        put_rest(*command);
        before = name;
    }
    fputs("    esac\n}\n\n", stdout);
}

/* The command that the words so far name; of "token create" the second word belongs to it. */
static void put_main(void)
{
    fputs("_plumbline_complete() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} name=\"\" prefix=\"\"\n"
          "    COMPREPLY=()\n"
          "    case \"$before $current\" in\n"
          "    --*\" =\") before=$before current=\"\";;\n" /* readline takes = for a word of its own, */
          "    \"= \"*) before=${COMP_WORDS[COMP_CWORD-2]};;\n"
          "    *\" --\"*=*) before=${current%%=*} prefix=$before= current=${current#*=};;\n" /* or told otherwise */
          "    esac\n"
          "    if [ \"$COMP_CWORD\" -gt 1 ]; then name=${COMP_WORDS[1]}; fi\n"
          "    case \"$name ${COMP_WORDS[2]}\" in\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++)
        if (strchr((*command)->name, ' '))
            printf("    \"%s\") if [ \"$COMP_CWORD\" -gt 2 ]; then name=\"%s\"; fi;;\n", (*command)->name,
                   (*command)->name);
    fputs("    esac\n"
          "    _plumbline_value \"$name $before\" || _plumbline_rest \"$name\"\n"
          "}\n"
          "complete -o filenames -F _plumbline_complete plumbline\n",
          stdout);
}

static int run(const void *options, const struct text_list *operands)
{
    const char *shell = operands->items[0];
    (void)options;
    bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0)
        return command_misused(&completion_command, "there are bash and zsh, not \"%s\"", shell);
    if (zsh)
        fputs("#compdef plumbline\nautoload -U +X bashcompinit && bashcompinit\n\n", stdout);
    fputs("_plumbline_words() { COMPREPLY+=($(compgen -P \"$prefix\" -W \"$1\" -- \"$current\")); }\n"
          "_plumbline_files() { COMPREPLY+=($(compgen -P \"$prefix\" -f -- \"$current\")); }\n"
          "_plumbline_folders() { COMPREPLY+=($(compgen -P \"$prefix\" -d -- \"$current\")); }\n\n",
          stdout);
    put_values();
    put_rests();
    put_main();
    if (zsh) /* a file that completion itself has loaded also answers this first time */
        fputs("if [ \"${funcstack[1]}\" = _plumbline ]; then _bash_complete -o filenames -F _plumbline_complete; fi\n",
              stdout);
    return command_flush();
}

const struct command completion_command = {
    .name = "completion",
    .operands = "bash|zsh",
    .summary = "print a script that completes commands in a shell",
    .description = "Prints a script for the shell that completes commands, options and their values. For this session: "
                   "source <(plumbline completion bash)",
    .failure = "it could not be printed",
    .least = 1,
    .most = 1,
    .operand_kind = OPERAND_WORD,
    .words = shells,
    .run = run,
};
