/* test_trap_shared.c - files and other mappings behind memory under watch: what is tracked, what only `mark` can tell
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trap_fixture.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* ---- tracked: writes through the mapping that is watched */

static void check_tracked(struct watched *watched, int file, int flags)
{
    rewatch(watched, map_file(file, 0, TRAP_PAGES, flags), TRAP_PAGES);
    check_alive(watched);
    unsigned sum = 0;
    for (size_t page = 0; page < TRAP_PAGES; page++) {
        sum += *(volatile unsigned char *)page_address(watched, page);
    }
    CHECK(sum > 0);
    CHECK_PEEK(watched, 0);
    if (file >= 0) {
        close(file);
    }
}

TRAP_TEST(trap_shared, private_mapping_of_a_file)
{
    check_tracked(watched, disk_file(TRAP_PAGES, 3), MAP_PRIVATE);
}

TRAP_TEST(trap_shared, shared_mapping_of_a_file)
{
    check_tracked(watched, disk_file(TRAP_PAGES, 3), MAP_SHARED);
}

TRAP_TEST(trap_shared, private_mapping_of_a_memory_file)
{
    check_tracked(watched, memory_file(TRAP_PAGES, 3), MAP_PRIVATE);
}

TRAP_TEST(trap_shared, shared_mapping_of_a_memory_file)
{
    check_tracked(watched, memory_file(TRAP_PAGES, 3), MAP_SHARED);
}

TRAP_TEST(trap_shared, shared_anonymous_memory)
{
    check_tracked(watched, -1, MAP_SHARED | MAP_ANONYMOUS);
}

/* Writing back and dropping the page from memory change neither what is written nor what is armed. */
TRAP_TEST(trap_shared, written_back_and_dropped)
{
    rewatch(watched, map_file(disk_file(TRAP_PAGES, 3), 0, TRAP_PAGES, MAP_SHARED), TRAP_PAGES);
    size_t bytes = TRAP_PAGES * watched->page_bytes;
    write_page(watched, 2);
    CHECK_EQ(msync(watched->memory, bytes, MS_SYNC), 0);
    (void)madvise(watched->memory, bytes, MADV_PAGEOUT);
    CHECK_PEEK(watched, PAGE(2));
    CHECK_REARM(watched, PAGE(2));
    CHECK_EQ(madvise(watched->memory, bytes, MADV_DONTNEED), 0); /* the file has it all */
    CHECK_EQ(page_address(watched, 5)[0], 3);
    uint64_t found = collect_pages(watched, SVP_WATCH_REARM);
    CHECK(!is(watched, "signal") || found == 0);
    check_alive(watched);
}

/* ---- unseen: everything that changes the file by another way */

struct shared_file {
    struct watched *watched;
    int file;
    unsigned char *other; /* a second mapping of pages 2 to 5, made after the first was watched */
};

static void by_second_mapping(const struct shared_file *shared)
{
    shared->other[shared->watched->page_bytes] = 1;
}

static void by_write(const struct shared_file *shared)
{
    CHECK_EQ(pwrite(shared->file, "w", 1, (off_t)(3 * shared->watched->page_bytes)), 1);
}

static void by_punching(const struct shared_file *shared)
{
    off_t page_bytes = (off_t)shared->watched->page_bytes;
    CHECK_EQ(fallocate(shared->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * page_bytes, page_bytes), 0);
}

static void by_removing(const struct shared_file *shared)
{
    CHECK_EQ(madvise(page_address(shared->watched, 3), shared->watched->page_bytes, MADV_REMOVE), 0);
}

static void by_cutting(const struct shared_file *shared)
{
    CHECK_EQ(ftruncate(shared->file, (off_t)(3 * shared->watched->page_bytes)), 0);
    CHECK_EQ(ftruncate(shared->file, (off_t)(TRAP_PAGES * shared->watched->page_bytes)), 0);
}

