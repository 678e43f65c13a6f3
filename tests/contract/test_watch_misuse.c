/* test_watch_misuse.c - the write-watch by itself refuses bad arguments, by name, and nothing changes by that */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "public_fixture.h"

/* ---- opening */

static void check_not_opened(const void *options, enum savepoint_status wanted, const char *words)
{
    struct savepoint_write_watch *watch = NULL;
    struct savepoint_error error = { .message = "" };
    CHECK_STATUS(savepoint_watch_open(&watch, options, &error), wanted);
    CHECK_STATUS(error.status, wanted);
    CHECK_MSG(strstr(error.message, words) != NULL, "message: %s", error.message);
    CHECK(watch == NULL);
}

CHECK_TEST(watch_misuse, options)
{
    struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
    struct {
        struct savepoint_watch_options known;
        uint64_t unknown;
    } larger = { SAVEPOINT_WATCH_OPTIONS_INIT, 1 };
    CHECK_STATUS(savepoint_watch_open(NULL, NULL, NULL), SAVEPOINT_INVALID);
    options.flags = 2;
    check_not_opened(&options, SAVEPOINT_INVALID, "0x2");
    options.flags = 0;
    options.reserved = 1;
    check_not_opened(&options, SAVEPOINT_INVALID, "'reserved'");
    options.reserved = 0;
    options.size = 3;
    check_not_opened(&options, SAVEPOINT_INVALID, "_INIT");
    options.size = sizeof options;
    options.backend = "no-such";
    check_not_opened(&options, SAVEPOINT_NO_BACKEND, "no-such");
    larger.known.size = sizeof larger;
    check_not_opened(&larger, SAVEPOINT_UNSUPPORTED, "newer");
}

/* ---- parts of memory */

typedef enum savepoint_status part_call(struct savepoint_write_watch *, void *, size_t, struct savepoint_error *);

/* Collecting as one of the calls that take a part of memory. */
static enum savepoint_status
collect(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    struct savepoint_watch_range range = { &range, 7 };
    size_t count = 77;
    struct savepoint_watch_span span = { start, (void *)((uintptr_t)start + bytes) };
    enum savepoint_status status = savepoint_watch_collect_ranges(watch, &range, 1, &count, &span, 0, 0, error);
    CHECK(status == SAVEPOINT_OK || (count == 77 && span.next == start && range.start == &range && range.bytes == 7));
    return status;
}

static enum savepoint_status
collect_addresses(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    void *address = NULL;
    size_t count = 77;
    struct savepoint_watch_span span = { start, (void *)((uintptr_t)start + bytes) };
    enum savepoint_status status = savepoint_watch_collect_addresses(watch, &address, 1, &count, &span, 0, error);
    CHECK(status == SAVEPOINT_OK || (count == 77 && span.next == start && address == NULL));
    return status;
}

static enum savepoint_status
collect_bits(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    uint64_t bits = 0;
    size_t count = 77;
    struct savepoint_watch_span span = { start, (void *)((uintptr_t)start + bytes) };
    enum savepoint_status status = savepoint_watch_collect_bitmap(watch, &bits, start, &count, &span, 0, 0, error);
    CHECK(status == SAVEPOINT_OK || (count == 77 && span.next == start && bits == 0));
    return status;
}

