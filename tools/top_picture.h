/* top_picture.h - what `savepoint top` shows of an archive */
#ifndef TOOL_TOP_PICTURE_H
#define TOOL_TOP_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "feed.h"

struct top_picture {
    const struct feed *feed;
    const char *trouble; /* why the last look failed; NULL: it did not */
    uint64_t now_ns;     /* since 1970 */
    int columns;         /* 0: 80 */
    int rows;            /* 0: no limit */
    bool utf8, coloured;
    bool keys; /* tell which key ends it */
};

void top_picture_print(const struct top_picture *picture);

#endif
