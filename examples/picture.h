/* picture.h - writes a Gray-Scott state as a PNG picture */
#ifndef PICTURE_H
#define PICTURE_H

#include "reaction.h"

/* Returns 0, or -1 with errno set. */
int picture_write(const char *path, const struct reaction *reaction);

#endif
