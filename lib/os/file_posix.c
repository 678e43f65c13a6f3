/* file_posix.c - archive files on POSIX systems */
#define _GNU_SOURCE /* F_OFD_SETLK: a lock that belongs to the open file, not to the process; macOS has it too */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/memory.h"

enum { TRANSFER_BYTES_MAX = 1 << 30 }; /* Linux moves at most about 2 GiB a call */
enum { PATH_BYTES_MAX = 4096 };

static int open_descriptor(const char *path, int flags, int *descriptor)
{
    do {
        *descriptor = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    } while (*descriptor < 0 && errno == EINTR);
    return *descriptor < 0 ? errno : 0;
}

static int open_as(const char *path, enum svp_file_mode mode, int *descriptor, bool *created)
{
    *created = false;
    if (mode == SVP_FILE_READ) {
        return open_descriptor(path, O_RDONLY, descriptor);
    }
    if (mode != SVP_FILE_WRITE) {
        int code = open_descriptor(path, O_RDWR | O_CREAT | O_EXCL, descriptor);
        *created = code == 0;
        if (code != EEXIST || mode == SVP_FILE_CREATE_NEW) {
            return code;
        }
    }
    return open_descriptor(path, O_RDWR, descriptor);
}

int svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created)
{
    bool made = false;
    int descriptor = -1;
    struct stat status;
    int code = open_as(path, mode, &descriptor, &made);
    if (code != 0) {
        return code;
    }
    if (fstat(descriptor, &status) != 0) {
        code = errno;
    } else if (S_ISDIR(status.st_mode)) {
        code = EISDIR;
    } else if (!S_ISREG(status.st_mode)) {
        code = EINVAL;
    }
    if (code != 0) {
        close(descriptor);
        return code;
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
        close(file->descriptor);
        file->descriptor = -1;
    }
}

int svp_file_size(const struct svp_file *file, uint64_t *bytes)
{
    struct stat status;
    if (fstat(file->descriptor, &status) != 0) {
        return errno;
    }
    *bytes = (uint64_t)status.st_size;
    return 0;
}

bool svp_file_has_name(const struct svp_file *file)
{
    struct stat status;
    return fstat(file->descriptor, &status) == 0 && status.st_nlink > 0;
}

int svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    size_t moved = 0;
    while (moved < bytes) {
        size_t wanted = bytes - moved < TRANSFER_BYTES_MAX ? bytes - moved : TRANSFER_BYTES_MAX;
        ssize_t count = pread(file->descriptor, (char *)to + moved, wanted, (off_t)(offset + moved));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return errno;
        }
        if (count == 0) {
            break;
        }
        moved += (size_t)count;
    }
    *done = moved;
    return 0;
}

int svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset)
{
    size_t moved = 0;
    while (moved < bytes) {
        size_t wanted = bytes - moved < TRANSFER_BYTES_MAX ? bytes - moved : TRANSFER_BYTES_MAX;
        ssize_t count = pwrite(file->descriptor, (const char *)from + moved, wanted, (off_t)(offset + moved));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return errno;
        }
        if (count == 0) {
            return EIO; /* a regular file that takes nothing and gives no reason */
        }
        moved += (size_t)count;
    }
    return 0;
}

int svp_file_truncate(const struct svp_file *file, uint64_t bytes)
{
    int result;
    do {
        result = ftruncate(file->descriptor, (off_t)bytes);
    } while (result != 0 && errno == EINTR);
    return result != 0 ? errno : 0;
}

int svp_file_remove(const char *path)
{
    return unlink(path) != 0 ? errno : 0;
}

int svp_file_rename(const char *from, const char *to)
{
    return rename(from, to) != 0 ? errno : 0;
}

bool svp_file_renames_over_open(void)
{
    return true;
}

/* Only root can give files away, and nobody to a group that is not his own: what the old group might do, another one
 * must not. */
int svp_file_take_mode(const struct svp_file *file, const struct svp_file *other)
{
    struct stat status;
    if (fstat(other->descriptor, &status) != 0) {
        return errno;
    }
    mode_t mode = status.st_mode & 0777;
    if (fchown(file->descriptor, status.st_uid, status.st_gid) != 0 &&
        fchown(file->descriptor, (uid_t)-1, status.st_gid) != 0) {
        mode &= ~(mode_t)070;
    }
    return fchmod(file->descriptor, mode) != 0 ? errno : 0;
}

char *svp_file_resolve(const char *path)
{
    struct stat status;
    bool link = lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
    char *target = link ? realpath(path, NULL) : NULL;
    if (link && target == NULL) {
        return NULL;
    }
    const char *found = link ? target : path;
    size_t bytes = strlen(found) + 1;
    char *copy = svp_memory_alloc(bytes);
    if (copy != NULL) {
        memcpy(copy, found, bytes);
    }
    free(target);
    errno = ENOMEM;
    return copy;
}

int svp_file_sync_folder(const char *path)
{
    char folder[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    size_t bytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (bytes >= sizeof folder) {
        return ENAMETOOLONG;
    }
    memcpy(folder, bytes > 0 ? path : ".", bytes > 0 ? bytes : 1);
    folder[bytes > 0 ? bytes : 1] = '\0';
    int descriptor = -1;
    int code = open_descriptor(folder, O_RDONLY | O_DIRECTORY, &descriptor);
    if (code != 0) {
        return code;
    }
    if (fsync(descriptor) != 0 && errno != EINVAL) { /* EINVAL: a file system without folder sync */
        code = errno;
    }
    close(descriptor);
    return code;
}

static struct flock whole_file(void)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

int svp_file_lock(const struct svp_file *file, bool *held_by_other)
{
    struct flock lock = whole_file();
    *held_by_other = false;
    if (fcntl(file->descriptor, F_OFD_SETLK, &lock) == 0) {
        return 0;
    }
    *held_by_other = errno == EAGAIN || errno == EACCES;
    return *held_by_other ? 0 : errno;
}

bool svp_file_is_locked(const struct svp_file *file)
{
    struct flock lock = whole_file();
    return fcntl(file->descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool svp_file_is_at(const struct svp_file *file, const char *path)
{
    struct stat here;
    struct stat there;
    return fstat(file->descriptor, &here) == 0 && stat(path, &there) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}
