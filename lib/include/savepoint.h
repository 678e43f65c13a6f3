/* savepoint.h - incremental snapshots of a program's own memory: sessions, and what they share with archives
 *
 * SPDX-License-Identifier: MIT
 *
 * savepoint/archive.h, which comes with this header, works on archives without a session; savepoint/watch.h is the
 * write-watch by itself.
 *
 * Rules for these headers
 *  - Pointers must not be NULL unless the comment says so. `error` may always be NULL.
 *  - Argument order: object, outputs, inputs (a length follows its array), options, error.
 *  - A function returning a status leaves its outputs untouched on failure; `error` is then filled in.
 *  - Options: zero in every field means "default"; NULL options means "all defaults". Initialise them
 *    with the matching _INIT macro: the first field is the size, so that structures may grow.
 *  - Threads: one thread at a time per session and per archive, except savepoint_wait(), savepoint_cancel() and
 *    savepoint_stop_wanted(), which any thread may call at any time between open and close. Different objects are
 * independent.
 *  - Nothing here is async-signal-safe. A session is inert in a forked child: calls return
 *    SAVEPOINT_FORKED there, and only savepoint_close() is useful.
 *  - The library never prints and never exits. It keeps no global state except the registry of the
 *    `signal` write-watch, the list of open sessions that its fork handler needs, and, once asked for,
 *    the watch behind savepoint_get_write_watch() (savepoint/watch.h).
 *  - A page is 4096 bytes everywhere. Times are UTC nanoseconds since 1970-01-01.
 *
 * Start-up order of an application that can resume:
 *     savepoint_open -> savepoint_map or savepoint_watch for every region -> savepoint_on_restore
 *     -> savepoint_resume -> (work, savepoint_take, savepoint_wait, ...) -> savepoint_close
 */
#ifndef SAVEPOINT_H
#define SAVEPOINT_H

#include <stddef.h>
#include <stdint.h>

#define SAVEPOINT_VERSION_MAJOR 0
#define SAVEPOINT_VERSION_MINOR 1
#define SAVEPOINT_VERSION_PATCH 0
#define SAVEPOINT_FORMAT_VERSION 0 /* the archive format this library writes (0: draft) */

#if defined(_WIN32)
#if defined(SAVEPOINT_BUILDING_SHARED)
#define SAVEPOINT_API __declspec(dllexport)
#elif defined(SAVEPOINT_SHARED)
#define SAVEPOINT_API __declspec(dllimport)
#else
#define SAVEPOINT_API
#endif
#elif defined(__GNUC__)
#define SAVEPOINT_API __attribute__((visibility("default")))
#else
#define SAVEPOINT_API
#endif

#if defined(__GNUC__)
#define SAVEPOINT_NODISCARD __attribute__((warn_unused_result))
#else
#define SAVEPOINT_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- errors */

/* Values are frozen once released; new ones are added at the end. */
enum savepoint_status {
    SAVEPOINT_OK = 0,
    SAVEPOINT_EMPTY = -1,          /* the archive holds no snapshot yet: initialise and go on */
    SAVEPOINT_INVALID = -2,        /* an argument breaks a rule of this header */
    SAVEPOINT_NO_MEMORY = -3,      /* an allocation failed */
    SAVEPOINT_IO = -4,             /* a system call failed: see os_code */
    SAVEPOINT_NO_SPACE = -5,       /* the disk or a quota is full */
    SAVEPOINT_LOCKED = -6,         /* another writer has the archive open */
    SAVEPOINT_NOT_AN_ARCHIVE = -7, /* not an archive; for readers also one in which no snapshot was ever completed */
    SAVEPOINT_UNSUPPORTED = -8,    /* a newer format, or a required feature this library lacks */
    SAVEPOINT_CORRUPT = -9,        /* bytes that were once written well have changed */
    SAVEPOINT_NOT_FOUND = -10,     /* no such snapshot, region, or entry */
    SAVEPOINT_AMBIGUOUS = -11,     /* an id prefix fits several snapshots */
    SAVEPOINT_EXISTS = -12,        /* a region of this name is already there */
    SAVEPOINT_OVERLAP = -13,       /* the memory overlaps a region of this session */
    SAVEPOINT_ADDRESS_TAKEN = -14, /* the recorded address is occupied in this process */
    SAVEPOINT_BAD_MEMORY = -15,    /* the memory is not mapped, or not readable and writable */
    SAVEPOINT_MISMATCH = -16,      /* regions here and in the snapshot do not fit together */
    SAVEPOINT_NOT_RESUMED = -17,   /* the archive holds snapshots, and the session stands on none of them */
    SAVEPOINT_BUSY = -18,          /* other work on the session has to end first: the message says which */
    SAVEPOINT_POISONED = -19,      /* an earlier failure left this object unusable for this call */
    SAVEPOINT_FORKED = -20,        /* the session belongs to the parent process */
    SAVEPOINT_NO_BACKEND = -21,    /* the write-watch asked for cannot work here */
    SAVEPOINT_LIMIT = -22,         /* a stated limit is reached */
    SAVEPOINT_CANCELLED = -23,     /* the progress callback or savepoint_cancel() asked to stop */
    SAVEPOINT_UNCERTAIN = -24,     /* a sync failed: the snapshot may or may not be on the disk */
    SAVEPOINT_TRUNCATED = -25      /* a stream ended early: what was whole of it is kept */
};

