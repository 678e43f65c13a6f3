/* power_disk.h - a record of the writer's system calls, and every state of the disk that a power cut may leave
 *
 * What was synced is on the disk. Of what was written since, each 4096-byte block is there in any of the versions it
 * went through, or not at all, and the file has any of the sizes it went through; a block may also be torn between two
 * versions at a multiple of 512 bytes. So it is for each file by itself; the names in their folder stand as they did
 * when it was last synced, or at any moment since. */
#ifndef POWER_DISK_H
#define POWER_DISK_H

#include "crash_fixture.h"
#include "os/file.h"

enum { BLOCK = 4096, SECTOR = 512, STEPS_MAX = 4000, BLOCKS_MAX = 256, VERSIONS_MAX = 40, EXHAUSTIVE = 4096 };
enum { FILES_MAX = 16, NAMES = 2, NO_FILE = -1 };

struct names { /* which file has them */
    int files[NAMES];
};

struct step { /* one system call, or a promise given */
    enum { STEP_WRITE, STEP_TRUNCATE, STEP_SYNC, STEP_NAMES, STEP_FOLDER, STEP_DURABLE } kind;
    int file; /* of a write, a truncation or a sync; numbered as they are met */
    uint8_t *bytes;
    size_t count, offset;
    size_t snapshots;   /* STEP_DURABLE: so many have been promised */
    struct names names; /* STEP_NAMES: from then on */
};

struct record {
    size_t count;
    struct step steps[STEPS_MAX];
    size_t file_count;
    uint64_t inodes[FILES_MAX];
    struct names names; /* as they are now */
};

/* Begins or ends recording; what was recorded stays until it is forgotten. */
void record_calls(bool on);
void record_durable(size_t snapshots);
/* Names are told by tests that have several files, right after the call: name number `name` is that of a new file;
 * that of the file which was `from`; that of none. */
void record_created(size_t name, const struct svp_file *file);
void record_renamed(size_t from, size_t to);
void record_removed(size_t name);
const struct record *recorded(void);
void forget_record(void);

struct image {
    size_t size;
    uint8_t bytes[BLOCKS_MAX * BLOCK];
};

struct window { /* what happened between the last sync and the cut */
    size_t block_count;
    struct {
        size_t block, version_count;
        uint8_t *versions[VERSIONS_MAX]; /* [0]: what is durable */
    } blocks[BLOCKS_MAX];
    size_t size_count, sizes[STEPS_MAX];
    size_t durable; /* snapshots promised */
};

/* Replays steps [0, cut) of a file: `image` ends as what is durable, `window` holds what may be there besides. */
void open_window(struct window *window, struct image *image, int file, size_t cut);
void free_window(struct window *window);
/* How many states the window stands for, torn blocks not counted; above EXHAUSTIVE some number above it. */
size_t count_states(const struct window *window);
/* Builds the state in which block i stands at version choice[i], torn at sector tear[i] towards the version before. */
void build_state(struct image *image, const struct image *durable, const struct window *window, const size_t *choice,
                 const size_t *tear, size_t size);

#endif