static const struct {
    const char *name;
    part_call *call;
    bool adds; /* or else needs memory that was added */
} calls[] = {
    { "add", savepoint_watch_add, true },
    { "remove", savepoint_watch_remove, false },
    { "reset", savepoint_watch_reset, false },
    { "mark", savepoint_watch_mark, false },
    { "prepare", savepoint_watch_prepare, false },
    { "collect_ranges", collect, false },
    { "collect_addresses", collect_addresses, false },
    { "collect_bitmap", collect_bits, false },
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static void check_call(size_t i, const struct guarded *guarded, void *start, size_t bytes, enum savepoint_status wanted)
{
    struct savepoint_error error = { .message = "" };
    enum savepoint_status status = calls[i].call(guarded->watch, start, bytes, &error);
    CHECK_MSG(status == wanted, "%s of %zu bytes at %p: %s (%s), not %s", calls[i].name, bytes, start,
              savepoint_status_name(status), error.message, savepoint_status_name(wanted));
    CHECK(strlen(error.message) > 10 && error.status == wanted);
    CHECK_STATUS(calls[i].call(guarded->watch, start, bytes, NULL), wanted);
}

CHECK_TEST(watch_misuse, parts_of_memory)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 8); /* pages 2 to 5 will be watched */
        size_t page = guarded.page_bytes;
        CHECK_OK(savepoint_watch_remove(guarded.watch, guarded.memory, 8 * page, NULL));
        CHECK_OK(savepoint_watch_add(guarded.watch, guarded_page(&guarded, 2), 4 * page, NULL));
        guarded_write(&guarded, 3);
        for (size_t i = 0; i < CALLS; i++) {
            unsigned char *good = guarded_page(&guarded, 2);
            check_call(i, &guarded, good + 1, page, SAVEPOINT_INVALID);
            check_call(i, &guarded, good, page + 1, SAVEPOINT_INVALID);
            check_call(i, &guarded, good, 0, SAVEPOINT_INVALID);
            check_call(i, &guarded, good, 0 - (uintptr_t)good, SAVEPOINT_INVALID);
            check_call(i, &guarded, good, (size_t)0 - page, SAVEPOINT_INVALID);
            check_call(i, &guarded, good - page, 2 * page, calls[i].adds ? SAVEPOINT_OVERLAP : SAVEPOINT_NOT_FOUND);
            check_call(i, &guarded, good + 3 * page, 2 * page, calls[i].adds ? SAVEPOINT_OVERLAP : SAVEPOINT_NOT_FOUND);
            check_call(i, &guarded, good - page, 6 * page, calls[i].adds ? SAVEPOINT_OVERLAP : SAVEPOINT_NOT_FOUND);
            if (calls[i].call != collect_bits) { /* whose origin would be NULL */
                check_call(i, &guarded, NULL, page, calls[i].adds ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_NOT_FOUND);
            }
            if (!calls[i].adds) {
                check_call(i, &guarded, guarded_page(&guarded, 6), page, SAVEPOINT_NOT_FOUND);
                check_call(i, &guarded, guarded_page(&guarded, 0), page, SAVEPOINT_NOT_FOUND);
            }
        }
        check_call(0, &guarded, guarded_page(&guarded, 2), page, SAVEPOINT_OVERLAP);
        check_call(1, &guarded, guarded_page(&guarded, 2), page, SAVEPOINT_INVALID); /* removed as added, or not */
        CHECK_GUARDED(&guarded, 2, 6, 0, PAGE(3));
        CHECK_GUARDED(&guarded, 2, 6, 0, 0);
        guarded_close(&guarded);
    }
}

CHECK_TEST(watch_misuse, neighbours_cannot_be_collected_as_one)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 8);
        size_t page = guarded.page_bytes;
        CHECK_OK(savepoint_watch_remove(guarded.watch, guarded.memory, 8 * page, NULL));
        CHECK_OK(savepoint_watch_add(guarded.watch, guarded_page(&guarded, 4), 4 * page, NULL));
        CHECK_OK(savepoint_watch_add(guarded.watch, guarded.memory, 4 * page, NULL));
        for (size_t i = 1; i < CALLS; i++) {
            check_call(i, &guarded, guarded_page(&guarded, 3), 2 * page, SAVEPOINT_NOT_FOUND);
        }
        guarded_close(&guarded);
    }
}

/* An add that fails half-way through its memory arms nothing. */
CHECK_TEST(watch_misuse, a_failed_add_arms_nothing)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        struct savepoint_watch_info info;
        guarded_open(&guarded, backend, 8);
        size_t page = guarded.page_bytes;
        CHECK_OK(savepoint_watch_remove(guarded.watch, guarded.memory, 8 * page, NULL));
        CHECK_EQ(munmap(guarded_page(&guarded, 6), 2 * page), 0);
        check_call(0, &guarded, guarded.memory, 8 * page, SAVEPOINT_BAD_MEMORY);
        CHECK_EQ(mprotect(guarded_page(&guarded, 5), page, PROT_READ), 0);
        check_call(0, &guarded, guarded.memory, 6 * page, SAVEPOINT_BAD_MEMORY);
        CHECK_OK(savepoint_watch_describe(guarded.watch, &info, NULL));
        CHECK(info.range_count == 0 && info.watched_bytes == 0);
        int ends[2]; /* a system call can write there, as it cannot to armed memory of `signal` */
        CHECK_EQ(pipe(ends), 0);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_EQ(read(ends[0], guarded.memory, 1), 1);
        close(ends[0]);
        close(ends[1]);
        CHECK_OK(savepoint_watch_add(guarded.watch, guarded.memory, 5 * page, NULL));
        guarded_write(&guarded, 4);
        CHECK_GUARDED(&guarded, 0, 5, 0, PAGE(4));
        guarded_close(&guarded);
    }
}

