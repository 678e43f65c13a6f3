/* scaling.h - the parts of bench_scaling */
#ifndef SCALING_H
#define SCALING_H

#include "harness.h"

/* Takes a snapshot and waits for it, not for the disk; adds what that cost, in ms, unless both are NULL. */
void scaling_take(struct savepoint *session, struct bench_samples *pause, struct bench_samples *cpu);

/* Takes, opens and restores by how many snapshots there are; restores by how many threads decode. */
void scaling_histories(struct bench *bench);
void scaling_workers(struct bench *bench);

#endif
