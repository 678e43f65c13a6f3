/* test_watch_public.c - the write-watch by itself (savepoint/watch.h): collects, limits, ranges, over every backend */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "public_fixture.h"

CHECK_TEST(watch_public, three_shapes_of_one_answer)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 40);
        CHECK_GUARDED(&guarded, 0, 40, 0, 0);
        for (size_t turn = 0; turn < 6; turn++) {
            uint64_t written = PAGE(turn) | PAGE(turn + 1) | PAGE(20) | PAGE(39 - turn);
            for (size_t page = 0; page < 40; page++) {
                if ((written & PAGE(page)) != 0) {
                    guarded_write(&guarded, page);
                }
            }
            CHECK_GUARDED(&guarded, 0, 40, SAVEPOINT_WATCH_PEEK, written);
            CHECK_GUARDED(&guarded, 0, 40, 0, written);
            CHECK_GUARDED(&guarded, 0, 40, 0, 0);
        }
        guarded_close(&guarded);
    }
}

CHECK_TEST(watch_public, a_part_is_collected_and_reset_by_itself)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 16);
        for (size_t page = 0; page < 16; page++) {
            guarded_write(&guarded, page);
        }
        CHECK_GUARDED(&guarded, 3, 6, 0, PAGES(3, 6));
        CHECK_OK(savepoint_watch_reset(guarded.watch, guarded_page(&guarded, 10), 2 * guarded.page_bytes, NULL));
        CHECK_GUARDED(&guarded, 0, 16, SAVEPOINT_WATCH_PEEK, PAGES(0, 3) | PAGES(6, 10) | PAGES(12, 16));
        CHECK_OK(savepoint_watch_reset(guarded.watch, guarded.memory, 16 * guarded.page_bytes, NULL));
        CHECK_GUARDED(&guarded, 0, 16, 0, 0);
        guarded_write(&guarded, 11);
        CHECK_GUARDED(&guarded, 0, 16, 0, PAGE(11));
        guarded_close(&guarded);
    }
}

CHECK_TEST(watch_public, marked_and_prepared_parts_are_reported_until_rearmed)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 16);
        CHECK_OK(savepoint_watch_mark(guarded.watch, guarded_page(&guarded, 2), 3 * guarded.page_bytes, NULL));
        CHECK_OK(savepoint_watch_prepare(guarded.watch, guarded_page(&guarded, 8), 2 * guarded.page_bytes, NULL));
        int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        CHECK_EQ(read(zero, guarded_page(&guarded, 8), 2 * guarded.page_bytes), 2 * guarded.page_bytes);
        close(zero);
        CHECK_GUARDED(&guarded, 0, 16, SAVEPOINT_WATCH_PEEK, PAGES(2, 5) | PAGES(8, 10));
        CHECK_GUARDED(&guarded, 0, 16, 0, PAGES(2, 5) | PAGES(8, 10));
        CHECK_GUARDED(&guarded, 0, 16, 0, 0);
        guarded_close(&guarded);
    }
}

/* ---- limits: every shape stops where it was told, and goes on there */

static void write_pages(const struct guarded *guarded, uint64_t written)
{
    for (size_t page = 0; page < guarded->pages; page++) {
        if ((written & PAGE(page)) != 0) {
            guarded_write(guarded, page);
        }
    }
}

static uint64_t bits_of(const struct guarded *guarded, const struct savepoint_watch_range *range)
{
    size_t first = (size_t)((unsigned char *)range->start - guarded->memory) / guarded->page_bytes;
    return PAGES(first, first + range->bytes / guarded->page_bytes);
}

static size_t count_of(uint64_t bits)
{
    size_t count = 0;
    for (; bits != 0; bits &= bits - 1) {
        count++;
    }
    return count;
}

/* One collect with these limits, in the shape of that number; what it reports must end where it says it stopped. */
static uint64_t collect_limited(const struct guarded *guarded, int shape, size_t limit, bool limit_ranges,
                                struct savepoint_watch_span *span)
{
    struct savepoint_watch_range ranges[64];
    void *addresses[64];
    uint64_t found = 0;
    size_t count = 0;
    if (shape == 0) {
        CHECK_OK(savepoint_watch_collect_ranges(guarded->watch, ranges, limit_ranges ? limit : 64, &count, span,
                                                limit_ranges ? 0 : limit, 0, NULL));
        for (size_t i = 0; i < count; i++) {
            found |= bits_of(guarded, &ranges[i]);
        }
    } else if (shape == 1) {
        CHECK_OK(savepoint_watch_collect_addresses(guarded->watch, addresses, limit, &count, span, 0, NULL));
        for (size_t i = 0; i < count; i++) {
            const struct savepoint_watch_range page = { addresses[i], guarded->page_bytes };
            found |= bits_of(guarded, &page);
        }
    } else {
        CHECK_OK(savepoint_watch_collect_bitmap(guarded->watch, &found, guarded->memory, &count, span, limit, 0, NULL));
        CHECK_EQ(count_of(found), count);
    }
    CHECK(shape == 0 && limit_ranges ? count <= limit : count_of(found) <= limit);
    CHECK(span->next == span->end || count == limit || (shape == 0 && count_of(found) == limit));
    return found;
}

