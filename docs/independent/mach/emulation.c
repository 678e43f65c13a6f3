/* emulation.c - the state of the emulation, and the switches that tests turn */
#include "model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#undef mincore

struct state state = {
    .map_page = HOST_PAGE, .object_page = HOST_PAGE, .self = { .life = -1 }, .next_port = 0x1000, .random = 1
};

mach_port_t mach_task_self_ = 0x203;
vm_size_t vm_page_size = HOST_PAGE;
vm_size_t vm_page_mask = HOST_PAGE - 1;
int vm_page_shift = 12;
vm_size_t vm_kernel_page_size = HOST_PAGE;
vm_size_t vm_kernel_page_mask = HOST_PAGE - 1;
int vm_kernel_page_shift = 12;

mach_port_t mach_host_self(void)
{
    return 0x303;
}

kern_return_t host_page_size(host_t host, vm_size_t *page_size)
{
    if (host != mach_host_self()) {
        return KERN_INVALID_ARGUMENT;
    }
    *page_size = vm_page_size;
    return KERN_SUCCESS;
}

char *mach_error_string(mach_error_t error_value)
{
    static const struct {
        mach_error_t value;
        const char *text;
    } texts[] = { { KERN_SUCCESS, "(os/kern) successful" },
                  { KERN_INVALID_ADDRESS, "(os/kern) invalid address" },
                  { KERN_PROTECTION_FAILURE, "(os/kern) protection failure" },
                  { KERN_NO_SPACE, "(os/kern) no space available" },
                  { KERN_INVALID_ARGUMENT, "(os/kern) invalid argument" },
                  { KERN_FAILURE, "(os/kern) failure" },
                  { KERN_RESOURCE_SHORTAGE, "(os/kern) resource shortage" },
                  { KERN_NO_ACCESS, "(os/kern) no access" },
                  { KERN_INVALID_NAME, "(os/kern) invalid name" },
                  { KERN_INVALID_TASK, "(os/kern) invalid task" },
                  { KERN_INVALID_RIGHT, "(os/kern) invalid right" },
                  { KERN_TERMINATED, "(os/kern) object terminated" },
                  { KERN_NOT_SUPPORTED, "(os/kern) not supported" },
                  { MACH_SEND_INVALID_DEST, "(ipc/send) invalid destination port" } };
    const char *found = "unknown error code";
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        found = texts[i].value == error_value ? texts[i].text : found;
    }
    return (char *)(uintptr_t)found;
}

/* ---- switches */

static void set_page_sizes(uint64_t map_page, uint64_t object_page)
{
    state.map_page = map_page == 0 ? HOST_PAGE : map_page;
    state.object_page = object_page == 0 ? state.map_page : object_page;
    if ((state.map_page != 4096 && state.map_page != 16384) ||
        (state.object_page != 4096 && state.object_page != 16384) || state.object_page < state.map_page) {
        em_panic("a page has 4096 or 16384 bytes, and an object's is not smaller than a map's");
    }
    vm_page_size = (vm_size_t)state.map_page;
    vm_page_mask = vm_page_size - 1;
    vm_page_shift = vm_page_size == 4096 ? 12 : 14;
    vm_kernel_page_size = (vm_size_t)state.object_page;
    vm_kernel_page_mask = vm_kernel_page_size - 1;
    vm_kernel_page_shift = vm_kernel_page_size == 4096 ? 12 : 14;
}

static void set_options(const struct mach_emulation_options *options)
{
    state.options = options == NULL ? (struct mach_emulation_options){ 0 } : *options;
    state.random = state.options.seed * 2 + 1;
}

static int index_of(const char *name, const char *const *names, int count)
{
    const char *value = getenv(name);
    int found = 0;
    for (int i = 0; value != NULL && i < count; i++) {
        found = strcmp(value, names[i]) == 0 ? i : found;
    }
    return found;
}

/* For programs that know nothing of the emulation: the environment chooses what they start with. */
__attribute__((constructor)) static void read_environment(void)
{
    static const char *const kernels[] = { "15", "range", "27" };
    static const char *const collapses[] = { "always", "never", "random" };
    static const char *const pages[] = { "4/4", "16/16", "4/16" };
    int page = index_of("MACH_EMULATION_PAGES", pages, 3);
    state.options.kernel = (enum mach_emulation_kernel)index_of("MACH_EMULATION_KERNEL", kernels, 3);
    state.options.collapse = (enum mach_emulation_collapse)index_of("MACH_EMULATION_COLLAPSE", collapses, 3);
    set_page_sizes(page == 1 ? 16384 : 4096, page == 0 ? 4096 : 16384);
}