CHECK_TEST(watch_misuse, memory_of_another_watch)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded first;
        struct guarded second;
        guarded_open(&first, backend, 8);
        guarded_open(&second, backend, 8);
        enum savepoint_status status = savepoint_watch_add(second.watch, first.memory, first.page_bytes, NULL);
        CHECK_STATUS(status, first.caps.exclusive ? SAVEPOINT_OVERLAP : SAVEPOINT_OK);
        guarded_write(&first, 0);
        CHECK_GUARDED(&first, 0, 8, 0, PAGE(0));
        check_call(5, &second, guarded_page(&first, 4), first.page_bytes, SAVEPOINT_NOT_FOUND);
        guarded_close(&second);
        guarded_write(&first, 1);
        CHECK_GUARDED(&first, 0, 8, 0, PAGE(1));
        guarded_close(&first);
    }
}

/* ---- outputs, limits and flags */

CHECK_TEST(watch_misuse, outputs_and_flags)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        struct savepoint_watch_range range;
        void *address;
        uint64_t bits = 0;
        size_t count = 0;
        guarded_open(&guarded, backend, 8);
        struct savepoint_write_watch *watch = guarded.watch;
        struct savepoint_watch_span span = guarded_span(&guarded, 0, 8);
        struct savepoint_watch_span backwards = { span.end, span.next };
        guarded_write(&guarded, 3);