CHECK_TEST(watch_public, limits_are_resumed_without_loss)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 48);
        for (size_t limit = 1; limit < 24; limit++) {
            int shape = (int)(limit % 3);
            uint64_t written = (UINT64_C(0x9E3779B97F4A7C15) * limit) & PAGES(0, 48);
            uint64_t all = 0;
            struct savepoint_watch_span span = guarded_span(&guarded, 0, 48);
            write_pages(&guarded, written);
            while (span.next != span.end) {
                uint64_t found = collect_limited(&guarded, shape, limit, limit % 2 == 0, &span);
                CHECK_EQ(all & found, 0);
                all |= found;
                CHECK_GUARDED(&guarded, 0, 48, SAVEPOINT_WATCH_PEEK, written & ~all); /* law 2 */
            }
            CHECK_EQ(all, guarded_expected(&guarded, 0, 48, written));
        }
        guarded_close(&guarded);
    }
}

/* More written pages than one batch of the library holds. */
CHECK_TEST(watch_public, many_scattered_pages)
{
    enum { MANY = 1000 };
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        static struct savepoint_watch_range ranges[MANY + 1];
        static uint64_t bitmap[(2 * MANY + 70) / 64 + 1];
        struct guarded guarded;
        size_t bytes = 2 * MANY * host_page_bytes();
        unsigned char *memory = map_pages(2 * MANY);
        guarded_open(&guarded, backend, 1);
        CHECK_OK(savepoint_watch_add(guarded.watch, memory, bytes, NULL));
        for (size_t i = 0; i < MANY; i++) {
            memory[2 * i * guarded.page_bytes] = 1;
        }
        struct savepoint_watch_span span = { memory, memory + bytes };
        size_t count = 0;
        memset(bitmap, 0, sizeof bitmap);
        CHECK_OK(
            savepoint_watch_collect_bitmap(guarded.watch, bitmap, memory, NULL, &span, 0, SAVEPOINT_WATCH_PEEK, NULL));
        for (size_t page = 0; page < 2 * MANY; page++) {
            bool wanted = page % 2 == 0 || !guarded.caps.arms_memory;
            CHECK_EQ(bitmap[page / 64] >> (page % 64) & 1, wanted ? 1 : 0);
        }
        CHECK_EQ(bitmap[2 * MANY / 64] >> (2 * MANY % 64), 0); /* nothing behind the end */
        span.next = memory;
        CHECK_OK(savepoint_watch_collect_ranges(guarded.watch, ranges, MANY + 1, &count, &span, 0, 0, NULL));
        CHECK_EQ(count, guarded.caps.arms_memory ? MANY : 1);
        CHECK(span.next == span.end);
        for (size_t i = 0; i < count && guarded.caps.arms_memory; i++) {
            CHECK(ranges[i].start == memory + 2 * i * guarded.page_bytes && ranges[i].bytes == guarded.page_bytes);
        }
        guarded_close(&guarded);
        munmap(memory, bytes);
    }
}

CHECK_TEST(watch_public, bits_are_counted_from_the_origin)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 8);
        unsigned char *origin = guarded.memory - 100 * guarded.page_bytes; /* need not be mapped */
        uint64_t bitmap[2] = { 5, UINT64_C(1) << 63 };
        struct savepoint_watch_span span = guarded_span(&guarded, 2, 4);
        guarded_write(&guarded, 3);
        CHECK_OK(savepoint_watch_collect_bitmap(guarded.watch, bitmap, origin, NULL, &span, 0, 0, NULL));
        CHECK_EQ(bitmap[0], 5); /* what was there stays */
        uint64_t found = guarded.caps.arms_memory ? PAGE(103 - 64) : PAGES(102 - 64, 104 - 64);
        CHECK_EQ(bitmap[1], found | UINT64_C(1) << 63);
        guarded_close(&guarded);
    }
}

/* ---- ranges */

