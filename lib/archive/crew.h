/* crew.h - one piece of work on several threads at once */
#ifndef SVP_CREW_H
#define SVP_CREW_H

#include <stdbool.h>

enum { SVP_CREW_MAX = 64 };

/* Calls work(context, ...) on up to `workers` threads at once, of which one is the caller's own (`own` is true there),
 * and returns when all have returned. The work is to be shared out by what `context` points to: where no more threads
 * can be had there are fewer calls. */
void svp_crew_run(unsigned workers, void (*work)(void *context, bool own), void *context);

#endif
