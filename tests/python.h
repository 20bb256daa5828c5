/* Debian's Python with PyTorch, for tests that hold ours against it; they skip and say so where there is none. */
#ifndef PLUMBLINE_TESTS_PYTHON_H
#define PLUMBLINE_TESTS_PYTHON_H

#include "tests/files.h"

/* The command, or NULL after saying that there is none. */
static inline const char *python_with_torch(void)
{
    static const char *const commands[] = {"/usr/bin/python3", "python3"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s -c 'import torch' >/dev/null 2>&1", commands[i]);
        if (system(text) == 0) /* NOLINT(cert-env33-c): a fixed command */
            return commands[i];
    }
    print_message("skipped: no python3 with torch (Debian's package python3-torch)\n");
    return NULL;
}

/* Runs a script of that Python with arguments; it must succeed. */
static inline void python_run(const char *command, const char *script_and_arguments)
{
    char text[1024];
    snprintf(text, sizeof text, "%s %s", command, script_and_arguments);
    if (system(text) != 0) /* NOLINT(cert-env33-c): made of fixed words and a temporary folder */
        fail_msg("%s failed", text);
}

#endif
