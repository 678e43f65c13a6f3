/* machine.h - what doctor asks of this system: its facts, memory, files */
#ifndef TOOL_MACHINE_H
#define TOOL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_NAME_BYTES = 256 };

/* Functions that return an int return 0 or an errno. */

/* "Linux 6.12.1 x86_64". */
void machine_name(char out[MACHINE_NAME_BYTES]);

size_t machine_page_bytes(void);

/* Mappings that a process may have; 0 where that is not known. */
uint64_t machine_mappings_most(void);

/* "ext4": the kind of file system that holds a folder; "" where that is not known. */
void machine_file_system(char out[MACHINE_NAME_BYTES], const char *folder);

/* Zero-filled memory, on pages of its own; NULL: none left. */
void *machine_map(size_t bytes);
void machine_unmap(void *memory, size_t bytes);

/* Hands pages back to the system, which may make zeros of them; false where it knows no such thing. */
bool machine_drop(void *memory, size_t bytes);

/* Lets system calls write to memory. */
int machine_call_writes(void *to, const void *from, size_t bytes);

/* A new folder in TMPDIR, else in /tmp; *path is to be freed. It is to be empty when it is removed. */
int machine_make_folder(char **path);
void machine_remove_folder(const char *path);

/* Makes the content of a file durable. */
int machine_sync(int descriptor);

/* How long it takes to append 4096 bytes to a file in a folder and to sync it, `count` times. */
int machine_time_syncs(uint64_t *times_ns, size_t count, const char *folder);

void machine_nap(void); /* a millisecond */

#endif
