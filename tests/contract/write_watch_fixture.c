/* write_watch_fixture.c - memory of savepoint_write_watch_alloc, and what GetWriteWatch must say about it */
#define _GNU_SOURCE
#include "write_watch_fixture.h"

#include <errno.h>
#include <stdlib.h>

struct savepoint_write_watch *watch;
struct savepoint_watch_capabilities caps;
bool by_signal;
size_t page_bytes;
volatile unsigned char *memory;

void begin(void)
{
    struct savepoint_watch_info info;
    const struct svp_watch_backend *backend = backend_under_test(0);
    CHECK_EQ(setenv("SAVEPOINT_WATCH", backend->name, 1), 0);
    CHECK_OK(savepoint_watch_default(&watch, NULL));
    CHECK_OK(savepoint_watch_describe(watch, &info, NULL));
    CHECK_STR(info.backend, backend->name);
    caps = info.capabilities;
    page_bytes = caps.page_bytes;
    by_signal = strcmp(info.backend, "signal") == 0;
    memory = savepoint_write_watch_alloc(PAGES_ALLOCATED * page_bytes);
    CHECK(memory != NULL);
}

void *at(size_t page)
{
    return (void *)((uintptr_t)memory + page * page_bytes);
}

void end(void)
{
    CHECK_EQ(savepoint_write_watch_free(at(0)), 0);
}

void check_get(uint32_t flags, void *base, size_t bytes, size_t capacity, uint64_t written)
{
    void *addresses[PAGES_ALLOCATED + 1];
    size_t count = capacity;
    uint32_t granularity = 0;
    size_t first = ((uintptr_t)base - (uintptr_t)memory) / page_bytes;
    size_t last = ((uintptr_t)base + bytes - 1 - (uintptr_t)memory) / page_bytes;
    size_t found = 0;
    CHECK_EQ(savepoint_get_write_watch(flags, base, bytes, addresses, &count, &granularity), 0);
    CHECK_EQ(granularity, page_bytes);
    for (size_t page = first; page <= last && found < capacity; page++) {
        if ((written & PAGE(page)) != 0 || !caps.arms_memory) {
            CHECK_MSG(found < count, "page %zu is missing", page);
            CHECK_EQ(addresses[found++], at(page));
        }
    }
    CHECK_EQ(count, found);
}

void check_all(uint32_t flags, uint64_t written)
{
    check_get(flags, at(0), PAGES_ALLOCATED * page_bytes, PAGES_ALLOCATED, written);
}

void check_refused(int code, uint32_t flags, void *base, size_t bytes, void **addresses, size_t *count,
                   uint32_t *granularity)
{
    size_t count_before = count != NULL ? *count : 0;
    uint32_t granularity_before = granularity != NULL ? *granularity : 0;
    errno = 0;
    CHECK_EQ(savepoint_get_write_watch(flags, base, bytes, addresses, count, granularity), -1);
    CHECK_EQ(errno, code);
    CHECK(count == NULL || *count == count_before);
    CHECK(granularity == NULL || *granularity == granularity_before);
}

void check_bad_part(uint32_t flags, void *base, size_t bytes)
{
    void *addresses[PAGES_ALLOCATED] = { NULL };
    size_t count = PAGES_ALLOCATED;
    uint32_t granularity = 77;
    check_refused(EINVAL, flags, base, bytes, addresses, &count, &granularity);
    CHECK(addresses[0] == NULL);
}

void check_reset_refused(void *base, size_t bytes)
{
    errno = 0;
    CHECK_EQ(savepoint_reset_write_watch(base, bytes), -1);
    CHECK_EQ(errno, EINVAL);
}
