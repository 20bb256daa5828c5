#include "server/temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_util.h"
#include "server/data_paths.h"

#define PREFIX "plumbline-"

enum status temporary_name(const char *data, char **ret_path, struct error *err)
{
    static unsigned long counter;
    attribute_cleanup(cleanup_free) char *folder = path_join(data, "tmp");
    enum status status = folder ? folder_make(folder, err) : error_no_memory(err);
    if (status != STATUS_OK)
        return status;
    unsigned long number = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
    *ret_path = text_format("%s/" PREFIX "%ld-%lu.db", folder, (long)getpid(), number);
    return *ret_path ? STATUS_OK : error_no_memory(err);
}

void temporary_clear(const char *data)
{
    attribute_cleanup(cleanup_free) char *path = path_join(data, "tmp");
    DIR *folder = path ? opendir(path) : NULL;
    if (!folder)
        return; /* nothing was on its way yet */
    int at = dirfd(folder);
    for (struct dirent *entry = at < 0 ? NULL : readdir(folder); entry; entry = readdir(folder)) {
        struct stat info;
        if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) == 0 &&
            fstatat(at, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            unlinkat(at, entry->d_name, 0);
    }
    closedir(folder);
}
