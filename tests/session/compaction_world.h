/* compaction_world.h - a session that compacts its own archive, held where the new file gets the name */
#ifndef COMPACTION_WORLD_H
#define COMPACTION_WORLD_H

#include "autosave_world.h"

enum { COMPACTION_PAGES = 48 };

/* While held, no file gets another one's name: the new one is whole, and the old one in place. */
void rename_hold(bool hold);
void rename_wait_held(void);                    /* until one waits */
bool rename_held_within(unsigned milliseconds); /* one waits by then */
extern int rename_code;                         /* to fail with; 0: it works */
extern bool renames_over_open;

/* A few pages, a few bytes of each: deltas; now and then a whole page. */
void compaction_scribble(const struct world *world);
/* A session on a new archive with so many snapshots; and its end: the archive holds just the history, and resumes. */
void compaction_make(struct world *world, const char *name, int takes);
void compaction_end(struct world *world);

/* Asks for one that keeps the newest `keep_last` (0: all that are not dropped); and waits for it, must be OK. */
uint64_t compaction_begin(const struct world *world, uint32_t keep_last);
void compaction_do(const struct world *world, uint32_t keep_last);
/* The oldest `count` moments leave the history. */
void compaction_forget(struct history *history, size_t count);

/* The archive holds just the history, and nothing is left beside it. */
void compaction_check(const struct world *world, const char *what);
/* The archive verifies, and each snapshot in it is one of the history, byte for byte; returns how many there are. */
size_t check_known(const char *path, const struct history *history, const char *what);
/* The session finds every moment again. */
void compaction_restore_all(struct world *world);
bool can_write(const char *path); /* another session can be opened on it */

#endif
