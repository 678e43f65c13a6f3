/* test_oracle.c - the share modes that Apple's own tests expect (knowledge: A.4), and the arguments of the calls */
#include "helper.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_TEST(oracle, fresh_memory_is_empty)
{
    fresh(NULL);
    byte *memory = allocate(4);
    CHECK_EQ(share_mode(memory), SM_EMPTY);
    CHECK_EQ(extended_info(memory).ref_count, 0);
    memory[0] = 1;
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
    CHECK_EQ(extended_info(memory).pages_resident, 1);
    CHECK_MODEL();
}

CHECK_TEST(oracle, inherit_share_and_a_child_is_shared)
{
    unsigned child = 0;
    fresh(NULL);
    byte *memory = allocate(4);
    memory[0] = 1;
    CHECK_MACH(mach_vm_inherit(mach_task_self(), address_of(memory), 4 * vm_page_size, VM_INHERIT_SHARE));
    CHECK_MACH(mach_emulation_fork(&child));
    CHECK_EQ(share_mode(memory), SM_SHARED);
    mach_emulation_release(child);
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
    CHECK_MODEL();
}

CHECK_TEST(oracle, vm_copy_makes_both_sides_cow)
{
    fresh(NULL);
    byte *source = allocate(4);
    byte *target = allocate(4);
    memset((void *)(uintptr_t)source, 7, 4 * vm_page_size);
    target[0] = 1;
    CHECK_MACH(mach_vm_copy(mach_task_self(), address_of(source), 4 * vm_page_size, address_of(target)));
    CHECK_EQ(share_mode(source), SM_COW);
    CHECK_EQ(share_mode(target), SM_COW);
    CHECK_EQ(target[0], 7);
    source[0] = 8;
    CHECK_EQ(target[0], 7);
    target[1] = 9;
    CHECK_EQ(source[1], 7);
    CHECK_MODEL();
}

CHECK_TEST(oracle, a_mapped_memory_entry_is_true_shared)
{
    memory_object_size_t size = 4 * vm_page_size;
    mach_port_t port = MACH_PORT_NULL;
    mach_vm_address_t other = 0;
    fresh(NULL);
    byte *memory = allocate(4);
    memory[0] = 1;
    CHECK_MACH(
        mach_make_memory_entry_64(mach_task_self(), &size, address_of(memory), VM_PROT_DEFAULT, &port, MACH_PORT_NULL));
    CHECK_MACH(mach_vm_map(mach_task_self(), &other, size, 0, VM_FLAGS_ANYWHERE, port, 0, FALSE, VM_PROT_DEFAULT,
                           VM_PROT_DEFAULT, VM_INHERIT_NONE));
    CHECK_EQ(share_mode(memory), SM_TRUESHARED);
    byte *alias = (byte *)(uintptr_t)other;
    CHECK_EQ(alias[0], 1);
    alias[1] = 2;
    CHECK_EQ(memory[1], 2);
    CHECK_MACH(mach_port_deallocate(mach_task_self(), port));
    give_back(alias, 4);
    CHECK_EQ(share_mode(memory), SM_PRIVATE);
    CHECK_MODEL();
}

static void share_in_one_task(bool never_true_share, int expected)
{
    struct mach_emulation_options options = { .never_true_share = never_true_share };
    mach_vm_address_t other = 0;
    vm_prot_t current = 0;
    vm_prot_t maximum = 0;
    fresh(&options);
    byte *memory = allocate(4);
    memory[0] = 1;
    CHECK_MACH(mach_vm_remap(mach_task_self(), &other, 4 * vm_page_size, 0, VM_FLAGS_ANYWHERE, mach_task_self(),
                             address_of(memory), FALSE, &current, &maximum, VM_INHERIT_NONE));
    CHECK_EQ(share_mode(memory), expected);
    CHECK_EQ(current, VM_PROT_DEFAULT);
    memory[0] = 5;
    CHECK_EQ(*(byte *)(uintptr_t)other, 5);
    CHECK_MODEL();
}

/* Apple's test expects SM_PRIVATE_ALIASED; kernels whose remap sets true_share answer otherwise. */
CHECK_TEST(oracle, a_shared_remap_in_one_task_is_private_aliased)
{
    share_in_one_task(true, SM_PRIVATE_ALIASED);
    share_in_one_task(false, SM_TRUESHARED);
}

CHECK_TEST(oracle, a_query_answers_for_the_whole_entry_or_the_next_above)
{
    struct vm_region_basic_info_64 info;
    mach_msg_type_number_t count = VM_REGION_BASIC_INFO_COUNT_64;
    mach_vm_size_t size = 0;
    fresh(NULL);
    byte *memory = allocate(8);
    mach_vm_address_t address = address_of(page_of(memory, 5)) + 17;
    CHECK_MACH(mach_vm_region(mach_task_self(), &address, &size, VM_REGION_BASIC_INFO_64, (vm_region_info_t)&info,
                              &count, NULL));
    CHECK_EQ(address, address_of(memory));
    CHECK_EQ(size, 8 * vm_page_size);
    CHECK_EQ(info.protection, VM_PROT_DEFAULT);
    CHECK_EQ(info.max_protection, VM_PROT_ALL);
    give_back(page_of(memory, 2), 2);
    address = address_of(page_of(memory, 2));
    CHECK_MACH(mach_vm_region(mach_task_self(), &address, &size, VM_REGION_BASIC_INFO_64, (vm_region_info_t)&info,
                              &count, NULL));
    CHECK_EQ(address, address_of(page_of(memory, 4)));
    CHECK_MODEL();
}

