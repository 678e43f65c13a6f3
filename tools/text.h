/* text.h - untrusted text, sizes and times made fit for a terminal */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "savepoint.h"

/* Escaping turns one byte into at most four; the longest input is the message of an error. */
#define TEXT_ESCAPED_BYTES (4 * sizeof(((struct savepoint_error *)0)->message) + 1)
#define TEXT_SHORT_BYTES 40 /* holds a size, a time, or a duration */
#define TEXT_SHORT_ID_DIGITS 8
#define TEXT_FILE_NAME_BYTES 200

/* Reads one character of UTF-8. Returns its length and sets *code_point, or 0 where the bytes are not
 * well-formed: then one byte should be skipped. */
size_t text_decode(uint32_t *code_point, const char *text, size_t bytes);

/* Characters that act on a terminal instead of showing. */
int text_is_unsafe(uint32_t code_point);

/* Copies with everything escaped that could move the cursor, hide text, or is no UTF-8. `text` is cut where
 * `out` would overflow. Returns `out`. */
char *text_escape(char out[TEXT_ESCAPED_BYTES], const char *text);

/* The same to a stream, any length; line ends are kept and followed by `indent` when it is not NULL. */
void text_print(FILE *stream, const char *text, size_t bytes, const char *indent);

/* A word of a command line, quoted for the shell where it has to be; what text_print escapes stands in $'...'. */
void text_print_argument(FILE *stream, const char *word);

/* Columns that well-formed text takes on a terminal. */
int text_columns(const char *text);

/* Prints at most `columns` columns of `text`, the last one being an ellipsis where something was cut. Returns the
 * columns printed. */
int text_print_cut(FILE *stream, const char *text, int columns);

/* A name that is one harmless file name on any system, whatever `name` is. */
char *text_file_name(char out[TEXT_FILE_NAME_BYTES], const char *name);

/* "17 B", "4.0 KiB", "213 MiB": three digits or so. */
char *text_size(char out[TEXT_SHORT_BYTES], uint64_t bytes);

/* "0.8 ms", "12 s", "3:07", "2:03:59". */
char *text_duration(char out[TEXT_SHORT_BYTES], uint64_t nanoseconds);

/* As text_duration, and "21 µs" for what is shorter than that tells. */
char *text_pause(char out[TEXT_SHORT_BYTES], uint64_t nanoseconds);

/* "2026-03-01 12:00:59", local time. */
char *text_time(char out[TEXT_SHORT_BYTES], uint64_t time_ns);

/* "2026-03-01T12:00:59.000000000Z": UTC, for machines. */
char *text_time_utc(char out[TEXT_SHORT_BYTES], uint64_t time_ns);

/* The first digits of an id. */
char *text_short_id(char out[TEXT_SHORT_BYTES], const struct savepoint_id *id);

/* Edits (insert, delete, replace, swap neighbours) that lead from one word to the other; the case of letters does not
 * count. */
unsigned text_distance(const char *left, const char *right);

/* True when `candidate` is near enough to `word` to be what was meant, and nearer than *best, which starts at
 * UINT_MAX and is then lowered. */
int text_is_nearer(unsigned *best, const char *word, const char *candidate);

#endif
