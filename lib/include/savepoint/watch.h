/* watch.h - the write-watch by itself: which pages of memory were written since they were last armed
 *
 * SPDX-License-Identifier: MIT
 *
 * For garbage collectors, emulators and fuzzers; whoever takes snapshots needs savepoint.h alone. The rules of
 * savepoint.h hold here too: pointers must not be NULL unless the comment says so, `error` may always be NULL, and
 * outputs are untouched on failure. And:
 *  - Errors mean "unknown": after a collect, a reset or a mark that did not return OK, treat every page it was asked
 *    about as written. What earlier calls reported stands. A write is never dropped silently.
 *  - A write is reported by the collect that runs, or by the next one: never by neither. A write that was complete
 *    when a collect began is reported by that collect, if it gets that far. Pages may be reported that were not
 *    written; SAVEPOINT_WATCH_PEEK changes nothing, and else exactly the pages reported are re-armed.
 *  - Read a page after the collect that reported it has returned, never before.
 *  - A page is capabilities.page_bytes here: the host's page, 4096 or 16384 bytes. Addresses and lengths are multiples
 *    of it, lengths are not 0, and a part of memory must lie inside one range that was added: INVALID, or NOT_FOUND for
 *    memory that was not added. Then nothing has changed, and nothing was armed.
 *  - Threads: any number of them may write to the memory at any time (capabilities.concurrent_writers_safe), and any
 *    number may call into one watch, but for savepoint_watch_close(). Collects of parts that lie apart run beside each
 *    other (capabilities.concurrent_collects) or one after the other; those that overlap share the pages out between
 *    them. To prepare or mark pages while they are collected has no order.
 *  - fork: the parent keeps its watch and what was written. In the child the watch is the parent's: every call returns
 *    FORKED, but for savepoint_watch_close(), which gives the child ordinary memory and leaves the parent's alone.
 *  - docs/PLATFORMS.md tells what each backend sees of madvise, mremap, mprotect and the like. */
#ifndef SAVEPOINT_WATCH_H
#define SAVEPOINT_WATCH_H

#include "savepoint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- what a backend can do */

enum savepoint_watch_cost { /* of the first store to an armed page */
                            SAVEPOINT_WATCH_COST_KERNEL_FAULT =
                                0, /* a fault that the kernel resolves by itself: about a microsecond */
                            SAVEPOINT_WATCH_COST_SIGNAL = 1, /* a signal and a system call: several microseconds */
                            SAVEPOINT_WATCH_COST_NOTHING =
                                2 /* nothing, but every page is reported, and left to you to compare */
};

struct savepoint_watch_capabilities {
    size_t page_bytes;                /* unit of tracking and of all addresses: the host's page */
    uint32_t kernel_writes_counted;   /* 1: read(2) and friends into watched memory work and are reported; 0: they fail
                                         with EFAULT unless savepoint_watch_prepare() went before */
    uint32_t atomic_rearm;            /* 1: reporting and re-arming are one step for each page */
    uint32_t concurrent_writers_safe; /* 1: collects may run while threads write */
    uint32_t concurrent_collects;     /* 1: collects of parts that lie apart run beside each other; 0: in turn */
    uint32_t arms_memory;             /* 0: nothing is armed and every page is always reported (`compare`) */
    uint32_t exclusive;               /* 1: memory can be in only one such watch of the process */
    uint32_t cost;                    /* enum savepoint_watch_cost */
    uint32_t reserved;
};

struct savepoint_watch_backend {
    char name[16];       /* "uffd" */
    char mechanism[112]; /* one line for people */
    uint32_t available;  /* 1 when the probe found it working in this process */
    uint32_t reserved;
    struct savepoint_watch_capabilities capabilities; /* all zero where it is not available */
    char problem[368];                                /* why it is not available and what to do; else empty */
};

/* Backend number `index` in order of preference on this system, tried on a page of memory at each call; NOT_FOUND past
 * the last. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_backend_at(struct savepoint_watch_backend *backend, size_t index, struct savepoint_error *error);

/* ---------------------------------------------------------------- a watch and its ranges */

struct savepoint_write_watch; /* owned from open to close; one backend and the ranges added to it */

enum savepoint_watch_flags {
    SAVEPOINT_WATCH_KERNEL_WRITES = 1 /* only a backend that counts kernel writes will do: where the best is missing
                                         `compare` steps in, never `signal` */
};

struct savepoint_watch_options {
    size_t size;
    const char *backend; /* force one: "uffd", "mach", "signal", "compare"; NULL: the environment variable
                            SAVEPOINT_WATCH, else the best that works */
    uint32_t flags;      /* enum savepoint_watch_flags */
    uint32_t reserved;
};
/* clang-format off */
#define SAVEPOINT_WATCH_OPTIONS_INIT { sizeof(struct savepoint_watch_options), NULL, 0, 0 }
/* clang-format on */