/* Detail of a failure. Plain data owned by the caller; valid after a call that did not return OK. */
struct savepoint_error {
    enum savepoint_status status;
    int32_t os_code;       /* errno or GetLastError(), 0 where the system was not at fault */
    uint64_t file_offset;  /* byte offset in the archive, UINT64_MAX where there is none */
    const char *operation; /* static string: what was being done ("write", "map", ...) */
    char message[368];     /* one line of UTF-8: what, where, why, what to do */
};

/* "SAVEPOINT_CORRUPT" and so on; static string, never NULL. */
SAVEPOINT_API const char *savepoint_status_name(enum savepoint_status status);

/* Writes "STATUS: message (system error, offset)" to `text`, cut to `text_bytes` including the final
 * NUL. Returns the bytes the whole text needs without the NUL, as snprintf does. */
SAVEPOINT_API size_t savepoint_error_format(const struct savepoint_error *error, char *text, size_t text_bytes);

/* "0.1.0"; static string. */
SAVEPOINT_API const char *savepoint_version(void);

/* ---------------------------------------------------------------- snapshots */

struct savepoint_id {
    uint8_t bytes[16];
};

#define SAVEPOINT_ID_TEXT_BYTES 33 /* 32 hex digits and a NUL */
#define SAVEPOINT_LABEL_BYTES 256  /* longest label, with its NUL; UTF-8, no NUL inside */
#define SAVEPOINT_NAME_BYTES 256   /* longest region or reference name, with its NUL */

SAVEPOINT_API void savepoint_id_format(const struct savepoint_id *id, char text[SAVEPOINT_ID_TEXT_BYTES]);

enum savepoint_snapshot_flags {
    SAVEPOINT_SNAPSHOT_UNSYNCED = 1, /* committed with ORDERED or NONE */
    SAVEPOINT_SNAPSHOT_NO_HEAD = 2,  /* did not move HEAD (received or promoted) */
    SAVEPOINT_SNAPSHOT_AUTOSAVE = 4, /* taken by the library's interval, not by a call */
    SAVEPOINT_SNAPSHOT_SEALED = 8,   /* known to be durable */
    SAVEPOINT_SNAPSHOT_HEAD = 16,    /* what a new process resumes from */
    SAVEPOINT_SNAPSHOT_DROPPED = 32, /* a tombstone: not listed, not restorable by name */
    SAVEPOINT_SNAPSHOT_ROOT = 64,    /* has no parent */
    SAVEPOINT_SNAPSHOT_RING = 128    /* in a session's ring, not in an archive */
};

/* One committed point in time. */
struct savepoint_snapshot {
    struct savepoint_id id;
    struct savepoint_id parent; /* all zero for a root */
    struct savepoint_id digest; /* state root: equal digests mean equal regions, byte for byte */
    uint64_t sequence;          /* 1, 2, ... in a history */
    uint64_t time_ns;           /* the point in time captured */
    uint64_t changed_pages;     /* pages stored by this snapshot */
    uint64_t region_pages;      /* pages of all its regions */
    uint64_t stored_bytes;      /* growth of the archive */
    uint64_t pause_ns;          /* time the caller was held */
    uint64_t file_offset; /* of its COMMIT record: the cursor of previous() and parent(); in a ring: of previous() */
    uint32_t region_count;
    uint32_t flags; /* enum savepoint_snapshot_flags */
    uint64_t metadata_bytes;
    char label[SAVEPOINT_LABEL_BYTES]; /* empty where none was given */
};

/* A region, of a session or of a snapshot. */
struct savepoint_region {
    uint32_t id; /* stays the same through a history; names an archive's page records */
    uint32_t flags;
    uint64_t address; /* where it lives or lived; kept on resume for mapped regions */
    uint64_t bytes;   /* a multiple of 4096 */
    uint64_t excluded_bytes;
    char name[SAVEPOINT_NAME_BYTES];
    char backend[16]; /* of a session: the write-watch in use; of a snapshot: empty */
};
enum savepoint_region_flags { SAVEPOINT_REGION_MAPPED = 1 /* the library chose and owns the memory */ };

/* Progress of long work: called at most about ten times a second, on the calling thread.
 * Returns 0 to go on, anything else to stop with SAVEPOINT_CANCELLED. Of the session that works it may ask, but neither
 * change nor close it: what takes, restores, promotes, loads or changes regions is BUSY. */
typedef int savepoint_progress(void *user, uint64_t done_bytes, uint64_t total_bytes);

/* ---------------------------------------------------------------- sessions */

struct savepoint; /* a session: regions, their write-watch and an archive; owned from open to close */

enum savepoint_open_flags {
    SAVEPOINT_OPEN_MUST_EXIST = 1, /* do not create the archive */
    SAVEPOINT_OPEN_NEW_ROOT = 2    /* allow a first take without resume: it starts a second root */
};

enum savepoint_profile {
    SAVEPOINT_PROFILE_SMALL = 0, /* pages are compressed */
    SAVEPOINT_PROFILE_FAST = 1   /* whole pages are stored as they are (but for those of zeros, which take nothing): a
                                    restore runs at the speed of memory, the archive takes as much as the state,
                                    and each later snapshot 4 KiB for a page that is stored whole again */
};