#define REFUSED(call) CHECK_STATUS(call, SAVEPOINT_INVALID)
        REFUSED(savepoint_watch_collect_ranges(NULL, &range, 1, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_ranges(watch, NULL, 1, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_ranges(watch, &range, 0, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_ranges(watch, &range, 1, NULL, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_ranges(watch, &range, 1, &count, NULL, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_ranges(watch, &range, 1, &count, &span, 0, 2, NULL));
        REFUSED(savepoint_watch_collect_ranges(watch, &range, 1, &count, &backwards, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_addresses(NULL, &address, 1, &count, &span, 0, NULL));
        REFUSED(savepoint_watch_collect_addresses(watch, NULL, 1, &count, &span, 0, NULL));
        REFUSED(savepoint_watch_collect_addresses(watch, &address, 0, &count, &span, 0, NULL));
        REFUSED(savepoint_watch_collect_addresses(watch, &address, 1, NULL, &span, 0, NULL));
        REFUSED(savepoint_watch_collect_addresses(watch, &address, 1, &count, NULL, 0, NULL));
        REFUSED(savepoint_watch_collect_addresses(watch, &address, 1, &count, &span, 3, NULL));
        REFUSED(savepoint_watch_collect_bitmap(NULL, &bits, guarded.memory, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_bitmap(watch, NULL, guarded.memory, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_bitmap(watch, &bits, NULL, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_bitmap(watch, &bits, guarded.memory + 1, &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_bitmap(watch, &bits, guarded_page(&guarded, 1), &count, &span, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_bitmap(watch, &bits, guarded.memory, &count, NULL, 0, 0, NULL));
        REFUSED(savepoint_watch_collect_bitmap(watch, &bits, guarded.memory, &count, &span, 0, 8, NULL));
        REFUSED(savepoint_watch_describe(watch, NULL, NULL));
        REFUSED(savepoint_watch_describe(NULL, &(struct savepoint_watch_info){ 0 }, NULL));
#undef REFUSED
        for (size_t i = 0; i < CALLS; i++) {
            CHECK_STATUS(calls[i].call(NULL, guarded.memory, guarded.page_bytes, NULL), SAVEPOINT_INVALID);
        }
        CHECK(span.next == guarded.memory && count == 0 && bits == 0);
        CHECK_GUARDED(&guarded, 0, 8, 0, PAGE(3)); /* none of these has re-armed it */
        guarded_close(&guarded);
    }
}

/* ---- fork */

static void use_in_child(void *argument)
{
    struct guarded *guarded = argument;
    struct savepoint_watch_info info;
    for (size_t i = 0; i < CALLS; i++) {
        check_call(i, guarded, guarded->memory, 8 * guarded->page_bytes, SAVEPOINT_FORKED);
    }
    CHECK_STATUS(savepoint_watch_describe(guarded->watch, &info, NULL), SAVEPOINT_FORKED);
    for (size_t page = 0; page < 8; page++) {
        guarded_write(guarded, page);
    }
    /* Closed, the memory is the child's own: another watch can have it. */
    savepoint_watch_close(guarded->watch);
    struct guarded own;
    guarded_open(&own, svp_watch_backend_find(guarded->caps.arms_memory ? "signal" : "compare"), 1);
    CHECK_OK(savepoint_watch_reset(own.watch, own.memory, own.page_bytes, NULL));
    guarded_close(&own);
    int zero = fileno(tmpfile());
    CHECK_EQ(write(zero, "child", 5), 5);
    CHECK_EQ(pread(zero, guarded->memory, 5, 0), 5); /* armed memory of `signal` would not let it */
}

CHECK_TEST(watch_misuse, a_child_may_only_close)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 8);
        guarded_write(&guarded, 1);
        CHECK_CHILD(use_in_child, &guarded);
        CHECK_GUARDED(&guarded, 0, 8, SAVEPOINT_WATCH_PEEK, PAGE(1));
        guarded_write(&guarded, 2);
        CHECK_GUARDED(&guarded, 0, 8, 0, PAGE(1) | PAGE(2));
        CHECK_CHILD(use_in_child, &guarded);
        CHECK_GUARDED(&guarded, 0, 8, 0, 0);
        guarded_close(&guarded);
    }
}

/* Each says which of the arguments it does not like. */
CHECK_TEST(watch_misuse, complaints_name_the_argument)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        struct savepoint_watch_range range;
        void *address;
        uint64_t bits = 0;
        size_t count = 0;
        struct savepoint_error error = { .message = "" };
        guarded_open(&guarded, backend, 8);
        struct savepoint_write_watch *watch = guarded.watch;
        struct savepoint_watch_span span = guarded_span(&guarded, 0, 8);
        struct savepoint_watch_span empty = { span.end, span.end };
#define COMPLAINS(call, words)                                                                                         \
    CHECK_STATUS(call, SAVEPOINT_INVALID);                                                                             \
    CHECK_MSG(strstr(error.message, words) != NULL, "message: %s", error.message)
        COMPLAINS(savepoint_watch_collect_ranges(watch, NULL, 1, &count, &span, 0, 0, &error), "ranges is NULL");
        COMPLAINS(savepoint_watch_collect_ranges(watch, &range, 1, NULL, &span, 0, 0, &error), "range_count is NULL");
        COMPLAINS(savepoint_watch_collect_ranges(watch, &range, 1, &count, NULL, 0, 0, &error), "span is NULL");
        COMPLAINS(savepoint_watch_collect_ranges(watch, &range, 0, &count, &span, 0, 0, &error), "room");
        COMPLAINS(savepoint_watch_collect_addresses(watch, NULL, 1, &count, &span, 0, &error), "addresses is NULL");
        COMPLAINS(savepoint_watch_collect_addresses(watch, &address, 1, NULL, &span, 0, &error), "address_count is");
        COMPLAINS(savepoint_watch_collect_addresses(watch, &address, 0, &count, &span, 0, &error), "room");
        COMPLAINS(savepoint_watch_collect_bitmap(watch, NULL, guarded.memory, NULL, &span, 0, 0, &error), "bitmap is");
        COMPLAINS(savepoint_watch_collect_bitmap(watch, &bits, NULL, NULL, &span, 0, 0, &error), "origin is NULL");
        COMPLAINS(savepoint_watch_collect_ranges(watch, &range, 1, &count, &empty, 0, 0, &error), "nothing is left");
#undef COMPLAINS
        guarded_close(&guarded);
    }
}

/* ---- what fails after all: the world */

CHECK_TEST(watch_misuse, a_failed_collect_leaves_its_outputs)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, 8);
        guarded_write(&guarded, 1);
        void *over = mmap(guarded_page(&guarded, 4), guarded.page_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(over == guarded_page(&guarded, 4));
        if (strcmp(backend->name, "uffd") == 0) { /* the others do not see it: docs/PLATFORMS.md */
            for (size_t i = 5; i < CALLS; i++) {
                check_call(i, &guarded, guarded.memory, 8 * guarded.page_bytes, SAVEPOINT_BAD_MEMORY);
            }
            check_call(2, &guarded, guarded.memory, 8 * guarded.page_bytes, SAVEPOINT_BAD_MEMORY);
            struct savepoint_error error = { .operation = "" };
            CHECK_STATUS(savepoint_watch_reset(guarded.watch, guarded.memory, 8 * guarded.page_bytes, &error),
                         SAVEPOINT_BAD_MEMORY);
            CHECK_STR(error.operation, "reset");
        }
        CHECK_OK(savepoint_watch_remove(guarded.watch, guarded.memory, 8 * guarded.page_bytes, NULL));
        CHECK_OK(savepoint_watch_add(guarded.watch, guarded.memory, 8 * guarded.page_bytes, NULL));
        guarded_write(&guarded, 4);
        CHECK_GUARDED(&guarded, 0, 8, 0, PAGE(4));
        guarded_close(&guarded);
    }
}
