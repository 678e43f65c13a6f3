/* test_epoch.c - a write-watch of epochs (knowledge: A.9) in a few lines: right, and what each guard is for
 *
 * A snapshot of the memory is a copy object over it: a page written since then was pushed into the copy, and the
 * query says COPIED. The next snapshot ends the epoch. */
#include "helper.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 16 };

struct epoch {
    byte *memory, *snapshot;
    size_t pages;
    unsigned chain; /* of the snapshot when it was made */
};

static void begin(struct epoch *epoch, byte *memory, size_t pages)
{
    *epoch = (struct epoch){ memory, snapshot(memory, pages), pages, 0 };
    epoch->chain = chain_length(epoch->snapshot);
}

/* dirty[i]: page i was written in the epoch that this call ends. */
static void next(struct epoch *epoch, bool *dirty)
{
    int seen[PAGES];
    byte *old = epoch->snapshot;
    epoch->snapshot = snapshot(epoch->memory, epoch->pages);
    epoch->chain = chain_length(epoch->snapshot);
    query(old, epoch->pages, seen);
    for (size_t i = 0; i < epoch->pages; i++) {
        dirty[i] = (seen[i] & VM_PAGE_QUERY_PAGE_COPIED) != 0;
    }
    give_back(old, epoch->pages);
}

/* Guard (a): a snapshot that lies over nothing tells nothing. */
static bool snapshot_is_bare(const struct epoch *epoch)
{
    return chain_length(epoch->snapshot) == 0;
}

/* Guard (b): somebody else's copy lies between the snapshot and the memory, and gets the old pages. */
static bool snapshot_was_robbed(const struct epoch *epoch)
{
    return chain_length(epoch->snapshot) != epoch->chain;
}

/* The rule that needs no guard, one page a call: a page is clean if memory and snapshot show the same one. */
static bool same_page(byte *memory, byte *copy, size_t page)
{
    struct vm_page_info_basic live;
    struct vm_page_info_basic kept;
    mach_msg_type_number_t count = VM_PAGE_INFO_BASIC_COUNT;
    CHECK_MACH(mach_vm_page_info(mach_task_self(), address_of(page_of(memory, page)), VM_PAGE_INFO_BASIC,
                                 (vm_page_info_t)&live, &count));
    count = VM_PAGE_INFO_BASIC_COUNT;
    CHECK_MACH(mach_vm_page_info(mach_task_self(), address_of(page_of(copy, page)), VM_PAGE_INFO_BASIC,
                                 (vm_page_info_t)&kept, &count));
    return live.object_id == kept.object_id && live.offset == kept.offset;
}

static byte *touched(enum mach_emulation_kernel kernel, enum mach_emulation_collapse collapse, uint64_t seed)
{
    struct mach_emulation_options options = { .kernel = kernel, .collapse = collapse, .seed = seed };
    fresh(&options);
    byte *memory = allocate(PAGES);
    memset((void *)(uintptr_t)memory, 1, PAGES / 2 * vm_page_size); /* the upper half was never touched */
    return memory;
}

static void run_epochs(byte *memory)
{
    struct epoch epoch;
    bool dirty[PAGES];
    unsigned char before[PAGES];
    begin(&epoch, memory, PAGES);
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < PAGES; i++) {
            before[i] = *page_of(memory, i);
            if ((i * 5 + round * 3) % 7 < 2) {
                *page_of(memory, i) = (unsigned char)(10 + round);
            }
        }
        CHECK(!snapshot_was_robbed(&epoch));
        for (size_t i = 0; i < PAGES; i++) {
            bool written = (i * 5 + round * 3) % 7 < 2;
            CHECK_EQ(*page_of(epoch.snapshot, i), before[i]); /* the old contents, for nothing */
            CHECK_EQ(!same_page(memory, epoch.snapshot, i), written);
        }
        CHECK_MODEL();
        next(&epoch, dirty);
        for (size_t i = 0; i < PAGES; i++) {
            CHECK_EQ(dirty[i], (i * 5 + round * 3) % 7 < 2);
        }
        CHECK(!snapshot_is_bare(&epoch));
    }
    give_back(epoch.snapshot, PAGES);
    CHECK_MODEL();
}

