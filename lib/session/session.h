/* session.h - what a session is made of: regions, an archive, a ring or both, workers
 *
 * Three threads meet here: the caller's, in API calls; the encoder, which turns captured pages into the bytes of a
 * transaction; and the writer, which writes and syncs them, in the order of the tickets. Callers that wait help the
 * encoder (examine.h). Once a LIVE snapshot was asked for there is one more (live.h), which collects as the caller
 * does: the watch is asked, and what it reports entered, with `watching` held (before `mutex`). Everything under
 * "shared" is touched only with `mutex` held; everything under "encoder" or "writer" belongs to that thread while takes
 * are in flight and to the caller once svp_session_drain has returned. */
#ifndef SVP_SESSION_H
#define SVP_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/append.h"
#include "archive/catalog.h"
#include "archive/reader.h"
#include "format/compare.h"
#include "format/index.h"
#include "format/pages.h"
#include "format/tree.h"
#include "os/thread.h"
#include "pageset.h"
#include "ring/ring.h"
#include "session/hot.h"
#include "savepoint.h"
#include "watch/watch.h"

enum {
    SVP_CHUNK_PAGES = 64,
    SVP_EXAMINED = 8, /* chunks examined ahead, and one */
    SVP_HOOKS_MAX = 16,
    SVP_RESULTS = 1024,
    SVP_WATCHES_MAX = 8, /* backends in use at once */
    SVP_LEVELS = 16,     /* 4^15 commits and more share the top level */
    SVP_RUNS = 4096      /* runs one collect call reports */
};

struct svp_page_state {     /* where the newest stored version of a page is, and what replaying it costs */
    uint64_t record_offset; /* 0: never stored, zeros */
    uint32_t changed_depth; /* depth of the commit that stored it, or later */
    uint16_t key_bytes;     /* about what the page whole took */
    uint16_t delta_bytes;   /* the deltas on top of it */
    uint8_t links;
    bool batched; /* a newer version waits in a batch, and the shadow holds that one */
};

struct svp_range { /* a part of a region as it was added to the watch */
    uintptr_t start;
    size_t bytes;
};

struct svp_region {
    uint32_t id;      /* in the archive */
    uint32_t ring_id; /* in the ring */
    char name[SAVEPOINT_NAME_BYTES];
    bool mapped;
    bool untouched; /* nothing was taken or restored since it was made: the shadow is zeros */
    uint8_t *base;
    size_t bytes;
    size_t reserve_bytes; /* mapped: address space kept */
    uint64_t pages;
    const struct svp_watch_backend *backend;
    struct svp_watch *watch; /* owned by the session, shared by its regions of that backend */
    bool kernel_faults;      /* a store to an armed page works, at the cost of a fault that the kernel resolves */
    size_t range_count;
    struct svp_range *ranges;
    bool arms_memory;            /* capability of the backend ... */
    size_t host_page_bytes;      /* ... and its unit */
    struct svp_pageset excluded; /* changes only while no take is in flight */
    bool collects_live;          /* arms memory, and can be asked while threads write */
    bool refuses_kernel;         /* system calls cannot write to armed memory */
    atomic_bool prepared;        /* with `watching` held: for system calls, since a LIVE snapshot is being prepared */
    struct svp_hot hot;          /* pages left unarmed: hot.h says who touches what */

    /* shared */
    struct svp_pageset pending;      /* may differ from the archive's last commit */
    struct svp_pageset no_base;      /* must be stored whole there: the shadow is not what was committed */
    struct svp_pageset rebased;      /* moved by takes of the ring since: the log may know what was committed */
    struct svp_pageset ring_pending; /* may differ from the shadow, where there is a ring: it logs what the shadow goes
                                        through, whichever take moves it */
    struct svp_pageset precopied;    /* a LIVE snapshot is being prepared and has copied them as they are: live.h */

