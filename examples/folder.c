/* folder.c - the text files of a folder and the folders in it, in an order that is always the same */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entry.h"
#include "fnv.h"

enum { FILE_BYTES_MAX = 16 << 20 };

/* Files found, or folders still to be looked into. */
struct list {
    struct folder_file *files;
    size_t count, capacity;
};

/* The list takes the path over. */
static int append(struct list *list, char *path, uint64_t bytes)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 64;
        struct folder_file *files = realloc(list->files, capacity * sizeof *files);
        if (files == NULL) {
            free(path);
            return ENOMEM;
        }
        list->files = files;
        list->capacity = capacity;
    }
    list->files[list->count++] = (struct folder_file){ path, bytes };
    return 0;
}

static void clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->files[i].path);
    }
    free(list->files);
}

/* "folder/name", or only "name" where the folder is empty; NULL: no memory. */
static char *join(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path != NULL) {
        snprintf(path, bytes, "%s%s%s", folder, *folder != '\0' ? "/" : "", name);
    }
    return path;
}

static int is_packed(const char *name)
{
    static const char *const endings[] = { ".gz", ".bz2", ".xz", ".zst", ".lz", ".Z", ".zip", ".svp" };
    size_t bytes = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i]);
        if (bytes >= ending && strcmp(name + bytes - ending, endings[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Sorts one entry into the files, the folders, or neither. What disappears meanwhile is left out. */
static int visit(struct list *files, struct list *folders, const char *root, const char *folder, const char *name)
{
    uint64_t bytes = 0;
    char *path = join(folder, name);
    char *full = path != NULL ? join(root, path) : NULL;
    if (full == NULL) {
        free(path);
        return ENOMEM;
    }
    enum entry_kind kind = entry_look(full, &bytes);
    free(full);
    if (kind == ENTRY_FOLDER) {
        return append(folders, path, 0);
    }
    if (kind == ENTRY_FILE && bytes > 0 && bytes <= FILE_BYTES_MAX && !is_packed(name)) {
        return append(files, path, bytes);
    }
    free(path);
    return 0;
}

static int look_into(struct list *files, struct list *folders, const char *root, const char *folder)
{
    char *full = join(root, folder);
    DIR *directory = full != NULL ? opendir(full) : NULL;
    int code = directory != NULL ? 0 : full != NULL ? errno : ENOMEM;
    free(full);
    while (code == 0) {
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            code = visit(files, folders, root, folder, entry->d_name);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return code;
}

static int by_path(const void *left, const void *right)
{
    const struct folder_file *a = left, *b = right;
    return strcmp(a->path, b->path);
}

int folder_open(struct folder *folder, const char *root, size_t limit)
{
    struct list files = { 0 }, folders = { 0 };
    int code = look_into(&files, &folders, root, "");
    for (size_t i = 0; code == 0 && i < folders.count; i++) {
        code = look_into(&files, &folders, root, folders.files[i].path);
    }
    clear(&folders);
    if (files.count > 0) {
        qsort(files.files, files.count, sizeof *files.files, by_path);
    }
    while (files.count > limit) {
        free(files.files[--files.count].path);
    }
    *folder = (struct folder){ root, files.files, files.count };
    return code;
}

void folder_close(struct folder *folder)
{
    struct list files = { folder->files, folder->count, folder->count };
    clear(&files);
    *folder = (struct folder){ 0 };
}

uint64_t folder_digest(const struct folder *folder)
{
    uint64_t digest = FNV_BEGIN;
    for (size_t i = 0; i < folder->count; i++) {
        digest = fnv_add(digest, folder->files[i].path, strlen(folder->files[i].path) + 1);
        digest = fnv_add(digest, &folder->files[i].bytes, sizeof folder->files[i].bytes);
    }
    return digest;
}

char *folder_read(const struct folder *folder, size_t index, size_t *bytes)
{
    const struct folder_file *file = &folder->files[index];
    char *path = join(folder->root, file->path);
    char *text = malloc((size_t)file->bytes);
    FILE *stream = path != NULL ? fopen(path, "rb") : NULL;
    size_t got = stream != NULL && text != NULL ? fread(text, 1, (size_t)file->bytes, stream) : 0;
    if (stream != NULL) {
        fclose(stream);
    }
    free(path);
    if (got != file->bytes || memchr(text, '\0', got) != NULL) {
        free(text);
        return NULL;
    }
    *bytes = got;
    return text;
}
