/* folder.h - the text files of a folder and the folders in it, in an order that is always the same */
#ifndef FOLDER_H
#define FOLDER_H

#include <stddef.h>
#include <stdint.h>

struct folder_file {
    char *path; /* from the folder on: "bash/copyright" */
    uint64_t bytes;
};

struct folder {
    const char *root; /* borrowed */
    struct folder_file *files;
    size_t count;
};

/* Lists the files in the order of their paths' bytes, at most `limit` of them. Left out: symbolic links, empty files,
 * files of more than 16 MiB, and those whose name tells that they are compressed or packed (.gz, .xz, .zip, ...).
 * Returns 0 when done, else errno. folder_close() in either case. */
int folder_open(struct folder *folder, const char *root, size_t limit);
void folder_close(struct folder *folder);

/* Paths and sizes: another list has another digest. */
uint64_t folder_digest(const struct folder *folder);

/* A file's bytes, the caller's to free; NULL where it cannot be read, or is no text: it holds a zero byte. */
char *folder_read(const struct folder *folder, size_t index, size_t *bytes);

#endif
