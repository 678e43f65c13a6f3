/* windows.h - what the files for Windows share: error codes and paths */
#ifndef SVP_WINDOWS_H
#define SVP_WINDOWS_H

#include <wchar.h>

/* The errno that says what GetLastError does. */
int svp_windows_code(void);

enum { SVP_WINDOWS_PATH_MAX = 4096 }; /* characters, the end included */

/* A UTF-8 path as the system takes it, also where it is longer than 260 characters. 0, or an errno. */
int svp_windows_path(wchar_t to[SVP_WINDOWS_PATH_MAX], const char *path);

#endif
