/* test_watch_windows.c - what is particular to the write-watch of Windows: memory made for it, and changes under it */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "watch_fixture.h"

static const struct svp_watch_backend *windows_backend(void)
{
    return svp_watch_backend_find("windows");
}

static void *page_address(const struct watched *watched, size_t page)
{
    return watched->memory + page * watched->page_bytes;
}

CHECK_TEST(watch_windows, backends_in_order)
{
    const char *const names[] = { "windows", "compare" };
    for (size_t i = 0; i < 2; i++) {
        CHECK_STR(svp_watch_backend_at(i)->name, names[i]);
        CHECK(svp_watch_backend_find(names[i]) == svp_watch_backend_at(i));
    }
    CHECK(svp_watch_backend_at(2) == NULL);
    struct svp_watch_choice choice = { .fallback = true };
    CHECK_OK(svp_watch_choose(&choice, NULL, (size_t)1 << 30, 4096, NULL));
    CHECK(choice.backend == windows_backend() && !choice.fallback);
    struct savepoint_error error;
    CHECK_STATUS(svp_watch_choose(&choice, "signal", 4096, 4096, &error), SAVEPOINT_NO_BACKEND);
    CHECK(strstr(error.message, "'signal'") != NULL);
}

/* Refused, and the message says what to do. */
static void check_refused(struct watched *watched, void *memory, size_t pages)
{
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    enum savepoint_status status =
        windows_backend()->add(watched->watch, (uintptr_t)memory, pages * watched->page_bytes, &error);
    CHECK_STATUS(status, SAVEPOINT_BAD_MEMORY);
    CHECK_MSG(strstr(error.message, "savepoint_map") != NULL && strstr(error.message, "'compare'") != NULL,
              "message: %s", error.message);
}

static _Alignas(4096) unsigned char in_bss[4 * 4096];

