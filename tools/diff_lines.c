/* diff_lines.c - differences as they come: ranges of changed bytes, the bytes in hexadecimal, JSON */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diff.h"
#include "json.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

enum { SHOWN_MAX = 20, JOINED_GAP = 7, LINE_BYTES = 160, ROW_BYTES = 16, ROW_BYTES_NARROW = 8 };

/* "- 0001f3a0  00 01 02", and perhaps "  ..." behind it. */
static int row_columns(int digits, int row_bytes, bool text)
{
    return 2 + digits + 2 + 3 * row_bytes - 1 + (text ? 2 + row_bytes : 0);
}

static void choose_row(struct diff_lines *lines)
{
    static const struct {
        int row_bytes;
        bool text;
    } rows[] = { { ROW_BYTES, true }, { ROW_BYTES, false }, { ROW_BYTES_NARROW, true }, { ROW_BYTES_NARROW, false } };
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof rows[0] && lines->width > 0 &&
           row_columns(lines->digits, rows[i].row_bytes, rows[i].text) > lines->width) {
        i++;
    }
    lines->row_bytes = rows[i].row_bytes;
    lines->text = rows[i].text;
}

static void print_line(const struct diff_lines *lines, const char *text)
{
    if (lines->width > 0) {
        text_print_cut(stdout, text, lines->width);
    } else {
        fputs(text, stdout);
    }
    putchar('\n');
}

/* "--- 1a2b3c4d  sequence 4  2026-03-01 12:00:59  label" */
static void print_side(const struct diff_lines *lines, const char *sign, const struct savepoint_snapshot *snapshot)
{
    char id[TEXT_SHORT_BYTES], time[TEXT_SHORT_BYTES], label[TEXT_ESCAPED_BYTES], line[TEXT_ESCAPED_BYTES + LINE_BYTES];
    snprintf(line, sizeof line, "%s %s  sequence %" PRIu64 "  %s%s%s", sign, text_short_id(id, &snapshot->id),
             snapshot->sequence, text_time(time, snapshot->time_ns), snapshot->label[0] == '\0' ? "" : "  ",
             text_escape(label, snapshot->label));
    print_line(lines, line);
}

void diff_lines_open(struct diff_lines *lines, struct diff *diff)
{
    *lines = (struct diff_lines){ .diff = diff, .width = terminal_columns() };
    lines->coloured = table_wants_colour(diff->tool);
}

/* ---- one run */

static void print_json_run(const struct diff_lines *lines, const struct diff_run *run)
{
    static const char *const kinds[] = { "", "changed", "only_left", "only_right" };
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "run");
    json_text(&json, "kind", kinds[run->kind]);
    json_text(&json, "region", lines->region->name);
    json_number(&json, "offset", run->offset);
    json_number(&json, "bytes", run->bytes);
    json_end_line(&json);
}

/* "  0x0001f3a0..0x0001f3b7  24 bytes  page 31 + 0x3a0"; "+ ..." where only the right snapshot has the pages. */
static void print_run(const struct diff_lines *lines, const struct diff_run *run)
{
    static const char signs[] = "? -+";
    char line[LINE_BYTES], place[LINE_BYTES];
    bool changed = run->kind == SAVEPOINT_DIFFERENCE_CHANGED;
    uint64_t count = changed ? run->changed_bytes : run->bytes / DIFF_PAGE_BYTES;
    int used = snprintf(line, sizeof line, "%c 0x%0*" PRIx64 "..0x%0*" PRIx64 "  %" PRIu64 " %s%s", signs[run->kind],
                        lines->digits, run->offset, lines->digits, run->offset + run->bytes - 1, count,
                        changed ? "byte" : "page", count == 1 ? "" : "s");
    int more = snprintf(place, sizeof place, "  page %" PRIu64 " + 0x%03" PRIx64, run->offset / DIFF_PAGE_BYTES,
                        run->offset % DIFF_PAGE_BYTES);
    if (changed && (lines->width == 0 || used + more <= lines->width)) {
        memcpy(line + used, place, (size_t)more + 1);
    }
    print_line(lines, line);
}

static bool may_show(struct diff_lines *lines)
{
    bool shown = lines->diff->all || lines->shown < SHOWN_MAX;
    *(shown ? &lines->shown : &lines->hidden) += 1;
    return shown;
}

/* The run in hand has come to its end. */
static void flush_run(struct diff_lines *lines)
{
    if (lines->run.bytes > 0 && lines->diff->json) {
        print_json_run(lines, &lines->run);
    } else if (lines->run.bytes > 0 && may_show(lines)) {
        print_run(lines, &lines->run);
    }
    lines->run.bytes = 0;
}

/* Goes on with the run in hand where that ends here, or for people near enough: a byte or two that are the same by
 * chance tell nothing. */
