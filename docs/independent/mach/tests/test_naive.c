/* test_naive.c - write-watches with one thing left out, and how each loses writes (knowledge: A.6, A.7) */
#include "helper.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 8 };

static byte *watched_with(enum mach_emulation_collapse collapse)
{
    struct mach_emulation_options options = { .collapse = collapse };
    fresh(&options);
    byte *memory = allocate(PAGES);
    memset((void *)(uintptr_t)memory, 1, PAGES * vm_page_size);
    for (size_t i = 0; i < PAGES; i++) {
        seed_watch(page_of(memory, i));
    }
    return memory;
}

static byte *watched(void)
{
    return watched_with(MACH_EMULATION_COLLAPSE_ALWAYS);
}

static void make_dirty_once_more(byte *page)
{
    *page = 2;
    seed_reset(page);
    *page = 3; /* D1: in an object that is not shared for good */
}

/* A.7 item 3: neighbours share one copy object and are merged; one clean page hides the dirty ones. */
CHECK_TEST(naive, without_memory_entries_neighbours_merge)
{
    fresh(NULL);
    byte *memory = allocate(PAGES + 1);
    memset((void *)(uintptr_t)memory, 1, (PAGES + 1) * vm_page_size);
    for (size_t i = 0; i < PAGES; i++) { /* the last page stays as it is, and keeps the object below alive */
        seed_reset(page_of(memory, i));
    }
    CHECK(region_bytes(memory) > vm_page_size);
    CHECK(counters().simplifications > 0);
    CHECK(counters().reused_copies > 0);
    *page_of(memory, 3) = 2;
    CHECK_EQ(share_mode(page_of(memory, 3)), SM_COW); /* lost */
    CHECK_MODEL();
}

/* A.7 item 4. */
CHECK_TEST(naive, top_info_and_recurse_call_a_dirty_page_clean)
{
    byte *memory = watched();
    make_dirty_once_more(memory);
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
    CHECK_EQ(top_share_mode(memory), SM_COW);     /* lost */
    CHECK_EQ(recurse_share_mode(memory), SM_COW); /* lost */
}

/* A.7 item 5. */
CHECK_TEST(naive, one_clean_page_hides_the_entry)
{
    fresh(NULL);
    byte *memory = allocate(2);
    memset((void *)(uintptr_t)memory, 1, 2 * vm_page_size);
    CHECK_MACH(
        mach_vm_protect(mach_task_self(), address_of(memory), 2 * vm_page_size, FALSE, VM_PROT_DEFAULT | VM_PROT_COPY));
    *memory = 2;
    CHECK_EQ(share_mode(memory), SM_COW); /* lost */
    *page_of(memory, 1) = 2;
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
}

/* A.7 item 6: an answer can begin below the address asked for. */
static size_t count_dirty(byte *memory, size_t pages, bool from_entry)
{
    size_t dirty = 0;
    mach_vm_address_t at = address_of(memory);
    while (at < address_of(page_of(memory, pages))) {
        struct vm_region_extended_info info;
        mach_msg_type_number_t count = VM_REGION_EXTENDED_INFO_COUNT;
        mach_vm_address_t start = at;
        mach_vm_size_t size = 0;
        CHECK_MACH(mach_vm_region(mach_task_self(), &start, &size, VM_REGION_EXTENDED_INFO, (vm_region_info_t)&info,
                                  &count, NULL));
        dirty += info.share_mode == SM_PRIVATE;
        at = (from_entry ? start : at) + size;
    }
    return dirty;
}

CHECK_TEST(naive, stepping_by_size_from_the_address_asked_for_skips_pages)
{
    fresh(NULL);
    byte *memory = allocate(PAGES);
    memset((void *)(uintptr_t)memory, 1, PAGES * vm_page_size);
    for (size_t i = 4; i < PAGES; i++) { /* the first four stay one entry */
        seed_watch(page_of(memory, i));
        *page_of(memory, i) = 2;
    }
    CHECK_EQ(count_dirty(page_of(memory, 2), PAGES - 2, true), 4);
    CHECK_EQ(count_dirty(page_of(memory, 2), PAGES - 2, false), 2); /* two lost */
}

