/* peers.h - other ways to save the same state, each in a process that holds nothing else
 *
 * A process of its own, because fork() copies the page tables of all of a process: what the subject maps would count
 * against the peer. It makes the same changes to the same state, and works only when it is asked to. */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "workload.h"

enum peer {
    /* Those that save all of the state each time. */
    PEER_FULL_WRITE,      /* write(2) all of the state, fdatasync; the program stands meanwhile */
    PEER_MEMCPY_ZSTD,     /* memcpy all of it, then zstd -1, write, fdatasync; it stands for the memcpy */
    PEER_FORK_4K,         /* fork; the child zstd -1, writes, fdatasyncs; it stands for fork() */
    PEER_FORK_THP_FRESH,  /* the same from transparent huge pages, for the first time */
    PEER_FORK_THP_STEADY, /* and once more, when the changes made beside the child have split them */
    PEER_WHOLE_COUNT,
    /* Those that know, or find out, what was changed. */
    PEER_MSYNC = PEER_WHOLE_COUNT, /* the state is a shared mapping of a file in small folios; msync, which syncs */
    PEER_REFLINK, /* the same, plainly, and FICLONE, fdatasync: on XFS in a loop device where need be */
    PEER_LMDB,    /* hashes all pages; what has changed goes into one transaction */
    PEER_COUNT
};

/* The processes: who lives in which. */
enum peers_home {
    PEERS_SMALL, /* FULL_WRITE, MEMCPY_ZSTD, FORK_4K: the state in pages of 4 KiB */
    PEERS_HUGE,  /* FORK_THP_FRESH, FORK_THP_STEADY: in transparent huge pages */
    PEERS_MSYNC,
    PEERS_REFLINK,
    PEERS_LMDB,
    PEERS_HOME_COUNT
};

struct peer_result {
    double pause_ms;   /* the program may not run */
    double cpu_ms;     /* user and system, children included; the program's own changes are not counted */
    double wall_ms;    /* until it is on the disk */
    double bytes;      /* that went to files; negative: not known here */
    double restore_ms; /* of peers_restore alone */
    bool failed;
    char why[64];
};

struct peers {
    pid_t process;
    int channel;
};

const char *peer_name(enum peer peer);
enum peers_home peer_home(enum peer peer);
/* False for forks: what they save is what MEMCPY_ZSTD saves. */
bool peer_restores(enum peer peer);

/* Starts a process. Call it before this process maps anything large. Files are written to and removed from `folder`. */
void peers_start(struct peers *peers, const struct workload_shape *shape, const char *folder, enum peers_home home);
/* From now on the intervals are those of another workload, of as many pages; the state stays. */
void peers_reshape(struct peers *peers, const struct workload_shape *shape);
/* Goes on by one interval and saves it. FRESH makes the state anew; STEADY belongs behind it. */
void peers_run(struct peers *peers, enum peer peer, struct peer_result *result);
/* Brings back, into memory that nobody has touched, what peers_run saved last; the page cache is warm. What comes
 * back is compared, outside the time. For those that peer_restores. */
void peers_restore(struct peers *peers, enum peer peer, struct peer_result *result);
void peers_stop(struct peers *peers);

#endif
