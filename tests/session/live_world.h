/* live_world.h - a session of LIVE snapshots, and the moments at which its worker could lose a write
 *
 * Tests that include it link live_world.c with WRAP ${live_wraps}. */
#ifndef LIVE_WORLD_H
#define LIVE_WORLD_H

#include "tests/crash/crash_fixture.h"

struct live_options {
    uint64_t staging_bytes, ring_bytes;
};
/* As world_open, under SAVEPOINT_TEST_BACKEND (uffd where that is not set). */
void live_open(struct world *world, const char *name, size_t pages, const struct live_options *options);
/* Everything taken is in the archive; closes and frees. */
void live_close(struct world *world);

/* Whether the write-watch arms memory: else there is nothing to copy before the stop. */
bool live_copies(const struct world *world);
void live_fill(const struct world *world, size_t first, size_t count);

enum savepoint_status live_begin(const struct world *world, uint64_t budget_ns, enum savepoint_live_policy policy);
void live_wait_wanted(const struct world *world);
/* Until so many pages have been copied before the stop, since the session was opened. */
void live_wait_copied(const struct world *world, uint64_t pages);
/* Ends the capture: it joins the history. Returns its snapshot. */
struct savepoint_snapshot live_end(struct world *world);
struct savepoint_statistics live_statistics(const struct world *world);

/* Called by the worker, once, when it has copied this page of the world's memory. */
typedef void live_hook(struct world *world);
void live_when_copied(struct world *world, size_t page, live_hook *hook);
/* The same each time it has copied any page; NULL: no more, and it does not run any more. */
void live_when_any_copied(struct world *world, void (*hook)(struct world *world, size_t page));
/* Called by the worker, once, when it has collected and goes on. */
void live_when_collected(struct world *world, live_hook *hook);

#endif
