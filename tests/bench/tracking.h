/* tracking.h - what it costs to know which pages were written, hot pages or not */
#ifndef TRACKING_H
#define TRACKING_H

#include "harness.h"

/* Prints a row for each pattern of writes that is wanted. */
void tracking_run(struct bench *bench);

#endif
