/* text.c - untrusted text, sizes and times made fit for a terminal */
#include "text.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "terminal.h"

#define NS_PER_S 1000000000u

static const char ellipsis[] = "\xe2\x80\xa6";

struct range {
    uint32_t first, last;
};

static int is_in(uint32_t code_point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (code_point >= ranges[i].first && code_point <= ranges[i].last) {
            return 1;
        }
    }
    return 0;
}
#define IS_IN(code_point, ranges) is_in(code_point, ranges, sizeof(ranges) / sizeof((ranges)[0]))

/* Characters that act on a terminal instead of showing: controls, line separators, changes of direction,
 * invisible tags. */
static const struct range unsafe[] = {
    { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0x061c, 0x061c }, { 0x200b, 0x200f },   { 0x2028, 0x202e },
    { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
};

/* Roughly what terminals agree on; a label that is off by a column is no harm. */
static const struct range no_column[] = {
    { 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd }, { 0x064b, 0x065f },
    { 0x1ab0, 0x1aff }, { 0x20d0, 0x20f0 }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
};
static const struct range two_columns[] = {
    { 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
    { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
    { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1faff }, { 0x20000, 0x3fffd },
};

size_t text_decode(uint32_t *code_point, const char *text, size_t bytes)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > bytes) {
        return 0;
    }
    uint32_t value = first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0u) != 0x80u) {
            return 0;
        }
        value = value << 6 | (next & 0x3fu);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code_point = value;
    return length;
}

int text_is_unsafe(uint32_t code_point)
{
    return IS_IN(code_point, unsafe);
}

/* Writes one character, escaped where needed, and returns the bytes of input it took. */
static size_t escape_one(char out[16], const char *text, size_t bytes)
{
    uint32_t code_point = 0;
    size_t length = text_decode(&code_point, text, bytes);
    if (length == 0 || code_point < 0x20 || code_point == 0x7f) {
        snprintf(out, 16, "\\x%02x", (unsigned)(unsigned char)text[0]);
        return 1;
    }
    if (text_is_unsafe(code_point)) {
        snprintf(out, 16, code_point > 0xffff ? "\\U%08" PRIx32 : "\\u%04" PRIx32, code_point);
        return length;
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return length;
}

char *text_escape(char out[TEXT_ESCAPED_BYTES], const char *text)
{
    size_t used = 0;
    size_t bytes = strlen(text);
    out[0] = '\0';
    for (size_t i = 0; i < bytes;) {
        char one[16];
        i += escape_one(one, text + i, bytes - i);
        size_t length = strlen(one);
        if (used + length >= TEXT_ESCAPED_BYTES) {
            break;
        }
        memcpy(out + used, one, length + 1);
        used += length;
    }
    return out;
}

void text_print(FILE *stream, const char *text, size_t bytes, const char *indent)
{
    for (size_t i = 0; i < bytes;) {
        char one[16];
        if (text[i] == '\n' && indent != NULL) {
            fprintf(stream, "\n%s", indent);
            i++;
            continue;
        }
        i += escape_one(one, text + i, bytes - i);
        fputs(one, stream);
    }
}

static bool is_escaped(const char *text)
{
    bool escaped = false;
    for (size_t i = 0, bytes = strlen(text); !escaped && i < bytes;) {
        char one[16];
        size_t length = escape_one(one, text + i, bytes - i);
        escaped = strncmp(one, text + i, length) != 0;
        i += length;
    }
    return escaped;
}

/* Shells read the escapes in $'...', and there a backslash is one. */
static void print_escaped_argument(FILE *stream, const char *word)
{
    fputs("$'", stream);
    for (size_t i = 0, bytes = strlen(word); i < bytes;) {
        char one[16];
        fputs(word[i] == '\'' || word[i] == '\\' ? "\\" : "", stream);
        i += escape_one(one, word + i, bytes - i);
        fputs(one, stream);
    }
    fputc('\'', stream);
}

void text_print_argument(FILE *stream, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stream);
        return;
    }
    if (is_escaped(word)) {
        print_escaped_argument(stream, word);
        return;
    }
    fputc('\'', stream);
    for (const char *rest = word; *rest != '\0';) {
        size_t length = strcspn(rest, "'");
        text_print(stream, rest, length, NULL);
        rest += length;
        if (*rest == '\'') {
            fputs("'\\''", stream);
            rest++;
        }
    }
    fputc('\'', stream);
}

static int columns_of(uint32_t code_point)
{
    if (IS_IN(code_point, no_column)) {
        return 0;
    }
    return IS_IN(code_point, two_columns) ? 2 : 1;
}

/* Bytes of `text` that fit into `columns`; *used is what they take. */
static size_t fitting_bytes(int *used, const char *text, int columns)
{
    size_t bytes = strlen(text);
    size_t taken = 0;
    *used = 0;
    while (taken < bytes) {
        uint32_t code_point = 0;
        size_t length = text_decode(&code_point, text + taken, bytes - taken);
        int wide = length == 0 ? 1 : columns_of(code_point);
        if (*used + wide > columns) {
            break;
        }
        *used += wide;
        taken += length == 0 ? 1 : length;
    }
    return taken;
}

int text_columns(const char *text)
{
    int used = 0;
    fitting_bytes(&used, text, INT32_MAX / 2);
    return used;
}

