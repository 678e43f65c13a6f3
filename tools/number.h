/* number.h - numbers as people write them, of which some are too large */
#ifndef TOOL_NUMBER_H
#define TOOL_NUMBER_H

#include <stdint.h>

enum number_kind { NUMBER_NONE, NUMBER_GOOD, NUMBER_TOO_LARGE };

/* Reads the digits of base 10 or 16 at *at, and moves *at behind the last of them. Where they are too many for 64 bits
 * *number is the largest that these hold. */
enum number_kind number_take(uint64_t *number, const char **at, unsigned base);

/* Times 2^shift, which is less than 64. */
enum number_kind number_scale(uint64_t *number, unsigned shift);

#endif
