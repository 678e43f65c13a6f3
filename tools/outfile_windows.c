/* outfile_windows.c - a file that appears whole or not at all, on Windows
 *
 * Who may read it is what the folder says. */
#define WIN32_LEAN_AND_MEAN
#include "outfile.h"

#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <windows.h>

#include "fail.h"
#include "wide.h"

enum { ATTEMPTS = 100, WRITE_BYTES_MAX = 1 << 26 };

static int look(const char *path, struct _stat64 *info)
{
    wchar_t wide[WIDE_PATH_MAX];
    int code = wide_path(wide, path);
    return code != 0 ? code : _wstat64(wide, info) != 0 ? errno : 0;
}

int outfile_make_directory(const char *path, bool *made)
{
    wchar_t wide[WIDE_PATH_MAX];
    struct _stat64 info;
    int code = wide_path(wide, path);
    *made = code == 0 && _wmkdir(wide) == 0;
    if (code != 0 || *made) {
        return code;
    }
    if (errno != EEXIST) {
        return errno;
    }
    code = look(path, &info);
    return code != 0 ? code : S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

int outfile_check(const char *path, bool force)
{
    struct _stat64 info;
    int code = look(path, &info);
    if (code != 0) {
        return code == ENOENT ? 0 : code;
    }
    if (S_ISDIR(info.st_mode)) {
        return EISDIR;
    }
    if (!S_ISREG(info.st_mode)) {
        return EINVAL;
    }
    return force ? 0 : EEXIST;
}

char *outfile_join(const char *directory, const char *name)
{
    size_t length = strlen(directory);
    bool ended = length > 0 && strchr("/\\:", directory[length - 1]) != NULL;
    size_t bytes = length + strlen(name) + 2;
    char *path = fail_alloc(bytes, 1);
    snprintf(path, bytes, "%s%s%s", directory, ended ? "" : "/", name);
    return path;
}

static void release(struct outfile *file)
{
    free(file->path);
    free(file->temporary);
    *file = (struct outfile){ -1, NULL, NULL };
}

void outfile_standard(struct outfile *file)
{
    *file = (struct outfile){ _fileno(stdout), NULL, NULL };
}

static int create(int *descriptor, const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    int code = wide_path(wide, path);
    if (code == 0) {
        *descriptor = _wopen(wide, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
        code = *descriptor < 0 ? errno : 0;
    }
    return code;
}

int outfile_open(struct outfile *file, const char *path)
{
    size_t path_bytes = strlen(path) + 1;
    size_t temporary_bytes = path_bytes + 32;
    file->path = memcpy(fail_alloc(path_bytes, 1), path, path_bytes);
    file->temporary = fail_alloc(temporary_bytes, 1);
    file->descriptor = -1;
    int code = EEXIST;
    for (int attempt = 0; attempt < ATTEMPTS && code == EEXIST; attempt++) {
        snprintf(file->temporary, temporary_bytes, "%s.%d-%d.part", path, _getpid(), attempt);
        code = create(&file->descriptor, file->temporary);
    }
    if (code != 0) {
        release(file);
    }
    return code;
}

int outfile_write(struct outfile *file, const void *bytes, size_t count)
{
    const char *next = bytes;
    while (count > 0) {
        unsigned part = count < WRITE_BYTES_MAX ? (unsigned)count : WRITE_BYTES_MAX;
        int written = _write(file->descriptor, next, part);
        if (written <= 0) {
            return written < 0 ? errno : ENOSPC;
        }
        next += written;
        count -= (size_t)written;
    }
    return 0;
}

FILE *outfile_stream(const struct outfile *file)
{
    int copy = _dup(file->descriptor);
    FILE *stream = copy < 0 ? NULL : _fdopen(copy, "wb");
    if (stream == NULL && copy >= 0) {
        int code = errno;
        _close(copy);
        errno = code;
    }
    return stream;
}

static bool removes(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    return wide_path(wide, path) == 0 && _wunlink(wide) == 0;
}

/* By name alone: the numbers that _fstat64 gives here tell no file from another. */
struct outfile_mark outfile_mark(const struct outfile *file)
{
    (void)file;
    return (struct outfile_mark){ false, 0, 0 };
}

bool outfile_take_back(const char *path, const struct outfile_mark *mark)
{
    (void)mark;
    return removes(path);
}

void outfile_remove(const char *path)
{
    removes(path);
}

void outfile_remove_directory(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    if (wide_path(wide, path) == 0) {
        _wrmdir(wide);
    }
}

/* Without the flag a name that is taken is refused, in one step. */
static int move(const char *from, const char *to, bool replace)
{
    wchar_t wide_from[WIDE_PATH_MAX];
    wchar_t wide_to[WIDE_PATH_MAX];
    int code = wide_path(wide_from, from);
    code = code == 0 ? wide_path(wide_to, to) : code;
    DWORD flags = MOVEFILE_WRITE_THROUGH | (replace ? MOVEFILE_REPLACE_EXISTING : 0);
    return code != 0 ? code : MoveFileExW(wide_from, wide_to, flags) ? 0 : wide_error();
}

int outfile_commit(struct outfile *file, bool force)
{
    int code = _commit(file->descriptor) == 0 ? 0 : errno;
    if (_close(file->descriptor) != 0 && code == 0) {
        code = errno;
    }
    file->descriptor = -1;
    if (code == 0) {
        code = move(file->temporary, file->path, force);
    }
    if (code != 0) {
        outfile_discard(file);
        return code;
    }
    release(file);
    return 0;
}

void outfile_discard(struct outfile *file)
{
    if (file->descriptor >= 0) {
        _close(file->descriptor);
    }
    if (file->temporary != NULL) {
        outfile_remove(file->temporary);
    }
    release(file);
}
