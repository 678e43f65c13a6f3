/* expect.h - memory that is about to be read is fetched ahead */
#ifndef SVP_EXPECT_H
#define SVP_EXPECT_H

#include <stddef.h>
#include <stdint.h>

/* Begins to fetch so many lines of 64 bytes from `memory` on, and looks up its address; never faults. The processor
 * goes on by itself within a page, but not into the next one. */
static inline void svp_expect(const void *memory, size_t lines)
{
    for (size_t line = 0; line < lines; line++) {
        __builtin_prefetch((const uint8_t *)memory + line * 64);
    }
}

#endif
