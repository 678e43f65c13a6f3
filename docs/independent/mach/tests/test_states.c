/* test_states.c - the states of a page that is watched the seed's way (knowledge: A.5), and what resets cost */
#include "helper.h"

#include <string.h>

static byte *touched(size_t pages)
{
    byte *memory = allocate(pages);
    memset((void *)(uintptr_t)memory, 1, pages * vm_page_size);
    return memory;
}

CHECK_TEST(states, a_watched_page_is_clean_until_it_is_written)
{
    fresh(NULL);
    byte *memory = touched(4);
    byte *page = page_of(memory, 1);
    seed_watch(page);
    CHECK_EQ(region_bytes(page), vm_page_size); /* an entry of its own */
    CHECK_EQ(share_mode(page), SM_COW);         /* R0 */
    CHECK_EQ(*page, 1);
    CHECK_EQ(share_mode(page), SM_COW); /* a read of what was there changes nothing */
    *page = 2;
    CHECK_EQ(share_mode(page), SM_PRIVATE); /* D0 */
    CHECK_EQ(*page, 2);
    CHECK_EQ(*page_of(memory, 0), 1);
    CHECK_MODEL();
}

CHECK_TEST(states, a_reset_page_is_clean_again)
{
    fresh(NULL);
    byte *page = touched(1);
    seed_watch(page);
    *page = 2;
    seed_reset(page);
    CHECK_EQ(share_mode(page), SM_COW); /* R1 */
    CHECK_EQ(*page, 2);
    CHECK_EQ(share_mode(page), SM_COW);
    *page = 3;
    CHECK_EQ(share_mode(page), SM_PRIVATE); /* D1 */
    for (unsigned round = 0; round < 20; round++) {
        seed_reset(page);
        CHECK_EQ(share_mode(page), SM_COW);
        page[100] = (unsigned char)round;
        CHECK_EQ(share_mode(page), SM_PRIVATE);
    }
    CHECK_EQ(*page, 3);
    CHECK_EQ(page[100], 19);
    CHECK_MODEL();
}

CHECK_TEST(states, reading_a_page_that_was_never_touched_makes_it_dirty)
{
    fresh(NULL);
    byte *memory = allocate(2);
    memory[0] = 1;
    byte *page = page_of(memory, 1);
    seed_watch(page);
    CHECK_EQ(share_mode(page), SM_COW);
    CHECK_EQ(*page, 0);
    CHECK_EQ(share_mode(page), SM_PRIVATE); /* over-reported, which is safe */
    CHECK_MODEL();
}

CHECK_TEST(states, each_useless_reset_lengthens_the_chain)
{
    struct mach_emulation_options options = { .collapse = MACH_EMULATION_COLLAPSE_NEVER };
    fresh(&options);
    byte *page = touched(1);
    seed_watch(page);
    *page = 2;
    seed_reset(page);
    unsigned before = chain_length(page);
    for (unsigned i = 0; i < 10; i++) {
        seed_reset(page);
    }
    CHECK_EQ(chain_length(page), before + 20);
    CHECK_EQ(*page, 2);
    CHECK_MODEL();
}

CHECK_TEST(states, a_wired_page_is_copied_and_reported)
{
    fresh(NULL);
    byte *page = touched(1);
    seed_watch(page);
    *page = 2;
    CHECK_MACH(mach_emulation_wire(address_of(page), vm_page_size, true));
    seed_reset(page);
    CHECK_EQ(share_mode(page), SM_PRIVATE); /* no copy-on-write, so it never looks clean */
    CHECK_EQ(*page, 2);
    CHECK_MODEL();
}

CHECK_TEST(states, a_copy_that_is_gone_leaves_no_chain_behind)
{
    struct mach_emulation_options options = { .collapse = MACH_EMULATION_COLLAPSE_NEVER };
    unsigned copy = 0;
    fresh(&options);
    byte *page = touched(1);
    CHECK_MACH(mach_emulation_foreign_copy(address_of(page), vm_page_size, &copy));
    mach_emulation_release(copy);
    CHECK_EQ(share_mode(page), SM_COW);
    *page = 2; /* the object is the entry's alone again, and stays */
    CHECK_EQ(chain_length(page), 0);
    CHECK_EQ(share_mode(page), SM_PRIVATE);
}

/* Adjacent pages registered one after the other, then written in a pattern, in each mode of collapse. */
static void watch_many(enum mach_emulation_collapse collapse, uint64_t seed)
{
    enum { PAGES = 64 };
    struct mach_emulation_options options = { .collapse = collapse, .seed = seed };
    fresh(&options);
    byte *memory = touched(PAGES);
    for (size_t i = 0; i < PAGES; i++) {
        seed_watch(page_of(memory, i));
    }
    for (unsigned round = 0; round < 6; round++) {
        for (size_t i = 0; i < PAGES; i++) {
            bool written = (i * 7 + round * 3) % 5 < 2;
            if (written) {
                *page_of(memory, i) = (unsigned char)(10 + round);
            }
            CHECK_EQ(share_mode(page_of(memory, i)), written ? SM_PRIVATE : SM_COW);
            if (written) {
                seed_reset(page_of(memory, i));
            }
        }
        CHECK_MODEL();
    }
}

