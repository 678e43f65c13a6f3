/* write_watch.c - a lesson: a display that draws only the lines of its memory that were written, whoever wrote them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <savepoint/watch.h>

/* The memory of a display: whole pages, a line is a page (16 KiB serves every system). */
enum { LINES = 24, LINE_BYTES = 16384 };
static _Alignas(LINE_BYTES) unsigned char screen[LINES][LINE_BYTES];

static struct savepoint_write_watch *watch;
static struct savepoint_error error;

static void need(enum savepoint_status status)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "write_watch: %s: %s\n", savepoint_status_name(status), error.message);
        exit(1);
    }
}

static void draw(const void *from, const void *to)
{
    size_t first = (size_t)((const unsigned char *)from - screen[0]) / LINE_BYTES;
    size_t last = (size_t)((const unsigned char *)to - screen[0] - 1) / LINE_BYTES;
    printf(first == last ? " %zu" : " %zu-%zu", first, last);
}

/* Draws what was written since the last time. When the watch fails, anything may have been written: all is drawn. */
static void refresh(const char *what)
{
    struct savepoint_watch_span span = { screen, screen + LINES };
    struct savepoint_watch_range written[8];
    size_t count = 0;
    printf("%-15s draws:", what);
    while (span.next != span.end) {
        if (savepoint_watch_collect_ranges(watch, written, 8, &count, &span, 0, 0, &error) != SAVEPOINT_OK) {
            draw(screen, screen + LINES);
            break;
        }
        for (size_t i = 0; i < count; i++) {
            draw(written[i].start, (char *)written[i].start + written[i].bytes);
        }
    }
    printf("\n");
}

/* The game knows nothing of the display: it stores. */
static void lower_bar(int line)
{
    memset(screen[line], 0, LINE_BYTES);
    memset(screen[line + 1], 255, LINE_BYTES);
}

int main(void)
{
    struct savepoint_watch_info info;
    need(savepoint_watch_open(&watch, NULL, &error));
    need(savepoint_watch_add(watch, screen, sizeof screen, &error));
    need(savepoint_watch_describe(watch, &info, &error));
    if (info.capabilities.arms_memory == 0) {
        printf("the %s write-watch reports everything: compare the lines yourself\n", info.backend);
    }

    refresh("at first");
    lower_bar(5);
    refresh("the bar falls");
    refresh("nothing");
    lower_bar(6);
    screen[20][100] = 1;
    refresh("bar and a star");
    memset(screen, 0, sizeof screen);
    refresh("the end");
    savepoint_watch_close(watch);
    return 0;
}