/* Memory of the program becomes what it was: its own, private and anonymous, with the contents of now. */
static void return_to_program(const struct entry *entry)
{
    uint64_t bytes = entry->end - entry->start;
    unsigned char *kept = em_alloc((size_t)bytes);
    uint64_t count = 0;
    for (uint64_t at = 0; at < bytes; at += count) {
        const unsigned char *shown = em_entry_bytes(entry, entry->start + at, &count);
        memcpy(kept + at, shown, (size_t)count);
    }
    em_mmap(entry->start, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memcpy((void *)(uintptr_t)entry->start, kept, (size_t)bytes);
    int protection = ((entry->protection & VM_PROT_READ) != 0 ? PROT_READ : 0) |
                     ((entry->protection & VM_PROT_WRITE) != 0 ? PROT_READ | PROT_WRITE : 0);
    em_mprotect(entry->start, (size_t)bytes, protection);
    em_free(kept, (size_t)bytes);
}

void mach_emulation_reset(const struct mach_emulation_options *options)
{
    em_lock();
    while (state.others != NULL) {
        em_map_other_free(state.others);
    }
    while (state.named != NULL) {
        state.named->refs = 1;
        em_named_drop(state.named);
    }
    while (state.self.count > 0) {
        struct entry *entry = state.self.entries[state.self.count - 1];
        bool adopted = entry->adopted;
        if (adopted) {
            return_to_program(entry);
        }
        entry->permanent = false;
        em_map_remove(&state.self, entry->start, entry->end, !adopted);
    }
    size_t objects = state.counters.objects;
    size_t entries = state.counters.entries;
    memset(&state.counters, 0, sizeof state.counters);
    memset(state.injected, 0, sizeof state.injected);
    state.counters.objects = objects; /* 0, or something leaks: mach_emulation_check */
    state.counters.entries = entries;
    set_options(options);
    set_page_sizes(state.options.map_page_bytes, state.options.object_page_bytes);
    em_unlock();
}

void mach_emulation_change(const struct mach_emulation_options *options)
{
    em_lock();
    set_options(options);
    em_unlock();
}

void mach_emulation_fail(enum mach_emulation_call call, unsigned nth, unsigned times, kern_return_t result)
{
    em_lock();
    state.injected[call].after = nth;
    state.injected[call].times = times;
    state.injected[call].result = result;
    em_unlock();
}

void mach_emulation_read_counters(struct mach_emulation_counters *counters)
{
    em_lock();
    struct mach_emulation_counters now = state.counters;
    em_unlock();
    *counters = now;
}

/* ---- what others do */

kern_return_t mach_emulation_foreign_copy(mach_vm_address_t address, mach_vm_size_t size, unsigned *copy)
{
    em_lock();
    uint64_t start = em_trunc(address);
    uint64_t end = em_round(address + size);
    kern_return_t result = em_prepare(start, end);
    struct map *map = em_map_other_new();
    unsigned id = map->id;
    result = result == KERN_SUCCESS ? em_copyin(start, end - start, map) : result;
    if (result != KERN_SUCCESS) {
        em_map_other_free(map);
    }
    state.self.timestamp++;
    em_unlock();
    *copy = result == KERN_SUCCESS ? id : 0;
    return result;
}

kern_return_t mach_emulation_fork(unsigned *child)
{
    em_lock();
    struct map *map = em_map_other_new();
    unsigned id = map->id;
    kern_return_t result = em_fork_copy(map);
    em_unlock();
    *child = id;
    return result;
}

void mach_emulation_release(unsigned copy_or_child)
{
    em_lock();
    struct map *map = state.others;
    while (map != NULL && map->id != copy_or_child) {
        map = map->next;
    }
    if (map != NULL) {
        em_map_other_free(map);
    }
    em_unlock();
}

kern_return_t em_wire(uint64_t start, uint64_t end, bool wired)
{
    kern_return_t result = em_prepare(start, end);
    if (result != KERN_SUCCESS) {
        return result;
    }
    em_map_clip(&state.self, start);
    em_map_clip(&state.self, end);
    for (uint64_t at = start; at < end && result == KERN_SUCCESS; at += state.map_page) {
        struct entry *entry = em_map_lookup(&state.self, at);
        if (wired) {
            em_entry_allocate(entry);
            em_make_shareable(entry, false); /* wired memory is never copied symmetrically */
            result = em_fault(entry, at, true);
        }
        if (result == KERN_SUCCESS && entry->object != NULL) {
            em_object_wire(entry->object, em_entry_page(entry, at), wired);
            entry->wired = wired;
        }
    }
    state.self.timestamp++;
    return result;
}

kern_return_t mach_emulation_wire(mach_vm_address_t address, mach_vm_size_t size, bool wired)
{
    em_lock();
    return em_leave(em_wire(em_trunc(address), em_round(address + size), wired));
}

kern_return_t mach_emulation_discard(mach_vm_address_t address, mach_vm_size_t size)
{
    em_lock();
    uint64_t end = em_round(address + size);
    kern_return_t result = em_prepare(em_trunc(address), end);
    for (uint64_t at = em_trunc(address); result == KERN_SUCCESS && at < end; at += state.map_page) {
        const struct entry *entry = em_map_lookup(&state.self, at);
        if (entry->object == NULL || entry->wired > 0) {
            continue;
        }
        size_t page = em_entry_page(entry, at);
        em_object_disconnect(entry->object, page, em_object_frame(entry->object, page));
        em_object_remove_page(entry->object, page);
    }
    return em_leave(result);
}

kern_return_t mach_emulation_kernel_write(mach_vm_address_t address, mach_vm_size_t size)
{
    em_lock();
    return em_leave(em_fault_range(address, address + size, true));
}
