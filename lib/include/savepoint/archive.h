/* archive.h - archives without a session: read, compare, verify, name, drop, compact, send, receive
 *
 * SPDX-License-Identifier: MIT
 *
 * Comes with savepoint.h, whose rules hold here too: pointers must not be NULL unless the comment says so, `error` may
 * always be NULL, outputs are untouched on failure, and one thread at a time may use an archive. */
#ifndef SAVEPOINT_ARCHIVE_H
#define SAVEPOINT_ARCHIVE_H

#include "savepoint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- readers */

struct savepoint_archive; /* a reader; owned from open to close */

/* Opens for reading; never writes, takes no lock, may run beside a writer. What it sees is the archive as of
 * this call. Damage does not prevent opening as long as one snapshot can be reached: see `damage_offset`.
 * Errors: NOT_AN_ARCHIVE, UNSUPPORTED, CORRUPT, IO, NO_MEMORY. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_open(struct savepoint_archive **archive, const char *path, struct savepoint_error *error);
SAVEPOINT_API void savepoint_archive_close(struct savepoint_archive *archive); /* NULL does nothing */

struct savepoint_archive_info {
    uint8_t file_uuid[16], history_uuid[16];
    uint64_t file_bytes;
    uint64_t committed_bytes; /* end of the last whole transaction */
    uint64_t sealed_bytes;    /* known durable up to here */
    uint64_t torn_bytes;      /* unfinished bytes behind the last transaction: a crash, or a writer at work */
    uint64_t damage_offset;   /* corruption found by open, UINT64_MAX for none; verify finds the rest */
    uint64_t snapshot_count;  /* dropped ones not counted */
    uint32_t format_version;
    uint32_t writer_active;   /* 1 while a writer holds the lock */
    uint32_t host_page_bytes; /* of the newest writer */
    uint32_t reserved;
    char creator[64]; /* "savepoint 0.1.0", NUL-terminated */
    char abi[32];     /* "linux-x86_64" */
};
SAVEPOINT_API void
savepoint_archive_describe(const struct savepoint_archive *archive, struct savepoint_archive_info *info);

/* Finds a snapshot: HEAD or @{}, a reference name, the newest take label, an id or unique prefix (4 or more
 * hex digits), label:NAME; each may be followed by ~N (N-th ancestor, ~ is ~1).
 * Errors: NOT_FOUND, AMBIGUOUS (the message lists candidates), EMPTY, INVALID, CORRUPT, IO. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_find(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot, const char *expression,
                       struct savepoint_error *error);

/* The newest ancestor of HEAD (or HEAD) at or before `time_ns`. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_find_time(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot, uint64_t time_ns,
                            struct savepoint_error *error);

/* Walk all snapshots: newest() is the one committed last on any branch, previous() the one committed before
 * `*snapshot` in file order (both also show dropped ones, with their flag), parent() its nearest kept ancestor;
 * NOT_FOUND at the end, EMPTY without any. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_newest(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                         struct savepoint_error *error);
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_previous(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                           struct savepoint_error *error);
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_parent(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                         struct savepoint_error *error);

enum savepoint_ref_kind { SAVEPOINT_REF_HEAD = 1, SAVEPOINT_REF_LABEL = 2, SAVEPOINT_REF_PIN = 3 };
struct savepoint_ref {
    uint32_t kind;     /* enum savepoint_ref_kind */
    uint32_t reserved; /* 0 */
    struct savepoint_id target;
    char name[SAVEPOINT_NAME_BYTES]; /* NUL-terminated; unique among those of its kind */
};
/* Reference number `index` now in force; NOT_FOUND past the last. HEAD is not among them. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_ref_at(struct savepoint_archive *archive, struct savepoint_ref *ref, size_t index,
                         struct savepoint_error *error);

/* Region number `index` of a snapshot, ordered by name; NOT_FOUND past the last. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_region_at(struct savepoint_archive *archive, struct savepoint_region *region,
                            const struct savepoint_snapshot *snapshot, size_t index, struct savepoint_error *error);

/* Reads `bytes` bytes from `offset` of a region as of a snapshot, decoding only the pages touched and
 * verifying each. Excluded pages read as zeros. INVALID when the range leaves the region. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_read(struct savepoint_archive *archive, void *buffer, const struct savepoint_snapshot *snapshot,
                       const char *region, uint64_t offset, size_t bytes, struct savepoint_error *error);

/* ---------------------------------------------------------------- what changed */

