/* twins_world.h - sessions whose pages become copies of each other */
#ifndef TWINS_WORLD_H
#define TWINS_WORLD_H

#include "../crash/crash_fixture.h"

/* A session over so many pages, the first half of them noise, and taken. */
void twins_make(struct world *world, const char *name, size_t pages);
/* A session with options of its own, over 64 pages of zeros. */
void twins_make_with(struct world *world, const char *name, struct savepoint_options *options);
uint8_t *twins_map(size_t pages);

/* `count` pages from `from` become noise. */
void twins_fill(const struct world *world, size_t from, size_t count);
void twins_copy(const struct world *world, size_t to, size_t from, size_t count);

/* Pages that a snapshot has stored as references. */
unsigned twins_of(const struct world *world, const struct savepoint_snapshot *snapshot);
/* Everything reads back: by the session, by an archive, in new memory. Ends the world. */
void twins_check(struct world *world);

#endif