/* A.7 item 8. */
CHECK_TEST(naive, a_reset_of_more_than_was_reported_loses_what_came_between)
{
    byte *memory = watched();
    *page_of(memory, 1) = 2;
    CHECK_EQ(share_mode(page_of(memory, 1)), SM_PRIVATE); /* the report: page 1 */
    CHECK_EQ(share_mode(page_of(memory, 2)), SM_COW);
    *page_of(memory, 2) = 2; /* meanwhile */
    CHECK_MACH(mach_vm_protect(mach_task_self(), address_of(memory), PAGES * vm_page_size, FALSE,
                               VM_PROT_DEFAULT | VM_PROT_COPY));
    CHECK_EQ(share_mode(page_of(memory, 2)), SM_COW); /* lost */
    CHECK_EQ(*page_of(memory, 2), 2);
    CHECK_MODEL();
}

/* A.7 item 1, with a real child. */
CHECK_TEST(naive, a_fork_after_a_reset_makes_a_dirty_page_clean)
{
    int status = 0;
    int gate[2];
    char none;
    byte *memory = watched();
    make_dirty_once_more(page_of(memory, 0));
    *page_of(memory, 1) = 2; /* D0 */
    CHECK_EQ(pipe(gate), 0);
    pid_t child = fork();
    if (child == 0) {
        close(gate[1]);
        _exit((int)read(gate[0], &none, 1));
    }
    close(gate[0]);
    CHECK_EQ(share_mode(page_of(memory, 0)), SM_COW);        /* lost */
    CHECK_EQ(share_mode(page_of(memory, 1)), SM_TRUESHARED); /* survives */
    close(gate[1]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(share_mode(page_of(memory, 0)), SM_COW); /* the child is gone, the loss stays */
    CHECK_MODEL();
}

/* A.7 item 2. */
CHECK_TEST(naive, a_copy_by_another_task_makes_a_dirty_page_clean)
{
    unsigned copy = 0;
    byte *memory = watched();
    make_dirty_once_more(memory);
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
    CHECK_MACH(mach_emulation_foreign_copy(address_of(memory), vm_page_size, &copy));
    CHECK_EQ(share_mode(memory), SM_COW); /* lost */
    mach_emulation_release(copy);
    CHECK_EQ(share_mode(memory), SM_COW);
    CHECK_MODEL();
}

CHECK_TEST(naive, ones_own_mach_vm_read_does_it_too)
{
    vm_offset_t data = 0;
    mach_msg_type_number_t count = 0;
    byte *memory = watched();
    make_dirty_once_more(memory);
    CHECK_MACH(mach_vm_read(mach_task_self(), address_of(memory), vm_page_size, &data, &count));
    CHECK_EQ(*(byte *)data, 3);
    CHECK_EQ(share_mode(memory), SM_COW); /* lost */
    *memory = 4;
    CHECK_EQ(*(byte *)data, 3);
    CHECK_MODEL();
}

/* A.7 item 7: a map page is a part of an object page; resetting one does not clear its neighbours, but writing does
 * not mark them either. What is lost is lost where the caller counts pages smaller than the map's. */
CHECK_TEST(naive, a_reset_of_a_large_page_covers_all_its_small_ones)
{
    struct mach_emulation_options options = { .map_page_bytes = 16384 };
    fresh(&options);
    byte *memory = allocate(1);
    memory[0] = 1;
    seed_watch(memory);
    memory[0] = 2;
    memory[3 * 4096] = 2; /* two small pages of one large page are dirty */
    CHECK_MACH(mach_vm_protect(mach_task_self(), address_of(memory), 4096, FALSE, VM_PROT_DEFAULT | VM_PROT_COPY));
    CHECK_EQ(share_mode(memory + 3 * 4096), SM_COW); /* the second one was never reported, and is clean */
}

/* A.7 item 9. */
CHECK_TEST(naive, a_discarded_page_is_clean_and_shows_old_contents)
{
    byte *memory = watched_with(MACH_EMULATION_COLLAPSE_NEVER); /* else nothing may be left below */
    *memory = 2;
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
    CHECK_MACH(mach_emulation_discard(address_of(memory), vm_page_size));
    CHECK_EQ(share_mode(memory), SM_COW);
    CHECK_EQ(*memory, 1);
    CHECK_MODEL();
}

/* A.7 item 10. */
CHECK_TEST(naive, a_failing_query_that_ends_the_loop_leaves_the_rest_unreported)
{
    byte *memory = watched();
    struct vm_region_extended_info info;
    size_t reported = 0;
    for (size_t i = 0; i < PAGES; i++) {
        *page_of(memory, i) = 2;
    }
    mach_emulation_fail(MACH_EMULATION_REGION, 4, 1, KERN_INVALID_ADDRESS);
    for (size_t i = 0; i < PAGES; i++) {
        mach_vm_address_t at = address_of(page_of(memory, i));
        mach_vm_size_t size = 0;
        mach_msg_type_number_t count = VM_REGION_EXTENDED_INFO_COUNT;
        if (mach_vm_region(mach_task_self(), &at, &size, VM_REGION_EXTENDED_INFO, (vm_region_info_t)&info, &count,
                           NULL) != KERN_SUCCESS) {
            break;
        }
        reported += info.share_mode == SM_PRIVATE;
    }
    CHECK_EQ(reported, 3); /* five lost */
}

/* A.8: COPIED on the live range is no test. */
CHECK_TEST(naive, copied_of_the_live_range_misses_a_page_whose_chain_collapsed)
{
    fresh(NULL);
    byte *page = allocate(1);
    *page = 1;
    seed_watch(page);
    *page = 2;
    int seen[1];
    query(page, 1, seen);
    CHECK_EQ(share_mode(page), SM_PRIVATE);
    CHECK_EQ(seen[0] & VM_PAGE_QUERY_PAGE_COPIED, 0); /* lost */
}

/* A.6: the store that strikes between the copy and the new mapping is thrown away. */
static void store_in_gap(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context)
{
    (void)size;
    if (gap == *(enum mach_emulation_gap *)context) {
        *(byte *)(uintptr_t)address = 99;
    }
}

static void lose_a_store(enum mach_emulation_kernel kernel, enum mach_emulation_gap gap)
{
    struct mach_emulation_options options = { .kernel = kernel };
    fresh(&options);
    byte *page = allocate(1);
    *page = 1;
    seed_watch(page);
    *page = 2;
    options.gap_hook = store_in_gap;
    options.gap_context = &gap;
    mach_emulation_change(&options);
    seed_reset(page);
    CHECK_EQ(*page, 2); /* 99 is lost: not the mark of it, the data */
    CHECK_EQ(share_mode(page), SM_COW);
    CHECK_MODEL();
}

CHECK_TEST(naive, a_store_during_a_reset_is_lost_with_its_data)
{
    lose_a_store(MACH_EMULATION_KERNEL_15, MACH_EMULATION_GAP_COPY);
    lose_a_store(MACH_EMULATION_KERNEL_15, MACH_EMULATION_GAP_REPLACE);
    lose_a_store(MACH_EMULATION_KERNEL_RANGE, MACH_EMULATION_GAP_REPLACE);
}

CHECK_TEST(naive, a_store_during_the_registration_is_lost_too)
{
    enum mach_emulation_gap gap = MACH_EMULATION_GAP_REPLACE;
    struct mach_emulation_options options = { .gap_hook = store_in_gap, .gap_context = &gap };
    fresh(NULL);
    byte *page = allocate(1);
    *page = 1;
    mach_emulation_change(&options);
    seed_watch(page);
    CHECK_EQ(*page, 1);
    CHECK_MODEL();
}
