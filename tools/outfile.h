/* outfile.h - a file that appears whole or not at all */
#ifndef TOOL_OUTFILE_H
#define TOOL_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Written under a temporary name beside its place, owner-only, and moved there by commit. */
struct outfile {
    int descriptor;
    char *path;
    char *temporary;
};

/* All return 0 or an errno; nothing is left behind by a call that fails. */

int outfile_make_directory(const char *path, bool *made); /* owner-only; one that exists is good, and not *made */

/* 0 when `path` may be written: it is free, or a regular file or link that `force` allows to replace. */
int outfile_check(const char *path, bool force);

/* The standard output as it is: it is written to, and never to be committed or discarded. */
void outfile_standard(struct outfile *file);

int outfile_open(struct outfile *file, const char *path);
int outfile_write(struct outfile *file, const void *bytes, size_t count); /* EINTR: interrupted while it waited */

/* A stream that writes to the file, to be closed before commit; NULL with errno set where there is none. */
FILE *outfile_stream(const struct outfile *file);

/* Syncs and moves it into place. EEXIST when the place is taken meanwhile and `force` does not allow that. A file that
 * was replaced cannot come back: where only the sync of the folder fails, the new one stays in its place, whole. */
int outfile_commit(struct outfile *file, bool force);
void outfile_discard(struct outfile *file);

/* Which file it is, to be asked before commit. On Windows nothing tells one from another. */
struct outfile_mark {
    bool known;
    uint64_t device, number;
};
struct outfile_mark outfile_mark(const struct outfile *file);

/* Removes `path` unless somebody has put another file there since. Returns whether it did. */
bool outfile_take_back(const char *path, const struct outfile_mark *mark);

void outfile_remove(const char *path);           /* which may be missing */
void outfile_remove_directory(const char *path); /* stays where something is in it */

/* "DIRECTORY/NAME", to be freed. */
char *outfile_join(const char *directory, const char *name);

#endif
