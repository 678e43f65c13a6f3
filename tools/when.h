/* when.h - points in time as people write them */
#ifndef TOOL_WHEN_H
#define TOOL_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "number.h"

/* Examples of all the forms, for help and errors. */
#define WHEN_FORMS                                                                                                     \
    "@{10 min ago}, @{2 hours ago}, @{yesterday}, @{2026-11-22}, @{2026-11-22 10:30}, @{2026-11-22T10:30:05Z}"

/* Reads text[0..bytes), what stands between the braces, as local time, or as UTC behind a Z. A day, minute or second
 * stands for its last nanosecond: so the snapshots that were taken in it count as taken by then. False for any other
 * text. `now_ns` is what "ago" and "yesterday" are measured from. */
bool when_parse(uint64_t *time_ns, const char *text, size_t bytes, uint64_t now_ns);

/* "90s", "10 min", "2 hours", "1 day": more than nothing, at most WHEN_DURATION_MOST, and no other text. */
#define WHEN_DURATION_MOST "213503 days"
enum number_kind when_duration(uint64_t *duration_ns, const char *text);

#endif
