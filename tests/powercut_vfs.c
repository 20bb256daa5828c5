#include "tests/powercut.h"

#include "tests/support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, MOST_FILES = 16 };

/* A write or a truncation (bytes NULL) that no sync has covered yet. */
struct change {
    sqlite3_int64 offset;
    int size;
    uint8_t *bytes;
};

struct content {
    uint8_t *bytes;
    size_t size, capacity;
};

/* What is known of a name. */
struct tracked {
    char *path;
    bool exists, exists_surely; /* now; after a cut for certain */
    struct content durable;     /* at the last sync */
    struct change *changes;
    size_t count, capacity;
};

/* An open file: ours in front, then the real one's. */
struct cut_file {
    sqlite3_file base;
    struct tracked *tracked; /* NULL for what is not kept */
    bool new_name;           /* its first sync makes the folder's names durable too */
    sqlite3_file *real;
};

static struct {
    sqlite3_vfs vfs, *real;
    struct tracked files[MOST_FILES];
    size_t count;
    struct rng rng;
    uint64_t left; /* operations till the cut; 0: none is set */
    bool happened;
} cut;

/* Counts an operation; false from the cut on. */
static bool powered(void)
{
    if (cut.left > 0 && --cut.left == 0)
        cut.happened = true;
    return !cut.happened;
}

/* --- what is remembered ---------------------------------------------------------------------------------------- */

static void grow(struct content *content, size_t to)
{
    if (!content->bytes || to > content->capacity) {
        content->capacity = to < 4096 ? 8192 : 2 * to;
        content->bytes = realloc(content->bytes, content->capacity);
        assert_non_null(content->bytes);
    }
    if (to > content->size) {
        memset(content->bytes + content->size, 0, to - content->size);
        content->size = to;
    }
}

static void read_durable(struct tracked *file)
{
    struct stat info;
    int fd = open(file->path, O_RDONLY);
    file->exists = file->exists_surely = fd >= 0;
    if (fd < 0)
        return;
    assert_int_equal(fstat(fd, &info), 0);
    grow(&file->durable, (size_t)info.st_size);
    assert_int_equal(read(fd, file->durable.bytes, file->durable.size), file->durable.size);
    close(fd);
}

static struct tracked *track(const char *path)
{
    for (size_t i = 0; i < cut.count; i++)
        if (strcmp(cut.files[i].path, path) == 0)
            return &cut.files[i];
    assert_true(cut.count < MOST_FILES);
    struct tracked *file = &cut.files[cut.count++];
    *file = (struct tracked){.path = strdup(path)};
    read_durable(file);
    return file;
}

static void forget_changes(struct tracked *file)
{
    for (size_t i = 0; i < file->count; i++)
        free(file->changes[i].bytes);
    file->count = 0;
}

static void remember(struct tracked *file, sqlite3_int64 offset, int size, const void *bytes)
{
    if (file->count == file->capacity) {
        file->capacity = file->capacity ? 2 * file->capacity : 64;
        file->changes = realloc(file->changes, file->capacity * sizeof *file->changes);
        assert_non_null(file->changes);
    }
    struct change *change = &file->changes[file->count++];
    *change = (struct change){offset, size, bytes ? malloc((size_t)size) : NULL};
    if (bytes)
        memcpy(change->bytes, bytes, (size_t)size);
}

/* The names in the folder are durable as they are. */
static void sync_names(void)
{
    for (size_t i = 0; i < cut.count; i++)
        cut.files[i].exists_surely = cut.files[i].exists;
}

/* --- applying changes to a content ------------------------------------------------------------------------------ */

