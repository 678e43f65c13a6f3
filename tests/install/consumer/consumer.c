/* consumer.c - a user's program, valid as C and as C++: watch a page, take a snapshot, find it again */
#include <savepoint.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PAGE_BYTES 4096

static unsigned char memory[2 * PAGE_BYTES];

static int failed(const struct savepoint_error *error)
{
    char text[512];
    savepoint_error_format(error, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 1;
}

int main(int argument_count, char **arguments)
{
    struct savepoint *session = NULL;
    struct savepoint_archive *archive = NULL;
    struct savepoint_error error;
    struct savepoint_snapshot snapshot;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    unsigned char byte = 0;
    uint64_t ticket = 0;
    unsigned char *page = memory + (PAGE_BYTES - (uintptr_t)memory % PAGE_BYTES) % PAGE_BYTES;

    if (argument_count != 2) {
        fprintf(stderr, "usage: %s ARCHIVE\n", arguments[0]);
        return 2;
    }
    if (savepoint_open(&session, arguments[1], &options, &error) != SAVEPOINT_OK ||
        savepoint_watch(session, "page", page, PAGE_BYTES, &error) != SAVEPOINT_OK) {
        return failed(&error);
    }
    memset(page, 42, PAGE_BYTES);
    if (savepoint_take(session, &ticket, NULL, &error) != SAVEPOINT_OK ||
        savepoint_wait(session, ticket, &snapshot, &error) != SAVEPOINT_OK ||
        savepoint_close(session, &error) != SAVEPOINT_OK) {
        return failed(&error);
    }
    if (savepoint_archive_open(&archive, arguments[1], &error) != SAVEPOINT_OK ||
        savepoint_archive_find(archive, &snapshot, "HEAD", &error) != SAVEPOINT_OK ||
        savepoint_archive_read(archive, &byte, &snapshot, "page", PAGE_BYTES - 1, 1, &error) != SAVEPOINT_OK) {
        return failed(&error);
    }
    savepoint_archive_close(archive);
    printf("savepoint %s: read back %d\n", savepoint_version(), byte);
    return byte == 42 ? 0 : 1;
}