int text_print_cut(FILE *stream, const char *text, int columns)
{
    int used = 0;
    size_t bytes = fitting_bytes(&used, text, columns);
    if (text[bytes] == '\0') {
        fputs(text, stream);
        return used;
    }
    if (columns < 1) {
        return 0;
    }
    bytes = fitting_bytes(&used, text, columns - 1);
    fprintf(stream, "%.*s%s", (int)bytes, text, ellipsis);
    return used + 1;
}

char *text_size(char out[TEXT_SHORT_BYTES], uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    if (bytes < 1024) {
        snprintf(out, TEXT_SHORT_BYTES, "%" PRIu64 " B", bytes);
        return out;
    }
    size_t unit = 0;
    double value = (double)bytes / 1024;
    while (value >= 999.5) { /* 1000 KiB is 0.98 MiB: the next unit is the shorter text */
        value /= 1024;
        unit++;
    }
    snprintf(out, TEXT_SHORT_BYTES, value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

char *text_duration(char out[TEXT_SHORT_BYTES], uint64_t nanoseconds)
{
    uint64_t seconds = nanoseconds / NS_PER_S;
    if (nanoseconds < NS_PER_S) {
        snprintf(out, TEXT_SHORT_BYTES, "%.1f ms", (double)nanoseconds / 1e6);
    } else if (seconds < 60) {
        snprintf(out, TEXT_SHORT_BYTES, "%" PRIu64 " s", seconds);
    } else if (seconds < 3600) {
        snprintf(out, TEXT_SHORT_BYTES, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
    } else {
        snprintf(out, TEXT_SHORT_BYTES, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
    }
    return out;
}

char *text_pause(char out[TEXT_SHORT_BYTES], uint64_t nanoseconds)
{
    if (nanoseconds >= NS_PER_S / 1000) {
        return text_duration(out, nanoseconds);
    }
    snprintf(out, TEXT_SHORT_BYTES, "%.0f \xc2\xb5s", (double)nanoseconds / 1e3);
    return out;
}

char *text_time(char out[TEXT_SHORT_BYTES], uint64_t time_ns)
{
    struct tm local;
    if (!terminal_calendar(&local, time_ns / NS_PER_S, false) ||
        strftime(out, TEXT_SHORT_BYTES, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        strcpy(out, "?");
    }
    return out;
}

char *text_time_utc(char out[TEXT_SHORT_BYTES], uint64_t time_ns)
{
    char whole[24];
    struct tm utc;
    if (!terminal_calendar(&utc, time_ns / NS_PER_S, true) ||
        strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        strcpy(whole, "?");
    }
    snprintf(out, TEXT_SHORT_BYTES, "%s.%09" PRIu64 "Z", whole, time_ns % NS_PER_S);
    return out;
}

char *text_short_id(char out[TEXT_SHORT_BYTES], const struct savepoint_id *id)
{
    savepoint_id_format(id, out);
    out[TEXT_SHORT_ID_DIGITS] = '\0';
    return out;
}

enum { LONGEST_WORD = 32 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int fold(char character)
{
    return tolower((unsigned char)character);
}

unsigned text_distance(const char *left, const char *right)
{
    size_t rows = strlen(left);
    size_t columns = strlen(right);
    unsigned distance[LONGEST_WORD + 1][LONGEST_WORD + 1];
    if (rows > LONGEST_WORD || columns > LONGEST_WORD) {
        return LONGEST_WORD;
    }
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                distance[i][j] = (unsigned)(i + j);
                continue;
            }
            unsigned replaced = distance[i - 1][j - 1] + (fold(left[i - 1]) != fold(right[j - 1]));
            distance[i][j] = least(replaced, 1 + least(distance[i - 1][j], distance[i][j - 1]));
            if (i > 1 && j > 1 && fold(left[i - 1]) == fold(right[j - 2]) && fold(left[i - 2]) == fold(right[j - 1])) {
                distance[i][j] = least(distance[i][j], distance[i - 2][j - 2] + 1);
            }
        }
    }
    return distance[rows][columns];
}

int text_is_nearer(unsigned *best, const char *word, const char *candidate)
{
    size_t length = strlen(candidate);
    unsigned distance = text_distance(word, candidate);
    unsigned most = length <= 4 ? 1 : length <= 7 ? 2 : 3;
    if (strncmp(word, candidate, strlen(word)) == 0 && strlen(word) >= 2) {
        distance = least(distance, 1); /* the beginning of a word is a good hint */
    }
    if (distance > most || distance >= *best) {
        return 0;
    }
    *best = distance;
    return 1;
}

char *text_file_name(char out[TEXT_FILE_NAME_BYTES], const char *name)
{
    size_t used = 0;
    for (; used < TEXT_FILE_NAME_BYTES - 1 && name[used] != '\0'; used++) {
        unsigned char byte = (unsigned char)name[used];
        bool harmless = byte < 0x80 && (isalnum(byte) || strchr("-_+=,.", byte) != NULL);
        out[used] = harmless ? (char)byte : '_';
    }
    if (used == 0) {
        out[used++] = '_';
    }
    out[used] = '\0';
    if (out[0] == '.' || out[0] == '-') {
        out[0] = '_';
    }
    return out;
}
