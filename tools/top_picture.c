/* top_picture.c - what `savepoint top` shows of an archive */
#include "top_picture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "screen.h"
#include "text.h"
#include "timeline.h"

#define NS_PER_S UINT64_C(1000000000)

enum { WIDEST = 500, LEVELS = 8, RATE_S = 10, WIDE = 72, HOTTEST = 3, TITLE_COLUMNS = 13, VALUE_COLUMNS = 10 };

enum style { PLAIN, STRONG, FAINT, BARS, BAD };

struct paper { /* the line in hand */
    const struct top_picture *picture;
    int left;  /* columns of it */
    int lines; /* begun so far */
};

/* ---- lines */

static bool has_room(const struct paper *paper, int lines)
{
    return paper->picture->rows == 0 || paper->lines + lines <= paper->picture->rows;
}

/* What would fall off the screen is not printed. */
static void next_line(struct paper *paper)
{
    if (!has_room(paper, 1)) {
        paper->left = 0;
        return;
    }
    if (paper->lines > 0) {
        screen_next_line();
    }
    paper->lines++;
    paper->left = paper->picture->columns;
}

static void put(struct paper *paper, enum style style, const char *text)
{
    static const char *const codes[] = { "", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[1;31m" };
    bool coloured = paper->picture->coloured && style != PLAIN && paper->left > 0;
    fputs(coloured ? codes[style] : "", stdout);
    paper->left -= text_print_cut(stdout, text, paper->left);
    fputs(coloured ? "\x1b[0m" : "", stdout);
}

FAIL_PRINTF(3, 4)
static void putf(struct paper *paper, enum style style, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put(paper, style, text);
}

/* Text in a field of a fixed width. */
static void put_field(struct paper *paper, enum style style, const char *text, int columns)
{
    int before = paper->left;
    int rest = before - columns;
    paper->left = before < columns ? before : columns;
    put(paper, style, text);
    if (paper->left > 0) {
        putf(paper, PLAIN, "%*s", paper->left, "");
    }
    paper->left = rest > 0 ? rest : 0;
}

/* Facts stand beside each other as long as they fit, then below each other. */
static void put_fact(struct paper *paper, const char *text)
{
    bool first = paper->left == paper->picture->columns;
    if (!first && text_columns(text) + 3 > paper->left) {
        next_line(paper);
        first = true;
    }
    put(paper, FAINT, first ? "" : paper->picture->utf8 ? " \xc2\xb7 " : " | ");
    put(paper, PLAIN, text);
}

/* ---- bars */

static const char *bar(const struct top_picture *picture, unsigned level)
{
    static const char *const blocks[] = { " ",
                                          "\xe2\x96\x81",
                                          "\xe2\x96\x82",
                                          "\xe2\x96\x83",
                                          "\xe2\x96\x84",
                                          "\xe2\x96\x85",
                                          "\xe2\x96\x86",
                                          "\xe2\x96\x87",
                                          "\xe2\x96\x88" };
    static const char *const letters[] = { " ", ".", ":", "-", "=", "+", "*", "#", "@" };
    return picture->utf8 ? blocks[level] : letters[level];
}

/* 0 for nothing, else 1 to LEVELS. */
static unsigned level_of(uint64_t value, uint64_t most)
{
    if (value == 0 || most == 0) {
        return 0;
    }
    return 1 + (unsigned)((double)(LEVELS - 1) * ((double)value / (double)most) + 0.5);
}

static void put_bars(struct paper *paper, const uint64_t *values, int count)
{
    char text[WIDEST * 4 + 1] = "";
    uint64_t most = 0;
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        most = values[i] > most ? values[i] : most;
    }
    for (int i = 0; i < count; i++) {
        const char *one = bar(paper->picture, level_of(values[i], most));
        size_t bytes = strlen(one);
        memcpy(text + used, one, bytes + 1);
        used += bytes;
    }
    put(paper, BARS, text);
}

/* ---- the head */

static uint64_t since(uint64_t now_ns, uint64_t time_ns)
{
    return now_ns > time_ns ? now_ns - time_ns : 0;
}

static void put_rates(struct paper *paper)
{
    const struct feed *feed = paper->picture->feed;
    uint64_t now_ns = paper->picture->now_ns;
    uint64_t bytes = 0;
    size_t count = 0;
    while (count < feed->count && since(now_ns, feed->points[count].time_ns) <= RATE_S * NS_PER_S) {
        bytes += feed->points[count++].stored_bytes;
    }
    /* Where the last seconds do not fill the time, or hold more snapshots than are known: as far back as is known. */
    double seconds = feed->count == 0 ? RATE_S : (double)since(now_ns, feed->points[feed->count - 1].time_ns) / 1e9;
    seconds = seconds > RATE_S ? RATE_S : seconds < 0.1 ? 0.1 : seconds;
    char text[2 * TEXT_SHORT_BYTES], size[TEXT_SHORT_BYTES];
    snprintf(text, sizeof text, "+%s/s", text_size(size, (uint64_t)((double)bytes / seconds)));
    put_fact(paper, text);
    snprintf(text, sizeof text, "%.1f snapshots/s", (double)count / seconds);
    put_fact(paper, text);
}

/* As text_duration, but pauses are often shorter than what that tells. */
static char *pause_text(char out[TEXT_SHORT_BYTES], const struct top_picture *picture, uint64_t pause_ns)
{
    if (pause_ns >= NS_PER_S / 1000) {
        return text_duration(out, pause_ns);
    }
    snprintf(out, TEXT_SHORT_BYTES, "%" PRIu64 " %ss", pause_ns / 1000, picture->utf8 ? "\xc2\xb5" : "u");
    return out;
}

static void put_pauses(struct paper *paper)
{
    const struct feed *feed = paper->picture->feed;
    uint64_t pauses[FEED_HISTORY];
    char pause[TEXT_SHORT_BYTES], text[2 * TEXT_SHORT_BYTES];
    for (size_t i = 0; i < feed->count; i++) {
        pauses[i] = feed->points[i].pause_ns;
    }
    next_line(paper);
    snprintf(text, sizeof text, "pause %s", pause_text(pause, paper->picture, feed->points[0].pause_ns));
    put_fact(paper, text);
    pause_text(pause, paper->picture, timeline_percentile(pauses, feed->count, 50));
    snprintf(text, sizeof text, "median %s", pause);
    put_fact(paper, text);
    pause_text(pause, paper->picture, timeline_percentile(pauses, feed->count, 100));
    snprintf(text, sizeof text, "longest %s", pause);
    put_fact(paper, text);
}

static void put_head(struct paper *paper)
{
    const struct top_picture *picture = paper->picture;
    const struct feed *feed = picture->feed;
    char text[TEXT_ESCAPED_BYTES], size[TEXT_SHORT_BYTES], ago[TEXT_SHORT_BYTES];
    next_line(paper);
    put(paper, STRONG, text_escape(text, feed->path));
    put(paper, PLAIN, "  ");
    put(paper, feed->info.writer_active ? PLAIN : FAINT,
        feed->info.writer_active ? "a writer is at work" : "no writer");
    next_line(paper);
    snprintf(text, sizeof text, "%" PRIu64 " snapshot%s", feed->info.snapshot_count,
             feed->info.snapshot_count == 1 ? "" : "s");
    put_fact(paper, text);
    put_fact(paper, text_size(size, feed->info.file_bytes));
    put_rates(paper);
    if (feed->count > 0) {
        text_duration(ago, since(picture->now_ns, feed->points[0].time_ns));
        snprintf(text, sizeof text, "newest %s ago", ago);
        put_fact(paper, text);
        put_pauses(paper);
    }
    if (picture->trouble != NULL) {
        next_line(paper);
        put(paper, BAD, "cannot be read now: ");
        put(paper, BAD, text_escape(text, picture->trouble));
    } else if (feed->damaged || feed->info.damage_offset != UINT64_MAX) {
        next_line(paper);
        put(paper, BAD, "damaged: see savepoint verify");
    } else if (feed->begun_anew) {
        next_line(paper);
        put(paper, BAD, "another archive, or a shorter one");
    }
}

/* ---- values over time */

static void put_row(struct paper *paper, const char *title, const uint64_t *newest_first, const char *value)
{
    const struct feed *feed = paper->picture->feed;
    uint64_t values[FEED_HISTORY];
    int room = paper->picture->columns - TITLE_COLUMNS - VALUE_COLUMNS;
    int count = (int)feed->count < room ? (int)feed->count : room;
    for (int i = 0; i < count; i++) {
        values[i] = newest_first[count - 1 - i];
    }
    next_line(paper);
    put_field(paper, FAINT, title, TITLE_COLUMNS);
    putf(paper, PLAIN, "%*s", room - count, "");
    put_bars(paper, values, count);
    putf(paper, PLAIN, "%*s", VALUE_COLUMNS, value);
}

static void put_rows(struct paper *paper)
{
    const struct feed *feed = paper->picture->feed;
    uint64_t pages[FEED_HISTORY], stored[FEED_HISTORY], pauses[FEED_HISTORY];
    char text[TEXT_SHORT_BYTES];
    for (size_t i = 0; i < feed->count; i++) {
        pages[i] = feed->points[i].changed_pages;
        stored[i] = feed->points[i].stored_bytes;
        pauses[i] = feed->points[i].pause_ns;
    }
    next_line(paper);
    snprintf(text, sizeof text, "%" PRIu64, feed->points[0].changed_pages);
    put_row(paper, "dirty pages", pages, text);
    put_row(paper, "stored", stored, text_size(text, feed->points[0].stored_bytes));
    put_row(paper, "pause", pauses, pause_text(text, paper->picture, feed->points[0].pause_ns));
}

/* ---- regions */

/* Where in the region pages were written lately, from its first page on the left to its last on the right. */
static void put_strip(struct paper *paper, const struct feed_region *region, int columns)
{
    uint64_t values[WIDEST];
    for (int i = 0; i < columns; i++) {
        size_t from = (size_t)((uint64_t)i * region->counter_count / (uint64_t)columns);
        size_t to = (size_t)((uint64_t)(i + 1) * region->counter_count / (uint64_t)columns);
        uint64_t times = 0;
        to = to > from ? to : from + 1;
        for (size_t k = from; k < to && k < region->counter_count; k++) {
            times += feed_times(paper->picture->feed, region->written[k]);
        }
        values[i] = times * 1000 / (to - from);
    }
    put(paper, FAINT, paper->picture->utf8 ? "\xe2\x96\x8f" : "|");
    put_bars(paper, values, columns);
    put(paper, FAINT, paper->picture->utf8 ? "\xe2\x96\x95" : "|");
}

struct hot {
    size_t place;
    unsigned times;
};

static size_t find_hottest(const struct feed *feed, const struct feed_region *region, struct hot hot[HOTTEST])
{
    size_t count = 0;
    for (size_t k = 0; k < region->counter_count; k++) {
        unsigned times = region->written[k] == 0 ? 0 : feed_times(feed, region->written[k]);
        if (times == 0 || (count == HOTTEST && times <= hot[HOTTEST - 1].times)) {
            continue;
        }
        size_t place = count < HOTTEST ? count++ : HOTTEST - 1;
        for (; place > 0 && hot[place - 1].times < times; place--) {
            hot[place] = hot[place - 1];
        }
        hot[place] = (struct hot){ k, times };
    }
    return count;
}

/* "page 5 12x, 7 3x". */
static void put_hottest(struct paper *paper, const struct feed_region *region)
{
    struct hot hot[HOTTEST];
    size_t count = find_hottest(paper->picture->feed, region, hot);
    put(paper, FAINT, count == 0 ? "not written" : region->counter_pages == 1 ? "page " : "pages ");
    for (size_t i = 0; i < count; i++) {
        char text[3 * TEXT_SHORT_BYTES], range[TEXT_SHORT_BYTES] = "";
        uint64_t first = hot[i].place * region->counter_pages;
        if (region->counter_pages > 1) {
            snprintf(range, sizeof range, "-%" PRIu64, first + region->counter_pages - 1);
        }
        snprintf(text, sizeof text, "%s%" PRIu64 "%s %u%s", i == 0 ? "" : ", ", first, range, hot[i].times,
                 paper->picture->utf8 ? "\xc3\x97" : "x");
        if (text_columns(text) <= paper->left) {
            put(paper, PLAIN, text);
        }
    }
}

static void put_region(struct paper *paper, const struct feed_region *region)
{
    char name[TEXT_ESCAPED_BYTES], size[TEXT_SHORT_BYTES];
    int columns = paper->picture->columns;
    next_line(paper);
    put_field(paper, STRONG, text_escape(name, region->region.name), TITLE_COLUMNS - 1);
    put(paper, PLAIN, " ");
    if (columns >= WIDE) {
        put_strip(paper, region, columns - TITLE_COLUMNS - 33);
        put(paper, PLAIN, " ");
        put_hottest(paper, region);
        return;
    }
    put_field(paper, FAINT, text_size(size, region->region.bytes), 9);
    put_hottest(paper, region);
    next_line(paper);
    put_strip(paper, region, columns - 2);
}

static void put_regions(struct paper *paper)
{
    const struct feed *feed = paper->picture->feed;
    int lines = paper->picture->columns >= WIDE ? 1 : 2;
    next_line(paper);
    next_line(paper);
    putf(paper, FAINT, "writes of the last %zu snapshot%s", feed->depth, feed->depth == 1 ? "" : "s");
    for (size_t i = 0; i < feed->region_count; i++) {
        if (!has_room(paper, lines + 2)) {
            next_line(paper);
            putf(paper, FAINT, "and %zu more", feed->region_count - i);
            return;
        }
        put_region(paper, &feed->regions[i]);
    }
}

void top_picture_print(const struct top_picture *picture)
{
    struct top_picture fitted = *picture;
    fitted.columns = picture->columns == 0 ? 80 : picture->columns > WIDEST ? WIDEST : picture->columns;
    struct paper paper = { &fitted, fitted.columns, 0 };
    screen_begin_picture();
    put_head(&paper);
    if (picture->feed->count > 0) {
        put_rows(&paper);
        put_regions(&paper);
    }
    if (picture->keys && has_room(&paper, 1)) {
        next_line(&paper);
        put(&paper, FAINT, "q quits");
    }
    screen_end_picture();
}
