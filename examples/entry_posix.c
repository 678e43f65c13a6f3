/* entry_posix.c - what an entry of a folder is, on POSIX systems */
#define _POSIX_C_SOURCE 200809L /* lstat */

#include "entry.h"

#include <sys/stat.h>

enum entry_kind entry_look(const char *path, uint64_t *bytes)
{
    struct stat entry;
    if (lstat(path, &entry) != 0) {
        return ENTRY_OTHER;
    }
    *bytes = (uint64_t)entry.st_size;
    return S_ISREG(entry.st_mode) ? ENTRY_FILE : S_ISDIR(entry.st_mode) ? ENTRY_FOLDER : ENTRY_OTHER;
}