/* One page that a snapshot stored. */
enum savepoint_change_kind {
    SAVEPOINT_CHANGE_ZERO = 1,  /* it became, or began as, 4096 zero bytes */
    SAVEPOINT_CHANGE_WHOLE = 2, /* stored by itself: new, or no longer close to its version before; or another page's */
    SAVEPOINT_CHANGE_DELTA = 3  /* stored as the difference to its version before */
};
struct savepoint_change {
    uint32_t region_id;     /* as in struct savepoint_region */
    uint32_t kind;          /* enum savepoint_change_kind */
    uint64_t page;          /* index in the region */
    uint32_t changed_bytes; /* that differ from the version before; 4096 where that was not compared */
    uint32_t stored_bytes;  /* its share of the compressed payload: the shares add up to it */
    const char *coder;      /* its name in format/SPEC.md; static string */
};
/* Returns 0 to go on, anything else to stop with SAVEPOINT_CANCELLED. Must not use the archive. */
typedef int savepoint_change_report(void *user, const struct savepoint_change *change);

/* Reports every page that a snapshot stored, in the order of the archive: ascending within a batch, not from one
 * batch to the next. Costs one read of the snapshot's own records, whatever the length of the history.
 * Errors: CORRUPT (what was reported before stays true), UNSUPPORTED, CANCELLED, IO, NO_MEMORY, INVALID. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_changes(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot,
                          savepoint_change_report *report, void *user, struct savepoint_error *error);

/* Where two snapshots differ. */
enum savepoint_difference_kind {
    SAVEPOINT_DIFFERENCE_CHANGED = 1,   /* a page that both have, with other bytes */
    SAVEPOINT_DIFFERENCE_ONLY_LEFT = 2, /* pages of a region that the right one lacks, or has smaller */
    SAVEPOINT_DIFFERENCE_ONLY_RIGHT = 3 /* the same the other way round */
};
struct savepoint_difference {
    uint32_t kind; /* enum savepoint_difference_kind */
    uint32_t reserved;
    const char *region;     /* its name; valid during the call, as `left` and `right` */
    uint64_t page;          /* index in the region */
    uint64_t pages;         /* from there on; 1 for CHANGED */
    uint64_t changed_bytes; /* of CHANGED: 1 to 4096; else 0 */
    const uint8_t *left;    /* of CHANGED: the page's 4096 bytes on either side; else NULL */
    const uint8_t *right;
};
/* Returns 0 to go on, anything else to stop with SAVEPOINT_CANCELLED. Must not use the archive. */
typedef int savepoint_difference_report(void *user, const struct savepoint_difference *difference);