/* Each sector of a write with the given probability. */
static void apply(const struct change *change, double probability, struct content *content)
{
    if (!change->bytes) {
        if (rng_uniform(&cut.rng) < probability) {
            grow(content, (size_t)change->offset);
            content->size = (size_t)change->offset;
        }
        return;
    }
    size_t at = (size_t)change->offset, end = at + (size_t)change->size;
    while (at < end) {
        size_t next = (at / SECTOR + 1) * SECTOR;
        next = next < end ? next : end;
        if (rng_uniform(&cut.rng) < probability) {
            grow(content, next);
            memcpy(content->bytes + at, change->bytes + (at - (size_t)change->offset), next - at);
        }
        at = next;
    }
}

static void make_durable(struct tracked *file)
{
    for (size_t i = 0; i < file->count; i++)
        apply(&file->changes[i], 2, &file->durable); /* all of it */
    forget_changes(file);
}

/* --- the file's methods ----------------------------------------------------------------------------------------- */

static struct cut_file *file_of(sqlite3_file *file)
{
    return (struct cut_file *)file;
}

#define REAL(file) (file_of(file)->real)
#define CALL(file, method, ...) (REAL(file)->pMethods->method(REAL(file), __VA_ARGS__))
/* What only looks is passed on till the cut. */
#define PASS(file, method, ...) (cut.happened ? SQLITE_IOERR : CALL(file, method, __VA_ARGS__))

static int cut_close(sqlite3_file *file)
{
    return REAL(file)->pMethods->xClose(REAL(file));
}

static int cut_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    return PASS(file, xRead, bytes, size, offset);
}

static int cut_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    struct cut_file *f = file_of(file);
    bool good = powered();
    if (f->tracked && (good || cut.left == 0)) /* the write in which the power fails may have begun */
        remember(f->tracked, offset, size, bytes);
    return good ? CALL(file, xWrite, bytes, size, offset) : SQLITE_IOERR_WRITE;
}

static int cut_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (!powered())
        return SQLITE_IOERR_TRUNCATE;
    if (file_of(file)->tracked)
        remember(file_of(file)->tracked, size, 0, NULL);
    return CALL(file, xTruncate, size);
}

static int cut_sync(sqlite3_file *file, int flags)
{
    struct cut_file *f = file_of(file);
    if (!powered())
        return SQLITE_IOERR_FSYNC;
    if (f->tracked)
        make_durable(f->tracked);
    if (f->new_name)
        sync_names();
    f->new_name = false;
    (void)flags;
    return SQLITE_OK; /* the real disk need not wait */
}

static int cut_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return PASS(file, xFileSize, size);
}

static int cut_lock(sqlite3_file *file, int level)
{
    return PASS(file, xLock, level);
}

static int cut_unlock(sqlite3_file *file, int level)
{
    return CALL(file, xUnlock, level);
}

static int cut_check_lock(sqlite3_file *file, int *reserved)
{
    return PASS(file, xCheckReservedLock, reserved);
}

static int cut_control(sqlite3_file *file, int what, void *argument)
{
    return PASS(file, xFileControl, what, argument);
}

static int cut_sector(sqlite3_file *file)
{
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int cut_characteristics(sqlite3_file *file)
{
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int cut_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
    return PASS(file, xShmMap, page, size, extend, at);
}

static int cut_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return CALL(file, xShmLock, offset, count, flags);
}

static void cut_shm_barrier(sqlite3_file *file)
{
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int cut_shm_unmap(sqlite3_file *file, int remove)
{
    return CALL(file, xShmUnmap, remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = cut_close,
    .xRead = cut_read,
    .xWrite = cut_write,
    .xTruncate = cut_truncate,
    .xSync = cut_sync,
    .xFileSize = cut_size,
    .xLock = cut_lock,
    .xUnlock = cut_unlock,
    .xCheckReservedLock = cut_check_lock,
    .xFileControl = cut_control,
    .xSectorSize = cut_sector,
    .xDeviceCharacteristics = cut_characteristics,
    .xShmMap = cut_shm_map,
    .xShmLock = cut_shm_lock,
    .xShmBarrier = cut_shm_barrier,
    .xShmUnmap = cut_shm_unmap,
};

/* --- the VFS's methods ------------------------------------------------------------------------------------------ */

static int cut_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct cut_file *f = file_of(file);
    (void)vfs;
    *f = (struct cut_file){.real = (sqlite3_file *)(f + 1)};
    if (cut.happened)
        return SQLITE_CANTOPEN;
    bool kept = name && flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL);
    f->tracked = kept ? track(name) : NULL; /* before it is made */
    int code = cut.real->xOpen(cut.real, name, f->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    f->base.pMethods = &methods;
    if (f->tracked && !f->tracked->exists) {
        f->new_name = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL);
        f->tracked->exists = true;
    }
    return SQLITE_OK;
}

