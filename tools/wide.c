/* wide.c - UTF-8 and the text that Windows works with */
#define WIN32_LEAN_AND_MEAN
#include "wide.h"

#include <errno.h>
#include <string.h>
#include <windows.h>

#include "fail.h"

/* Only a full path that begins with \\?\ may be longer than 260 characters. */
int wide_path(wchar_t to[WIDE_PATH_MAX], const char *path)
{
    static const wchar_t prefix[] = L"\\\\?\\";
    enum { PREFIX = sizeof prefix / sizeof prefix[0] - 1, ROOM = WIDE_PATH_MAX - PREFIX };
    wchar_t wide[WIDE_PATH_MAX];
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, WIDE_PATH_MAX) == 0) {
        return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ENAMETOOLONG : EILSEQ;
    }
    DWORD length = GetFullPathNameW(wide, ROOM, to, NULL);
    if (length == 0 || length >= ROOM) {
        return length == 0 ? ENOENT : ENAMETOOLONG;
    }
    if (wcsncmp(to, L"\\\\", 2) != 0) { /* those on other machines and devices stay as they are */
        memmove(to + PREFIX, to, (length + 1) * sizeof *to);
        memcpy(to, prefix, PREFIX * sizeof *to);
    }
    return 0;
}

char *wide_to_utf8(const wchar_t *text)
{
    int bytes = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *narrow = fail_alloc(bytes > 0 ? (size_t)bytes : 1, 1);
    narrow[0] = '\0';
    WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, bytes, NULL, NULL);
    return narrow;
}

int wide_error(void)
{
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
        return ENOENT;
    case ERROR_ACCESS_DENIED:
        return EACCES;
    case ERROR_SHARING_VIOLATION:
        return EBUSY;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS:
        return EEXIST;
    case ERROR_DISK_FULL:
        return ENOSPC;
    default:
        return EIO;
    }
}
