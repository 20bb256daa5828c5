/*
 * A library to preload (LD_PRELOAD) that makes one call of the system or the allocator fail: the n-th of a kind.
 *
 *   FAIL_CALL    "malloc" (with calloc, realloc, …), "write" (with pwrite, writev; to files), "sync" (fsync,
 *                fdatasync) or "open"
 *   FAIL_AT      which one, from 1; 0 counts only
 *   FAIL_COUNTS  a file into which the number of calls of the four kinds is written at the end of the process
 *   FAIL_ONLY    a text that the process's arguments must contain, so that of several processes one is meant
 *
 * Calls that OpenBLAS makes are let through: it cannot bear a failure of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { KIND_MALLOC, KIND_WRITE, KIND_SYNC, KIND_OPEN, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"malloc", "write", "sync", "open"};
static atomic_long counts[KIND_COUNT];
static long fail_at = -1; /* −1: not set up yet */
static enum kind fail_kind = KIND_COUNT;
static uintptr_t blas_from, blas_to;
static const char *counts_path;

static int find_blas(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (!info->dlpi_name || !strstr(info->dlpi_name, "openblas"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            blas_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            blas_to = blas_from + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

/* Whether this process's arguments have the text; without the C library's streams, which allocate. */
static bool is_meant(const char *text)
{
    char words[4096];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    long size = fd < 0 ? 0 : syscall(SYS_read, fd, words, sizeof words - 1);
    if (fd >= 0)
        syscall(SYS_close, fd);
    for (long i = 0; i < size; i++)
        if (words[i] == '\0')
            words[i] = ' ';
    words[size > 0 ? size : 0] = '\0';
    return strstr(words, text) != NULL;
}

/* When all libraries are loaded: what the loader itself did is not counted. */
__attribute__((constructor)) static void set_up(void)
{
    const char *kind = getenv("FAIL_CALL"), *at = getenv("FAIL_AT"), *only = getenv("FAIL_ONLY");
    dl_iterate_phdr(find_blas, NULL);
    counts_path = getenv("FAIL_COUNTS");
    bool meant = !only || is_meant(only);
    if (!meant)
        counts_path = NULL;
    for (int i = 0; i < KIND_COUNT; i++)
        if (meant && kind && strcmp(kind, kind_names[i]) == 0)
            fail_kind = (enum kind)i;
    fail_at = at ? atol(at) : 0;
}

__attribute__((destructor)) static void tell_counts(void)
{
    char text[128];
    if (!counts_path)
        return;
    int size = snprintf(text, sizeof text, "%ld %ld %ld %ld\n", counts[0], counts[1], counts[2], counts[3]);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, counts_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) {
        syscall(SYS_write, fd, text, size);
        syscall(SYS_close, fd);
    }
}

/* Counts a call; whether it is the one that fails. */
static bool fails(enum kind kind, const void *caller)
{
    if (fail_at < 0 || ((uintptr_t)caller >= blas_from && (uintptr_t)caller < blas_to))
        return false;
    long number = atomic_fetch_add(&counts[kind], 1) + 1;
    return kind == fail_kind && number == fail_at;
}

#define CALLER __builtin_return_address(0)

/* --- the allocator: glibc's own names for what is behind these ------------------------------------------------- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return fails(KIND_MALLOC, CALLER) ? no_memory() : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(KIND_MALLOC, CALLER) ? no_memory() : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(KIND_MALLOC, CALLER) ? no_memory() : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(KIND_MALLOC, CALLER) ? no_memory() : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails(KIND_MALLOC, CALLER))
        return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

/* --- the system -------------------------------------------------------------------------------------------------- */

/* What a full or broken disk does not take; pipes, sockets and eventfds are not meant. */
static bool write_fails(int fd, const void *caller)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && fails(KIND_WRITE, caller);
}

static int system_fails(void)
{
    errno = EIO;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return write_fails(fd, CALLER) ? system_fails() : syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_fails(fd, CALLER) ? system_fails() : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return write_fails(fd, CALLER) ? system_fails() : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_fails(fd, CALLER) ? system_fails() : syscall(SYS_writev, fd, parts, count);
}

int fsync(int fd)
{
    return fails(KIND_SYNC, CALLER) ? system_fails() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails(KIND_SYNC, CALLER) ? system_fails() : (int)syscall(SYS_fdatasync, fd);
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return fails(KIND_OPEN, CALLER) ? system_fails() : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return fails(KIND_OPEN, CALLER) ? system_fails()
                                    : (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
