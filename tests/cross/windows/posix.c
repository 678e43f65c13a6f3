/* posix.c - the POSIX calls that tests make, on Windows */
#define WIN32_LEAN_AND_MEAN
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "sys/mman.h"

enum { PIPE_BYTES = 1 << 16 };

/* Standard output and files that are opened without "b" hold what was written. */
__attribute__((constructor)) static void be_binary(void)
{
    _fmode = _O_BINARY;
    _setmode(1, _O_BINARY);
    _setmode(2, _O_BINARY);
}

long sysconf(int name)
{
    SYSTEM_INFO facts;
    (void)name;
    GetSystemInfo(&facts);
    return (long)facts.dwPageSize;
}

int pipe(int ends[2])
{
    return _pipe(ends, PIPE_BYTES, _O_BINARY);
}

char *mkdtemp(char *pattern)
{
    return _mktemp(pattern) != NULL && CreateDirectoryA(pattern, NULL) ? pattern : NULL;
}

int setenv(const char *name, const char *value, int replace)
{
    (void)replace;
    return *value == '\0' ? -1 : _putenv_s(name, value); /* an empty one would be none */
}

static void remove_folder(const char *path)
{
    char inside[MAX_PATH];
    WIN32_FIND_DATAA found;
    snprintf(inside, sizeof inside, "%s/*", path);
    HANDLE search = FindFirstFileA(inside, &found);
    for (BOOL more = search != INVALID_HANDLE_VALUE; more; more = FindNextFileA(search, &found)) {
        snprintf(inside, sizeof inside, "%s/%s", path, found.cFileName);
        if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0) {
            DeleteFileA(inside);
        } else if (strcmp(found.cFileName, ".") != 0 && strcmp(found.cFileName, "..") != 0) {
            remove_folder(inside);
        }
    }
    FindClose(search);
    RemoveDirectoryA(path);
}

int cross_system(const char *command)
{
    char path[MAX_PATH] = "";
    if (sscanf(command, "rm -rf '%259[^']'", path) != 1) {
        return -1;
    }
    remove_folder(path);
    return 0;
}

int unsetenv(const char *name)
{
    return _putenv_s(name, "");
}

ssize_t pread(int descriptor, void *to, size_t bytes, off_t offset)
{
    return _lseeki64(descriptor, offset, SEEK_SET) < 0 ? -1 : _read(descriptor, to, (unsigned)bytes);
}

ssize_t pwrite(int descriptor, const void *from, size_t bytes, off_t offset)
{
    return _lseeki64(descriptor, offset, SEEK_SET) < 0 ? -1 : _write(descriptor, from, (unsigned)bytes);
}

void *memmem(const void *in, size_t in_bytes, const void *wanted, size_t wanted_bytes)
{
    const char *at = in;
    for (; in_bytes >= wanted_bytes; at++, in_bytes--) {
        if (memcmp(at, wanted, wanted_bytes) == 0) {
            return (void *)(uintptr_t)at;
        }
    }
    return NULL;
}

/* ---- memory */

/* An allocation that VirtualAlloc made begins at a multiple of 64 KiB, and is where the system says it begins: blocks
 * of the heap never are, they have a header in front. */
static bool is_own_allocation(const void *memory)
{
    MEMORY_BASIC_INFORMATION found;
    return memory != NULL && VirtualQuery(memory, &found, sizeof found) != 0 && found.AllocationBase == memory;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return alignment <= 65536 ? VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE)
                              : NULL;
}

#undef free
void cross_free(void *memory)
{
    if (is_own_allocation(memory)) {
        VirtualFree(memory, 0, MEM_RELEASE);
    } else {
        free(memory);
    }
}

static DWORD protection_of(int protection)
{
    if ((protection & PROT_EXEC) != 0) {
        return (protection & PROT_WRITE) != 0 ? PAGE_EXECUTE_READWRITE : PAGE_EXECUTE_READ;
    }
    return (protection & PROT_WRITE) != 0  ? PAGE_READWRITE
           : (protection & PROT_READ) != 0 ? PAGE_READONLY
                                           : PAGE_NOACCESS;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    (void)file;
    (void)offset;
    if ((flags & MAP_FIXED) != 0) { /* new zeros in the place of what is there */
        return VirtualFree(address, bytes, MEM_DECOMMIT) &&
                       VirtualAlloc(address, bytes, MEM_COMMIT, protection_of(protection)) != NULL
                   ? address
                   : MAP_FAILED;
    }
    void *memory = VirtualAlloc((flags & MAP_FIXED_NOREPLACE) != 0 ? address : NULL, bytes,
                                MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, protection_of(protection));
    return memory != NULL ? memory : MAP_FAILED;
}

/* Pages are given back at once; the addresses when the last page of the allocation is. */
int munmap(void *address, size_t bytes)
{
    MEMORY_BASIC_INFORMATION found;
    if (!VirtualFree(address, bytes, MEM_DECOMMIT) || VirtualQuery(address, &found, sizeof found) == 0) {
        errno = EINVAL;
        return -1;
    }
    void *allocation = found.AllocationBase;
    char *at = allocation;
    while (VirtualQuery(at, &found, sizeof found) != 0 && found.AllocationBase == allocation) {
        if (found.State == MEM_COMMIT) {
            return 0;
        }
        at += found.RegionSize;
    }
    VirtualFree(allocation, 0, MEM_RELEASE);
    return 0;
}

int mprotect(void *address, size_t bytes, int protection)
{
    DWORD before = 0;
    return VirtualProtect(address, bytes, protection_of(protection), &before) ? 0 : -1;
}
