/* mapping_windows.c - what Windows says about a range of this process's address space */
#define WIN32_LEAN_AND_MEAN
#include <inttypes.h>
#include <windows.h>

#include "mapping.h"
#include "status.h"

static bool is_writable(DWORD protection)
{
    const DWORD writable = PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
    return (protection & writable) != 0 && (protection & PAGE_GUARD) == 0;
}

static bool is_executable(DWORD protection)
{
    return (protection & (PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)) != 0;
}

enum savepoint_status
svp_mapping_check(uintptr_t start, size_t bytes, unsigned wishes, bool *executable, struct savepoint_error *error)
{
    const char *complaint = NULL;
    bool first_executable = false;
    uintptr_t at = start;
    while (at < start + bytes) {
        MEMORY_BASIC_INFORMATION found;
        if (VirtualQuery((void *)at, &found, sizeof found) == 0 || found.State != MEM_COMMIT) {
            complaint = "is not mapped";
        } else if (!is_writable(found.Protect)) {
            complaint = "is not readable and writable";
        } else if (at == start) {
            first_executable = is_executable(found.Protect);
        } else if ((wishes & SVP_MAPPING_PROTECTABLE) != 0 && is_executable(found.Protect) != first_executable) {
            complaint = "differs from the memory before it in being executable: watch the parts one by one";
        }
        if (complaint != NULL) {
            return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                                   "memory at 0x%" PRIxPTR " (in 0x%" PRIxPTR " to 0x%" PRIxPTR ") %s", at, start,
                                   start + bytes, complaint);
        }
        at = (uintptr_t)found.BaseAddress + found.RegionSize;
    }
    if (executable != NULL) {
        *executable = first_executable;
    }
    return SAVEPOINT_OK;
}
