/* file_windows.c - archive files on Windows */
#define _WIN32_WINNT 0x0602
#define WIN32_LEAN_AND_MEAN
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <string.h>
#include <windows.h>

#include "format/memory.h"
#include "os/windows.h"

enum { TRANSFER_BYTES_MAX = 1 << 30 };
enum { LOCK_TRIES = 20 };

static HANDLE handle_of(const struct svp_file *file)
{
    return (HANDLE)_get_osfhandle(file->descriptor);
}

/* ---- open */

/* A security descriptor that lets in the user who runs this process, and nobody else. */
struct owner_only {
    SECURITY_ATTRIBUTES attributes;
    SECURITY_DESCRIPTOR descriptor;
    union {
        ACL list;
        unsigned char bytes[sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE];
    } access;
    union {
        TOKEN_USER user;
        unsigned char bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } token;
};

static bool describe_owner(struct owner_only *owner)
{
    HANDLE token = NULL;
    DWORD bytes = 0;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        return false;
    }
    bool done = GetTokenInformation(token, TokenUser, &owner->token, sizeof owner->token, &bytes) &&
                InitializeAcl(&owner->access.list, sizeof owner->access, ACL_REVISION) &&
                AddAccessAllowedAce(&owner->access.list, ACL_REVISION, FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE,
                                    owner->token.user.User.Sid) &&
                InitializeSecurityDescriptor(&owner->descriptor, SECURITY_DESCRIPTOR_REVISION) &&
                SetSecurityDescriptorDacl(&owner->descriptor, TRUE, &owner->access.list, FALSE) &&
                SetSecurityDescriptorControl(&owner->descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED);
    CloseHandle(token);
    owner->attributes = (SECURITY_ATTRIBUTES){ sizeof owner->attributes, &owner->descriptor, FALSE };
    return done;
}

/* Everything is shared: whoever may write is decided by the lock, and a file in use can be replaced. */
static int open_handle(HANDLE *handle, const wchar_t *path, DWORD access, SECURITY_ATTRIBUTES *owner, DWORD how)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    *handle = CreateFileW(path, access, share, owner, how, FILE_ATTRIBUTE_NORMAL, NULL);
    if (*handle != INVALID_HANDLE_VALUE) {
        return 0;
    }
    int code = svp_windows_code();
    DWORD attributes = code == EACCES ? GetFileAttributesW(path) : INVALID_FILE_ATTRIBUTES;
    bool folder = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    return folder ? EISDIR : code;
}

static int open_as(HANDLE *handle, const wchar_t *path, enum svp_file_mode mode, bool *created)
{
    *created = false;
    if (mode == SVP_FILE_READ) {
        return open_handle(handle, path, GENERIC_READ, NULL, OPEN_EXISTING);
    }
    if (mode != SVP_FILE_WRITE) {
        struct owner_only owner;
        bool described = describe_owner(&owner);
        int code =
            open_handle(handle, path, GENERIC_READ | GENERIC_WRITE, described ? &owner.attributes : NULL, CREATE_NEW);
        *created = code == 0;
        if (code != EEXIST || mode == SVP_FILE_CREATE_NEW) {
            return code;
        }
    }
    return open_handle(handle, path, GENERIC_READ | GENERIC_WRITE, NULL, OPEN_EXISTING);
}

int svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created)
{
    bool made = false;
    HANDLE handle = INVALID_HANDLE_VALUE;
    wchar_t wide[SVP_WINDOWS_PATH_MAX];
    int code = svp_windows_path(wide, path);
    code = code == 0 ? open_as(&handle, wide, mode, &made) : code;
    if (code == 0 && GetFileType(handle) != FILE_TYPE_DISK) {
        code = EINVAL;
    }
    int descriptor = code == 0 ? _open_osfhandle((intptr_t)handle, _O_BINARY | _O_NOINHERIT) : -1;
    if (descriptor < 0) {
        if (handle != INVALID_HANDLE_VALUE) {
            CloseHandle(handle);
        }
        return code != 0 ? code : EMFILE;
    }
    file->descriptor = descriptor;
    if (created != NULL) {
        *created = made;
    }
    return 0;
}

void svp_file_close(struct svp_file *file)
{
    if (file->descriptor >= 0) {
        _close(file->descriptor);
        file->descriptor = -1;
    }
}

/* ---- facts */

int svp_file_size(const struct svp_file *file, uint64_t *bytes)
{
    LARGE_INTEGER size;
    if (!GetFileSizeEx(handle_of(file), &size)) {
        return svp_windows_code();
    }
    *bytes = (uint64_t)size.QuadPart;
    return 0;
}

bool svp_file_has_name(const struct svp_file *file)
{
    FILE_STANDARD_INFO facts;
    return GetFileInformationByHandleEx(handle_of(file), FileStandardInfo, &facts, sizeof facts) &&
           !facts.DeletePending && facts.NumberOfLinks > 0;
}

