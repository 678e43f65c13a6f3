/* machine_linux.c - what only Linux tells about itself */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t machine_mappings_most(void)
{
    uint64_t most = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r"); /* missing without /proc */
    if (file != NULL) {
        if (fscanf(file, "%" SCNu64, &most) != 1) {
            most = 0;
        }
        fclose(file);
    }
    return most;
}

/* "\040" and the like stand for blanks in the list of mounts. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        unsigned code = 0;
        if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

static bool is_inside(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '\0' || path[length] == '/' || (length > 0 && folder[length - 1] == '/'));
}

/* The innermost mount that holds the path; of several in one place the last covers the others. */
static void find_mount(char out[MACHINE_NAME_BYTES], FILE *mounts, const char *path)
{
    char *line = NULL;
    size_t capacity = 0;
    size_t longest = 0;
    while (getline(&line, &capacity, mounts) > 0) {
        /* "36 35 98:0 /root /mount/point options... - ext4 /dev/sda1 ..." */
        char *kind = strstr(line, " - ");
        char *rest = NULL;
        char *field = strtok_r(line, " ", &rest);
        for (int i = 0; i < 4 && field != NULL; i++) {
            field = strtok_r(NULL, " ", &rest);
        }
        if (kind == NULL || field == NULL) {
            continue;
        }
        unescape(field);
        if (is_inside(path, field) && strlen(field) >= longest) {
            longest = strlen(field);
            snprintf(out, MACHINE_NAME_BYTES, "%.*s", (int)strcspn(kind + 3, " \n"), kind + 3);
        }
    }
    free(line);
}

void machine_file_system(char out[MACHINE_NAME_BYTES], const char *folder)
{
    out[0] = '\0';
    char *path = realpath(folder, NULL);
    FILE *mounts = fopen("/proc/self/mountinfo", "r"); /* missing without /proc */
    if (mounts != NULL && path != NULL) {
        find_mount(out, mounts, path);
    }
    if (mounts != NULL) {
        fclose(mounts);
    }
    free(path);
}

int machine_sync(int descriptor)
{
    return fdatasync(descriptor) != 0 ? errno : 0;
}
