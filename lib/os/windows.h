/* windows.h - what the files for Windows share: error codes and paths */
#ifndef SVP_WINDOWS_H
#define SVP_WINDOWS_H

#include <wchar.h>

/* The errno that says what GetLastError does. */
int svp_windows_code(void);

/* A UTF-8 path as the system takes it, of any length; to be freed with svp_memory_free. NULL: ask svp_windows_code. */
wchar_t *svp_windows_path(const char *path);

#endif
