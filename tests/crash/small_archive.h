/* small_archive.h - an archive of a few small snapshots, its bytes and where its transactions end */
#ifndef SMALL_ARCHIVE_H
#define SMALL_ARCHIVE_H

#include "crash_fixture.h"

enum { SEAL_BYTES = 80, SMALL_SNAPSHOTS_MAX = 8 };

struct small_archive {
    struct world world; /* closed; its history is the archive's */
    struct bytes file;
    size_t ends[SMALL_SNAPSHOTS_MAX]; /* of the transaction of each snapshot; a SEAL follows each */
};

/* `noise_pages` of the `pages` cannot be compressed, and change with the first snapshot only. */
void small_archive_make(struct small_archive *small, const char *path, size_t pages, size_t noise_pages,
                        size_t snapshots);
void small_archive_free(struct small_archive *small);
/* Snapshots whose transaction lies in the first `bytes` bytes. */
size_t small_archive_whole(const struct small_archive *small, size_t bytes);
/* Where the bytes begin that a file cut to `bytes` has behind its last whole transaction and its SEAL. */
size_t small_archive_kept(const struct small_archive *small, size_t bytes);

#endif