struct savepoint_options {
    size_t size;
    uint32_t flags;             /* enum savepoint_open_flags */
    int32_t compression;        /* zstd level, -7 to 19; 0 means 1 */
    const char *watch;          /* force a write-watch: "uffd", "mach", "signal", "compare"; NULL: the
                                   environment variable SAVEPOINT_WATCH, else the best that works */
    uint64_t staging_bytes;     /* most memory for captured pages not yet written; 0: 256 MiB */
    uint64_t compare_max_bytes; /* where the primary is missing: largest region served by `compare`
                                   rather than `signal`; 0: 256 KiB */
    uint64_t encoded_bytes;     /* most memory for what is encoded and waits to be written; 0: 64 MiB */
    uint32_t workers;           /* most threads a restore decodes on, the caller's among them; and, if more than 1, a
                                   caller that waits for a take compares and hashes beside the worker; 0: one for each
                                   core, at most 4 */
    uint32_t profile;           /* enum savepoint_profile: of the snapshots taken; all are read */
    uint64_t ring_bytes;        /* budget of a ring: snapshots in memory, for rewind and rollback; 0: no ring */
};
/* clang-format off */
#define SAVEPOINT_OPTIONS_INIT { sizeof(struct savepoint_options), 0, 0, NULL, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/* Opens the archive at `path` for writing, creating it (owner-only permissions) where it is missing.
 * Takes the writer lock; an unsealed tail of intact transactions is made durable; a torn tail is saved
 * beside the archive as PATH.torn-OFFSET and cut, which SAVEPOINT_SESSION_TORN_CUT of the statistics tells (a file in
 * which no snapshot was ever completed is all tail: it is begun anew). An intact, sealed file is not changed. With
 * `ring_bytes` the session has a ring too; then `path` may be NULL: a ring alone, which ends with the session. A budget
 * below the head of any snapshot (some 160 bytes) is INVALID; one too small for a snapshot of this session fails its
 * takes with LIMIT. Errors: LOCKED (also for some milliseconds after a process that wrote it was killed, until the
 * system has ended it), NOT_AN_ARCHIVE, UNSUPPORTED, CORRUPT, IO, NO_SPACE, NO_BACKEND, NO_MEMORY, INVALID. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_open(struct savepoint **session, const char *path, const struct savepoint_options *options,
               struct savepoint_error *error);

/* Waits for takes in flight, syncs what was committed without sync, disarms the watch, releases the
 * lock. Caller-owned memory is fully writable again and keeps its contents; mapped regions are unmapped.
 * The session is gone whatever is returned; anything but OK tells that the last snapshots may be lost: they could not
 * be synced, or the last take failed and neither savepoint_wait nor savepoint_tick has told so. NULL does nothing and
 * returns OK. */
SAVEPOINT_API enum savepoint_status savepoint_close(struct savepoint *session, struct savepoint_error *error);

struct savepoint_region_options {
    size_t size;
    void *address;          /* savepoint_map: where to map a region the archive does not know yet;
                               NULL: the next free place from 0x110000000000 (SAVEPOINT_MAP_BASE) */
    uint64_t reserve_bytes; /* savepoint_map: address space to keep for growth; 0: a default */
};
/* clang-format off */
#define SAVEPOINT_REGION_OPTIONS_INIT { sizeof(struct savepoint_region_options), NULL, 0 }
/* clang-format on */

/* Watches memory of the caller: `base` and `bytes` multiples of 4096 (of the host's page size where that
 * is larger), mapped readable and writable. It stays the caller's and must outlive its region.
 * Errors: INVALID, EXISTS, OVERLAP, BAD_MEMORY, NO_BACKEND, NO_MEMORY, FORKED, LIMIT. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch(struct savepoint *session, const char *name, void *base, size_t bytes, struct savepoint_error *error);

/* Maps zero-filled memory and watches it. A region that HEAD holds under this name comes back at its
 * recorded address, so that pointers into it stay good: ADDRESS_TAKEN if that is occupied, never another
 * address, and at least as large as it was there. `bytes` is rounded up to 64 KiB. Does not restore by itself: see
 * savepoint_resume(). */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_map(struct savepoint *session, void **base, const char *name, size_t bytes,
              const struct savepoint_region_options *options, struct savepoint_error *error);

/* Enlarges a region in place to `bytes`. A mapped one grows within its reserve (LIMIT beyond); of a
 * caller-owned one the memory behind it must already be there. New pages count as written. The size it has
 * already does nothing, a smaller one is INVALID; a restore does not shrink a region either: what lies behind the
 * snapshot's size becomes zeros. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_grow(struct savepoint *session, const char *name, size_t bytes, struct savepoint_error *error);

/* Ends the watch of a region; later snapshots lack it. Mapped memory is unmapped. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_remove(struct savepoint *session, const char *name, struct savepoint_error *error);

/* Leaves pages out of later snapshots (caches, scratch space): they count as zeros there, and a
 * restore leaves pages untouched that are excluded here or were excluded in the snapshot. `offset` and `bytes` are
 * multiples of 4096 inside the region. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_exclude(struct savepoint *session, const char *name, size_t offset, size_t bytes,
                  struct savepoint_error *error);

/* Takes excluded pages in again. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_include(struct savepoint *session, const char *name, size_t offset, size_t bytes,
                  struct savepoint_error *error);

/* Declares [address, address + bytes) written: for writes no watch can see (pinned DMA and registered
 * io_uring buffers, a second mapping of shared memory). Parts outside all regions are INVALID. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_mark(struct savepoint *session, const void *address, size_t bytes, struct savepoint_error *error);

/* Makes a range safe for system calls that write into it (read, recv) until the next take or restore: needed under
 * the `signal` watch, where they fail with EFAULT otherwise; harmless under the others. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_prepare(struct savepoint *session, void *address, size_t bytes, struct savepoint_error *error);

/* Calls `hook` after every resume and restore that wrote memory, in order of registration, on the thread
 * that restored: to seed random generators anew, reopen files, reset clocks. At most 16 hooks.
 * The hook must not call back into the session. */