    /* encoder */
    uint8_t *shadow_memory;
    uint8_t *shadow;           /* in it, at a page boundary */
    struct svp_pageset absent; /* what the shadow does not hold: pages restored into new memory (recall.h); changed with
                                  the mutex held, for callers that examine */
    struct svp_page_state *states;
    struct svp_tree tree;
};

struct svp_examined {                            /* what was found out about the pages of a chunk */
    struct svp_changes changes[SVP_CHUNK_PAGES]; /* from the shadow to what was staged */
    struct svp_hash hashes[SVP_CHUNK_PAGES];     /* of what was staged; unset where that is the same, and has a base */
};

struct svp_chunk { /* staged pages of one region, in order */
    struct svp_chunk *next;
    struct svp_region *region;
    struct svp_examined *examined; /* shared, until it is ready: NULL: nobody has begun; then the encoder's */
    bool ready;                    /* shared: it is examined */
    uint32_t count;
    uint64_t no_base; /* bit i: pages[i] bypasses the comparison */
    uint64_t unarmed; /* bit i: pages[i] is here because it was left unarmed, written or not */
    uint64_t rebased; /* bit i: its base is in the log of the ring */
    uint64_t pages[SVP_CHUNK_PAGES];
    uint8_t bytes[SVP_CHUNK_PAGES * SVP_PAGE_BYTES];
};

struct svp_examiner {             /* of the chunks of the take that is encoded next */
    struct svp_examined *results; /* SVP_EXAMINED; the first is for what the encoder examines when it needs it */

    /* shared */
    uint32_t used; /* bit i: results[i] is a chunk's */
    uint32_t idle; /* callers that wait, and have found nothing to examine */
    bool awaited;  /* the encoder waits for what a caller has begun */
};

struct svp_staging {     /* memory for chunks: what is in use, and what is kept for the next take */
    uint64_t used_bytes; /* of chunks between staging and encoding */
    uint64_t peak_bytes; /* the most in use since a take last ended */
    uint64_t kept_bytes; /* what recent takes needed: spare chunks beyond it are freed */
    uint64_t spare_bytes;
    uint32_t waiting; /* callers, for room in the budget */
    struct svp_chunk *spare;
    uint64_t expected_bytes; /* a LIVE snapshot is being prepared, whose stop will need so much: kept spare for it */
    uint64_t stored_bytes;   /* copied by LIVE snapshots, beside the chunks */
};

struct svp_capture { /* what a take holds of one region, to be given back should it fail */
    struct svp_region *region;
    struct svp_pageset captured;
    struct svp_pageset no_base;
    struct svp_pageset rebased;
    struct svp_pageset staged; /* of an archive's take beside a ring: the shadow holds the other pages already; of a
                                  LIVE one: what its stop has to copy ... */
    struct svp_pageset stored; /* ... and what was copied before */
};

struct svp_history { /* where the next commit stands: plain data */
    uint64_t parent; /* offset of its COMMIT, 0 for a root */
    struct svp_hash parent_id;
    uint32_t depth;               /* of the parent */
    uint64_t levels[SVP_LEVELS];  /* [k]: the newest commit of the base chain whose depth is divisible by 4^k */
    uint64_t regions_offset;      /* REGIONS record in force at the parent */
    struct svp_hash regions_hash; /* of its body */
};

struct svp_stand { /* what the next transaction goes on from: the file's end, the history's */
    struct svp_tail tail;
    struct svp_history history;
};

struct svp_block { /* bytes of a transaction that are laid out, and not yet written */
    struct svp_block *next;
    struct svp_buffer bytes;
};

struct svp_encoded { /* memory for blocks: what is in use, and what is kept for the next one */
    uint64_t used_bytes;
    bool awaited; /* the encoder waits for room in the budget */
    size_t spare_count;
    struct svp_block *spare;
};

