/* mach_page.c - the mach write-watch page by page: each page is remapped copy-on-write, over an object of its own
 *
 * For kernels that refuse the snapshots of mach_epoch.c. Remapping live memory is not atomic: a store that faults while
 * the kernel does it goes to the old object and is lost with it. So all other threads are stopped meanwhile. A page is
 * written when its object holds it; untouched, it is found in the object below.
 *
 * A system call that another thread is in cannot be stopped: what it writes in that moment may be lost too
 * (docs/PLATFORMS.md). */
#include <inttypes.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>

#include "mach.h"
#include "mach_region.h"
#include "mach_threads.h"
#include "status.h"

/* Pages done in one stop of the other threads: they are independent of each other. */
enum { BATCH_PAGES = 256 };

/* Two opinions. The share mode is about the entry, and means the page only where the entry is that page. It turns back
 * when another task or a fork takes a copy of a written page; where the page lies does not. */
static bool is_written(uintptr_t page, size_t page_bytes)
{
    mach_vm_address_t start = page;
    mach_vm_size_t bytes = 0;
    vm_region_extended_info_data_t info = { 0 };
    mach_msg_type_number_t count = VM_REGION_EXTENDED_INFO_COUNT;
    mach_port_t name = MACH_PORT_NULL;
    struct svp_mach_page place;
    bool entry_is_clean = mach_vm_region(mach_task_self(), &start, &bytes, VM_REGION_EXTENDED_INFO,
                                         (vm_region_info_t)&info, &count, &name) == KERN_SUCCESS &&
                          start == page && bytes == page_bytes && info.share_mode == SM_COW;
    return !entry_is_clean || !svp_mach_page_find(&place, page) || place.depth == 0;
}

/* Puts an empty object in front of the page; everything else stays as the application had it. */
static kern_return_t put_in_front(uintptr_t page, size_t page_bytes)
{
    struct svp_mach_region region;
    if (!svp_mach_region_find(&region, page) || region.start > page) {
        return KERN_INVALID_ADDRESS;
    }
    vm_prot_t protection = VM_PROT_COPY | (region.readable ? VM_PROT_READ : 0) | (region.writable ? VM_PROT_WRITE : 0) |
                           (region.executable ? VM_PROT_EXECUTE : 0);
    return mach_vm_protect(mach_task_self(), page, page_bytes, FALSE, protection);
}

/* Naming the page resolves the pending copy of it alone, into an object of one page: without that, the kernel would
 * join neighbours to one entry again, and the first store would copy them all. */
static kern_return_t separate(uintptr_t page, size_t page_bytes)
{
    memory_object_size_t bytes = page_bytes;
    mach_port_t handle = MACH_PORT_NULL;
    kern_return_t result = mach_make_memory_entry_64(mach_task_self(), &bytes, page, VM_PROT_READ | VM_PROT_WRITE,
                                                     &handle, MACH_PORT_NULL);
    if (result == KERN_SUCCESS) {
        mach_port_deallocate(mach_task_self(), handle);
        result = bytes == page_bytes ? KERN_SUCCESS : KERN_INVALID_ARGUMENT;
    }
    return result;
}

/* The page is touched first: were it nowhere, a later read would put its zeros into the front object, and look like a
 * write. An error may come after the deed: what counts is what the page looks like then. */
static kern_return_t arm_page(uintptr_t page, size_t page_bytes)
{
    (void)*(const volatile unsigned char *)page;
    kern_return_t result = put_in_front(page, page_bytes);
    if (result == KERN_SUCCESS) {
        result = separate(page, page_bytes);
    }
    if (result == KERN_SUCCESS) {
        result = put_in_front(page, page_bytes);
    }
    return result == KERN_SUCCESS && is_written(page, page_bytes) ? KERN_FAILURE : result;
}

static enum savepoint_status
arm_batch(const struct svp_mach_range *range, uintptr_t from, uintptr_t to, struct savepoint_error *error)
{
    struct svp_mach_threads stopped;
    kern_return_t result = svp_mach_threads_stop(&stopped);
    if (result == KERN_SUCCESS) {
        while (from < to && (result = arm_page(from, range->page_bytes)) == KERN_SUCCESS) {
            from += range->page_bytes;
        }
        svp_mach_threads_go(&stopped);
    }
    if (result != KERN_SUCCESS) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "the kernel does not remap memory at 0x%" PRIxPTR " copy-on-write (Mach error %d)", from,
                               result);
    }
    return SAVEPOINT_OK;
}

static uintptr_t batch_end(const struct svp_mach_range *range, uintptr_t from, uintptr_t to)
{
    size_t bytes = BATCH_PAGES * range->page_bytes;
    return to - from < bytes ? to : from + bytes;
}

static enum savepoint_status pages_arm(struct svp_mach_range *range, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (uintptr_t from = range->start, to; from < range->end && status == SAVEPOINT_OK; from = to) {
        to = batch_end(range, from, range->end);
        status = arm_batch(range, from, to, error);
    }
    return status;
}

static bool pages_look(struct svp_mach_range *range, uintptr_t from, uintptr_t to, bool any)
{
    bool found = false;
    for (uintptr_t page = from; page < to && !(found && any); page += range->page_bytes) {
        if (is_written(page, range->page_bytes)) {
            svp_mach_found(range, page, page + range->page_bytes);
            found = true;
        }
    }
    return found;
}

/* Nothing is remapped that is armed already: each time would make its chain of objects longer. A page that cannot be
 * armed stays written, and is reported again and again. */
static void rearm_batch(struct svp_mach_range *range, uintptr_t from, uintptr_t to)
{
    for (uintptr_t page = from; page < to; page += range->page_bytes) {
        if (is_written(page, range->page_bytes)) {
            svp_mach_found(range, page, page + range->page_bytes);
            (void)put_in_front(page, range->page_bytes);
            range->widened = range->widened || is_written(page, range->page_bytes);
        }
    }
}

static enum savepoint_status
pages_rearm(struct svp_mach_range *range, uintptr_t from, uintptr_t to, struct savepoint_error *error)
{
    for (uintptr_t batch = from, end; batch < to; batch = end) {
        struct svp_mach_threads stopped;
        end = batch_end(range, batch, to);
        if (svp_mach_threads_stop(&stopped) != KERN_SUCCESS) {
            return svp_status_fail(error, SAVEPOINT_IO, "collect",
                                   "the other threads of the process cannot be stopped");
        }
        rearm_batch(range, batch, end);
        svp_mach_threads_go(&stopped);
    }
    return SAVEPOINT_OK;
}

/* The memory is as writable as ever; its objects stay divided. */
static void pages_disarm(struct svp_mach_range *range)
{
    (void)range;
}

const struct svp_mach_strategy svp_mach_pages = {
    .name = "page by page",
    .atomic_rearm = false,
    .arm = pages_arm,
    .look = pages_look,
    .rearm = pages_rearm,
    .disarm = pages_disarm,
};
