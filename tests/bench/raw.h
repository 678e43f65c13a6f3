/* raw.h - the floor: what the kernel, memcpy and the hash alone cost for the pages that were written
 *
 * A mapping of its own under the same kind of watch, without any of the library: userfaultfd write-protection,
 * armed and read by PAGEMAP_SCAN, and a gathering copy of what it reports into resident memory. */
#ifndef RAW_H
#define RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raw_watch.h"

struct raw {
    uint8_t *memory; /* small pages; write here */
    size_t bytes;
    /* own */
    struct raw_watch watch;
    struct uffd_abi_found *found;
    uint8_t *gathered;
    size_t gathered_bytes;
};

/* False: this machine cannot; `why` is a static string. At most `most_pages` may be written between two calls of
 * raw_capture. The memory is zero, and nothing of it counts as written. */
bool raw_open(struct raw *raw, size_t bytes, uint64_t most_pages, const char **why);
void raw_close(struct raw *raw);

/* Finds what was written since, re-arms exactly that, and copies it; returns the number of pages. */
uint64_t raw_capture(struct raw *raw);
/* Hashes the pages that raw_capture copied, each by itself. Returns something that depends on all of them. */
uint64_t raw_hash(const struct raw *raw, uint64_t pages);

/* XXH3-128 of a page, as fast as this processor can; half of it. */
uint64_t raw_hash_page(const void *page);
/* Something that depends on every byte of so many whole pages, and on their order. */
uint64_t raw_hash_state(const void *state, size_t bytes);

#endif