typedef void savepoint_hook(void *user, const struct savepoint_snapshot *snapshot);
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_on_restore(struct savepoint *session, savepoint_hook *hook, void *user, struct savepoint_error *error);

/* Brings HEAD's state into the regions. OK: done, `snapshot` (may be NULL) says which. EMPTY: nothing to
 * resume, initialise the regions. Anything else: stop and show it; memory is unchanged. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_resume(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error);

enum savepoint_durability {
    SAVEPOINT_SYNC = 0,    /* savepoint_wait returns once it would survive a power cut */
    SAVEPOINT_ORDERED = 1, /* once written: survives the death of the process; a later SYNC covers it */
    SAVEPOINT_NONE = 2     /* as ORDERED; synced only at close */
};

enum savepoint_history { SAVEPOINT_ARCHIVE = 1 /* the default, where there is one */, SAVEPOINT_RING = 2 };

/* Metadata travels with a snapshot as (type, value) pairs. Types below 0x8000 are the library's: those that have no
 * name here are INVALID. */
struct savepoint_metadata {
    uint16_t type;
    const void *value;
    size_t bytes; /* all values of one snapshot together: at most 1 MiB */
};
enum savepoint_metadata_type {
    SAVEPOINT_METADATA_ORIGIN = 1,          /* 16 bytes: id of the snapshot this one was made from */
    SAVEPOINT_METADATA_MESSAGE = 2,         /* UTF-8 text */
    SAVEPOINT_METADATA_THUMBNAIL = 3,       /* a PNG picture */
    SAVEPOINT_METADATA_APPLICATION = 0x8000 /* and above: the application's own */
};

enum savepoint_mode {
    SAVEPOINT_STOPPED = 0, /* captured by the call that asks for it, while no thread writes */
    SAVEPOINT_LIVE = 1     /* prepared while the program runs, ended by a short stop: savepoint_tick() */
};

/* What a LIVE snapshot does when the program writes faster than pages can be copied. */
enum savepoint_live_policy {
    SAVEPOINT_LIVE_ACCEPT = 0, /* it is taken with a longer stop */
    SAVEPOINT_LIVE_GIVE_UP = 1 /* it is given up: the next tick returns LIMIT */
};

struct savepoint_take_options {
    size_t size;
    const char *label;                         /* NULL: none; need not be unique; at most 255 bytes of UTF-8 */
    enum savepoint_durability durability;      /* of a snapshot in the archive */
    uint32_t history;                          /* enum savepoint_history: where it goes; 0: the default */
    const struct savepoint_metadata *metadata; /* copied; may be NULL */
    size_t metadata_count;
    enum savepoint_mode mode;               /* of a snapshot in the archive */
    enum savepoint_live_policy live_policy; /* and, where that is LIVE, what else it is to keep to: */
    uint64_t pause_budget_ns;               /* pages that take so long to copy may be left to the stop; 0: 1 ms */
};
/* clang-format off */
#define SAVEPOINT_TAKE_OPTIONS_INIT { sizeof(struct savepoint_take_options), NULL, SAVEPOINT_SYNC, 0, NULL, 0, \
                                      SAVEPOINT_STOPPED, SAVEPOINT_LIVE_ACCEPT, 0 }
/* clang-format on */

/* Captures the regions as they are at the end of this call, for which the caller guarantees that no
 * thread writes to them. Returns after the pause (scan and copy); comparing, encoding, writing and syncing
 * go on on workers of the session. `ticket` (may be NULL) is for savepoint_wait.
 * Errors here lose nothing: the pages stay pending for the next take. NOT_RESUMED, BUSY, POISONED,
 * NO_MEMORY, INVALID, FORKED, LIMIT.
 *
 * In mode LIVE the call returns at once, with `ticket` 0, and threads may write on: a worker of its own copies what was
 * written, and once more what was written since, until that takes no longer than `pause_budget_ns` to copy. Then
 * savepoint_stop_wanted() says so, and the next savepoint_tick(), at a point where no thread writes, captures the state
 * as it is there: with one look at the watch and those last pages. `live_policy` is for programs that write faster than
 * they are copied. Copies take up to three quarters of `staging_bytes`; where that is full the stop has to copy the
 * rest. Until the tick other takes go on as ever, and the regions have to stay readable. What changes regions,
 * restores, loads or closes gives the snapshot up, as savepoint_cancel() with ticket 0 does: the next tick returns
 * CANCELLED. Nothing is lost by that, or by any failure: the pages go into the next take. While one is being prepared
 * another is BUSY. A region whose watch arms nothing (`compare`) or cannot look while threads write, or of which a part
 * was prepared for system calls meanwhile under a watch that needs that, is left to the stop. INVALID for a ring. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_take(struct savepoint *session, uint64_t *ticket, const struct savepoint_take_options *options,
               struct savepoint_error *error);

/* Gives up the take of `ticket` and those behind it that rest on it; 0: every one that can still be given up, a LIVE
 * one that is being prepared, and a compaction. Their pages go into the next take, and savepoint_wait() returns
 * CANCELLED. BUSY: too late, the last of it is being written. NOT_FOUND: it is not in flight. Errors: NOT_FOUND, BUSY,
 * FORKED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_cancel(struct savepoint *session, uint64_t ticket, struct savepoint_error *error);

/* Waits until the take of `ticket` is committed as its durability asks, and tells which snapshot it became
 * (`snapshot` may be NULL). A take that failed, or that stood behind one that failed, returns the reason;
 * its pages go into the next take. Ticket 0 waits for the newest take. Results are kept for the last 1024
 * tickets; older ones give NOT_FOUND. A thread that waits compares and hashes pages meanwhile, unless `workers` of the
 * options is 1: one that is stopped in here (by a debugger, or a collector that stops the world) holds the takes up. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_wait(struct savepoint *session, uint64_t ticket, struct savepoint_snapshot *snapshot,
               struct savepoint_error *error);

enum savepoint_autosave_flags {
    SAVEPOINT_AUTOSAVE_NO_COMPACTION = 1 /* the archive is not compacted but by savepoint_compact() */
};

