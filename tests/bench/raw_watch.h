/* raw_watch.h - the write-watch of the kernel, without any of the library: armed by userfaultfd, read by PAGEMAP_SCAN
 */
#ifndef RAW_WATCH_H
#define RAW_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "watch/uffd_abi.h" /* the kernel's interface: nothing of the library */

struct raw_watch {
    bool is_open;
    int faults, pagemap;
};

/* The memory is armed when this returns. False: this machine cannot; `why` is a static string. */
bool raw_watch_open(struct raw_watch *watch, void *memory, size_t bytes, const char **why);
/* The memory is ordinary again. */
void raw_watch_close(struct raw_watch *watch);

/* A scan of all of the memory into found[0 .. capacity). */
struct uffd_abi_scan
raw_watch_scan(void *memory, size_t bytes, bool rearm, struct uffd_abi_found *found, size_t capacity);
/* Goes on with it, until scan->start == scan->end; returns how many were found. */
int raw_watch_next(const struct raw_watch *watch, struct uffd_abi_scan *scan);

#endif