bool svp_file_is_at(const struct svp_file *file, const char *path)
{
    BY_HANDLE_FILE_INFORMATION here;
    BY_HANDLE_FILE_INFORMATION there;
    HANDLE other = INVALID_HANDLE_VALUE;
    wchar_t wide[SVP_WINDOWS_PATH_MAX];
    if (svp_windows_path(wide, path) != 0 ||
        open_handle(&other, wide, FILE_READ_ATTRIBUTES, NULL, OPEN_EXISTING) != 0) {
        return false;
    }
    bool known = GetFileInformationByHandle(handle_of(file), &here) && GetFileInformationByHandle(other, &there);
    CloseHandle(other);
    return known && here.dwVolumeSerialNumber == there.dwVolumeSerialNumber &&
           here.nFileIndexHigh == there.nFileIndexHigh && here.nFileIndexLow == there.nFileIndexLow;
}

/* ---- contents */

static OVERLAPPED at_offset(uint64_t offset)
{
    OVERLAPPED at = { 0 };
    at.Offset = (DWORD)offset;
    at.OffsetHigh = (DWORD)(offset >> 32);
    return at;
}

static DWORD part_of(size_t bytes)
{
    return bytes < TRANSFER_BYTES_MAX ? (DWORD)bytes : TRANSFER_BYTES_MAX;
}

int svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    size_t moved = 0;
    while (moved < bytes) {
        OVERLAPPED at = at_offset(offset + moved);
        DWORD count = 0;
        if (!ReadFile(handle_of(file), (char *)to + moved, part_of(bytes - moved), &count, &at)) {
            if (GetLastError() == ERROR_HANDLE_EOF) {
                break;
            }
            return svp_windows_code();
        }
        if (count == 0) {
            break;
        }
        moved += count;
    }
    *done = moved;
    return 0;
}

int svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset)
{
    size_t moved = 0;
    while (moved < bytes) {
        OVERLAPPED at = at_offset(offset + moved);
        DWORD count = 0;
        if (!WriteFile(handle_of(file), (const char *)from + moved, part_of(bytes - moved), &count, &at)) {
            return svp_windows_code();
        }
        if (count == 0) {
            return EIO;
        }
        moved += count;
    }
    return 0;
}

int svp_file_sync(const struct svp_file *file)
{
    return FlushFileBuffers(handle_of(file)) ? 0 : svp_windows_code();
}

int svp_file_truncate(const struct svp_file *file, uint64_t bytes)
{
    FILE_END_OF_FILE_INFO end = { .EndOfFile = { .QuadPart = (LONGLONG)bytes } };
    return SetFileInformationByHandle(handle_of(file), FileEndOfFileInfo, &end, sizeof end) ? 0 : svp_windows_code();
}

int svp_file_remove(const char *path)
{
    wchar_t wide[SVP_WINDOWS_PATH_MAX];
    int code = svp_windows_path(wide, path);
    return code != 0 ? code : DeleteFileW(wide) ? 0 : svp_windows_code();
}

int svp_file_rename(const char *from, const char *to)
{
    wchar_t wide_from[SVP_WINDOWS_PATH_MAX];
    wchar_t wide_to[SVP_WINDOWS_PATH_MAX];
    int code = svp_windows_path(wide_from, from);
    code = code == 0 ? svp_windows_path(wide_to, to) : code;
    if (code != 0) {
        return code;
    }
    return MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) ? 0 : svp_windows_code();
}

/* The name of an open file is not given to another one. */
bool svp_file_renames_over_open(void)
{
    return false;
}

/* A new file is its owner's alone, as every archive is. */
int svp_file_take_mode(const struct svp_file *file, const struct svp_file *other)
{
    (void)file;
    (void)other;
    return 0;
}

char *svp_file_resolve(const char *path)
{
    size_t bytes = strlen(path) + 1;
    char *copy = svp_memory_alloc(bytes);
    if (copy == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(copy, path, bytes);
    return copy;
}

/* Windows has no call for it: NTFS writes the name to its journal with the file's own flush. */
int svp_file_sync_folder(const char *path)
{
    (void)path;
    return 0;
}

/* ---- the writer lock: one byte that no file reaches, since a locked byte cannot be read by others */

static OVERLAPPED lock_place(void)
{
    return at_offset(INT64_MAX - 1);
}

static int try_lock(const struct svp_file *file, bool *held_by_other)
{
    OVERLAPPED place = lock_place();
    *held_by_other = false;
    if (LockFileEx(handle_of(file), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) {
        return 0;
    }
    DWORD error = GetLastError();
    *held_by_other = error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING;
    return *held_by_other ? 0 : svp_windows_code();
}

/* Tried for a while: svp_file_is_locked of a reader may hold it for a moment. */
int svp_file_lock(const struct svp_file *file, bool *held_by_other)
{
    int code = try_lock(file, held_by_other);
    for (int i = 1; i < LOCK_TRIES && code == 0 && *held_by_other; i++) {
        Sleep(1);
        code = try_lock(file, held_by_other);
    }
    return code;
}

/* Asking is trying: two readers that ask at once may meet, so this one shares. */
bool svp_file_is_locked(const struct svp_file *file)
{
    OVERLAPPED place = lock_place();
    if (!LockFileEx(handle_of(file), LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) {
        DWORD error = GetLastError();
        return error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING;
    }
    place = lock_place();
    UnlockFileEx(handle_of(file), 0, 1, 0, &place);
    return false;
}
