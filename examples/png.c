/* png.c - a PNG writer as small as they come: RGB, 8 bits, not compressed */
#include "png.h"

#include <errno.h>
#include <stdio.h>

struct png {
    FILE *file;
    uint32_t crc;  /* of the chunk being written */
    uint32_t a, b; /* Adler-32 of the pixel stream */
};

static void put(struct png *png, const uint8_t *bytes, size_t count)
{
    fwrite(bytes, 1, count, png->file);
    for (size_t i = 0; i < count; i++) {
        png->crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            png->crc = png->crc >> 1 ^ (png->crc & 1 ? 0xedb88320u : 0);
        }
    }
}

static void put_32(struct png *png, uint32_t value)
{
    uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
    put(png, bytes, 4);
}

static void begin_chunk(struct png *png, const char *type, uint32_t bytes)
{
    put_32(png, bytes);
    png->crc = 0xffffffffu; /* the length is not covered */
    put(png, (const uint8_t *)type, 4);
}

static void end_chunk(struct png *png)
{
    put_32(png, ~png->crc);
}

static void put_pixels(struct png *png, const uint8_t *bytes, size_t count)
{
    put(png, bytes, count);
    for (size_t i = 0; i < count; i++) {
        png->a = (png->a + bytes[i]) % 65521;
        png->b = (png->b + png->a) % 65521;
    }
}

/* Each row is one stored deflate block: a filter byte (0: none) and the pixels as they are. */
static void put_row(struct png *png, const uint8_t *pixels, uint32_t pixel_bytes, int last)
{
    uint32_t bytes = pixel_bytes + 1;
    uint8_t header[5] = { last ? 1 : 0, (uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)~bytes,
                          (uint8_t)(~bytes >> 8) };
    put(png, header, sizeof header);
    put_pixels(png, (const uint8_t[1]){ 0 }, 1);
    put_pixels(png, pixels, pixel_bytes);
}

int png_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height)
{
    static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    static const uint8_t kind[5] = { 8, 2, 0, 0, 0 }; /* 8 bits, RGB, deflate, no filter, not interlaced */
    static const uint8_t zlib_header[2] = { 0x78, 0x01 };
    struct png png = { .file = fopen(path, "wb"), .a = 1 };
    if (png.file == NULL) {
        return -1;
    }
    fwrite(signature, 1, sizeof signature, png.file);
    begin_chunk(&png, "IHDR", 13);
    put_32(&png, width);
    put_32(&png, height);
    put(&png, kind, sizeof kind);
    end_chunk(&png);
    begin_chunk(&png, "IDAT", 2 + height * (5 + 1 + 3 * width) + 4);
    put(&png, zlib_header, sizeof zlib_header);
    for (uint32_t y = 0; y < height; y++) {
        put_row(&png, rgb + (size_t)y * width * 3, width * 3, y + 1 == height);
    }
    put_32(&png, png.b << 16 | png.a);
    end_chunk(&png);
    begin_chunk(&png, "IEND", 0);
    end_chunk(&png);
    int failed = ferror(png.file);
    return fclose(png.file) != 0 || failed ? -1 : 0;
}
