/* The bound on a process's memory that a spec may ask for (its key memory_limit). */
#ifndef PLUMBLINE_SERVER_MEMORY_LIMIT_H
#define PLUMBLINE_SERVER_MEMORY_LIMIT_H

#include "core/spec.h"

/*
 * Bounds this process's memory to what it has mapped so far plus the spec's memory_limit; nothing without one. OpenBLAS
 * hangs where it cannot get the memory of its first product, so one is made before. From then on an allocation that is
 * too large fails with STATUS_NO_MEMORY. For the life of the process.
 */
enum status memory_limit_apply(const struct spec *spec, struct error *err);

#endif