struct savepoint_autosave_options {
    size_t size;
    uint64_t interval_ns;    /* from the end of one autosave's pause to the next; 0: off */
    uint64_t size_cap_bytes; /* nothing is taken once the archive has this size; 0: no cap */
    uint32_t keep_last;      /* autosaves to keep; older ones are dropped; 0: all */
    enum savepoint_durability durability;
    const char *label;        /* of every autosave; copied; NULL: none; at most 255 bytes of UTF-8 */
    enum savepoint_mode mode; /* as for savepoint_take() */
    enum savepoint_live_policy live_policy;
    uint64_t pause_budget_ns;
    uint32_t flags; /* enum savepoint_autosave_flags */
};
/* clang-format off */
#define SAVEPOINT_AUTOSAVE_OPTIONS_INIT { sizeof(struct savepoint_autosave_options), 0, 0, 0, SAVEPOINT_SYNC, NULL, \
                                          SAVEPOINT_STOPPED, SAVEPOINT_LIVE_ACCEPT, 0, 0 }
/* clang-format on */

/* Sets or changes what savepoint_tick() does; NULL options turn it off. The interval begins now; a LIVE snapshot of
 * the interval that is being prepared is not taken. With `keep_last`
 * N, an autosave that is committed drops all older ones but N - 1, in the same transaction (a LIVE one that ended while
 * another take was in flight leaves that to the next): dropped snapshots are
 * hidden from names and lists, and their bytes stay in the file until it is compacted. Ticks begin that by themselves,
 * as savepoint_compact() without rules, when what was dropped takes about more room than the rest (and 1 MiB at least),
 * or when the cap is reached and a sixteenth of the file or more is to be gained; one that failed is tried again after
 * a minute at least. `flags` may say that they do not. Counted and dropped are autosaves of all branches that bear no
 * reference (label or pin); never HEAD, never snapshots of savepoint_take(). Errors: INVALID, FORKED, UNSUPPORTED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_autosave(struct savepoint *session, const struct savepoint_autosave_options *options,
                   struct savepoint_error *error);

/* To be called in the application's loop wherever no thread writes to the regions, at the end of a step: what is done
 * after it but not yet counted in the regions is done again after a resume. Takes a snapshot, as
 * savepoint_take() does, when the interval is over, and else (or with autosave off) returns OK at once. `ticket` (may
 * be NULL) is for savepoint_wait; 0 when nothing was taken. No file is touched on the calling thread, and it never
 * waits for the worker: while a take of the archive is in flight, or a compaction or another autosave (takes of the
 * ring are none), what is due is put off (counted as late) to the first tick that finds none, and an autosave may
 * exceed `staging_bytes`, up to the size of all regions: where that is too much memory, take the first, large snapshot
 * with savepoint_take(), which keeps to the budget. A failure of an earlier autosave is returned by the next tick,
 * once; its pages go into the next take. So is that of a compaction, of which nothing is lost. At the size cap LIMIT is
 * returned whenever one is due and compacting would not help. After any failure autosaving goes on an interval later. A
 * LIVE snapshot, of savepoint_take() or of the interval, is ended by the first tick that finds it prepared (that is
 * when it gets its ticket); one that was given up is told by the next, once: CANCELLED, or LIMIT by its policy. One of
 * savepoint_take() keeps to `staging_bytes` here too: where its last pages do not fit, the tick waits for the worker as
 * a take would. With mode LIVE the interval begins anew at that tick, and the one at which it is over begins the next
 * preparation. Errors: those of savepoint_take() and savepoint_wait(). */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_tick(struct savepoint *session, uint64_t *ticket, struct savepoint_error *error);

struct savepoint_compact_options; /* savepoint/archive.h */

