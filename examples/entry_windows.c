/* entry_windows.c - what an entry of a folder is, on Windows */
#define WIN32_LEAN_AND_MEAN
#include "entry.h"

#include <windows.h>

enum entry_kind entry_look(const char *path, uint64_t *bytes)
{
    WIN32_FILE_ATTRIBUTE_DATA entry;
    if (!GetFileAttributesExA(path, GetFileExInfoStandard, &entry) ||
        (entry.dwFileAttributes & (FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DEVICE)) != 0) {
        return ENTRY_OTHER;
    }
    *bytes = (uint64_t)entry.nFileSizeHigh << 32 | entry.nFileSizeLow;
    return (entry.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? ENTRY_FOLDER : ENTRY_FILE;
}