static int cut_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    if (!powered())
        return SQLITE_IOERR_DELETE;
    struct tracked *file = track(name);
    int code = cut.real->xDelete(cut.real, name, sync);
    if (code != SQLITE_OK)
        return code;
    file->exists = false;
    if (sync)
        sync_names();
    if (!file->exists_surely) { /* another file of that name begins empty */
        forget_changes(file);
        file->durable.size = 0;
    }
    return SQLITE_OK;
}

static int cut_access(sqlite3_vfs *vfs, const char *name, int flags, int *found)
{
    (void)vfs;
    return cut.happened ? SQLITE_IOERR_ACCESS : cut.real->xAccess(cut.real, name, flags, found);
}

void powercut_register(void)
{
    cut.real = sqlite3_vfs_find(NULL);
    cut.vfs = *cut.real;
    cut.vfs.zName = "powercut";
    cut.vfs.szOsFile = (int)sizeof(struct cut_file) + cut.real->szOsFile;
    cut.vfs.xOpen = cut_open;
    cut.vfs.xDelete = cut_delete;
    cut.vfs.xAccess = cut_access;
    assert_int_equal(sqlite3_vfs_register(&cut.vfs, 1), SQLITE_OK);
}

void powercut_begin(uint64_t seed, uint64_t operations)
{
    for (size_t i = 0; i < cut.count; i++) {
        forget_changes(&cut.files[i]);
        free(cut.files[i].changes);
        free(cut.files[i].durable.bytes);
        free(cut.files[i].path);
    }
    cut.count = 0;
    cut.happened = false;
    cut.left = operations;
    rng_seed(&cut.rng, seed, 1);
}

bool powercut_happened(void)
{
    return cut.happened;
}

/* What may be left of a file: its changes in another order, some of them whole, some in parts, some not at all. */
static void write_image(struct tracked *file, const char *to)
{
    char path[512];
    struct content image = {0};
    double probability = rng_below(&cut.rng, 3) == 0 ? (double)rng_below(&cut.rng, 2) : rng_uniform(&cut.rng);
    grow(&image, file->durable.size);
    if (image.size > 0)
        memcpy(image.bytes, file->durable.bytes, image.size);
    for (size_t i = file->count; i > 1; i--) { /* neighbours change places */
        size_t other = rng_below(&cut.rng, 2) ? i - 1 : rng_below(&cut.rng, i);
        struct change swapped = file->changes[i - 1];
        file->changes[i - 1] = file->changes[other];
        file->changes[other] = swapped;
    }
    for (size_t i = 0; i < file->count; i++)
        apply(&file->changes[i], probability, &image);
    const char *slash = strrchr(file->path, '/');
    snprintf(path, sizeof path, "%s/%s", to, slash ? slash + 1 : file->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image.bytes, image.size), image.size);
    close(fd);
    free(image.bytes);
}

void powercut_image(const char *to)
{
    cut.happened = true;
    for (size_t i = 0; i < cut.count; i++) {
        struct tracked *file = &cut.files[i];
        bool certain = file->exists == file->exists_surely;
        if (certain ? file->exists : rng_below(&cut.rng, 2))
            write_image(file, to);
    }
}