CHECK_TEST(oracle, large_allocations_come_in_chunks)
{
    fresh(NULL);
    size_t pages = ((size_t)300 << 20) / vm_page_size;
    byte *memory = allocate(pages);
    CHECK_EQ(region_bytes(memory), (size_t)128 << 20);
    CHECK_EQ(region_bytes(page_of(memory, pages - 1)), (size_t)44 << 20);
    give_back(memory, pages);
    CHECK_EQ(counters().entries, 0);
}

CHECK_TEST(oracle, memory_of_the_program_is_adopted_where_it_stays)
{
    fresh(NULL);
    byte *memory = mmap(NULL, 8 * vm_page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory[5] = 77;
    CHECK_EQ(share_mode(memory), SM_PRIVATE); /* a query adopts nothing */
    CHECK_EQ(counters().adoptions, 0);
    byte *copy = snapshot(memory, 8);
    CHECK_EQ(counters().adoptions, 1);
    CHECK_EQ(memory[5], 77);
    memory[5] = 78;
    CHECK_EQ(copy[5], 77);
    CHECK_MODEL();
    fresh(NULL); /* and given back */
    CHECK_EQ(memory[5], 78);
    memory[5] = 79;
    CHECK_EQ(munmap((void *)(uintptr_t)memory, 8 * vm_page_size), 0);
}

CHECK_TEST(oracle, what_is_no_private_memory_is_refused)
{
    mach_vm_address_t other = 0;
    vm_prot_t current = 0;
    vm_prot_t maximum = 0;
    fresh(NULL);
    void *shared = mmap(NULL, vm_page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_EQ(extended_info(shared).external_pager, 1);
    CHECK_KR(mach_vm_remap(mach_task_self(), &other, vm_page_size, 0, VM_FLAGS_ANYWHERE, mach_task_self(),
                           address_of(shared), TRUE, &current, &maximum, VM_INHERIT_NONE),
             KERN_NOT_SUPPORTED);
    CHECK_EQ(munmap(shared, vm_page_size), 0);
    CHECK_KR(mach_vm_remap(mach_task_self(), &other, vm_page_size, 0, VM_FLAGS_ANYWHERE, mach_task_self(), 4096, TRUE,
                           &current, &maximum, VM_INHERIT_NONE),
             KERN_INVALID_ADDRESS);
}

CHECK_TEST(oracle, a_child_has_its_own_memory_and_its_own_model)
{
    int status = 0;
    fresh(NULL);
    byte *memory = allocate(4);
    memory[0] = 1;
    pid_t child = fork();
    if (child == 0) {
        memory[0] = 2;
        bool good = memory[0] == 2 && mach_emulation_check() == NULL && share_mode(memory) != 0;
        _exit(good ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(memory[0], 1);
    CHECK_MODEL();
}

CHECK_TEST(oracle, errors_are_injected_and_counted)
{
    mach_vm_address_t address = 0;
    fresh(NULL);
    mach_emulation_fail(MACH_EMULATION_ALLOCATE, 2, 1, KERN_NO_SPACE);
    CHECK_MACH(mach_vm_allocate(mach_task_self(), &address, vm_page_size, VM_FLAGS_ANYWHERE));
    CHECK_KR(mach_vm_allocate(mach_task_self(), &address, vm_page_size, VM_FLAGS_ANYWHERE), KERN_NO_SPACE);
    CHECK_MACH(mach_vm_allocate(mach_task_self(), &address, vm_page_size, VM_FLAGS_ANYWHERE));
    CHECK_EQ(counters().calls[MACH_EMULATION_ALLOCATE], 3);
}

CHECK_TEST(oracle, darwins_mincore)
{
    char bits[4];
    fresh(NULL);
    byte *memory = allocate(4);
    memory[0] = 1;
    CHECK_EQ(memory[vm_page_size], 0);
    byte *copy = snapshot(memory, 4);
    memory[0] = 2;
    CHECK_EQ(mincore((void *)(uintptr_t)copy, 4 * vm_page_size, bits), 0);
    CHECK_EQ(bits[0] & MINCORE_COPIED, MINCORE_COPIED);
    CHECK_EQ(bits[1] & (MINCORE_COPIED | MINCORE_INCORE), MINCORE_INCORE);
    CHECK_EQ(bits[2] & (MINCORE_COPIED | MINCORE_INCORE), 0);
}

CHECK_TEST(oracle, system_calls_store_into_protected_memory_and_mark_what_they_store)
{
    int ends[2];
    int seen[4];
    fresh(NULL);
    byte *memory = allocate(4);
    memset((void *)(uintptr_t)memory, 1, 4 * vm_page_size);
    byte *copy = snapshot(memory, 4);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "four", 4), 4);
    CHECK_EQ(read(ends[0], (void *)(uintptr_t)(page_of(memory, 1) - 2), 2 * vm_page_size), 4);
    CHECK_MEM((const void *)(uintptr_t)(page_of(memory, 1) - 2), "four", 4);
    query(copy, 4, seen);
    CHECK(seen[0] & seen[1] & VM_PAGE_QUERY_PAGE_COPIED);
    CHECK_EQ((seen[2] | seen[3]) & VM_PAGE_QUERY_PAGE_COPIED, 0);
    close(ends[0]);
    close(ends[1]);
    CHECK_MODEL();
}