CHECK_TEST(epoch, reports_exactly_what_was_written)
{
    run_epochs(touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0));
    run_epochs(touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_NEVER, 0));
    for (uint64_t seed = 1; seed < 5; seed++) {
        run_epochs(touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_RANDOM, seed));
    }
}

CHECK_TEST(epoch, an_empty_epoch_is_used_again_and_reports_twice_at_most)
{
    struct epoch epoch;
    bool dirty[PAGES];
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    begin(&epoch, memory, PAGES);
    byte *second = snapshot(memory, PAGES); /* nothing written: the same copy object */
    CHECK_EQ(counters().reused_copies, 1);
    memory[0] = 2;
    next(&epoch, dirty);
    CHECK(dirty[0]); /* written after the first epoch should have ended: reported in both */
    CHECK_EQ(second[0], 1);
    CHECK_MODEL();
}

static void store_in_gap(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context)
{
    (void)size;
    if (gap == *(enum mach_emulation_gap *)context) {
        *(byte *)(uintptr_t)address = 99;
    }
}

/* No mapping of live memory is replaced, so the race of A.6 has nothing to lose. */
static void store_while_the_epoch_ends(enum mach_emulation_gap gap)
{
    struct epoch epoch;
    bool dirty[PAGES];
    struct mach_emulation_options options = { .gap_hook = store_in_gap, .gap_context = &gap };
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    begin(&epoch, memory, PAGES);
    *page_of(memory, 1) = 2; /* so that the copy is not empty, and not used again */
    mach_emulation_change(&options);
    next(&epoch, dirty);
    mach_emulation_change(NULL);
    CHECK_EQ(*memory, 99);
    CHECK_EQ(*epoch.snapshot, 1);
    CHECK(!dirty[0] && dirty[1]); /* the copy had been made: it is the next epoch's */
    next(&epoch, dirty);
    CHECK(dirty[0] && !dirty[1]);
    next(&epoch, dirty);
    CHECK(!dirty[0]);
    CHECK_MODEL();
}

CHECK_TEST(epoch, a_store_while_an_epoch_ends_is_kept_and_reported_by_the_next)
{
    store_while_the_epoch_ends(MACH_EMULATION_GAP_COPY);
    store_while_the_epoch_ends(MACH_EMULATION_GAP_REPLACE);
}

CHECK_TEST(epoch, a_wired_page_makes_it_falsely_clean_without_guard_a)
{
    struct epoch epoch;
    bool dirty[PAGES];
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    CHECK_MACH(mach_emulation_wire(address_of(page_of(memory, 3)), vm_page_size, true));
    begin(&epoch, memory, PAGES);
    *page_of(memory, 3) = 2;
    CHECK(snapshot_is_bare(&(struct epoch){ .snapshot = page_of(epoch.snapshot, 3) })); /* the guard sees it */
    CHECK(!same_page(memory, epoch.snapshot, 3));                                       /* and identity does */
    next(&epoch, dirty);
    CHECK(!dirty[3]); /* lost */
    CHECK_MODEL();
}

CHECK_TEST(epoch, a_wired_page_lower_in_the_object_is_enough)
{
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    share_once(memory, PAGES);
    CHECK_MACH(mach_emulation_wire(address_of(memory), vm_page_size, true));
    byte *upper = snapshot(page_of(memory, 4), 4); /* a copy object begins at the object's first page */
    CHECK_EQ(chain_length(upper), 0);
    CHECK_MACH(mach_emulation_wire(address_of(memory), vm_page_size, false));
    CHECK_EQ(chain_length(snapshot(page_of(memory, 4), 4)), 1);
    CHECK_MODEL();
}

CHECK_TEST(epoch, a_copy_by_another_task_makes_it_falsely_clean_without_guard_b)
{
    unsigned copy = 0;
    struct epoch epoch;
    bool dirty[PAGES];
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    begin(&epoch, memory, PAGES);
    *page_of(memory, 0) = 2;
    CHECK_MACH(mach_emulation_foreign_copy(address_of(memory), PAGES * vm_page_size, &copy));
    CHECK(snapshot_was_robbed(&epoch)); /* the guard sees it */
    *page_of(memory, 1) = 2;
    CHECK(!same_page(memory, epoch.snapshot, 0));
    CHECK(!same_page(memory, epoch.snapshot, 1));
    CHECK(same_page(memory, epoch.snapshot, 2));
    next(&epoch, dirty);
    CHECK(dirty[0]);
    CHECK(!dirty[1]); /* lost: its old page went to the other's copy */
    mach_emulation_release(copy);
    CHECK_MODEL();
}

