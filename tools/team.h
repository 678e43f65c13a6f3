/* team.h - threads that repeat a piece of work, and can be held between two pieces */
#ifndef TOOL_TEAM_H
#define TOOL_TEAM_H

#include <stddef.h>

struct team;
typedef void team_work(void *user, size_t index); /* `index`: which of the threads */

/* The threads are held at first. NULL where the system gives none. */
struct team *team_open(size_t count, team_work *work, void *user);

/* Returns once every thread stands; what they have written is seen by the caller, and the other way round. */
void team_hold(struct team *team);
void team_release(struct team *team);

void team_close(struct team *team); /* NULL does nothing */

#endif
