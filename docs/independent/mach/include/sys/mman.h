/* mman.h - Linux' <sys/mman.h>, with mincore() as Darwin answers it
 *
 * Only mincore() is renamed: mmap(), munmap(), mprotect() and madvise() keep their names, and the emulation is asked
 * first (interpose.c). Constants that both systems have keep Linux' values. */
#include_next <sys/mman.h>

#ifndef MACH_EMULATION_MMAN_H
#define MACH_EMULATION_MMAN_H

#define MINCORE_INCORE 0x1
#define MINCORE_REFERENCED 0x2
#define MINCORE_MODIFIED 0x4
#define MINCORE_REFERENCED_OTHER 0x8
#define MINCORE_MODIFIED_OTHER 0x10
#define MINCORE_PAGED_OUT 0x20
#define MINCORE_COPIED 0x40
#define MINCORE_ANONYMOUS 0x80

int mach_emulation_mincore(const void *address, size_t bytes, char *vector);
#define mincore mach_emulation_mincore

/* Darwin declares it without any feature macro. */
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS 0x20
#endif
#ifndef MAP_ANON
#define MAP_ANON MAP_ANONYMOUS
#endif

#endif
