/* picture.c - writes a Gray-Scott state as a PNG picture */
#include "picture.h"

#include <stdlib.h>

#include "png.h"

struct colour {
    double red, green, blue;
};

/* From no eaters to many: night, deep sea, ember, pale gold. */
static const struct colour colour_stops[] = { { 6, 8, 20 },    { 14, 30, 66 },   { 20, 92, 118 },  { 96, 72, 142 },
                                              { 214, 78, 96 }, { 250, 164, 74 }, { 255, 240, 190 } };
enum { STOP_COUNT = sizeof colour_stops / sizeof colour_stops[0] };

static double mix(double from, double to, double share)
{
    return from + (to - from) * share;
}

/* `height` from 0 to 1. */
static struct colour colour_at(double height)
{
    double place = height * (STOP_COUNT - 1);
    int index = place >= STOP_COUNT - 1 ? STOP_COUNT - 2 : (int)place;
    const struct colour *low = &colour_stops[index], *high = &colour_stops[index + 1];
    double share = place - index;
    return (struct colour){ mix(low->red, high->red, share), mix(low->green, high->green, share),
                            mix(low->blue, high->blue, share) };
}

static uint8_t to_byte(double value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* The eaters seen as hills, lit from the upper left. */
static double light_at(const struct reaction *reaction, uint64_t x, uint64_t y)
{
    uint64_t size = reaction->size, left = (x + size - 1) % size, up = (y + size - 1) % size;
    const double *v = reaction->v;
    double slope = 2 * v[y * size + x] - v[y * size + left] - v[up * size + x];
    return 1.0 + 5.0 * slope;
}

int picture_write(const char *path, const struct reaction *reaction)
{
    uint64_t size = reaction->size;
    uint8_t *rgb = malloc((size_t)(size * size * 3));
    if (rgb == NULL) {
        return -1;
    }
    for (uint64_t cell = 0; cell < size * size; cell++) {
        double height = reaction->v[cell] / 0.36;
        struct colour colour = colour_at(height > 1 ? 1 : height);
        double light = light_at(reaction, cell % size, cell / size);
        rgb[cell * 3 + 0] = to_byte(colour.red * light);
        rgb[cell * 3 + 1] = to_byte(colour.green * light);
        rgb[cell * 3 + 2] = to_byte(colour.blue * light);
    }
    int result = png_write(path, rgb, (uint32_t)size, (uint32_t)size);
    free(rgb);
    return result;
}
