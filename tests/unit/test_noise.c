/* test_noise.c - what looks drawn at random, and what only nearly does */
#include <string.h>

#include "check.h"
#include "format/noise.h"
#include "hostile.h"

enum { BYTES = 16384 };

static void fill(uint8_t *to, size_t count, uint64_t *random)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = (uint8_t)(model_random(random) >> 24);
    }
}

CHECK_TEST(noise, random_bytes_are_noise)
{
    uint8_t bytes[BYTES];
    uint64_t random = 3;
    unsigned found = 0;
    for (unsigned i = 0; i < 200; i++) {
        fill(bytes, sizeof bytes, &random);
        found += svp_is_noise(bytes, sizeof bytes - i);
        CHECK(!svp_is_noise(bytes, 4095));
    }
    CHECK_MSG(found >= 180, "%u of 200", found);
}

CHECK_TEST(noise, what_repeats_or_is_uneven_is_not)
{
    uint8_t bytes[BYTES];
    uint64_t random = 4;
    for (unsigned i = 0; i < 200; i++) {
        fill(bytes, sizeof bytes, &random);
        memcpy(bytes + BYTES / 2, bytes, BYTES / 2);
        CHECK(!svp_is_noise(bytes, sizeof bytes));

        fill(bytes, sizeof bytes, &random);
        memcpy(bytes + BYTES / 2, bytes, BYTES / 4 + BYTES / 8); /* three quarters are there twice */
        CHECK(!svp_is_noise(bytes, sizeof bytes));

        fill(bytes, sizeof bytes, &random);
        for (size_t k = 0; k < BYTES; k += 8) {
            bytes[k] = 0; /* one byte of each word is known */
        }
        CHECK(!svp_is_noise(bytes, sizeof bytes));

        fill(bytes, sizeof bytes, &random);
        memset(bytes + BYTES - 2048, 'x', 2048); /* at the end, behind what is looked at first */
        CHECK(!svp_is_noise(bytes, sizeof bytes));
    }
}

/* Counters, and tables that hold every value once: no value is more frequent than another. */
CHECK_TEST(noise, what_is_more_even_than_chance_is_not)
{
    uint8_t bytes[BYTES];
    uint64_t random = 5;
    for (unsigned i = 0; i < 200; i++) {
        for (size_t k = 0; k < BYTES; k++) {
            bytes[k] = (uint8_t)(k + i);
        }
        CHECK(!svp_is_noise(bytes, sizeof bytes));

        for (size_t k = 255; k > 0; k--) {
            const size_t other = model_random(&random) % (k + 1);
            const uint8_t kept = bytes[k];
            bytes[k] = bytes[other];
            bytes[other] = kept;
        }
        for (size_t k = 256; k < BYTES; k++) {
            bytes[k] = bytes[k - 256];
        }
        CHECK(!svp_is_noise(bytes, sizeof bytes));

        fill(bytes, BYTES / 2, &random); /* half of it is noise */
        CHECK(!svp_is_noise(bytes, sizeof bytes));
    }
}
