/* live.h - the pause of a snapshot that is copied while the program writes on */
#ifndef LIVE_H
#define LIVE_H

#include "harness.h"

/* Prints the rows of `live_pause`. */
void live_run(struct bench *bench);

#endif
