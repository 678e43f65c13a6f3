/* noise.c - whether bytes look as if drawn at random: nothing shrinks them
 *
 * Pearson's chi-squared of how often each value occurs: 255 on average for random bytes, with a deviation of 22.6.
 * Where half of the bytes are there twice it is 382, where all are 510, and where one bit is known 255 and as much as
 * there are bytes. What is more even than chance makes it, such as tables and counters, repeats as well: there it is
 * less. */
#include "format/noise.h"

enum { VALUES = 256, LOOK_BYTES = 4096, TABLES = 4 };
enum { CHI_LEAST = 210, CHI_MOST = 300 }; /* two deviations from what chance makes */

static bool counts_are_of_chance(const uint32_t counts[TABLES][VALUES], uint64_t count)
{
    uint64_t squares = 0;
    for (unsigned i = 0; i < VALUES; i++) {
        uint64_t times = (uint64_t)counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i];
        squares += times * times;
    }
    return squares * VALUES >= count * (count + CHI_LEAST) && squares * VALUES <= count * (count + CHI_MOST);
}

static void add_counts(uint32_t counts[TABLES][VALUES], const uint8_t *bytes, size_t count)
{
    size_t i = 0;
    for (; i + TABLES <= count; i += TABLES) { /* several tables: a value that follows itself need not wait */
        counts[0][bytes[i]]++;
        counts[1][bytes[i + 1]]++;
        counts[2][bytes[i + 2]]++;
        counts[3][bytes[i + 3]]++;
    }
    for (; i < count; i++) {
        counts[0][bytes[i]]++;
    }
}

bool svp_is_noise(const uint8_t *bytes, size_t count)
{
    uint32_t counts[TABLES][VALUES] = { { 0 } };
    if (count < LOOK_BYTES) {
        return false;
    }
    add_counts(counts, bytes, LOOK_BYTES);
    if (!counts_are_of_chance(counts, LOOK_BYTES)) {
        return false; /* most of what is not noise ends here */
    }
    add_counts(counts, bytes + LOOK_BYTES, count - LOOK_BYTES);
    return counts_are_of_chance(counts, count);
}
