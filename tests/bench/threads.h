/* threads.h - a floor's work on as many threads as the subject has */
#ifndef THREADS_H
#define THREADS_H

enum { THREADS_MAX = 16 };

/* Calls work(context, index) for each index below `threads`, at once, each on a thread of its own; the last one on this
 * one. Returns when all have returned. */
void threads_run(unsigned threads, void (*work)(void *context, unsigned index), void *context);

/* What a library that uses the default has: one for each core, at most 4. */
unsigned threads_default(void);

#endif