/* Compacts the session's archive in the background, while the program runs: as savepoint_archive_compact() does, by the
 * same rules, but that the snapshot which the session goes on from is kept whatever they say. Returns at once; `ticket`
 * (may be NULL) is for savepoint_wait() (which leaves all of `snapshot` zero) and savepoint_cancel(), as that of a take
 * is, and savepoint_statistics counts. It begins when all takes asked for before are committed. Takes asked for
 * meanwhile are captured at once, as ever, and committed after it: up to `staging_bytes` their pauses do not change,
 * behind that savepoint_take() waits for its end; autosaves that are due are put off, and counted as late. What waits
 * for takes waits for it: restoring, promoting, changing regions, savepoint_find(), savepoint_close() (cancel it first
 * where that is too long). Then the session goes on with the new file, at the same path, under its own lock. Archives
 * that are open for reading, and what is sent from them, stay with the old one, whose room is free once the last of
 * them is closed; there has to be room for both until then. Ids and contents stay, and the `file_offset` of each
 * snapshot is another one. Whatever fails, or is cancelled, leaves the old file in its place and the session on it;
 * nothing is lost. UNCERTAIN (from savepoint_wait): the new file is in place, but a power cut may bring back the old
 * one, so that nothing more is taken into it: POISONED. The callbacks of the options are called on a thread of the
 * session, and may call nothing of it but savepoint_cancel(). Where files that are open cannot be replaced (Windows) it
 * is UNSUPPORTED. Errors: INVALID (a ring alone, a dry run), BUSY (one is going on, or a restore), POISONED,
 * UNSUPPORTED, NO_MEMORY, FORKED; by savepoint_wait() those of savepoint_archive_compact(). */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_compact(struct savepoint *session, uint64_t *ticket, const struct savepoint_compact_options *options,
                  struct savepoint_error *error);

/* 1 when the next savepoint_tick() has something to do, else 0: for programs of several threads, which have to stop
 * them all around a tick. Ask it in the loop of each, or of one: where it says 1, bring every thread that writes to the
 * regions to a stop, tick, and let them go on. Costs a few nanoseconds (with an interval set, a look at the clock). Any
 * thread may call it at any time between open and close; in a forked child it says 0. */
SAVEPOINT_NODISCARD SAVEPOINT_API int savepoint_stop_wanted(const struct savepoint *session);

/* The interval that costs a long run least, from what takes of this session have cost so far and `mtbf_ns`, the mean
 * time between failures of program and machine: Daly's estimate of the optimum checkpoint interval, sqrt(2 C M) and
 * corrections, with C the mean pause; not less than a take needs on average until it is committed. NOT_FOUND before one
 * is. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_suggest_interval(struct savepoint *session, uint64_t *interval_ns, uint64_t mtbf_ns,
                           struct savepoint_error *error);

enum savepoint_restore_flags { SAVEPOINT_RESTORE_SKIP_MISSING = 1 /* regions not here are left out */ };

struct savepoint_restore_options {
    size_t size;
    uint32_t flags;
    uint32_t reserved;
    savepoint_progress *progress; /* may be NULL */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_RESTORE_OPTIONS_INIT { sizeof(struct savepoint_restore_options), 0, 0, NULL, NULL }
/* clang-format on */

/* Brings any snapshot of the archive or the ring back into the regions, while the caller guarantees that no thread uses
 * them. Waits for takes in flight, decodes and verifies every differing page before it writes any, writes
 * only pages that differ. Unsaved changes are discarded. Nothing in the file changes: HEAD moves with the next
 * take, which becomes a child of this snapshot: going on from an old one makes a branch. On error memory is
 * unchanged; pages that were decoded by then are stored whole by the next take.
 * In a ring one may go back, and forward again until something is taken or restored that has changed; what then lies
 * ahead is gone. Going back in the ring is an ordinary change to the archive, and the other way round. A region that
 * was removed since is missing for a snapshot of the ring, even if another one has its name now; the archive goes by
 * names. Errors: NOT_FOUND, CORRUPT, MISMATCH, BAD_MEMORY, IO, NO_MEMORY, CANCELLED, BUSY, FORKED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_restore(struct savepoint *session, const struct savepoint_id *id,
                  const struct savepoint_restore_options *options, struct savepoint_error *error);

/* Walk the snapshots of the session's ring, those that going back has left behind included: newest() is the one taken
 * last, previous() the one before `*snapshot`. EMPTY; NOT_FOUND at the end, or when `*snapshot` is no longer held. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_ring_newest(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error);
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_ring_previous(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error);

/* Finds a snapshot of the session's archive by expression, as savepoint_archive_find(); what is not there is looked for
 * in the ring: by take label (the newest), id or unique prefix of one. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_find(struct savepoint *session, struct savepoint_snapshot *snapshot, const char *expression,
               struct savepoint_error *error);

struct savepoint_promote_options {
    size_t size;
    const char *label; /* of the snapshot, of several the newest; NULL: that which it has; at most 255 bytes of UTF-8 */
    enum savepoint_durability durability; /* of them all; into an archive given by its path always SYNC in the end */
    savepoint_progress *progress;         /* may be NULL; total_bytes is 0 */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_PROMOTE_OPTIONS_INIT { sizeof(struct savepoint_promote_options), NULL, SAVEPOINT_SYNC, NULL, NULL }
/* clang-format on */

/* Makes snapshots of an archive from those of the ring: the one with this id, or with `id` NULL all that it holds,
 * going back has left behind included, oldest first, each the parent of the next. `path` NULL: in the session's own
 * archive, as a branch of the snapshot that the session stands on there; else in the archive at `path`, which is
 * created where it is missing and gone on with where it is not. They are new snapshots: they keep digest, time, label
 * and metadata (SAVEPOINT_METADATA_ORIGIN: the id in the ring), and get an id and a sequence of their own. HEAD stays
 * where it is, unless the archive was empty. `snapshot` (may be NULL) is the newest of them. Ring, regions and what is
 * pending stay as they are, and so does what the session's next snapshot goes on from. Threads may write to the regions
 * meanwhile; takes asked for by `progress` are BUSY. Waits for takes in flight to be encoded, and for the own archive
 * to be committed. It costs time in proportion to the pages that differ, from the archive's newest snapshot if it is
 * another archive, which is read whole. What was whole when it failed stays, and the message says how much that is.
 * Errors: NOT_FOUND (`id` is not in the ring), EMPTY, MISMATCH (a region that it holds was removed since), INVALID,
 * NOT_RESUMED (into the own archive, as for a take), LOCKED (also by this session), CORRUPT, CANCELLED, LIMIT, IO,
 * NO_SPACE, NO_MEMORY, UNCERTAIN, POISONED, BUSY, FORKED, NOT_AN_ARCHIVE, UNSUPPORTED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_promote(struct savepoint *session, struct savepoint_snapshot *snapshot, const struct savepoint_id *id,
                  const char *path, const struct savepoint_promote_options *options, struct savepoint_error *error);

struct savepoint_load_options {
    size_t size;
    const char *label;            /* NULL: that which it has; at most 255 bytes of UTF-8 */
    savepoint_progress *progress; /* may be NULL */
    void *progress_user;
};
/* clang-format off */
#define SAVEPOINT_LOAD_OPTIONS_INIT { sizeof(struct savepoint_load_options), NULL, NULL, NULL }
/* clang-format on */

