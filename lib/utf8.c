/* utf8.c - are these bytes UTF-8 text? */
#include "utf8.h"

#include <stddef.h>
#include <stdint.h>

/* The code point at *at, which is moved behind it; UINT32_MAX when the bytes are not well formed. */
static uint32_t next_code_point(const unsigned char **at)
{
    static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
    unsigned char lead = *(*at)++;
    unsigned more = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : lead >> 3 == 30 ? 3 : 4;
    if (more == 0) {
        return lead;
    }
    if (more == 4) {
        return UINT32_MAX;
    }
    uint32_t point = lead & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if (**at >> 6 != 2) { /* also stops at the final NUL */
            return UINT32_MAX;
        }
        point = point << 6 | (*(*at)++ & 0x3fu);
    }
    bool sound = point >= smallest[more] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    return sound ? point : UINT32_MAX;
}

bool svp_utf8_valid(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        if (next_code_point(&at) == UINT32_MAX) {
            return false;
        }
    }
    return true;
}