CHECK_TEST(watch_windows, memory_that_was_not_made_for_it)
{
    struct watched watched;
    watched_open(&watched, windows_backend(), 4);
    unsigned char *plain = VirtualAlloc(NULL, 4 * watched.page_bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    CHECK(plain != NULL);
    check_refused(&watched, plain, 4);
    check_refused(&watched, in_bss, 4);
    plain[0] = 1; /* as it was before */
    VirtualFree(plain, 0, MEM_RELEASE);
    write_page(&watched, 2);
    CHECK_REARM(&watched, PAGE(2));
    watched_close(&watched);
}

/* One allocation has one state: a range over two of them cannot be asked for. */
CHECK_TEST(watch_windows, two_allocations)
{
    struct watched watched;
    const size_t granule = 65536;
    watched_open(&watched, windows_backend(), 1);
    unsigned char *both = VirtualAlloc(NULL, 2 * granule, MEM_RESERVE, PAGE_NOACCESS);
    CHECK(both != NULL && VirtualFree(both, 0, MEM_RELEASE));
    for (size_t i = 0; i < 2; i++) {
        CHECK(VirtualAlloc(both + i * granule, granule, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE) ==
              both + i * granule);
    }
    check_refused(&watched, both, 2 * granule / watched.page_bytes);
    CHECK_OK(windows_backend()->add(watched.watch, (uintptr_t)both, granule, NULL));
    CHECK_OK(windows_backend()->add(watched.watch, (uintptr_t)both + granule, granule, NULL));
    watched_close(&watched);
    VirtualFree(both, 0, MEM_RELEASE);
    VirtualFree(both + granule, 0, MEM_RELEASE);
}

/* A run too many is kept for the next call: the system has reset it already. */
CHECK_TEST(watch_windows, surplus_pages_are_reported_next)
{
    struct watched watched;
    size_t resume = 0;
    watched_open(&watched, windows_backend(), 16);
    for (size_t page = 1; page < 16; page += 2) {
        write_page(&watched, page);
    }
    CHECK_EQ(collect_some(&watched, SVP_WATCH_PEEK, 0, 16, 0, 3, &resume), PAGE(1) | PAGE(3) | PAGE(5));
    CHECK_EQ(collect_some(&watched, SVP_WATCH_REARM, 0, 16, 0, 3, &resume), PAGE(1) | PAGE(3) | PAGE(5));
    CHECK_EQ(resume, 6);
    CHECK_PEEK(&watched, PAGE(7) | PAGE(9) | PAGE(11) | PAGE(13) | PAGE(15));
    write_page(&watched, 1);
    write_page(&watched, 9);
    CHECK_REARM(&watched, PAGE(1) | PAGE(7) | PAGE(9) | PAGE(11) | PAGE(13) | PAGE(15));
    CHECK_REARM(&watched, 0);
    watched_close(&watched);
}

CHECK_TEST(watch_windows, system_calls_are_counted)
{
    struct watched watched;
    HANDLE reader = NULL;
    HANDLE writer = NULL;
    DWORD moved = 0;
    char text[3 * 4096];
    memset(text, 'p', sizeof text);
    watched_open(&watched, windows_backend(), 8);
    CHECK(CreatePipe(&reader, &writer, NULL, sizeof text));
    for (int turn = 0; turn < 2; turn++) {
        CHECK(WriteFile(writer, text, sizeof text, &moved, NULL) && moved == sizeof text);
        CHECK(ReadFile(reader, page_address(&watched, 2), sizeof text, &moved, NULL) && moved == sizeof text);
        CHECK_MEM(page_address(&watched, 2), text, sizeof text);
        CHECK_REARM(&watched, PAGES(2, 5));
    }
    FILETIME *time = page_address(&watched, 6);
    CHECK(GetProcessTimes(GetCurrentProcess(), time, time + 1, time + 2, time + 3));
    CHECK_REARM(&watched, PAGE(6));
    CloseHandle(reader);
    CloseHandle(writer);
    watched_close(&watched);
}

CHECK_TEST(watch_windows, protection_changed_by_the_application)
{
    struct watched watched;
    DWORD before = 0;
    watched_open(&watched, windows_backend(), 8);
    write_page(&watched, 1);
    CHECK(VirtualProtect(watched.memory, 4 * watched.page_bytes, PAGE_NOACCESS, &before));
    CHECK(VirtualProtect(watched.memory, 4 * watched.page_bytes, PAGE_READONLY, &before));
    CHECK_OK(watched_mark(&watched, 3, 1)); /* also of memory that cannot be written */
    CHECK(VirtualProtect(watched.memory, 4 * watched.page_bytes, PAGE_READWRITE, &before));
    write_page(&watched, 2);
    CHECK_REARM(&watched, PAGES(1, 4));
    CHECK_REARM(&watched, 0);
    write_page(&watched, 0);
    CHECK_REARM(&watched, PAGE(0));
    watched_close(&watched);
}

/* Zeros come back without a store: mark is the remedy. */
CHECK_TEST(watch_windows, pages_given_back)
{
    struct watched watched;
    watched_open(&watched, windows_backend(), 8);
    memset(watched.memory, 1, 8 * watched.page_bytes);
    CHECK_REARM(&watched, PAGES(0, 8));
    CHECK(VirtualFree(page_address(&watched, 2), 2 * watched.page_bytes, MEM_DECOMMIT));
    CHECK(VirtualAlloc(page_address(&watched, 2), 2 * watched.page_bytes, MEM_COMMIT, PAGE_READWRITE) != NULL);
    CHECK_EQ(watched.memory[2 * watched.page_bytes], 0);
    CHECK_OK(watched_mark(&watched, 2, 2));
    CHECK_REARM(&watched, PAGES(2, 4));
    write_page(&watched, 3);
    CHECK_REARM(&watched, PAGE(3));
    CHECK(VirtualAlloc(page_address(&watched, 5), watched.page_bytes, MEM_RESET, PAGE_READWRITE) != NULL);
    write_page(&watched, 5);
    CHECK_REARM(&watched, PAGE(5));
    watched_close(&watched);
}

CHECK_TEST(watch_windows, memory_that_is_gone)
{
    struct watched watched;
    watched_open(&watched, windows_backend(), 8);
    write_page(&watched, 1);
    CHECK(VirtualFree(watched.memory, 0, MEM_RELEASE));
    CHECK_STATUS(try_collect(&watched, SVP_WATCH_REARM), SAVEPOINT_BAD_MEMORY);
    watched.owned = false;
    watched_close(&watched);
}