/* Makes a snapshot of the ring from one of an archive, found by expression as savepoint_archive_find() does: in the
 * session's own archive where `path` is NULL, else in that at `path`, which may be in use. It is a new snapshot, with
 * digest, time, label and metadata of the old one (SAVEPOINT_METADATA_ORIGIN: its id). No memory is written, and
 * threads may write to the regions meanwhile: savepoint_restore() goes there, at the speed of the ring. What the
 * session's next snapshots go on from stays. Every page that differs from the ring's newest state is decoded and
 * verified, into memory of its own, before anything is changed. As with a take, what lies ahead after going back is
 * gone, and the oldest snapshots make room. `snapshot` may be NULL. Waits as savepoint_promote() does. On error ring
 * and archive are unchanged. Errors: NOT_FOUND, AMBIGUOUS, EMPTY, MISMATCH (of regions, by name), LIMIT (the ring's
 * budget has no room for it beside the snapshot that it stands on), CORRUPT, CANCELLED, IO, NO_MEMORY, BUSY, INVALID,
 * FORKED, NOT_AN_ARCHIVE, UNSUPPORTED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_load(struct savepoint *session, struct savepoint_snapshot *snapshot, const char *path, const char *expression,
               const struct savepoint_load_options *options, struct savepoint_error *error);

/* Region number `index` (0, 1, ...) of the session, in order of addition; NOT_FOUND past the last. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_region_at(struct savepoint *session, struct savepoint_region *region, size_t index,
                    struct savepoint_error *error);

enum savepoint_session_flags {
    SAVEPOINT_SESSION_FALLBACK = 1,      /* the system's primary write-watch is missing: see `backend` */
    SAVEPOINT_SESSION_TORN_CUT = 2,      /* open found a torn tail, saved it and cut it */
    SAVEPOINT_SESSION_RESEALED = 4,      /* open made an unsealed tail durable */
    SAVEPOINT_SESSION_WIDENED = 8,       /* the `signal` watch ran out of mappings and reports wider runs */
    SAVEPOINT_SESSION_BUILD_CHANGED = 16 /* HEAD was written by another build of the program */
};

struct savepoint_statistics {
    size_t size; /* set by the caller to sizeof(struct savepoint_statistics) */
    uint64_t takes_committed, takes_failed, takes_in_flight;
    uint64_t pages_reported;                       /* by the watch */
    uint64_t pages_captured;                       /* copied to staging */
    uint64_t pages_unchanged;                      /* dropped by comparison */
    uint64_t pages_zero, pages_delta, pages_whole; /* stored, by kind */
    uint64_t delta_bytes, key_bytes;               /* payload stored, by kind */
    uint64_t stored_bytes;                         /* growth of the archive, everything included */
    uint64_t pause_ns_last, pause_ns_max, pause_ns_total;
    uint64_t staging_waits; /* takes that had to wait for the worker to free staging memory */
    uint64_t staging_bytes_max;
    uint64_t restores, pages_restored;
    uint64_t torn_offset, torn_bytes; /* what open cut, if it did */
    uint32_t flags;                   /* enum savepoint_session_flags */
    char backend[16];                 /* of the most recent region */
    uint64_t autosaves;               /* committed */
    uint64_t autosaves_late;          /* put off because a take of the archive was in flight when they were due */
    uint64_t autosaves_dropped;       /* snapshots dropped by keep_last */
    uint64_t archive_bytes;           /* end of the newest transaction: what size_cap_bytes is compared with */
    uint64_t commit_ns_total;         /* from the beginning of each take to the end of its commit */
    uint64_t encoded_waits;           /* times that encoding had to wait for the writer to free memory */
    uint64_t encoded_bytes_max;       /* most bytes that were encoded and not yet written */
    uint64_t faults_avoided;   /* pages left unarmed because they change in almost every interval, which did change */
    uint64_t compared_in_vain; /* pages left unarmed that did not: among pages_unchanged */
    uint64_t ring_snapshots;   /* held */
    uint64_t ring_bytes;       /* that they take of the budget */
    uint64_t ring_dropped;     /* snapshots that had to make room */
    uint64_t live_rounds;      /* of LIVE snapshots: looks at the watch while the program ran */
    uint64_t live_pages_precopied; /* copied then, a page as often as it was */
    uint64_t live_pages_stopped;   /* copied in their stops */
    uint64_t live_pause_ns_last, live_pause_ns_max;
    uint64_t live_not_converged; /* stops that had more to copy than their budget, as they were announced */
    uint64_t compactions;        /* after which the session went on with a new file; and others: */
    uint64_t compactions_failed; /* or cancelled */
    uint64_t compacted_bytes;    /* by how much they made the archive smaller */
    uint64_t compacting;         /* 1 while one is waiting for its turn or running */
    uint64_t restores_around;    /* damage in the version they started from: savepoint_archive_verify() tells where */
    uint64_t pages_helped;       /* compared and hashed by callers, while they waited */
};
/* Fills in what fits `statistics->size`. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_read_statistics(struct savepoint *session, struct savepoint_statistics *statistics,
                          struct savepoint_error *error);

/* ---------------------------------------------------------------- where two states differ */

