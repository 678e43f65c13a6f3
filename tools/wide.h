/* wide.h - UTF-8 and the text that Windows works with */
#ifndef TOOL_WIDE_H
#define TOOL_WIDE_H

#include <wchar.h>

enum { WIDE_PATH_MAX = 4096 }; /* characters, the end included */

/* A path as the system takes it, also where it is longer than 260 characters. 0, or an errno. */
int wide_path(wchar_t to[WIDE_PATH_MAX], const char *path);

/* To be freed. */
char *wide_to_utf8(const wchar_t *text);

/* The errno that says what GetLastError does. */
int wide_error(void);

#endif
