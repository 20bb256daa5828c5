/*
 * Who shows wrong tokens: so many by one address, then only one every while. A token cannot be guessed (256 bits of
 * chance); this is for the program that goes on with a token that was revoked, and who shows a good one is never
 * hindered, from the same address either.
 */
#ifndef PLUMBLINE_SERVER_GUESSES_H
#define PLUMBLINE_SERVER_GUESSES_H

#include <netinet/in.h>
#include <stdbool.h>

#include "core/status.h"

struct guesses; /* opaque; safe from any thread */

enum status guesses_create(struct guesses **ret_guesses, struct error *err);
void guesses_free(struct guesses *guesses); /* nothing for NULL */

/*
 * Takes note of a wrong token from there, at `now` (clock_seconds). Returns 0, or where there were too many the seconds
 * until the next is answered as such. IPv4 addresses are mapped ones; of others the network (/64) counts.
 */
double guesses_note(struct guesses *guesses, const struct in6_addr *address, double now);

#endif
