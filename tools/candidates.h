/* candidates.h - what may stand at the end of a command line, for the shells to complete it
 *
 * What a verb takes is learned from the verb itself: the options from the table that its parser gets, the rest from
 * its help ("Usage: savepoint show [OPTIONS] ARCHIVE [SNAPSHOT]", "  -o, --directory DIRECTORY   what it does"). */
#ifndef TOOL_CANDIDATES_H
#define TOOL_CANDIDATES_H

#include "verbs.h"

/* words[0..count) stand behind "savepoint"; the last one, perhaps empty, is to be completed. Prints a line for each
 * candidate, whole words with a tab and what they are behind it. A line without a word in front of its tab asks for
 * names of files instead: "archives", "files", or "directories". Never fails: where nothing is known, nothing is
 * printed. */
void candidates_print(int count, char **words);

/* The shells that 'savepoint completion' has scripts for; the list ends with NULL. */
extern const char *const candidates_shells[];

#endif