CHECK_TEST(watch_public, ranges_come_and_go)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        struct savepoint_watch_info info;
        guarded_open(&guarded, backend, 40);
        size_t page_bytes = guarded.page_bytes;
        CHECK_OK(savepoint_watch_remove(guarded.watch, guarded.memory, 40 * page_bytes, NULL));
        for (size_t i = 0; i < 20; i++) {
            CHECK_OK(
                savepoint_watch_add(guarded.watch, guarded_page(&guarded, 2 * (i * 7 % 20)), 2 * page_bytes, NULL));
        }
        CHECK_OK(savepoint_watch_describe(guarded.watch, &info, NULL));
        CHECK_EQ(info.range_count, 20);
        CHECK_EQ(info.watched_bytes, 40 * page_bytes);
        CHECK_EQ(info.fallback, 0);
        CHECK_EQ(info.widened, 0);
        for (size_t i = 0; i < 20; i += 2) {
            CHECK_OK(savepoint_watch_remove(guarded.watch, guarded_page(&guarded, 2 * i), 2 * page_bytes, NULL));
        }
        write_pages(&guarded, PAGES(0, 40));
        for (size_t i = 1; i < 20; i += 2) {
            CHECK_GUARDED(&guarded, 2 * i, 2 * i + 2, 0, PAGES(0, 40));
            CHECK_GUARDED(&guarded, 2 * i, 2 * i + 2, 0, 0);
        }
        guarded_close(&guarded);
    }
}

/* ---- which backend */

CHECK_TEST(watch_public, backends_are_listed_with_what_they_can_do)
{
    struct savepoint_watch_backend found;
    size_t count = 0;
    for (; savepoint_watch_backend_at(&found, count, NULL) == SAVEPOINT_OK; count++) {
        CHECK_STR(found.name, svp_watch_backend_at(count)->name);
        CHECK_STR(found.mechanism, svp_watch_backend_at(count)->mechanism);
        if (found.available) {
            CHECK_STR(found.problem, "");
            CHECK_EQ(found.capabilities.page_bytes, host_page_bytes());
        } else {
            CHECK(strlen(found.problem) > 0 && found.capabilities.page_bytes == 0);
        }
        if (strcmp(found.name, "signal") == 0) {
            CHECK(!found.capabilities.kernel_writes_counted && found.capabilities.arms_memory);
            CHECK_EQ(found.capabilities.cost, SAVEPOINT_WATCH_COST_SIGNAL);
        } else if (strcmp(found.name, "compare") == 0) {
            CHECK(found.capabilities.kernel_writes_counted && !found.capabilities.arms_memory);
            CHECK(!found.capabilities.exclusive);
        }
    }
    CHECK_EQ(count, 3);
    CHECK_STATUS(savepoint_watch_backend_at(&found, count, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(savepoint_watch_backend_at(NULL, 0, NULL), SAVEPOINT_INVALID);
}

static enum savepoint_status open_named(char name[16], const char *backend, uint32_t flags)
{
    struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
    struct savepoint_write_watch *watch = NULL;
    struct savepoint_watch_info info;
    options.backend = backend;
    options.flags = flags;
    enum savepoint_status status = savepoint_watch_open(&watch, &options, NULL);
    if (status == SAVEPOINT_OK) {
        CHECK_OK(savepoint_watch_describe(watch, &info, NULL));
        memcpy(name, info.backend, sizeof info.backend);
        CHECK_EQ(info.range_count, 0);
    } else {
        CHECK(watch == NULL);
    }
    savepoint_watch_close(watch);
    return status;
}

CHECK_TEST(watch_public, the_environment_forces_and_an_option_more_so)
{
    char name[16];
    CHECK_EQ(setenv("SAVEPOINT_WATCH", "compare", 1), 0);
    CHECK_OK(open_named(name, NULL, 0));
    CHECK_STR(name, "compare");
    CHECK_OK(open_named(name, "signal", 0));
    CHECK_STR(name, "signal");
    CHECK_STATUS(open_named(name, "signal", SAVEPOINT_WATCH_KERNEL_WRITES), SAVEPOINT_NO_BACKEND);
    CHECK_EQ(setenv("SAVEPOINT_WATCH", "no-such", 1), 0);
    CHECK_STATUS(open_named(name, NULL, 0), SAVEPOINT_NO_BACKEND);
    struct savepoint_write_watch *watch = NULL;
    struct savepoint_error error = { .message = "" };
    CHECK_STATUS(savepoint_watch_open(&watch, NULL, &error), SAVEPOINT_NO_BACKEND);
    CHECK_MSG(strstr(error.message, "SAVEPOINT_WATCH=no-such") != NULL, "message: %s", error.message);
    char long_name[1000] = "";
    memset(long_name, 'x', sizeof long_name - 1);
    CHECK_EQ(setenv("SAVEPOINT_WATCH", long_name, 1), 0);
    CHECK_STATUS(savepoint_watch_open(&watch, NULL, &error), SAVEPOINT_NO_BACKEND);
    CHECK_MSG(strstr(error.message, "doctor") != NULL, "message: %s", error.message); /* is not cut off by the name */
    CHECK_EQ(unsetenv("SAVEPOINT_WATCH"), 0);
    CHECK_OK(open_named(name, NULL, SAVEPOINT_WATCH_KERNEL_WRITES));
    CHECK(strcmp(name, "signal") != 0);
    savepoint_watch_close(NULL);
}
