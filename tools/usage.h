/* usage.h - what the help of a verb tells about the words it takes
 *
 * The line "Usage: savepoint show [OPTIONS] ARCHIVE [SNAPSHOT]" names the operands, and each line under "Options:",
 * such as "  -o, --directory DIRECTORY   write there", an option. */
#ifndef TOOL_USAGE_H
#define TOOL_USAGE_H

#include <stddef.h>

#include "verbs.h"

enum { USAGE_KIND_BYTES = 32, USAGE_MEANING_BYTES = 512 };

/* What operand number `index` is, "ARCHIVE", by the first line of usage; "[REGION...]" is a REGION, and so is all
 * behind it. Empty where there is none. */
void usage_operand(char kind[USAGE_KIND_BYTES], const struct verb *verb, size_t index);

/* What the value of an option is, "DIRECTORY"; empty where it takes none. `name` may be NULL, then the letter counts.
 */
void usage_value(char kind[USAGE_KIND_BYTES], const struct verb *verb, char letter, const char *name);

/* What an option does: the first line of it. */
void usage_meaning(char meaning[USAGE_MEANING_BYTES], const struct verb *verb, char letter, const char *name);

#endif