CHECK_TEST(states, pages_do_not_disturb_each_other)
{
    watch_many(MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    watch_many(MACH_EMULATION_COLLAPSE_NEVER, 0);
    for (uint64_t seed = 1; seed < 5; seed++) {
        watch_many(MACH_EMULATION_COLLAPSE_RANDOM, seed);
    }
}

CHECK_TEST(states, the_reset_works_on_kernels_with_range_locks)
{
    fresh_kernel(MACH_EMULATION_KERNEL_RANGE);
    byte *page = touched(1);
    seed_watch(page);
    CHECK_EQ(*page, 1);
    *page = 2;
    CHECK_EQ(share_mode(page), SM_PRIVATE);
    seed_reset(page);
    CHECK_EQ(share_mode(page), SM_COW);
    *page = 3;
    CHECK_EQ(share_mode(page), SM_PRIVATE);
    CHECK_MODEL();
}

CHECK_TEST(states, kernel_27_refuses_a_part_of_a_writable_entry)
{
    vm_prot_t copy = VM_PROT_READ | VM_PROT_WRITE | VM_PROT_COPY;
    fresh_kernel(MACH_EMULATION_KERNEL_27);
    byte *memory = touched(2);
    CHECK_KR(mach_vm_protect(mach_task_self(), address_of(memory), vm_page_size, FALSE, copy), KERN_PROTECTION_FAILURE);
    CHECK_EQ(*memory, 1);
    CHECK_MACH(mach_vm_protect(mach_task_self(), address_of(memory), 2 * vm_page_size, FALSE, copy));
    CHECK_EQ(*memory, 1);
    give_back(memory, 2); /* permanent: only its rights go */
    CHECK_EQ(extended_info(memory).protection, VM_PROT_NONE);
    CHECK_MODEL();
}

CHECK_TEST(states, a_second_copy_of_a_permanent_entry_neuters_it)
{
    vm_prot_t copy = VM_PROT_READ | VM_PROT_WRITE | VM_PROT_COPY;
    fresh_kernel(MACH_EMULATION_KERNEL_27);
    byte *memory = touched(1);
    seed_reset(memory);
    CHECK_KR(mach_vm_protect(mach_task_self(), address_of(memory), vm_page_size, FALSE, copy), KERN_NO_SPACE);
    CHECK_EQ(extended_info(memory).protection, VM_PROT_NONE);
}

CHECK_TEST(states, a_late_failure_has_done_its_work)
{
    struct mach_emulation_options options = { .late_failure = true };
    vm_prot_t copy = VM_PROT_READ | VM_PROT_WRITE | VM_PROT_COPY;
    fresh(&options);
    byte *memory = touched(1);
    CHECK_KR(mach_vm_protect(mach_task_self(), address_of(memory), vm_page_size, FALSE, copy), KERN_PROTECTION_FAILURE);
    CHECK_EQ(share_mode(memory), SM_COW);
}

/* 4 KiB pages over objects of 16 KiB: one written page takes its three neighbours with it into the new object. */
CHECK_TEST(states, small_pages_over_large_ones)
{
    struct mach_emulation_options options = { .map_page_bytes = 4096, .object_page_bytes = 16384 };
    fresh(&options);
    CHECK_EQ(vm_page_size, 4096);
    CHECK_EQ(vm_kernel_page_size, 16384);
    byte *memory = touched(16);
    byte *copy = snapshot(memory, 16);
    *page_of(memory, 5) = 2;
    int seen[16];
    query(copy, 16, seen);
    for (size_t i = 0; i < 16; i++) {
        CHECK_EQ((seen[i] & VM_PAGE_QUERY_PAGE_COPIED) != 0, i / 4 == 1);
        CHECK_EQ(*page_of(copy, i), 1);
    }
    CHECK_MODEL();
    for (size_t i = 0; i < 16; i++) {
        seed_watch(page_of(memory, i));
    }
    *page_of(memory, 9) = 3;
    CHECK_EQ(share_mode(page_of(memory, 9)), SM_PRIVATE);
    CHECK_EQ(share_mode(page_of(memory, 10)), SM_COW);
    CHECK_EQ(*page_of(memory, 5), 2);
    CHECK_MODEL();
}

CHECK_TEST(states, large_pages)
{
    struct mach_emulation_options options = { .map_page_bytes = 16384 };
    fresh(&options);
    byte *memory = touched(4);
    byte *copy = snapshot(memory, 4);
    memory[16384 + 5000] = 9;
    int seen[4];
    query(copy, 4, seen);
    CHECK_EQ(seen[0] & VM_PAGE_QUERY_PAGE_COPIED, 0);
    CHECK(seen[1] & VM_PAGE_QUERY_PAGE_COPIED);
    CHECK_EQ(copy[16384 + 5000], 1);
    CHECK_MODEL();
}
