/* windows.c - what the files for Windows share: error codes and paths */
#define WIN32_LEAN_AND_MEAN
#include "os/windows.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <windows.h>

#ifndef ERROR_DISK_QUOTA_EXCEEDED /* missing from mingw-w64 10 */
#define ERROR_DISK_QUOTA_EXCEEDED 1295
#endif

static const struct {
    DWORD error;
    int code;
} codes[] = {
    { ERROR_FILE_NOT_FOUND, ENOENT },
    { ERROR_PATH_NOT_FOUND, ENOENT },
    { ERROR_INVALID_DRIVE, ENOENT },
    { ERROR_BAD_NETPATH, ENOENT },
    { ERROR_BAD_PATHNAME, ENOENT },
    { ERROR_INVALID_NAME, EINVAL },
    { ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG },
    { ERROR_NO_UNICODE_TRANSLATION, EILSEQ },
    { ERROR_ACCESS_DENIED, EACCES },
    { ERROR_SHARING_VIOLATION, EBUSY },
    { ERROR_LOCK_VIOLATION, EBUSY },
    { ERROR_DELETE_PENDING, EBUSY },
    { ERROR_WRITE_PROTECT, EROFS },
    { ERROR_ALREADY_EXISTS, EEXIST },
    { ERROR_FILE_EXISTS, EEXIST },
    { ERROR_DIRECTORY, ENOTDIR },
    { ERROR_DIR_NOT_EMPTY, ENOTEMPTY },
    { ERROR_TOO_MANY_OPEN_FILES, EMFILE },
    { ERROR_DISK_FULL, ENOSPC },
    { ERROR_HANDLE_DISK_FULL, ENOSPC },
    { ERROR_DISK_QUOTA_EXCEEDED, ENOSPC },
    { ERROR_FILE_TOO_LARGE, EFBIG },
    { ERROR_NOT_ENOUGH_MEMORY, ENOMEM },
    { ERROR_OUTOFMEMORY, ENOMEM },
    { ERROR_COMMITMENT_LIMIT, ENOMEM },
    { ERROR_BROKEN_PIPE, EPIPE },
    { ERROR_NO_DATA, EPIPE },
    { ERROR_INVALID_PARAMETER, EINVAL },
    { ERROR_INVALID_FUNCTION, EINVAL },
    { ERROR_NOT_SUPPORTED, ENOTSUP },
};

int svp_windows_code(void)
{
    DWORD error = GetLastError();
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].error == error) {
            return codes[i].code;
        }
    }
    return EIO;
}

static bool begins(const wchar_t *text, const wchar_t *with)
{
    return wcsncmp(text, with, wcslen(with)) == 0;
}

/* Only a full path that begins with \\?\ may be longer than 260 characters. */
int svp_windows_path(wchar_t to[SVP_WINDOWS_PATH_MAX], const char *path)
{
    static const wchar_t local[] = L"\\\\?\\";
    static const wchar_t network[] = L"\\\\?\\UNC\\"; /* in the place of two backslashes */
    enum { ROOM = SVP_WINDOWS_PATH_MAX - sizeof network / sizeof network[0] };
    wchar_t wide[SVP_WINDOWS_PATH_MAX];
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, SVP_WINDOWS_PATH_MAX) == 0) {
        return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ENAMETOOLONG : svp_windows_code();
    }
    DWORD length = GetFullPathNameW(wide, ROOM, to, NULL);
    if (length == 0 || length >= ROOM) {
        return length != 0 ? ENAMETOOLONG : wide[0] == 0 ? ENOENT : svp_windows_code();
    }
    if (begins(to, L"\\\\.\\") || begins(to, local)) {
        return 0;
    }
    const wchar_t *prefix = begins(to, L"\\\\") ? network : local;
    size_t cut = prefix == network ? 2 : 0;
    size_t prefix_length = wcslen(prefix);
    memmove(to + prefix_length, to + cut, (length - cut + 1) * sizeof *to);
    memcpy(to, prefix, prefix_length * sizeof *to);
    return 0;
}
