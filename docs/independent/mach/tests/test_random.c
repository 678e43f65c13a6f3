/* test_random.c - random programs against plain arrays: contents, invariants, and no write that identity misses */
#include "helper.h"

#include <stdlib.h>
#include <string.h>

enum { PAGES = 12, COPIES = 6, STEPS = 400 };

/* What memory and copies must contain: the first byte of each page. */
static unsigned char live_model[PAGES];
static struct {
    byte *memory; /* NULL: none */
    unsigned char model[PAGES];
    bool written[PAGES]; /* since the copy was made */
} copies[COPIES];
static unsigned others[COPIES]; /* copies of other tasks, children */
static byte *live;
static uint64_t random_state;

static unsigned choose(unsigned count)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % count;
}

static void write_page(size_t page, unsigned char value)
{
    *page_of(live, page) = value;
    live_model[page] = value;
    for (size_t i = 0; i < COPIES; i++) {
        copies[i].written[page] = true;
    }
}

static void toggle_copy(size_t i)
{
    if (copies[i].memory != NULL) {
        give_back(copies[i].memory, PAGES);
        copies[i].memory = NULL;
        return;
    }
    copies[i].memory = snapshot(live, PAGES);
    memcpy(copies[i].model, live_model, PAGES);
    memset(copies[i].written, 0, sizeof copies[i].written);
}

static void toggle_other(size_t i)
{
    if (others[i] != 0) {
        mach_emulation_release(others[i]);
        others[i] = 0;
    } else if (choose(2) == 0) {
        CHECK_MACH(mach_emulation_fork(&others[i]));
    } else {
        size_t first = choose(PAGES);
        size_t count = 1 + choose((unsigned)(PAGES - first));
        CHECK_MACH(mach_emulation_foreign_copy(address_of(page_of(live, first)), count * vm_page_size, &others[i]));
    }
}

/* Replaces mappings of the live range: all contents stay, marks do not mean anything any more. */
static void protect_copy(void)
{
    size_t first = choose(PAGES);
    size_t count = 1 + choose((unsigned)(PAGES - first));
    CHECK_MACH(mach_vm_protect(mach_task_self(), address_of(page_of(live, first)), count * vm_page_size, FALSE,
                               VM_PROT_DEFAULT | VM_PROT_COPY));
    if (choose(2) == 0) {
        memory_object_size_t size = vm_page_size;
        mach_port_t port = MACH_PORT_NULL;
        CHECK_MACH(mach_make_memory_entry_64(mach_task_self(), &size, address_of(page_of(live, first)), VM_PROT_DEFAULT,
                                             &port, MACH_PORT_NULL));
        CHECK_MACH(mach_port_deallocate(mach_task_self(), port));
    }
}

static void write_copy(size_t i)
{
    size_t page = choose(PAGES);
    if (copies[i].memory != NULL) {
        copies[i].model[page] = (unsigned char)choose(256);
        *page_of(copies[i].memory, page) = copies[i].model[page];
        copies[i].written[page] = true;
    }
}

static void step(bool replacing)
{
    size_t i = choose(COPIES);
    switch (choose(replacing ? 10 : 9)) {
    case 0:
    case 1:
    case 2:
        write_page(choose(PAGES), (unsigned char)choose(256));
        break;
    case 3:
        toggle_copy(i);
        break;
    case 4:
        toggle_other(i);
        break;
    case 5:
        CHECK_EQ(*page_of(live, i), live_model[i]);
        break;
    case 6:
        CHECK_MACH(mach_emulation_wire(address_of(page_of(live, i)), vm_page_size, choose(3) == 0));
        break;
    case 7:
        write_copy(i);
        break;
    case 8:
        share_once(page_of(live, i), PAGES - i);
        break;
    default:
        protect_copy();
    }
}

static void check_identity(size_t i)
{
    for (size_t page = 0; page < PAGES; page++) {
        struct vm_page_info_basic info[2];
        mach_msg_type_number_t count = VM_PAGE_INFO_BASIC_COUNT;
        CHECK_MACH(mach_vm_page_info(mach_task_self(), address_of(page_of(live, page)), VM_PAGE_INFO_BASIC,
                                     (vm_page_info_t)&info[0], &count));
        CHECK_MACH(mach_vm_page_info(mach_task_self(), address_of(page_of(copies[i].memory, page)), VM_PAGE_INFO_BASIC,
                                     (vm_page_info_t)&info[1], &count));
        CHECK(!copies[i].written[page] || info[0].object_id != info[1].object_id || info[0].offset != info[1].offset);
    }
}

static void check_all(bool identity)
{
    CHECK_MODEL();
    for (size_t i = 0; identity && i < COPIES; i++) {
        if (copies[i].memory != NULL && vm_page_size == vm_kernel_page_size) {
            check_identity(i);
        }
    }
    if (choose(8) != 0) { /* looking at contents takes faults, so not each time */
        return;
    }
    for (size_t page = 0; page < PAGES; page++) {
        CHECK_EQ(*page_of(live, page), live_model[page]);
        for (size_t i = 0; i < COPIES; i++) {
            CHECK(copies[i].memory == NULL || *page_of(copies[i].memory, page) == copies[i].model[page]);
        }
    }
    CHECK_MODEL();
}

static void run(uint64_t seed, bool replacing)
{
    static const size_t sizes[][2] = { { 4096, 4096 }, { 16384, 16384 }, { 4096, 16384 } };
    random_state = seed;
    struct mach_emulation_options options = {
        .kernel = choose(2) == 0 ? MACH_EMULATION_KERNEL_15 : MACH_EMULATION_KERNEL_RANGE,
        .collapse = (enum mach_emulation_collapse)choose(3),
        .seed = seed,
    };
    unsigned size = choose(3);
    options.map_page_bytes = sizes[size][0];
    options.object_page_bytes = sizes[size][1];
    memset(copies, 0, sizeof copies);
    memset(others, 0, sizeof others);
    memset(live_model, 0, sizeof live_model);
    fresh(&options);
    live = allocate(PAGES);
    for (unsigned i = 0; i < STEPS; i++) {
        step(replacing);
        check_all(!replacing);
    }
}

static uint64_t seeds(void)
{
    const char *count = getenv("MACH_EMULATION_SEEDS");
    return count == NULL ? 60 : strtoull(count, NULL, 10);
}

CHECK_TEST(random, copies_keep_their_contents_and_identity_misses_nothing)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        run(seed, false);
    }
}

CHECK_TEST(random, contents_survive_replaced_mappings)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        run(seed, true);
    }
}
