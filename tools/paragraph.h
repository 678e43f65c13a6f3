/* paragraph.h - prose broken into lines that fit the terminal */
#ifndef TOOL_PARAGRAPH_H
#define TOOL_PARAGRAPH_H

/* Prints `name`, padded to `indent` columns ("" and 0: none), and behind it `text`, whose further lines begin under
 * its first one. Control characters are escaped. */
void paragraph_print(const char *name, int indent, const char *text);

#endif