/* Opens a watch without ranges. A backend that is forced and cannot work is NO_BACKEND, never another one instead;
 * where the system's best is missing without being forced, the next one serves and savepoint_watch_describe() says
 * `fallback`: look there, since `signal` asks for savepoint_watch_prepare(). That may be for the moment only: `uffd`
 * takes two descriptors for each watch, and is missing where none is free. Missing memory is NO_MEMORY, never a
 * fallback. Errors: NO_BACKEND, INVALID, UNSUPPORTED, NO_MEMORY. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_open(struct savepoint_write_watch **watch, const struct savepoint_watch_options *options,
                     struct savepoint_error *error);

/* Ends the watch of all ranges: the memory is ordinary again. Threads may be writing to it, but none may be in another
 * call of this watch. NULL does nothing. */
SAVEPOINT_API void savepoint_watch_close(struct savepoint_write_watch *watch);

struct savepoint_watch_info {
    char backend[16];
    uint32_t fallback; /* 1: the best of this system is missing; savepoint_watch_backend_at() says why */
    uint32_t widened;  /* 1: pages beside written ones had to be reported too (mapping limit of the system) */
    size_t range_count;
    size_t watched_bytes;
    struct savepoint_watch_capabilities capabilities;
};
/* Errors: INVALID, FORKED. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_describe(struct savepoint_write_watch *watch, struct savepoint_watch_info *info,
                         struct savepoint_error *error);

/* Starts to watch memory, which stays the caller's: mapped, readable and writable throughout. It is armed when this
 * returns: clean, and writes from now on are reported. Ranges may touch, and stay separate.
 * Errors, with nothing armed: INVALID; OVERLAP with a range of this watch, or, where capabilities.exclusive, of another
 * watch or session of the process; BAD_MEMORY for what is not mapped or cannot be watched; IO where the system does not
 * tell what is mapped (on Linux: no free descriptor, or no /proc), or refuses; FORKED, NO_MEMORY. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_add(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error);

/* Ends the watch of a range that was added with just these bounds (else NOT_FOUND, INVALID, and it goes on). What was
 * written and not collected is forgotten. To be called before the memory is unmapped. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_remove(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error);

/* ---------------------------------------------------------------- collecting */

/* What is still to be looked at. A collect looks from `next` on and moves it behind the last page it has looked at, so
 * that the same call goes on where a limit stopped it; all is done when next == end.
 *     struct savepoint_watch_span span = { base, base + bytes };
 *     while (span.next < span.end && savepoint_watch_collect_...(watch, ..., &span, ...) == SAVEPOINT_OK) { ... } */
struct savepoint_watch_span {
    void *next, *end;
};

struct savepoint_watch_range { /* neighbouring written pages */
    void *start;
    size_t bytes;
};

enum savepoint_watch_collect_flags {
    SAVEPOINT_WATCH_PEEK = 1 /* report only: the pages stay written. Without it exactly those reported are re-armed */
};

/* Writes the written pages of `span` as ranges, ascending, to ranges[0 .. *range_count). Stops early when
 * `range_capacity` ranges (at least 1) or `max_pages` pages (0: no limit) are reached. One range may begin where the
 * one before it ends: where a limit stopped a call, or a page between them was written meanwhile. Errors: INVALID,
 * NOT_FOUND, FORKED; BAD_MEMORY where other memory stands in place of what was added, as far as the backend can tell
 * (memory that is gone altogether, by munmap or mremap, may have nothing to report); NO_BACKEND where the system
 * forbids since what it allowed when the watch was opened; NO_MEMORY, IO. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_collect_ranges(struct savepoint_write_watch *watch, struct savepoint_watch_range *ranges,
                               size_t range_capacity, size_t *range_count, struct savepoint_watch_span *span,
                               size_t max_pages, uint32_t flags, struct savepoint_error *error);

/* The same as addresses of pages, ascending: at most `address_capacity` of them, at least 1. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_collect_addresses(struct savepoint_write_watch *watch, void **addresses, size_t address_capacity,
                                  size_t *address_count, struct savepoint_watch_span *span, uint32_t flags,
                                  struct savepoint_error *error);

/* The same as bits: the page at `origin` (not NULL, at or below span->next) is bit 0, which is the lowest of bitmap[0],
 * page i bit i % 64 of bitmap[i / 64]. Written pages set their bits, no bit is cleared: results add up. The bitmap
 * reaches to span->end. `page_count` (may be NULL): the pages reported. Threads that collect at once need bitmaps of
 * their own, or spans that meet at a multiple of 64 pages from origin. On failure some bits may have been set. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_collect_bitmap(struct savepoint_write_watch *watch, uint64_t *bitmap, const void *origin,
                               size_t *page_count, struct savepoint_watch_span *span, size_t max_pages, uint32_t flags,
                               struct savepoint_error *error);

/* Re-arms a part without reporting: what was written there before is forgotten. Errors: as collecting. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_reset(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error);

/* Declares a part written, until it is re-armed: for writes that no watch sees (pinned DMA and registered io_uring
 * buffers, a second mapping of shared memory, what docs/PLATFORMS.md lists). Errors: INVALID, NOT_FOUND, FORKED;
 * BAD_MEMORY, NO_MEMORY or IO where memory under watch was replaced or is gone. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_mark(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error);

/* Makes a part safe for system calls that write into it (read, recv) until it is re-armed, and reports all of it:
 * needed where kernel writes are not counted, harmless elsewhere. Errors: as savepoint_watch_mark(); after NO_MEMORY or
 * IO of it system calls may still fail there. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_prepare(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error);

/* ---------------------------------------------------------------- as on Windows */

