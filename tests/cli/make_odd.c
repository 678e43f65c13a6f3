/* make_odd.c - scenarios of archives that are damaged, unfinished, in use, or full of odd names */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "make_archive.h"

/* Longer than a file name may be with an ending. */
void make_long_name(const char *path)
{
    char name[SAVEPOINT_NAME_BYTES];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    open_session(path, 0);
    must(savepoint_watch(session, name, world, WORLD_BYTES, &error));
    take("long", 1, NULL);
    close_session();
}

/* Names of regions and labels of takes that would act on a terminal. */
void make_hostile(const char *path)
{
    open_session(path, 0);
    must(savepoint_watch(session, "\x1b[31mred\n\x07", world, PAGE_BYTES, &error));
    must(savepoint_watch(session,
                         "\xc2\x9b"
                         "2J \xe2\x80\xae\r",
                         world + PAGE_BYTES, PAGE_BYTES, &error));
    memset(world, 'w', 2 * PAGE_BYTES);
    take("\x1b]0;title\x07 \x1b[2J\r\n", 1, NULL);
    memset(world, 'x', PAGE_BYTES);
    take("tab\there \x7f \xc2\x9b"
         "31m \xe2\x80\xae",
         2, NULL);
    take("last", 1, NULL);
    close_session();
}

void make_control_labels(const char *path)
{
    static const char message[] = "first line\nsecond \x1b[31mline\x07 \xff end";
    const struct savepoint_metadata metadata = { SAVEPOINT_METADATA_MESSAGE, message, sizeof message - 1 };
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.metadata = &metadata;
    options.metadata_count = 1;
    open_session(path, 0);
    take("red \x1b[31m bell \x07 line\nend", 1, &options);
    take("turned \xe2\x80\xae round", 1, NULL);
    take("\"quoted\\\" \xc3\xa9 \xe6\xbc\xa2", 1, NULL);
    close_session();
}

/* Two that are not known to be durable, left by a process that died. */
void make_unsynced(const char *path)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.durability = SAVEPOINT_ORDERED;
    open_session(path, 0);
    take("durable", 1, NULL);
    take("written", 1, &options);
    take("also written", 1, &options);
    _exit(0);
}

/* Holds the writer lock until its standard input ends. */
void make_hold(const char *path)
{
    open_session(path, 0);
    take("one", 1, NULL);
    take("two", 1, NULL);
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    close_session();
}

static unsigned char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(1);
    }
    *bytes = (size_t)ftell(file);
    unsigned char *content = malloc(*bytes);
    rewind(file);
    if (content == NULL || fread(content, 1, *bytes, file) != *bytes) {
        exit(1);
    }
    fclose(file);
    return content;
}

static void write_file(const char *path, const unsigned char *content, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(content, 1, bytes, file) != bytes || fclose(file) != 0) {
        exit(1);
    }
}

/* Cuts the file in the middle of its last transaction, as a crash would. */
void make_torn(const char *path)
{
    size_t whole = 0;
    size_t before = 0;
    open_session(path, 0);
    take("one", 1, NULL);
    take("two", 1, NULL);
    free(read_file(path, &before));
    take("lost", 4, NULL);
    close_session();
    unsigned char *content = read_file(path, &whole);
    write_file(path, content, before + 3 * PAGE_BYTES);
    free(content);
}

/* Names that look like places: all of a region or a part of another one. */
void make_odd_names(const char *path)
{
    open_session(path, 0);
    must(savepoint_watch(session, "heap:16", world, PAGE_BYTES, &error));
    must(savepoint_watch(session, "a+b:c", world + PAGE_BYTES, PAGE_BYTES, &error));
    must(savepoint_watch(session, "0x10", world + 2 * PAGE_BYTES, 2 * PAGE_BYTES, &error));
    memset(world, 'w', PAGE_BYTES);
    memset(world + PAGE_BYTES, 'a', PAGE_BYTES);
    memset(world + 2 * PAGE_BYTES, 'x', 2 * PAGE_BYTES);
    take("odd", 3, NULL);
    close_session();
}

/* Flips one bit of a page where the file holds it. */
static void damage_page(const char *path, const unsigned char *page)
{
    size_t bytes = 0;
    unsigned char *content = read_file(path, &bytes);
    size_t place = 0;
    while (place + 64 <= bytes && memcmp(content + place, page + 1024, 64) != 0) {
        place++;
    }
    if (place + 64 > bytes) {
        fprintf(stderr, "make_archive: the page is not in the file as it is\n");
        exit(1);
    }
    content[place] ^= 1;
    write_file(path, content, bytes);
    free(content);
}

/* The first page of the newest snapshot is damaged. */
void make_damaged(const char *path)
{
    unsigned char page[PAGE_BYTES];
    open_session(path, 0);
    take("good", 1, NULL);
    take("also good", 1, NULL);
    take("bad", 1, NULL);
    memcpy(page, heap, PAGE_BYTES);
    close_session();
    damage_page(path, page);
}

/* The sixth page of the newest snapshot is damaged, the others are good. */
void make_damaged_late(const char *path)
{
    unsigned char page[PAGE_BYTES];
    open_session(path, 0);
    take("good", 4, NULL);
    fill_with_noise(page, PAGE_BYTES);
    memcpy(heap + 5 * PAGE_BYTES, page, PAGE_BYTES);
    take("bad", 0, NULL);
    close_session();
    damage_page(path, page);
}
