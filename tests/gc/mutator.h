/* mutator.h - what the collector is tried with: threads that make, move and drop objects, and check each they meet */
#ifndef MUTATOR_H
#define MUTATOR_H

#include "collector.h"

/* Runs all mutators of the heap for so many steps each, and the collector beside them; returns when all are done.
 * False: threads cannot be started. */
bool mutators_run(struct gc *gc, uint64_t steps);

#endif
