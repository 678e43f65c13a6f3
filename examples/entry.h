/* entry.h - what an entry of a folder is */
#ifndef ENTRY_H
#define ENTRY_H

#include <stdint.h>

enum entry_kind { ENTRY_OTHER, ENTRY_FILE, ENTRY_FOLDER };

/* Links are not followed, and are neither; as is what is not there. *bytes is set for files. */
enum entry_kind entry_look(const char *path, uint64_t *bytes);

#endif