CHECK_TEST(epoch, a_copy_by_another_task_of_an_empty_epoch_does_no_harm)
{
    unsigned copy = 0;
    struct epoch epoch;
    bool dirty[PAGES];
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    begin(&epoch, memory, PAGES);
    CHECK_MACH(mach_emulation_foreign_copy(address_of(memory), PAGES * vm_page_size, &copy));
    CHECK(!snapshot_was_robbed(&epoch));
    *page_of(memory, 1) = 2;
    next(&epoch, dirty);
    CHECK(dirty[1]);
}

CHECK_TEST(epoch, a_child_makes_it_falsely_clean_without_guard_b)
{
    int status = 0;
    struct epoch epoch;
    bool dirty[PAGES];
    byte *memory = touched(MACH_EMULATION_KERNEL_15, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
    begin(&epoch, memory, PAGES);
    *page_of(memory, 0) = 2;
    pid_t child = fork();
    if (child == 0) {
        *page_of(memory, 0) = 3;
        _exit(*page_of(memory, 0) == 3 ? 0 : 1);
    }
    CHECK(snapshot_was_robbed(&epoch));
    *page_of(memory, 1) = 2;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK(snapshot_was_robbed(&epoch)); /* also when the child is gone */
    next(&epoch, dirty);
    CHECK(dirty[0]);
    CHECK(!dirty[1]); /* lost */
    CHECK_EQ(*page_of(memory, 0), 2);
    CHECK_MODEL();
}

CHECK_TEST(epoch, large_memory_is_several_entries_each_with_its_own_copy)
{
    fresh(NULL);
    size_t pages = ((size_t)300 << 20) / vm_page_size;
    byte *memory = allocate(pages);
    memory[0] = 1;
    *page_of(memory, pages - 1) = 1;
    byte *copy = snapshot(memory, pages);
    *page_of(memory, pages - 1) = 2;
    int seen[1];
    query(page_of(copy, pages - 1), 1, seen);
    CHECK(seen[0] & VM_PAGE_QUERY_PAGE_COPIED);
    query(copy, 1, seen);
    CHECK_EQ(seen[0] & VM_PAGE_QUERY_PAGE_COPIED, 0);
    CHECK_EQ(*page_of(copy, pages - 1), 1);
    CHECK_EQ(counters().delayed_copies, 3);
}

/* ---- kernels with range locks: a copy of an object that was never shared stays symmetric */

CHECK_TEST(epoch, range_locks_make_it_falsely_clean_where_memory_was_never_shared)
{
    struct epoch epoch;
    bool dirty[PAGES];
    byte *memory = touched(MACH_EMULATION_KERNEL_RANGE, MACH_EMULATION_COLLAPSE_NEVER, 0);
    begin(&epoch, memory, PAGES);
    CHECK(snapshot_is_bare(&epoch)); /* guard (a) sees the first */
    *page_of(memory, 2) = 2;
    CHECK(!same_page(memory, epoch.snapshot, 2)); /* identity is right */
    next(&epoch, dirty);
    CHECK(!dirty[2]);                 /* lost */
    CHECK(!snapshot_is_bare(&epoch)); /* the second has a chain, and guard (a) sees nothing */
    CHECK(!snapshot_was_robbed(&epoch));
    *page_of(memory, 3) = 2;
    CHECK(!same_page(memory, epoch.snapshot, 3));
    CHECK(same_page(memory, epoch.snapshot, 2));
    next(&epoch, dirty);
    CHECK(!dirty[3]); /* lost */
    CHECK(dirty[2]);  /* and the one of the epoch before reported instead */
    CHECK_MODEL();
}

CHECK_TEST(epoch, sharing_the_memory_once_makes_range_locks_right)
{
    for (int kernel = MACH_EMULATION_KERNEL_15; kernel <= MACH_EMULATION_KERNEL_27; kernel++) {
        byte *memory = touched((enum mach_emulation_kernel)kernel, MACH_EMULATION_COLLAPSE_ALWAYS, 0);
        share_once(memory, PAGES);
        run_epochs(memory);
    }
}
