/* hexdump.c - savepoint hexdump: the bytes of a region, for eyes */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "place.h"
#include "table.h"
#include "terminal.h"

static const char help[] =
    "Examples:\n"
    "  savepoint hexdump game.svp HEAD heap | less\n"
    "  savepoint hexdump game.svp HEAD~3 heap:0x1000+64\n"
    "  savepoint hexdump --address game.svp HEAD heap:4K+1K    where a debugger shows it\n"
    "  diff <(savepoint hexdump game.svp HEAD~1 heap) <(savepoint hexdump game.svp HEAD heap)\n"
    "\n"
    "Usage: savepoint hexdump [OPTIONS] ARCHIVE SNAPSHOT REGION[:OFFSET[+LENGTH]]\n"
    "\n"
    "Shows the memory of a region as it was in SNAPSHOT, as 'hexdump -C' does: the offset, the\n"
    "bytes, and the same as ASCII; then the offset of the end. Every page is verified. Rows like\n"
    "the one before are left out, with a '*' in their place; without LENGTH the whole rest of the\n"
    "region is shown. Excluded pages are zeros.\n"
    "\n" PLACE_HELP "\n"
    "Options:\n"
    "  -a, --address       the recorded addresses instead of offsets in the region\n"
    "      --all           show repeated rows, too\n"
    "  -w, --width BYTES   bytes in a row, at most 64; 0 (the default): 16, or what fits the terminal\n"
    "  -j, --json          one JSON object a line, for each row; repeated ones are not left out\n"
    "  -q, --quiet         say nothing unless it fails\n"
    "      --color WHEN    auto, always, or never\n"
    "  -h, --help          this text\n";

enum { WIDTH_DEFAULT = 16, WIDTH_MAX = 64, GROUP = 8, DIGITS_LEAST = 8, COLOUR_BYTES = 4 };
enum { LINE_BYTES = 32 + WIDTH_MAX * (3 + 1 + 4 * COLOUR_BYTES) };

struct hexdump {
    struct place place;
    bool address, all, json, coloured;
    uint64_t width; /* bytes in a row; 0: not chosen yet */
    int digits;     /* of an offset */

    uint64_t at; /* offset or address of the row in hand */
    unsigned char row[WIDTH_MAX], previous[WIDTH_MAX];
    size_t used;       /* bytes of the row in hand */
    bool has_previous; /* a row was shown, or stands for shown ones */
    bool folding;      /* the last line is a '*' */
};

/* ---- one row */

struct line {
    char text[LINE_BYTES];
    size_t used;
    bool coloured, faint;
};

static void add(struct line *line, const char *text)
{
    size_t bytes = strlen(text);
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
}

/* Zeros are what most memory consists of: they stand back. */
static void set_faint(struct line *line, bool faint)
{
    if (line->coloured && line->faint != faint) {
        add(line, faint ? "\x1b[2m" : "\x1b[0m");
        line->faint = faint;
    }
}

static void add_byte(struct line *line, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    set_faint(line, byte == 0);
    line->text[line->used++] = digits[byte >> 4];
    line->text[line->used++] = digits[byte & 15];
}

static void add_character(struct line *line, unsigned char byte)
{
    set_faint(line, byte == 0);
    line->text[line->used++] = byte >= 0x20 && byte < 0x7f ? (char)byte : '.';
}

static void print_row(const struct hexdump *dump)
{
    struct line line = { .coloured = dump->coloured };
    line.used = (size_t)snprintf(line.text, sizeof line.text, "%0*" PRIx64 " ", dump->digits, dump->at);
    for (size_t i = 0; i < dump->width; i++) {
        bool inside = i < dump->used;
        set_faint(&line, inside && dump->row[i] == 0 && line.faint);
        add(&line, i > 0 && i % GROUP == 0 ? "  " : " ");
        if (inside) {
            add_byte(&line, dump->row[i]);
        } else {
            add(&line, "  ");
        }
    }
    set_faint(&line, false);
    add(&line, "  |");
    for (size_t i = 0; i < dump->used; i++) {
        add_character(&line, dump->row[i]);
    }
    set_faint(&line, false);
    add(&line, "|\n");
    fwrite(line.text, 1, line.used, stdout);
}

