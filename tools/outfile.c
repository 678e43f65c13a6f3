/* outfile.c - a file that appears whole or not at all, on POSIX systems */
#define _POSIX_C_SOURCE 200809L
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "terminal.h"

enum { ATTEMPTS = 100 };

int outfile_make_directory(const char *path, bool *made)
{
    struct stat info;
    *made = mkdir(path, S_IRWXU) == 0;
    int code = *made ? 0 : errno;
    if (code == EEXIST) {
        return stat(path, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
    }
    return code;
}

int outfile_check(const char *path, bool force)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    if (S_ISDIR(info.st_mode)) {
        return EISDIR;
    }
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) {
        return EINVAL; /* a device must not be replaced by a file, whoever asks */
    }
    return force ? 0 : EEXIST;
}

char *outfile_join(const char *directory, const char *name)
{
    size_t length = strlen(directory);
    const char *separator = length > 0 && directory[length - 1] == '/' ? "" : "/";
    size_t bytes = length + strlen(name) + 2;
    char *path = fail_alloc(bytes, 1);
    snprintf(path, bytes, "%s%s%s", directory, separator, name);
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
    *file = (struct outfile){ STDOUT_FILENO, NULL, NULL };
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
        snprintf(file->temporary, temporary_bytes, "%s.%ld-%d.part", path, (long)getpid(), attempt);
        file->descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
        code = file->descriptor < 0 ? errno : 0;
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
        ssize_t written = write(file->descriptor, next, count);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        if (written > 0) {
            next += written;
            count -= (size_t)written;
        }
        if (count > 0 && terminal_interrupted()) {
            return EINTR; /* the rest may wait for a reader that never comes */
        }
    }
    return 0;
}

FILE *outfile_stream(const struct outfile *file)
{
    int copy = fcntl(file->descriptor, F_DUPFD_CLOEXEC, 0);
    FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");
    if (stream == NULL && copy >= 0) {
        int code = errno;
        close(copy);
        errno = code;
    }
    return stream;
}

/* A link refuses a name that is taken, without a gap in which it could become so. */
static int move_to_free_place(const char *from, const char *to)
{
    if (link(from, to) == 0) {
        unlink(from);
        return 0;
    }
    if (errno == EEXIST) {
        return EEXIST;
    }
    int code = outfile_check(to, false); /* a file system without links */
    return code != 0 ? code : rename(from, to) == 0 ? 0 : errno;
}

static int sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *directory = fail_alloc(length + 1, 1);
    memcpy(directory, slash == NULL ? "." : path, length);
    directory[length] = '\0';
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(directory);
    if (descriptor < 0) {
        return errno == EACCES ? 0 : errno; /* one that may be written and not read is good, and cannot be synced */
    }
    /* Some file systems cannot sync a directory and say EINVAL; there is nothing more to do there. */
    int code = fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno;
    close(descriptor);
    return code;
}

int outfile_commit(struct outfile *file, bool force)
{
    int code = fsync(file->descriptor) == 0 ? 0 : errno;
    if (close(file->descriptor) != 0 && code == 0) {
        code = errno;
    }
    file->descriptor = -1;
    bool was_free = !force || outfile_check(file->path, false) == 0;
    if (code == 0 && force) {
        code = rename(file->temporary, file->path) == 0 ? 0 : errno;
    } else if (code == 0) {
        code = move_to_free_place(file->temporary, file->path);
    }
    if (code != 0) {
        outfile_discard(file);
        return code;
    }
    code = sync_directory_of(file->path);
    if (code != 0 && was_free) {
        unlink(file->path);
    }
    release(file);
    return code;
}

struct outfile_mark outfile_mark(const struct outfile *file)
{
    struct stat info;
    if (fstat(file->descriptor, &info) != 0) {
        return (struct outfile_mark){ false, 0, 0 };
    }
    return (struct outfile_mark){ true, (uint64_t)info.st_dev, (uint64_t)info.st_ino };
}

bool outfile_take_back(const char *path, const struct outfile_mark *mark)
{
    struct stat info;
    bool same = mark->known && lstat(path, &info) == 0 && (uint64_t)info.st_dev == mark->device &&
                (uint64_t)info.st_ino == mark->number;
    return same && unlink(path) == 0;
}

void outfile_remove(const char *path)
{
    unlink(path);
}

void outfile_remove_directory(const char *path)
{
    rmdir(path);
}

void outfile_discard(struct outfile *file)
{
    if (file->descriptor >= 0) {
        close(file->descriptor);
    }
    if (file->temporary != NULL) {
        unlink(file->temporary);
    }
    release(file);
}
