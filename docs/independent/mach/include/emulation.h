/* emulation.h - the switches of the emulation: kernels, page sizes, hooks, injected errors, counters
 *
 * The calls of Mach are in <mach/mach.h>. Nothing here exists on Darwin. */
#ifndef MACH_EMULATION_H
#define MACH_EMULATION_H

#include <stdbool.h>
#include <stdio.h>

#include <mach/mach.h>

enum mach_emulation_kernel {
    MACH_EMULATION_KERNEL_15,    /* macOS 15 (xnu-11417): a copy makes the source's object DELAY */
    MACH_EMULATION_KERNEL_RANGE, /* the sources with range locks: a copy of a SYMMETRIC object stays symmetric, so the
                                    SOURCE entry gets needs_copy; only sharing makes an object DELAY */
    MACH_EMULATION_KERNEL_27     /* as RANGE; VM_PROT_COPY of a part of a writable entry is refused, and what it
                                    makes is permanent */
};

enum mach_emulation_collapse {
    MACH_EMULATION_COLLAPSE_ALWAYS, /* whenever the rules allow it */
    MACH_EMULATION_COLLAPSE_NEVER,
    MACH_EMULATION_COLLAPSE_RANDOM /* at every second chance, by the seed */
};

/* The moments at which a copy or a VM_PROT_COPY has the map unlocked. */
enum mach_emulation_gap {
    MACH_EMULATION_GAP_COPY,   /* the object of one entry was copied, its pages are write-protected */
    MACH_EMULATION_GAP_REPLACE /* all copies are made, the new mapping is not in place */
};
typedef void
mach_emulation_gap_hook(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context);

/* All zero: macOS 15, pages of 4 KiB, collapse always, no hook. */
struct mach_emulation_options {
    enum mach_emulation_kernel kernel;
    enum mach_emulation_collapse collapse;
    uint64_t seed;                     /* of MACH_EMULATION_COLLAPSE_RANDOM */
    size_t map_page_bytes;             /* 4096 or 16384; 0: 4096 */
    size_t object_page_bytes;          /* 4096 or 16384, not less than map_page_bytes; 0: as map_page_bytes */
    bool never_true_share;             /* remap makes an object DELAY, not true_share, as older kernels did */
    bool late_failure;                 /* VM_PROT_COPY does all its work, then returns KERN_PROTECTION_FAILURE */
    bool interpose_off;                /* munmap, mmap, mprotect, madvise of the program go past the emulation */
    mach_emulation_gap_hook *gap_hook; /* called on the calling thread, the map unlocked, all signals deliverable */
    void *gap_context;
};

/* Forgets everything: memory made by Mach calls is unmapped, memory adopted from the program stays, as plain memory
 * with its contents; other tasks, ports, injected errors, counters are gone. No other thread may be in a Mach call.
 * options NULL: the defaults. */
void mach_emulation_reset(const struct mach_emulation_options *options);

/* Changes all but the page sizes while memory stays. */
void mach_emulation_change(const struct mach_emulation_options *options);

enum mach_emulation_call {
    MACH_EMULATION_ALLOCATE,
    MACH_EMULATION_DEALLOCATE,
    MACH_EMULATION_PROTECT,
    MACH_EMULATION_INHERIT,
    MACH_EMULATION_READ,
    MACH_EMULATION_READ_OVERWRITE,
    MACH_EMULATION_WRITE,
    MACH_EMULATION_COPY,
    MACH_EMULATION_MAP,
    MACH_EMULATION_REMAP,
    MACH_EMULATION_REGION,
    MACH_EMULATION_REGION_RECURSE,
    MACH_EMULATION_PAGE_QUERY,
    MACH_EMULATION_PAGE_INFO,
    MACH_EMULATION_PAGE_RANGE_QUERY,
    MACH_EMULATION_MAKE_MEMORY_ENTRY,
    MACH_EMULATION_PORT_DEALLOCATE,
    MACH_EMULATION_TASK_THREADS,
    MACH_EMULATION_THREAD_SUSPEND,
    MACH_EMULATION_THREAD_RESUME,
    MACH_EMULATION_MINCORE, /* fails with errno ENOMEM */
    MACH_EMULATION_CALL_COUNT
};

/* The nth call from now on (1: the next one), and `times` - 1 after it, returns `result` and does nothing.
 * times 0: takes back what was asked for. One request for each call at a time. */
void mach_emulation_fail(enum mach_emulation_call call, unsigned nth, unsigned times, kern_return_t result);

struct mach_emulation_counters {
    uint64_t calls[MACH_EMULATION_CALL_COUNT];
    uint64_t faults, read_faults, write_faults; /* served by the handler */
    uint64_t zero_fills, cow_copies;            /* pages made in a top object */
    uint64_t pushes;                            /* old pages saved into a copy object */
    uint64_t shadows, delayed_copies, reused_copies, slow_copies;
    uint64_t collapses, bypasses, simplifications;
    uint64_t remaps;         /* entries made by remap and VM_PROT_COPY */
    uint64_t adoptions;      /* ranges of the program's own memory taken into the model */
    size_t objects, entries; /* now */
};
void mach_emulation_read_counters(struct mach_emulation_counters *counters);

/* Another task takes a copy of the range, as mach_vm_read, a corpse or a debugger does; it keeps it until released. */
kern_return_t mach_emulation_foreign_copy(mach_vm_address_t address, mach_vm_size_t size, unsigned *copy);

/* What fork() does to this task's map, without a process: the child stays until released.
 * (fork() itself is emulated too: the child runs with a copy of the memory and of the model.) */
kern_return_t mach_emulation_fork(unsigned *child);

void mach_emulation_release(unsigned copy_or_child);

/* mlock(), munlock(): the range's pages are made resident and wired, or unwired. */
kern_return_t mach_emulation_wire(mach_vm_address_t address, mach_vm_size_t size, bool wired);

/* The pages leave the top object without a push, as MADV_FREE lets them. */
kern_return_t mach_emulation_discard(mach_vm_address_t address, mach_vm_size_t size);

/* What a system call that stores into the range does: it faults each page in for writing. */
kern_return_t mach_emulation_kernel_write(mach_vm_address_t address, mach_vm_size_t size);

/* The map, its entries and their chains, for people. */
void mach_emulation_print(FILE *stream);

/* Checks the invariants of the model; NULL, or what is broken (static text). */
const char *mach_emulation_check(void);

#endif
