/*
 * A disk that loses power. An SQLite VFS over the ordinary one that remembers what was written to each file since it
 * was last synced. After the cut every call fails; what a real disk may hold then is written as an image: of what was
 * not synced any part, in any order, torn at sectors, and names of files that were not synced may be missing or back.
 *
 * One thread's. Files in shared memory are not kept, as they are made anew.
 */
#ifndef PLUMBLINE_TESTS_POWERCUT_H
#define PLUMBLINE_TESTS_POWERCUT_H

#include <stdbool.h>
#include <stdint.h>

/* Makes it the default of all connections that are opened from now on. */
void powercut_register(void);

/* Forgets everything; what is on the disk now is durable. The power fails at the `operations`-th write, sync,
 * truncation or deletion from now; 0: not by itself. */
void powercut_begin(uint64_t seed, uint64_t operations);

bool powercut_happened(void);

/* Cuts now, if it did not happen yet, and writes the files that were touched into the folder `to`. */
void powercut_image(const char *to);

#endif
