/* hostile.h - mutations of good bytes, each handed to a decoder in memory that ends exactly where they end */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "model.h"

/* A copy on the heap, so that sanitizers see one byte too far; never NULL. */
static inline uint8_t *hostile_copy(const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count > 0 ? count : 1);
    CHECK(copy != NULL);
    if (count > 0) {
        memcpy(copy, bytes, count);
    }
    return copy;
}

/* Changes 1 to 4 places: bits, bytes, extreme values, runs; sometimes also cuts. Returns the new length. */
static inline size_t hostile_mutate(uint8_t *bytes, size_t count, uint64_t *random)
{
    static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    for (uint64_t i = 0, places = 1 + model_below(random, 4); i < places && count > 0; i++) {
        size_t at = model_below(random, count);
        switch (model_below(random, 4)) {
        case 0:
            bytes[at] = (uint8_t)(bytes[at] ^ 1u << model_below(random, 8));
            break;
        case 1:
            bytes[at] = (uint8_t)model_random(random);
            break;
        case 2:
            bytes[at] = extremes[model_below(random, sizeof extremes)];
            break;
        default:
            memset(bytes + at, extremes[model_below(random, sizeof extremes)],
                   count - at < 8 ? count - at : model_below(random, 8));
        }
    }
    return model_below(random, 8) == 0 ? model_below(random, count + 1) : count;
}

static inline unsigned hostile_rounds(unsigned quick)
{
    return getenv("SAVEPOINT_TEST_DEEP") != NULL ? quick * 50 : quick;
}

#endif
