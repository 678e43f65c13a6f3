/* mach_fixture.c - memory under one strategy of the mach write-watch, on each emulated kernel */
#include "mach_fixture.h"

#include <stdlib.h>

bool mach_setting(size_t index, struct mach_emulation_options *options, const struct svp_watch_backend **backend)
{
    enum { KERNELS = 3, COLLAPSES = 3, EPOCHS = KERNELS * COLLAPSES, ALL = EPOCHS + COLLAPSES };
    if (index >= ALL) {
        mach_emulation_reset(NULL);
        return false;
    }
    *backend = index < EPOCHS ? &svp_mach_epochs_backend : &svp_mach_pages_backend;
    *options = (struct mach_emulation_options){
        .kernel = index < EPOCHS ? (enum mach_emulation_kernel)(index / COLLAPSES) : MACH_EMULATION_KERNEL_15,
        .collapse = (enum mach_emulation_collapse)(index % COLLAPSES),
        .seed = 7,
    };
    mach_emulation_reset(options);
    return true;
}

bool is_exact(const struct guarded *guarded)
{
    return guarded->watched.backend == &svp_mach_epochs_backend;
}

mach_vm_address_t guarded_page(const struct guarded *guarded, size_t page)
{
    return (mach_vm_address_t)(uintptr_t)guarded->watched.memory + page * guarded->watched.page_bytes;
}

static size_t bytes_of(const struct guarded *guarded)
{
    return guarded->watched.pages * guarded->watched.page_bytes;
}

void guarded_store(struct guarded *guarded, size_t page)
{
    size_t at = page * guarded->watched.page_bytes + page % 64;
    volatile unsigned char *live = guarded->watched.memory + at;
    (*live)++;
    guarded->stored[at]++;
}

void guarded_changed(struct guarded *guarded, size_t first, size_t pages)
{
    size_t at = first * guarded->watched.page_bytes;
    memcpy(guarded->stored + at, guarded->watched.memory + at, pages * guarded->watched.page_bytes);
}

void guarded_map(struct guarded *guarded, const struct svp_watch_backend *backend, size_t pages)
{
    mach_vm_address_t memory = 0;
    *guarded = (struct guarded){
        .watched = { .backend = backend, .pages = pages, .page_bytes = vm_page_size },
        .stored = calloc(pages, vm_page_size),
        .seen = calloc(pages, vm_page_size),
    };
    CHECK(guarded->stored != NULL && guarded->seen != NULL);
    CHECK_EQ(mach_vm_allocate(mach_task_self(), &memory, pages * vm_page_size, VM_FLAGS_ANYWHERE), KERN_SUCCESS);
    guarded->watched.memory = (unsigned char *)(uintptr_t)memory;
    for (size_t page = 0; page < pages; page++) {
        guarded_store(guarded, page);
    }
    memcpy(guarded->seen, guarded->stored, bytes_of(guarded));
}

enum savepoint_status guarded_try(struct guarded *guarded)
{
    struct watched *watched = &guarded->watched;
    enum savepoint_status status = watched->backend->open(&watched->watch, NULL);
    if (status == SAVEPOINT_OK) {
        status = watched_add(watched, 0, watched->pages);
        if (status != SAVEPOINT_OK) {
            watched->backend->close(watched->watch);
        }
    }
    watched->watch = status == SAVEPOINT_OK ? watched->watch : NULL;
    return status;
}

void guarded_open(struct guarded *guarded, const struct svp_watch_backend *backend, size_t pages)
{
    guarded_map(guarded, backend, pages);
    CHECK_OK(guarded_try(guarded));
}

void guarded_end(struct guarded *guarded)
{
    guarded->watched.backend->close(guarded->watched.watch);
    for (size_t page = 0; page < guarded->watched.pages; page++) {
        guarded_store(guarded, page);
    }
    CHECK_MEM(guarded->watched.memory, guarded->stored, bytes_of(guarded));
    CHECK_STR(mach_emulation_check(), NULL);
    CHECK_EQ(mach_vm_deallocate(mach_task_self(), guarded_page(guarded, 0), bytes_of(guarded)), KERN_SUCCESS);
    free(guarded->stored);
    free(guarded->seen);
}

void guarded_close(struct guarded *guarded)
{
    struct mach_emulation_counters counters;
    guarded_end(guarded);
    mach_emulation_read_counters(&counters);
    CHECK_EQ(counters.entries, 0);
    CHECK_EQ(counters.objects, 0);
}

static void compare_page(struct guarded *guarded, size_t page, enum svp_watch_mode mode, bool reported)
{
    size_t bytes = guarded->watched.page_bytes;
    const unsigned char *live = guarded->watched.memory + page * bytes;
    CHECK_MEM(live, guarded->stored + page * bytes, bytes);
    if (reported && mode == SVP_WATCH_REARM) {
        memcpy(guarded->seen + page * bytes, live, bytes);
    }
    CHECK_MSG(reported || memcmp(live, guarded->seen + page * bytes, bytes) == 0, "page %zu changed unreported", page);
}

enum savepoint_status guarded_try_look(struct guarded *guarded, enum svp_watch_mode mode, uint64_t written)
{
    struct svp_watch_run runs[GUARDED] = { { 0, 0 } };
    size_t count = 0;
    uintptr_t resume = 0;
    uintptr_t start = (uintptr_t)guarded->watched.memory;
    uint64_t found = 0;
    enum savepoint_status status = guarded->watched.backend->collect(guarded->watched.watch, start, bytes_of(guarded),
                                                                     mode, 0, runs, GUARDED, &count, &resume, NULL);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    CHECK_EQ(resume, start + bytes_of(guarded));
    for (size_t i = 0; i < count; i++) {
        size_t first = (runs[i].start - start) / guarded->watched.page_bytes;
        found |= PAGES(first, first + runs[i].bytes / guarded->watched.page_bytes);
    }
    for (size_t page = 0; page < guarded->watched.pages; page++) {
        compare_page(guarded, page, mode, (found & PAGE(page)) != 0);
    }
    CHECK_MSG((written & ~found) == 0, "0x%llx written, 0x%llx reported", (unsigned long long)written,
              (unsigned long long)found);
    return status;
}

uint64_t guarded_look(struct guarded *guarded, enum svp_watch_mode mode, uint64_t written)
{
    uint64_t found = collect_pages(&guarded->watched, SVP_WATCH_PEEK);
    CHECK_OK(guarded_try_look(guarded, mode, written));
    return found;
}