/* For programs written against GetWriteWatch and ResetWriteWatch: one watch for the process, opened when it is first
 * needed (SAVEPOINT_WATCH chooses its backend) and never closed. These functions return 0, or -1 and set errno, with
 * outputs and state as before:
 *     EINVAL  where Windows gives ERROR_INVALID_PARAMETER (87)
 *     EFAULT  where Windows gives ERROR_NOACCESS (998)
 *     EPERM   in a forked child, for the parent's memory; the child's first savepoint_write_watch_alloc(), which no
 *             other call may run beside, gives it a watch of its own, and from then on that memory is not under watch
 *     EIO     no backend works here, or it failed: then all of the range counts as written. Or ENOMEM.
 * Other than on Windows, a system call that writes into watched memory marks the pages it writes, not all of its
 * buffer; under `signal` it needs savepoint_watch_prepare() of the savepoint_watch_default() watch.
 *
 * `compare`, where SAVEPOINT_WATCH asks for it, arms nothing: each call reports every page again, as many as there is
 * room for, whatever was reset. A program that asks from the same base until nothing is left would ask for ever: one
 * that may run so goes on behind the last address, or has room for all pages. */

enum savepoint_write_watch_flags { SAVEPOINT_WRITE_WATCH_RESET = 1 /* WRITE_WATCH_FLAG_RESET */ };

/* As VirtualAlloc with MEM_RESERVE, MEM_COMMIT and MEM_WRITE_WATCH: zero-filled, clean memory under watch, its size
 * rounded up to whole pages. NULL and errno (EINVAL for 0 bytes, ENOMEM, EPERM, EIO) on failure. What is taken out of
 * the default watch by savepoint_watch_remove() is the caller's from then on, to be unmapped by munmap(2): see
 * savepoint_write_watch_free(). */
SAVEPOINT_API void *savepoint_write_watch_alloc(size_t bytes);

/* As VirtualFree with MEM_RELEASE: `base` is what savepoint_write_watch_alloc() returned, else EINVAL; that is also
 * what memory gets that is no longer under watch, and it stays mapped. */
SAVEPOINT_API int savepoint_write_watch_free(void *base);

/* Addresses of written pages from `base` (rounded down to a page) to base + bytes (rounded up), ascending, to
 * addresses[0 .. *count), where *count is the capacity before; *granularity is the bytes of a page. With
 * SAVEPOINT_WRITE_WATCH_RESET the pages reported, and only those, are re-armed. All must lie in one allocation.
 * Checked in this order: count or granularity NULL: EFAULT; *count or bytes 0: EINVAL; an unknown flag: EINVAL;
 * addresses NULL: EFAULT; memory that is not under watch: EINVAL. */
SAVEPOINT_API int savepoint_get_write_watch(uint32_t flags, void *base, size_t bytes, void **addresses, size_t *count,
                                            uint32_t *granularity);

/* Re-arms from `base` (rounded down to a page) to base + bytes (rounded up). EINVAL for 0 bytes and for memory that is
 * not under watch. */
SAVEPOINT_API int savepoint_reset_write_watch(void *base, size_t bytes);

/* The watch behind these functions, for all that savepoint_watch_* can do with it: memory that is added to it by
 * savepoint_watch_add() is served here too. Never to be closed. */
SAVEPOINT_NODISCARD SAVEPOINT_API enum savepoint_status
savepoint_watch_default(struct savepoint_write_watch **watch, struct savepoint_error *error);

#ifdef __cplusplus
}
#endif
#endif
