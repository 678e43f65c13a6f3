/* image.h - the floor of a fast restore: a full raw copy of the state in a file, read by nothing but read(2) */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>

void image_write(const char *path, const void *memory, size_t bytes);
/* Reads all of it, each thread a part. */
void image_read(const char *path, void *memory, size_t bytes, unsigned threads);

#endif
