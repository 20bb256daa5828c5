/* Files of a test: in a folder of their own that is removed afterwards. */
#ifndef PLUMBLINE_TESTS_FILES_H
#define PLUMBLINE_TESTS_FILES_H

#include "tests/support.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST_PATH_SIZE 256

static inline char *files_begin(char folder[TEST_PATH_SIZE])
{
    const char *where = getenv("TMPDIR");
    snprintf(folder, TEST_PATH_SIZE, "%s/plumbline-test-XXXXXX", where ? where : "/tmp");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static inline int files_remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void files_end(const char *folder)
{
    assert_int_equal(nftw(folder, files_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void files_write(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[2 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void files_delete(const char *folder, const char *name)
{
    char path[2 * TEST_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

#endif