static void write_in_child(void *argument)
{
    const struct watched *watched = argument;
    write_page(watched, 3);
}

static void by_child(const struct shared_file *shared)
{
    CHECK_CHILD(write_in_child, shared->watched);
}

/* Each changes page 3 (and cutting, all behind it). What the watch knew before is kept. */
static void check_unseen_by_file(struct watched *watched, void (*change)(const struct shared_file *))
{
    struct shared_file shared = { .watched = watched, .file = memory_file(TRAP_PAGES, 3) };
    rewatch(watched, map_file(shared.file, 0, TRAP_PAGES, MAP_SHARED), TRAP_PAGES);
    shared.other = map_file(shared.file, 2, 4, MAP_SHARED);
    fill_pages(watched, 0, 8, 5);
    CHECK_REARM(watched, PAGES(0, 8));
    write_page(watched, 1);
    change(&shared);
    CHECK(page_address(watched, 3)[0] != 5 || page_address(watched, 3)[3] != 5);
    CHECK_REARM(watched, PAGE(1));
    check_unseen(watched, 3, 1);
    munmap(shared.other, 4 * watched->page_bytes);
    check_alive(watched);
    close(shared.file);
}

TRAP_TEST(trap_shared, changed_by_a_second_mapping)
{
    check_unseen_by_file(watched, by_second_mapping);
}

TRAP_TEST(trap_shared, changed_by_write)
{
    check_unseen_by_file(watched, by_write);
}

TRAP_TEST(trap_shared, changed_by_punching_a_hole)
{
    check_unseen_by_file(watched, by_punching);
    check_unseen_by_file(watched, by_removing);
}

TRAP_TEST(trap_shared, changed_by_cutting_the_file)
{
    check_unseen_by_file(watched, by_cutting);
}

TRAP_TEST(trap_shared, changed_by_a_child)
{
    check_unseen_by_file(watched, by_child);
}

TRAP_TEST(trap_shared, file_changed_behind_a_private_mapping)
{
    int file = memory_file(TRAP_PAGES, 3);
    rewatch(watched, map_file(file, 0, TRAP_PAGES, MAP_PRIVATE), TRAP_PAGES);
    write_page(watched, 1); /* this page is ours from now on */
    CHECK_EQ(pwrite(file, "f", 1, (off_t)(1 * watched->page_bytes + 9)), 1);
    CHECK_EQ(pwrite(file, "f", 1, (off_t)(3 * watched->page_bytes)), 1);
    CHECK_EQ(page_address(watched, 1)[9], 3);
    CHECK_EQ(page_address(watched, 3)[0], 'f');
    CHECK_REARM(watched, PAGE(1));
    check_unseen(watched, 3, 1);
    check_alive(watched);
    close(file);
}

/* ---- refused: a second mapping that is there already */

TRAP_TEST(trap_shared, a_second_mapping_is_refused)
{
    int file = memory_file(TRAP_PAGES, 3);
    unsigned char *other = map_file(file, 2, 4, MAP_SHARED);
    unsigned char *memory = map_file(file, 0, TRAP_PAGES, MAP_SHARED);
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    enum savepoint_status status =
        watched->backend->add(watched->watch, (uintptr_t)memory, TRAP_PAGES * watched->page_bytes, &error);
    if (watched->caps.arms_memory) {
        CHECK_STATUS(status, SAVEPOINT_BAD_MEMORY);
        CHECK_MSG(strstr(error.message, "savepoint_mark") != NULL, "message: %s", error.message);
        memset(memory, 1, TRAP_PAGES * watched->page_bytes);
    } else {
        CHECK_OK(status);
    }
    CHECK_EQ(munmap(other, 4 * watched->page_bytes), 0);
    if (!watched->caps.arms_memory) {
        watched->backend->remove(watched->watch, (uintptr_t)memory, TRAP_PAGES * watched->page_bytes);
    }
    rewatch(watched, memory, TRAP_PAGES);
    check_alive(watched);
    close(file);
}