static void add_run(struct diff_lines *lines, uint32_t kind, uint64_t offset, uint64_t bytes)
{
    struct diff_run *run = &lines->run;
    uint64_t gap_most = lines->diff->json ? 0 : JOINED_GAP;
    if (run->bytes > 0 && run->kind == kind && offset - (run->offset + run->bytes) <= gap_most) {
        run->bytes = offset + bytes - run->offset;
        run->changed_bytes += bytes;
        return;
    }
    flush_run(lines);
    *run = (struct diff_run){ kind, offset, bytes, bytes };
}

static void add_runs(struct diff_lines *lines, const struct savepoint_difference *difference)
{
    const uint8_t *left = difference->left;
    const uint8_t *right = difference->right;
    for (size_t i = 0; i < DIFF_PAGE_BYTES;) {
        size_t start = i;
        while (i < DIFF_PAGE_BYTES && left[i] != right[i]) {
            i++;
        }
        if (i > start) {
            add_run(lines, difference->kind, difference->page * DIFF_PAGE_BYTES + start, i - start);
        }
        while (i % 8 == 0 && i < DIFF_PAGE_BYTES && memcmp(left + i, right + i, 8) == 0) {
            i += 8;
        }
        i += i < DIFF_PAGE_BYTES && left[i] == right[i] ? 1 : 0;
    }
}

/* ---- rows of bytes */

/* Turns the colour on or off where that changes. */
static void paint(const char *colour, bool *painted, bool wanted)
{
    if (colour != NULL && *painted != wanted) {
        fputs(wanted ? colour : "\x1b[0m", stdout);
        *painted = wanted;
    }
}

/* `colour` is for the bytes that differ from the other side; NULL: none. */
static void print_row(const struct diff_lines *lines, uint64_t offset, const uint8_t *bytes, const uint8_t *other,
                      const char *colour, char sign)
{
    bool painted = false;
    printf("%c %0*" PRIx64 " ", sign, lines->digits, offset);
    for (int i = 0; i < lines->row_bytes; i++) {
        putchar(' ');
        paint(colour, &painted, bytes[i] != other[i]);
        printf("%02x", bytes[i]);
    }
    paint(colour, &painted, false);
    fputs(lines->text ? "  " : "", stdout);
    for (int i = 0; lines->text && i < lines->row_bytes; i++) {
        paint(colour, &painted, bytes[i] != other[i]);
        putchar(bytes[i] < 0x80 && isprint(bytes[i]) ? bytes[i] : '.');
    }
    paint(colour, &painted, false);
    putchar('\n');
}

static void add_rows(struct diff_lines *lines, const struct savepoint_difference *difference)
{
    size_t row_bytes = (size_t)lines->row_bytes;
    for (size_t i = 0; i < DIFF_PAGE_BYTES; i += row_bytes) {
        const uint8_t *left = difference->left + i;
        const uint8_t *right = difference->right + i;
        uint64_t offset = difference->page * DIFF_PAGE_BYTES + i;
        if (memcmp(left, right, row_bytes) != 0 && may_show(lines)) {
            print_row(lines, offset, left, right, lines->coloured ? "\x1b[31m" : NULL, '-');
            print_row(lines, offset, right, left, lines->coloured ? "\x1b[32m" : NULL, '+');
        }
    }
}

/* ---- regions */

static void print_hidden(struct diff_lines *lines)
{
    if (lines->hidden > 0) {
        printf("  ... %" PRIu64 " more (--all)\n", lines->hidden);
    }
    lines->hidden = 0;
}

static void end_region(struct diff_lines *lines)
{
    flush_run(lines);
    print_hidden(lines);
}

static void begin_region(struct diff_lines *lines, const struct diff_region *region)
{
    char name[TEXT_ESCAPED_BYTES];
    if (lines->region == NULL && !lines->diff->json) {
        print_side(lines, "---", &lines->diff->left);
        print_side(lines, "+++", &lines->diff->right);
    }
    uint64_t bytes = region->left_bytes > region->right_bytes ? region->left_bytes : region->right_bytes;
    lines->region = region;
    lines->shown = 0;
    lines->digits = bytes > UINT64_C(1) << 32 ? 12 : 8;
    choose_row(lines);
    if (!lines->diff->json) {
        fputs(lines->coloured ? "\x1b[33m" : "", stdout);
        text_print_cut(stdout, text_escape(name, region->name), lines->width > 0 ? lines->width : INT32_MAX / 2);
        puts(lines->coloured ? "\x1b[0m" : "");
    }
}

void diff_lines_add(struct diff_lines *lines, const struct diff_region *region,
                    const struct savepoint_difference *difference)
{
    if (region != lines->region) {
        end_region(lines);
        begin_region(lines, region);
    }
    if (difference->kind != SAVEPOINT_DIFFERENCE_CHANGED) {
        end_region(lines);
        lines->shown = 0; /* this line is always shown */
        add_run(lines, difference->kind, difference->page * DIFF_PAGE_BYTES, difference->pages * DIFF_PAGE_BYTES);
    } else if (lines->diff->mode == DIFF_HEX) {
        add_rows(lines, difference);
    } else {
        add_runs(lines, difference);
    }
}

void diff_lines_close(struct diff_lines *lines)
{
    end_region(lines);
}
