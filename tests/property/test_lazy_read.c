/* test_lazy_read.c - any page of any snapshot takes few reads of the file, however long the history */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bad_disk.h"
#include "check.h"
#include "model.h"
#include "os/file.h"

enum { PAGE = MODEL_PAGE_BYTES, PAGES = 2048, SNAPSHOTS = 1100, CHANGED = 20, LOOKS = 1500, READS_MAX = 4000 };
#define BYTES ((size_t)PAGES * PAGE)

int __real_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
static unsigned reads;

int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    reads++;
    return __real_svp_file_read(file, to, bytes, offset, done);
}

struct lab {
    char path[64];
    uint64_t random;
    uint8_t *memory;
    struct savepoint *session;
    struct savepoint_snapshot made[SNAPSHOTS];
    uint64_t sums[SNAPSHOTS][PAGES]; /* of each page at each snapshot */
};

static uint64_t sum_of(const uint8_t *page)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PAGE; i++) {
        sum = sum * 31 + page[i];
    }
    return sum;
}

/* Page 0 changes every time, page 1 never; the others a little now and then, some wholly. */
static void change(struct lab *lab, uint64_t *sums)
{
    for (unsigned i = 0; i < CHANGED; i++) {
        size_t page = i == 0 ? 0 : 2 + model_below(&lab->random, PAGES - 2);
        uint8_t *at = lab->memory + page * PAGE;
        size_t bytes = i == 1 ? PAGE : 64;
        size_t first = bytes < PAGE ? model_below(&lab->random, PAGE - bytes) : 0;
        for (size_t k = 0; k < bytes; k++) {
            at[first + k] = (uint8_t)model_random(&lab->random);
        }
        sums[page] = sum_of(at);
    }
}

static void make_history(struct lab *lab)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.durability = SAVEPOINT_ORDERED;
    lab->random = 3;
    snprintf(lab->path, sizeof lab->path, "lazy-read-%ld.svp", (long)getpid());
    unlink(lab->path);
    lab->memory = aligned_alloc(PAGE, BYTES);
    CHECK(lab->memory != NULL);
    for (size_t i = 0; i < BYTES; i++) {
        lab->memory[i] = (uint8_t)model_random(&lab->random);
    }
    for (size_t page = 0; page < PAGES; page++) {
        lab->sums[0][page] = sum_of(lab->memory + page * PAGE);
    }
    CHECK_OK(savepoint_open(&lab->session, lab->path, NULL, NULL));
    CHECK_OK(savepoint_watch(lab->session, "r", lab->memory, BYTES, NULL));
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        if (i > 0) {
            memcpy(lab->sums[i], lab->sums[i - 1], sizeof lab->sums[i]);
            change(lab, lab->sums[i]);
        }
        CHECK_OK(savepoint_take(lab->session, NULL, &options, NULL));
        CHECK_OK(savepoint_wait(lab->session, 0, &lab->made[i], NULL));
    }
    CHECK_OK(savepoint_close(lab->session, NULL));
    free(lab->memory);
}

static unsigned look(const struct lab *lab, unsigned number, size_t page)
{
    static uint8_t bytes[PAGE];
    struct savepoint_archive *archive = NULL;
    reads = 0;
    CHECK_OK(savepoint_archive_open(&archive, lab->path, NULL));
    CHECK_OK(savepoint_archive_read(archive, bytes, &lab->made[number], "r", page * PAGE, PAGE, NULL));
    savepoint_archive_close(archive);
    CHECK_EQ(sum_of(bytes), lab->sums[number][page]);
    return reads;
}

CHECK_TEST(lazy_read, any_page_of_any_snapshot_takes_few_reads)
{
    static struct lab lab;
    unsigned most = 0;
    uint64_t sum = 0;
    make_history(&lab);
    for (unsigned i = 0; i < LOOKS; i++) {
        unsigned number = i % 3 == 0 ? SNAPSHOTS - 1 - i / 3 : (unsigned)model_below(&lab.random, SNAPSHOTS);
        size_t page = i % 4 < 2 ? i % 4 : model_below(&lab.random, PAGES);
        unsigned count = look(&lab, number, page);
        sum += count;
        most = count > most ? count : most;
        CHECK_MSG(count <= READS_MAX, "snapshot %u, page %zu: %u reads", number, page, count);
    }
    printf("lazy_read: %u reads at most, %" PRIu64 " on average\n", most, sum / LOOKS);
    unlink(lab.path);
}
