/* noise.h - whether bytes look as if drawn at random: nothing shrinks them */
#ifndef SVP_NOISE_H
#define SVP_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when every value is about as frequent as chance makes it. What repeats, in one byte or in thousands, is more
 * uneven than that, or more even. Never true of fewer than 4,096 bytes: too few to tell. */
bool svp_is_noise(const uint8_t *bytes, size_t count);

#endif
