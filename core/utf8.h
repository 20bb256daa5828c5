/*
 * Texts that came from outside (a path, the last words of a process) or were cut to fit, made fit for JSON.
 */
#ifndef PLUMBLINE_CORE_UTF8_H
#define PLUMBLINE_CORE_UTF8_H

/* Replaces each byte that is part of no UTF-8 character, half a character at the end too, by '?'. */
void utf8_repair(char *text);

#endif