struct svp_counts { /* what a commit stored */
    uint64_t delta_bytes, key_bytes;
    uint64_t unchanged, zero_pages, delta_pages, whole_pages;
    uint64_t faults_avoided, compared_in_vain; /* pages that were left unarmed: changed, and not */
};

struct svp_take { /* one take in flight */
    struct svp_take *next;
    uint64_t ticket;
    bool for_ring, live;
    enum savepoint_durability durability;
    uint32_t flags; /* SVP_COMMIT_... */
    char label[SAVEPOINT_LABEL_BYTES];
    struct svp_buffer metadata; /* META body */
    uint64_t started_ns;        /* monotonic */
    uint64_t time_ns, pause_ns;
    uint32_t keep_last; /* autosaves to keep, this one among them; 0: all */
    size_t capture_count;
    struct svp_capture *captures;
    struct svp_compaction *compaction; /* it is none, but a compaction of the archive in the queue of takes */
    struct svp_store *store;           /* of a LIVE one, until it is encoded: the pages copied before the stop */

    /* encoder; writer once `encoded` is set */
    struct svp_stand after; /* the commit */
    struct svp_commit commit;
    uint64_t commit_offset;
    struct svp_counts counts;

    /* shared */
    struct svp_chunk *first_chunk, *last_chunk; /* staged, not yet taken by the encoder */
    struct svp_block *first_block, *last_block; /* laid out, not yet taken by the writer */
    bool complete;                              /* nothing more will be staged */
    bool moved;                                 /* what it has captured is in the shadow */
    bool encoded;                               /* nothing more will be laid out: the encoder is done with it */
    bool committing;                            /* its last block is being written: too late to give it up */
    enum savepoint_status status;               /* the first failure */
    struct savepoint_error error;
};

struct svp_result {  /* how a take ended */
    uint64_t ticket; /* 0: none yet */
    enum savepoint_status status;
    struct savepoint_error error;
    struct savepoint_snapshot snapshot;
};

struct svp_untold {  /* that the last take of the archive failed, as long as nobody was told: close tells it */
    uint64_t ticket; /* 0: it did not, or that was told */
    bool autosave;
    struct savepoint_error error;
};

struct svp_twins {   /* pages stored by themselves, by hash (twins.h) */
    size_t capacity; /* a power of two; 0: there is no table */
    struct svp_twin *places;
};

struct svp_encoder { /* batches being filled */
    struct svp_packer *packer;
    struct svp_region *region;                  /* all batches belong to it */
    struct svp_batch *batches[SVP_CODER_COUNT]; /* by coder id */
    struct svp_index index;
    struct svp_twins twins;
    uint32_t depth; /* of the commit being written */
    uint64_t runs;  /* of consecutive pages in one batch */
    uint64_t pages_stored;
    struct svp_counts counts;
    uint64_t refresh_group; /* the next to be looked at, counted through all regions */
    int64_t refresh_credit; /* bytes that may be stored anew */
};

struct svp_recall { /* of the archive as it was when pages became absent */
    bool open;
    struct svp_source source;
    struct svp_reader reader;
};

struct svp_autosave { /* what savepoint_autosave asked for, and when the next one is due */
    struct savepoint_autosave_options options;
    char label[SAVEPOINT_LABEL_BYTES]; /* where options.label points, unless it is NULL */
    uint64_t since_ns;                 /* monotonic: the interval began */
    bool late;                         /* the one that is due has been put off and counted */
};

struct svp_kept { /* an autosave that is not dropped */
    struct svp_tombstone tombstone;
    bool dropped; /* by the transaction being written */
};

/* The autosaves that keep_last may drop. Encoder, then writer, of an autosave: the next one is taken when it has ended.
 */
struct svp_drops {
    bool listed;
    size_t count;
    struct svp_kept *kept; /* oldest first */
};

