/* mman.h - memory mapping for tests on Windows: anonymous memory only */
#ifndef CROSS_MMAN_H
#define CROSS_MMAN_H

#include "posix.h"

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 16, MAP_ANONYMOUS = 32, MAP_FIXED_NOREPLACE = 64 };
#define MAP_FAILED ((void *)-1)

/* MAP_FIXED changes committed memory in place; MAP_FIXED_NOREPLACE fails where there is any. */
void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
int munmap(void *address, size_t bytes);
int mprotect(void *address, size_t bytes, int protection);

#endif