struct savepoint_diff_options {
    size_t size;
    const char *region;                  /* compare the region of this name; NULL: all */
    savepoint_difference_report *report; /* may be NULL */
    void *report_user;
    savepoint_progress *progress; /* may be NULL */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_DIFF_OPTIONS_INIT { sizeof(struct savepoint_diff_options), NULL, NULL, NULL, NULL, NULL }
/* clang-format on */

struct savepoint_diff_result {
    uint64_t regions_changed; /* in content or size */
    uint64_t regions_only_left, regions_only_right;
    uint64_t pages_changed;                     /* of regions that both have */
    uint64_t pages_only_left, pages_only_right; /* also of regions that only one has */
    uint64_t changed_bytes;                     /* on the changed pages */
};

/* Compares two snapshots, of any branches. Regions are matched by name; where they live is not compared. Excluded pages
 * count as zeros. Every difference is reported once, ordered by region name, then page. Only pages stored on the way
 * from one to the other are decoded: not those that both took from the same place, nor those that only one has; and
 * none at all where the digests are equal.
 * Errors: NOT_FOUND (neither has the region), CORRUPT and UNSUPPORTED (the message names the page; what was reported
 * before stays true), CANCELLED, IO, NO_MEMORY, INVALID. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_diff(struct savepoint_archive *archive, struct savepoint_diff_result *result,
                       const struct savepoint_snapshot *left, const struct savepoint_snapshot *right,
                       const struct savepoint_diff_options *options, struct savepoint_error *error);

/* The hashes of a snapshot, as savepoint_hashes_open() makes them of a session's: every page is decoded. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_hashes(struct savepoint_archive *archive, struct savepoint_hashes **hashes,
                         const struct savepoint_snapshot *snapshot, struct savepoint_error *error);

/* Copies the first metadata value of `type` to `buffer` and its size to `value_bytes`. With capacity 0 only
 * the size is told (`buffer` may be NULL); a smaller capacity than the value gives LIMIT. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_metadata(struct savepoint_archive *archive, void *buffer, size_t *value_bytes, size_t capacity,
                           const struct savepoint_snapshot *snapshot, uint16_t type, struct savepoint_error *error);

/* One piece of damage; `snapshot` is all zero where it was found without looking at one. It is told once: each snapshot
 * that needs what stands there says so in a finding of its own. */
struct savepoint_finding {
    enum savepoint_status status; /* CORRUPT; UNSUPPORTED where only this library lacks something */
    uint32_t reserved;
    uint64_t file_offset;
    struct savepoint_id snapshot;
    char message[256];
};
typedef void savepoint_finding_report(void *user, const struct savepoint_finding *finding);

struct savepoint_verify_options {
    size_t size;
    const struct savepoint_snapshot *snapshot; /* NULL: every byte of the file and every snapshot */
    savepoint_finding_report *report;          /* may be NULL */
    void *report_user;
    savepoint_progress *progress; /* may be NULL */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_VERIFY_OPTIONS_INIT { sizeof(struct savepoint_verify_options), NULL, NULL, NULL, NULL, NULL }
/* clang-format on */

struct savepoint_verify_result {
    uint64_t snapshots_checked, snapshots_damaged, records_checked, pages_checked, findings;
};
/* Checks record hashes, decodes pages, compares page hashes, state roots and ids. Returns OK when the check
 * ran, whatever it found: see `result->findings`. A torn tail is no finding. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_verify(struct savepoint_archive *archive, struct savepoint_verify_result *result,
                         const struct savepoint_verify_options *options, struct savepoint_error *error);

/* ---------------------------------------------------------------- references, dropping, compaction */

/* Sets a reference: writes `ref->name` of `ref->kind` so that it names the snapshot `ref->target`, wherever it pointed
 * before. A target that is all zero deletes the name (NOT_FOUND where it is not there).
 *  - HEAD, without name: a program resumes from that snapshot; later ones stay as a branch. The snapshot is decoded
 *    and verified first (CORRUPT). Cannot be deleted.
 *  - LABEL: 1 to 255 bytes of UTF-8. Refused are "HEAD", 4 to 32 hex digits (they would be taken for an id), and any
 *    name with '~', ':', "@{" or control characters in it.
 *  - PIN: any text of UTF-8 without control characters, one name for one snapshot; empty: the 32 digits of its id.
 * Takes the writer lock (LOCKED while a program has the archive open), mends a torn tail as savepoint_open() does,
 * appends and syncs. UNCERTAIN: the sync failed, the reference may or may not be on the disk. After any other error
 * nothing has changed. Errors: INVALID, NOT_FOUND, LOCKED, CORRUPT, IO, NO_SPACE, NO_MEMORY, UNCERTAIN,
 * NOT_AN_ARCHIVE, UNSUPPORTED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_set_ref(const char *path, const struct savepoint_ref *ref, struct savepoint_error *error);

/* Drops snapshots, `count` of them, all or none: each is hidden from names and lists, and keeps its sequence; the bytes
 * stay until savepoint_archive_compact(). HEAD, and what a label or a pin names, is not dropped (INVALID).
 * Takes the writer lock, mends a torn tail as savepoint_open() does, appends and syncs. UNCERTAIN: the sync failed,
 * they may or may not be dropped on the disk. After any other error nothing has changed. Errors: INVALID, NOT_FOUND
 * (also where one was dropped before), LOCKED, CORRUPT, IO, NO_SPACE, NO_MEMORY, UNCERTAIN, NOT_AN_ARCHIVE,
 * UNSUPPORTED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_drop(const char *path, const struct savepoint_id *ids, size_t count, struct savepoint_error *error);

enum savepoint_compact_flags {
    SAVEPOINT_COMPACT_KEEP_LOG = 1, /* one snapshot for each doubling of age, back from the newest one */
    SAVEPOINT_COMPACT_DRY_RUN = 2   /* nothing is written and no lock taken; the result tells what would be */
};
/* Told of each snapshot, newest first, with `kept` 1 or 0, before the file is replaced. Must not call the library. */
typedef void savepoint_compact_report(void *user, const struct savepoint_snapshot *snapshot, int kept);

/* A snapshot stays when any of the rules keeps it; without rules all stay that are not dropped. Always kept are HEAD
 * and what a label or a pin names; the label of a take protects nothing. The clock has no part in it: intervals begin
 * at multiples of UTC, ages count back from the newest snapshot. */
struct savepoint_compact_options {
    size_t size;
    uint32_t flags;                   /* enum savepoint_compact_flags */
    uint32_t keep_last;               /* so many of the newest, of all branches; 0: no such rule */
    uint64_t keep_every_ns;           /* of each interval the newest; 0: no such rule */
    uint64_t keep_bytes;              /* then the oldest go until the file is no larger than that (LIMIT where that
                                         cannot be); 0: no such limit */
    savepoint_compact_report *report; /* may be NULL */
    void *report_user;
    savepoint_progress *progress; /* may be NULL; total_bytes 0: not known yet */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_COMPACT_OPTIONS_INIT { sizeof(struct savepoint_compact_options), 0, 0, 0, 0, NULL, NULL, NULL, NULL }
/* clang-format on */

struct savepoint_compact_result {
    uint64_t bytes_before, bytes_after; /* of the file; the same where nothing was to be removed */
    uint64_t snapshots_kept;
    uint64_t snapshots_dropped; /* by these rules */
    uint64_t snapshots_removed; /* whose bytes go: these, and those that were dropped before */
    uint32_t replaced;          /* 1: a new file is in place of the old one */
    uint32_t reserved;
};

/* Writes the kept snapshots to a new file (PATH.compact), reads it back and verifies it, and puts it in the place of
 * the old one at once. They keep ids, sequences, labels, metadata, references and contents; of the others tombstones
 * stay, so that ancestors can be told. It costs time in proportion to the pages that differ between kept snapshots, and
 * room for both files. Readers of the old file stay with it. `result` may be NULL. Takes the writer lock (LOCKED while
 * a program has the archive open), mends a torn tail as savepoint_open() does, but leaves alone what was cut in its
 * first transaction. Whatever fails, the old file stays whole and in place, also when the process is killed; the next
 * call removes the new file that a kill left behind. UNCERTAIN: it was replaced, and a power cut may bring the old one
 * back. Errors: INVALID, LIMIT, LOCKED, CORRUPT (drop what is damaged first), CANCELLED, IO, NO_SPACE, NO_MEMORY,
 * UNCERTAIN, NOT_AN_ARCHIVE, UNSUPPORTED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_compact(const char *path, struct savepoint_compact_result *result,
                          const struct savepoint_compact_options *options, struct savepoint_error *error);

/* ---------------------------------------------------------------- streams */

/* Takes all `bytes` bytes of a stream. Returns 0, or a system error code. */
typedef int savepoint_stream_write(void *user, const void *from, size_t bytes);
/* Reads at least one byte of a stream, up to `capacity`; *bytes tells how many, 0 at its end. Returns as the former. */
typedef int savepoint_stream_read(void *user, void *to, size_t capacity, size_t *bytes);

struct savepoint_send_options {
    size_t size;
    const struct savepoint_snapshot
        *since;                   /* one that the receiver has: what leads to it is left out; NULL: nothing is */
    savepoint_progress *progress; /* may be NULL */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_SEND_OPTIONS_INIT { sizeof(struct savepoint_send_options), NULL, NULL, NULL }
/* clang-format on */

struct savepoint_stream_result {
    uint64_t snapshots;         /* sent, or received */
    uint64_t snapshots_present; /* not received, for they were there */
    uint64_t stream_bytes;
    struct savepoint_id newest; /* the last of them, present or not; all zero: the stream holds none */
};

/* Sends a snapshot and all before it on its branch that are not dropped, oldest first, as a stream for
 * savepoint_archive_receive(); with `since` what comes after the nearest ancestor that the two share, as changes
 * against that one. Nothing is sought in the stream: it may go through a pipe. References are not sent. `result` may be
 * NULL. Errors: IO (of `write`: os_code), CORRUPT (a page that is needed; what was sent before it can be received),
 * UNSUPPORTED, CANCELLED, NO_MEMORY, INVALID. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_send(struct savepoint_archive *archive, struct savepoint_stream_result *result,
                       const struct savepoint_snapshot *snapshot, savepoint_stream_write *write, void *write_user,
                       const struct savepoint_send_options *options, struct savepoint_error *error);

struct savepoint_receive_options {
    size_t size;
    savepoint_progress *progress; /* may be NULL; total_bytes is 0 */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_RECEIVE_OPTIONS_INIT { sizeof(struct savepoint_receive_options), NULL, NULL }
/* clang-format on */

/* Appends the snapshots of a stream to the archive at `path`, which is created where it is missing. They keep ids,
 * sequences, labels, metadata and contents; each is checked against its id before it is committed. HEAD stays where it
 * is, unless the archive was empty. Snapshots that are there already are passed over. Reads the stream once, front to
 * back, with memory for page tables. Takes the writer lock, mends a torn tail as savepoint_open() does, and syncs at
 * the end. Whatever fails, snapshots that were whole by then stay, and `result`, which may be NULL, tells of them.
 * Errors: NOT_AN_ARCHIVE (no stream), NOT_FOUND (it goes on from a snapshot that is not here), MISMATCH (another
 * history, or this archive went on by itself), TRUNCATED, CORRUPT (of stream or archive), UNSUPPORTED, LOCKED,
 * CANCELLED, IO, NO_SPACE, NO_MEMORY, UNCERTAIN, INVALID. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_archive_receive(const char *path, struct savepoint_stream_result *result, savepoint_stream_read *read,
                          void *read_user, const struct savepoint_receive_options *options,
                          struct savepoint_error *error);

#ifdef __cplusplus
}
#endif
#endif
