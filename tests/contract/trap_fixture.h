/* trap_fixture.h - what the trap tests share: one body over every backend, files to map, bodies that die
 *
 * A trap is something that a kernel, a device or the application does to memory under watch. Each has a test with the
 * behaviour that docs/PLATFORMS.md states, and ends with the proof that the watch is none the worse for it. */
#ifndef TRAP_FIXTURE_H
#define TRAP_FIXTURE_H

#include "watch_fixture.h"

enum { TRAP_PAGES = 16 };

/* Runs the body once under each backend, over TRAP_PAGES pages that nobody has touched yet. */
#define TRAP_TEST(suite, name)                                                                                         \
    static void name(struct watched *watched);                                                                         \
    CHECK_TEST(suite, name)                                                                                            \
    {                                                                                                                  \
        trap_run(name);                                                                                                \
    }                                                                                                                  \
    static void name(struct watched *watched)
void trap_run(void (*body)(struct watched *watched));

bool is(const struct watched *watched, const char *backend_name);
unsigned char *page_address(const struct watched *watched, size_t page);
void fill_pages(const struct watched *watched, size_t first, size_t pages, int value);

/* Watches `memory` instead of the pages it began with; unmaps it with watched_close. */
void rewatch(struct watched *watched, unsigned char *memory, size_t pages);

/* Nothing is reported now, and every page is live: its next write is reported, alone, and that of the next turn too. */
void check_alive(const struct watched *watched);

/* What changed behind the backend's back: reported by uffd (and compare), by signal only once it is marked. */
void check_seen_by_uffd(const struct watched *watched, size_t first, size_t pages);
/* The same where no backend that arms memory can see it. */
void check_unseen(const struct watched *watched, size_t first, size_t pages);

/* Without a name: gone when closed. All bytes are `fill`. */
int memory_file(size_t pages, int fill);
int disk_file(size_t pages, int fill);
unsigned char *map_file(int file, size_t first, size_t pages, int flags);

/* The body dies of the signal, without a core file. */
void check_dies(void (*body)(void *), void *argument, int signal_number);

/* What stands behind "NAME:" in /proc/self/smaps for the mapping of `address`, in KiB. */
size_t smaps_kib(const void *address, const char *name);

/* Advises the system to page them out until they are gone: a page may be in use for a moment. */
void page_out(const struct watched *watched, size_t first, size_t pages);

#endif