static void print_json(const struct hexdump *dump)
{
    char hex[2 * WIDTH_MAX + 1] = "";
    char address[2 + 16 + 1];
    struct json json = { stdout, false };
    for (size_t i = 0; i < dump->used; i++) {
        snprintf(hex + 2 * i, 3, "%02x", dump->row[i]);
    }
    json_open_object(&json, NULL);
    json_number(&json, "offset", dump->address ? dump->at - dump->place.region.address : dump->at);
    if (dump->address) {
        snprintf(address, sizeof address, "0x%" PRIx64, dump->at);
        json_text(&json, "address", address);
    }
    json_text(&json, "hex", hex);
    json_end_line(&json);
}

/* Shows the row in hand, or folds it, and begins the next one. */
static void end_row(struct hexdump *dump)
{
    bool repeated =
        dump->has_previous && dump->used == dump->width && memcmp(dump->row, dump->previous, dump->used) == 0;
    if (dump->json) {
        print_json(dump);
    } else if (!repeated || dump->all) {
        print_row(dump);
        dump->folding = false;
    } else if (!dump->folding) {
        puts("*");
        dump->folding = true;
    }
    memcpy(dump->previous, dump->row, dump->used);
    dump->has_previous = true;
    dump->at += dump->used;
    dump->used = 0;
}

/* ---- all of them */

static int dump_block(void *user, const unsigned char *bytes, size_t count)
{
    struct hexdump *dump = user;
    while (count > 0) {
        size_t room = (size_t)dump->width - dump->used;
        size_t part = count < room ? count : room;
        memcpy(dump->row + dump->used, bytes, part);
        dump->used += part;
        bytes += part;
        count -= part;
        if (dump->used == dump->width) {
            end_row(dump);
        }
    }
    return ferror(stdout) ? TOOL_ENVIRONMENT : TOOL_GO_ON;
}

static int columns_of(const struct hexdump *dump, uint64_t width)
{
    return dump->digits + (int)(3 * width + (width - 1) / GROUP + 1) + (int)(3 + width + 1);
}

/* Enough digits for the end, so that all rows begin alike; then as many bytes as the terminal has room for. */
static void choose_shape(struct hexdump *dump)
{
    const struct place *place = &dump->place;
    dump->at = place->offset + (dump->address ? place->region.address : 0);
    dump->digits = DIGITS_LEAST;
    while (dump->digits < 16 && (dump->at + place->bytes) >> (4 * dump->digits) != 0) {
        dump->digits++;
    }
    if (dump->width > 0) {
        return;
    }
    int columns = dump->json ? 0 : terminal_columns();
    dump->width = WIDTH_DEFAULT;
    while (columns > 0 && dump->width > 1 && columns_of(dump, dump->width) > columns) {
        dump->width /= 2;
    }
}

static int dump_place(struct hexdump *dump)
{
    choose_shape(dump);
    int code = place_read(&dump->place, dump_block, dump);
    if (dump->used > 0) {
        end_row(dump);
    }
    if (dump->has_previous && !dump->json) {
        printf("%0*" PRIx64 "\n", dump->digits, dump->at);
    }
    if (code != TOOL_DAMAGED) {
        archive_report(dump->place.archive);
    }
    return code == TOOL_GO_ON ? TOOL_DONE : code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct archive archive;
    struct savepoint_snapshot snapshot;
    struct hexdump dump = { 0 };
    struct option_bounded width = { 0, WIDTH_MAX };
    const struct option options[] = {
        { 'a', "address", OPTION_FLAG, &dump.address }, { 0, "all", OPTION_FLAG, &dump.all },
        { 'w', "width", OPTION_BOUNDED, &width },       { 'j', "json", OPTION_FLAG, &dump.json },
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 3, 3);
    if (code != TOOL_GO_ON) {
        return code;
    }
    dump.width = width.number;
    dump.coloured = table_wants_colour(tool);
    code = archive_open(&archive, tool, argv[0]);
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_find(&archive, &snapshot, argv[1]);
    if (code == TOOL_GO_ON) {
        code = place_find(&dump.place, &archive, &snapshot, argv[2]);
    }
    if (code == TOOL_GO_ON) {
        code = dump_place(&dump);
    }
    archive_close(&archive);
    return code;
}

const struct verb verb_hexdump = { "hexdump", "show the bytes of a region in hexadecimal", help, run };
