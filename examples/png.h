/* png.h - a PNG writer as small as they come: RGB, 8 bits, not compressed */
#ifndef PNG_H
#define PNG_H

#include <stdint.h>

/* `rgb` holds width * height * 3 bytes, rows from the top. At most 21844 pixels wide, for a row is one
 * stored block. Returns 0, or -1 with errno set. */
int png_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height);

#endif