/* Two peers in lockstep tell each other the digest of each frame. When those of one frame differ, each opens the
 * hashes of its own snapshot of that frame, and one of them asks: first for the roots of all regions, then, from the
 * top of the first region's tree that differs, for the children of one node after the other, at most 16 hashes each
 * time. So the first page that differs is found by one question more than the tree has levels: 1 + log16 of its pages.
 * Answers are checked: they come to the peer's digest, or are refused. */
struct savepoint_hashes; /* of all pages of one snapshot, as trees; from open to close; 17 bytes a page */

/* Those of a snapshot of the session's ring, or of its archive: a copy, so the session may go on. From the ring it
 * costs a copy of the hashes that are there, and hashing the pages that changed since; from the archive every page is
 * decoded. To find where two snapshots of an archive differ, savepoint_archive_diff() looks at less. Threads may write
 * to the regions meanwhile. Waits for takes to be encoded, or for the archive's to be committed.
 * Errors: NOT_FOUND, MISMATCH (a region that it holds was removed since), CORRUPT, UNSUPPORTED, IO, NO_MEMORY, FORKED.
 */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_hashes_open(struct savepoint *session, struct savepoint_hashes **hashes, const struct savepoint_id *id,
                      struct savepoint_error *error);
SAVEPOINT_API void savepoint_hashes_close(struct savepoint_hashes *hashes); /* NULL does nothing */

#define SAVEPOINT_HASHES_FANOUT 16
struct savepoint_hashes_question {
    uint32_t region; /* its number, ordered by name */
    uint32_t level;  /* 0: the roots of all regions are asked for; else the children of a node of this level */
    uint64_t node;   /* its number in the level: the first of its children is 16 times that, in the level below */
};
/* Answers a peer's question with `*count` hashes: as many as there are regions, or at most SAVEPOINT_HASHES_FANOUT.
 * LIMIT: more than `capacity`. NOT_FOUND: there is no such node. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_hashes_answer(const struct savepoint_hashes *hashes, struct savepoint_id *answer, size_t *count,
                        size_t capacity, const struct savepoint_hashes_question *question,
                        struct savepoint_error *error);

/* Carries a question to the peer, and what savepoint_hashes_answer() says there back. Returns 0, or anything else to
 * stop with SAVEPOINT_CANCELLED. */
typedef int savepoint_hashes_ask(void *user, struct savepoint_id *answer, size_t *count, size_t capacity,
                                 const struct savepoint_hashes_question *question);

struct savepoint_first_difference {
    char region[SAVEPOINT_NAME_BYTES]; /* the first by name that differs */
    uint64_t page;                     /* the first in it that does */
    uint64_t region_pages;
    uint32_t questions; /* that were asked */
    uint32_t reserved;
};
/* Finds the first page that differs from the peer's snapshot with this digest. NOT_FOUND: none does, it is the same.
 * MISMATCH: the peer has regions of other names, sizes or addresses, or its answers are not of that snapshot.
 * Errors: NOT_FOUND, MISMATCH, CANCELLED, NO_MEMORY. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_hashes_compare(const struct savepoint_hashes *hashes, struct savepoint_first_difference *difference,
                         const struct savepoint_id *digest, savepoint_hashes_ask *ask, void *user,
                         struct savepoint_error *error);

/* ---------------------------------------------------------------- write-watch backends */

struct savepoint_backend {
    char name[16];
    uint32_t available;             /* 1 when the probe found it working in this process */
    uint32_t kernel_writes_counted; /* 0: system calls writing into watched memory fail unless prepared */
    uint32_t tracking_page_bytes;
    uint32_t reserved;
    char detail[384]; /* why not, and what to do; or its mechanism */
};
/* Backend number `index` in order of preference on this system; NOT_FOUND past the last. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_backend_at(struct savepoint_backend *backend, size_t index, struct savepoint_error *error);

#ifdef __cplusplus
}
#endif

#include "savepoint/archive.h"
#endif
