/* test_restore_glitch.c - a disk that gives other bytes once: what a record's tables say need not be what it says later
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

enum { PAGE = 4096, PAGES = 64, COPIES = 8 };
#define BYTES ((size_t)PAGES * PAGE)
enum { RECORD_HEADER = 64, TYPE_AT = 8, PAGES_TYPE = 4, CODER_AT = RECORD_HEADER + 4 }; /* SPEC.md, 4.1 and 4.4 */
enum { RUNS = 4, SAME = 8 };

static int file = -1;
static off_t coder_at;
static unsigned reads, glitch;

static void write_coder(uint8_t coder)
{
    CHECK(pwrite(file, &coder, 1, coder_at) == 1);
}

/* Read number `glitch` finds another coder. */
static void disturb(enum fault_kind kind)
{
    if (kind == FAULT_READ) {
        reads++;
        write_coder(reads == glitch ? RUNS : SAME);
    }
}

static struct savepoint *open_session(const char *path, uint8_t **memory)
{
    struct savepoint *session;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    void *mapped;
    options.workers = 1;
    CHECK_OK(savepoint_open(&session, path, &options, NULL));
    CHECK_OK(savepoint_map(session, &mapped, "r", BYTES, NULL, NULL));
    *memory = mapped;
    return session;
}

static void take(struct savepoint *session)
{
    CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(session, 0, NULL, NULL));
}

/* Noise, then copies of some of it: the second take refers to pages of the first one. */
static void make_archive(const char *path, uint8_t *model)
{
    uint8_t *memory;
    uint32_t noise = 9;
    struct savepoint *session = open_session(path, &memory);
    for (size_t i = 0; i < BYTES / 2; i++) {
        noise = noise * 1664525 + 1013904223;
        memory[i] = (uint8_t)(noise >> 24);
    }
    take(session);
    memcpy(memory + BYTES / 2, memory, (size_t)COPIES * PAGE);
    take(session);
    memcpy(model, memory, BYTES);
    CHECK_OK(savepoint_close(session, NULL));
}

static void find_references(void)
{
    static const uint8_t magic[] = { 0x89, 'S', 'V', 'P', '\r', '\n' };
    struct stat about;
    CHECK(fstat(file, &about) == 0);
    for (off_t at = 0; at + CODER_AT < about.st_size; at += 8) {
        uint8_t bytes[CODER_AT + 1];
        CHECK(pread(file, bytes, sizeof bytes, at) == (ssize_t)sizeof bytes);
        if (memcmp(bytes, magic, sizeof magic) == 0 && bytes[TYPE_AT] == PAGES_TYPE && bytes[CODER_AT] == SAME) {
            coder_at = at + CODER_AT;
        }
    }
    CHECK_MSG(coder_at != 0, "no record with references");
}

CHECK_TEST(restore_glitch, whatever_a_single_read_gives_is_an_error_or_does_not_matter)
{
    char path[64];
    uint8_t *memory;
    uint8_t *model = malloc(BYTES);
    unsigned refused = 0;
    snprintf(path, sizeof path, "restore-glitch-%ld.svp", (long)getpid());
    unlink(path);
    CHECK(model != NULL);
    make_archive(path, model);
    file = open(path, O_RDWR | O_CLOEXEC);
    CHECK(file >= 0);
    find_references();
    for (glitch = 1; glitch <= reads + 1; glitch++) {
        struct savepoint *session = open_session(path, &memory);
        reads = 0;
        fault_watch(disturb);
        enum savepoint_status status = savepoint_resume(session, NULL, NULL);
        fault_watch(NULL);
        write_coder(SAME);
        CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_CORRUPT, "read %u: status %d", glitch, (int)status);
        refused += status != SAVEPOINT_OK;
        CHECK_OK(savepoint_resume(session, NULL, NULL));
        CHECK_MEM(memory, model, BYTES);
        CHECK_OK(savepoint_close(session, NULL));
    }
    CHECK_MSG(refused > 1, "only %u of %u", refused, glitch);
    close(file);
    free(model);
    unlink(path);
}
