/* file.h - archive files: positioned reads and writes, sync, the writer lock
 *
 * Every function that fails returns an OS error code (errno), 0 is success; interrupted and short transfers are
 * carried on inside. Tests replace single functions by --wrap to make disks fail. */
#ifndef SVP_FILE_H
#define SVP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct svp_file {
    int descriptor; /* -1: not open */
};
#define SVP_FILE_NONE                                                                                                  \
    {                                                                                                                  \
        -1                                                                                                             \
    }

enum svp_file_mode {
    SVP_FILE_READ,      /* must exist */
    SVP_FILE_WRITE,     /* must exist; read and write */
    SVP_FILE_CREATE,    /* read and write; made with owner-only permissions where missing */
    SVP_FILE_CREATE_NEW /* must not exist */
};

/* Refuses directories (EISDIR) and other things that are not regular files (EINVAL). *created (may be NULL)
 * tells whether the file is new. */
int svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created);
void svp_file_close(struct svp_file *file);
int svp_file_size(const struct svp_file *file, uint64_t *bytes);
/* False when the file was deleted: it has no name any more, and is gone with the last descriptor. */
bool svp_file_has_name(const struct svp_file *file);
/* *done < bytes only at the end of the file. */
int svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int svp_file_sync(const struct svp_file *file);
int svp_file_truncate(const struct svp_file *file, uint64_t bytes);
int svp_file_remove(const char *path);
/* In place of what has the name `to`, at once: whoever opens that finds the one or the other. */
int svp_file_rename(const char *from, const char *to);
/* Whether that works while `to` is open. */
bool svp_file_renames_over_open(void);
/* Gives it the permissions of another file, and where this process may its owner. */
int svp_file_take_mode(const struct svp_file *file, const struct svp_file *other);
/* The path that links lead to; to be freed by svp_memory_free. NULL: errno tells why. */
char *svp_file_resolve(const char *path);
/* Makes the file's name durable. */
int svp_file_sync_folder(const char *path);

/* The writer lock: of the open file, not of the process, and released by the last close. *held_by_other tells
 * that somebody else has it (then the result is 0 and nothing is locked). */
int svp_file_lock(const struct svp_file *file, bool *held_by_other);
/* True when some writer holds the lock now. */
bool svp_file_is_locked(const struct svp_file *file);
/* True when `path` still names this open file. */
bool svp_file_is_at(const struct svp_file *file, const char *path);

#endif
