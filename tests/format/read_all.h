/* read_all.h - everything a reader can ask of an archive that may be hostile */
#ifndef READ_ALL_H
#define READ_ALL_H

#include <stddef.h>

#include "savepoint.h"

/* Reads parts of every region of every snapshot, names, metadata; compares snapshots. Whatever the calls return, what
 * they tell has to be in order. Returns how many comparisons succeeded. */
size_t read_all(struct savepoint_archive *archive);

#endif
