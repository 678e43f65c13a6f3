/* fault.h - failures made on purpose: the Nth call of a wrapped function fails
 *
 * A test that links fault.c passes WRAP ${fault_wraps} (tests/CMakeLists.txt) to savepoint_add_test. One test at
 * a time; the library's worker and the test's own thread may both run into a fault. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_READ,        /* svp_file_read */
    FAULT_WRITE,       /* svp_file_write */
    FAULT_SYNC,        /* svp_file_sync */
    FAULT_SYNC_FOLDER, /* svp_file_sync_folder */
    FAULT_TRUNCATE,    /* svp_file_truncate */
    FAULT_MEMORY,      /* svp_memory_alloc, _zalloc, _resize */
    FAULT_KINDS
};

/* Call `number` (1 is the next one) of `kind` fails with `os_code`, and with `sticky` every later one too. Number 0
 * fails nothing and only counts. Kinds are armed apart from each other. */
void fault_arm(enum fault_kind kind, uint64_t number, bool sticky, int os_code);
/* Every write that fails has stored the first half of its bytes. */
void fault_tear_writes(bool tear);
/* Everything works again. */
void fault_disarm(void);
/* Calls of that kind since fault_arm, and how many of them failed; counted on until the kind is armed again. */
uint64_t fault_calls(enum fault_kind kind);
uint64_t fault_hits(enum fault_kind kind);

/* While held, the session's encoder, or its writer, does not begin with another take. */
void fault_hold_worker(bool hold);
void fault_hold_writer(bool hold);
/* Waits until so many takes have been encoded, well or not, since the writer was last held. */
void fault_wait_encoded(unsigned takes);

/* Told of every call before it is made, on the thread that makes it; may wait. NULL: nobody. */
typedef void fault_watcher(enum fault_kind kind);
void fault_watch(fault_watcher *watcher);

/* Told of every call that changed a file or made it durable, after it succeeded (a torn write: what was stored). */
struct svp_file;
struct fault_event {
    enum fault_kind kind;
    const struct svp_file *file; /* NULL: FAULT_SYNC_FOLDER */
    const void *bytes;
    size_t count;
    uint64_t offset; /* of a write; the new size of a truncation */
};
typedef void fault_observer(const struct fault_event *event);
void fault_observe(fault_observer *observer); /* NULL: nobody */

#endif