struct svp_compacting {         /* when the archive is worth it */
    uint64_t dropped_bytes;     /* about what only dropped snapshots need */
    uint64_t autosaves_dropped; /* at the newest commit */
    uint64_t retry_ns;          /* monotonic: not before, since */
    unsigned failures;          /* so many have failed in a row */
};

struct svp_ring_history { /* where the next mark stands */
    uint8_t uuid[16];
    bool has_parent;
    struct savepoint_id parent;
    uint64_t sequence; /* the highest given */
};

struct svp_hook {
    savepoint_hook *call;
    void *user;
};

struct savepoint {
    uint64_t process; /* that opened it: in a forked child the session is inert */
    struct savepoint_options options;
    char watch_name[32]; /* forced backend, "" for none */
    bool has_archive, has_ring;
    char *archive_path; /* links resolved, when it was opened */

    /* caller */
    size_t region_count;
    struct svp_region **regions;
    uint32_t next_region_id, next_ring_id;
    size_t watch_count;
    struct {
        const struct svp_watch_backend *backend;
        struct svp_watch *watch;
    } watches[SVP_WATCHES_MAX];
    struct svp_watch_run *runs; /* SVP_RUNS, resident: the kernel writes to them */
    size_t hook_count;
    struct svp_hook hooks[SVP_HOOKS_MAX];
    bool positioned;                     /* resumed, restored, new, or a second root: a take has a parent */
    uint64_t next_ticket, newest_ticket; /* the newest given to a take */
    struct svp_repair repair;
    struct svp_autosave autosave;

    struct svp_live *live; /* from the first LIVE snapshot on; set with the mutex held */
    struct svp_mutex *watching;

    /* any thread */
    atomic_bool stop_wanted;               /* a tick has to end a LIVE snapshot, or to tell why there is none */
    atomic_uint busy;                      /* what is in flight and puts autosaves off; takes being prepared */
    atomic_uint_least64_t autosave_due_ns; /* monotonic; UINT64_MAX: none will be due */

    /* shared */
    struct svp_mutex *mutex;
    struct svp_condition *changed;           /* for callers and the encoder */
    struct svp_condition *to_write;          /* for the writer */
    struct svp_take *first_take, *last_take; /* in flight, oldest first; the writer frees the first */
    struct svp_take *next_take;              /* of them, the oldest that is not encoded */
    struct svp_stand written;                /* after the newest commit */
    bool gone_back;                          /* a take failed since the encoder went on from the one before */
    bool stopping;
    bool restoring;
    bool writer_poisoned;
    struct svp_staging staging;
    struct svp_examiner examiner;
    struct svp_encoded encoded;
    struct savepoint_statistics statistics;
    struct svp_result *results;              /* SVP_RESULTS, by ticket modulo */
    struct savepoint_error autosave_failure; /* for the next tick to return; status OK: none */
    struct svp_untold untold;
    struct svp_compacting compacting;

    struct svp_thread *encoder_thread, *writer_thread;

    /* encoder */
    struct svp_take *laying_out;
    struct svp_append append; /* but for its output */
    struct svp_history history;
    struct svp_encoder encoder;
    struct svp_recall recall;
    struct svp_drops drops;
    struct svp_ring ring;
    struct svp_ring_history ring_history;
    uint64_t rebased_since;        /* position in its log: rebased pages have not moved between their commit and here */
    struct svp_chunk *from_shadow; /* pages that are encoded without having been staged */

    /* writer: append.output, and */
    struct svp_catalog catalog;
    struct svp_reader reader;
};

/* FORKED in a child; else OK. */
enum savepoint_status
svp_session_check(const struct savepoint *session, const char *operation, struct savepoint_error *error);
/* Waits until no take is in flight. */
void svp_session_drain(struct savepoint *session);
/* Waits until none is being encoded: what belongs to the encoder is the caller's until the next take. */
void svp_session_settle(struct savepoint *session);
/* NULL when there is none of that name. */
struct svp_region *svp_session_region(const struct savepoint *session, const char *name);

#endif
