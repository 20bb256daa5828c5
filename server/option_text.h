/*
 * Values that arrive as text (a query's parameter, a flag, a variable of the environment) for a table of options.
 */
#ifndef PLUMBLINE_SERVER_OPTION_TEXT_H
#define PLUMBLINE_SERVER_OPTION_TEXT_H

#include <jansson.h>

#include "core/option.h"
#include "core/status.h"

/* The row of that name, or NULL. */
const struct option *option_find_name(const struct option *options, const char *name);

/*
 * `text` as the JSON value that `option` wants: a whole number, a number, true or false ("true", "1", "false", "0"), a
 * list by commas, else the text. What does not read as that stays text, so that options_expand refuses it in its own
 * words. NULL when memory runs out.
 */
json_t *option_from_text(const struct option *option, const char *text);

#endif
