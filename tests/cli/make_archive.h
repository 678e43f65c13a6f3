/* make_archive.h - what the scenarios of make_archive share */
#ifndef MAKE_ARCHIVE_H
#define MAKE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

enum { PAGE_BYTES = 4096, HEAP_BYTES = 16 * PAGE_BYTES, WORLD_BYTES = 4 * PAGE_BYTES };

extern struct savepoint *session;
extern struct savepoint_error error;
extern unsigned char *heap, *world;

void must(enum savepoint_status status);
void fill_with_noise(unsigned char *bytes, size_t count); /* that no coder can shorten: they stand in the archive */
void open_session(const char *path, uint32_t flags);      /* and watches `heap` */
void close_session(void);
/* Changes `pages` pages of the heap and takes a snapshot. */
struct savepoint_snapshot take(const char *label, size_t pages, const struct savepoint_take_options *more);

void make_long_name(const char *path);
void make_hostile(const char *path);
void make_control_labels(const char *path);
void make_unsynced(const char *path);
void make_hold(const char *path);
void make_torn(const char *path);
void make_odd_names(const char *path);
void make_damaged(const char *path);
void make_damaged_late(const char *path);

#endif
