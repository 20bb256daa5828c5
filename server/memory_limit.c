#include "server/memory_limit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/blas.h"

/* The bytes that this process has mapped. */
static enum status mapped_bytes(uint64_t *ret_bytes, struct error *err)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    int found = file ? fscanf(file, "%lu", &pages) : 0;
    if (file)
        fclose(file);
    if (found != 1)
        return error_set(err, STATUS_IO, "memory_limit: cannot read /proc/self/statm: %s", strerror(errno));
    *ret_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return STATUS_OK;
}

/* Large enough that OpenBLAS spreads it over all its threads. */
static enum status first_product(int threads, struct error *err)
{
    enum { SIDE = 384 };
    attribute_cleanup(cleanup_free) real *a = calloc((size_t)SIDE * SIDE, sizeof *a);
    attribute_cleanup(cleanup_free) real *b = calloc((size_t)SIDE * SIDE, sizeof *b);
    if (!a || !b)
        return error_no_memory(err);
    blas_set_threads(threads);
    blas_multiply(matrix_of(a, SIDE, SIDE), PLAIN, matrix_of(a, SIDE, SIDE), PLAIN, 0, matrix_of(b, SIDE, SIDE));
    return STATUS_OK;
}

enum status memory_limit_apply(const struct spec *spec, struct error *err)
{
    if (spec->memory_limit == 0)
        return STATUS_OK;
    uint64_t mapped = 0;
    enum status status = first_product(spec->threads, err);
    if (status == STATUS_OK)
        status = mapped_bytes(&mapped, err);
    if (status != STATUS_OK)
        return status;
    struct rlimit limit;
    bool good = getrlimit(RLIMIT_AS, &limit) == 0;
    if (good && mapped + (uint64_t)spec->memory_limit < limit.rlim_max)
        limit.rlim_cur = mapped + (uint64_t)spec->memory_limit;
    if (!good || setrlimit(RLIMIT_AS, &limit) != 0)
        return error_set(err, STATUS_IO, "memory_limit: cannot be set: %s", strerror(errno));
    return STATUS_OK;
}
