/* fault.c - page faults: real ones, which SIGSEGV brings, and those that the kernel takes by itself */
#define _GNU_SOURCE
#include "model.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <ucontext.h>

static struct sigaction next_action; /* the program's, or what was there before us */
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);

/* The page of the entry's own object, made there if it has to be (knowledge: A.1, write fault). */
static void bring_up(struct entry *entry, size_t page)
{
    struct object *top = entry->object;
    size_t found_page = page;
    unsigned depth = 0;
    struct object *found = em_object_find(top, &found_page, &depth);
    if (found == NULL) {
        em_object_add_page(top, page, NULL);
        state.counters.zero_fills++;
    } else if (depth > 0) {
        uint64_t frame = em_object_frame(found, found_page);
        em_object_disconnect(top, page, frame);
        em_object_add_page(top, page, em_frame_data(frame));
        state.counters.cow_copies++;
        em_object_collapse(top, true);
    }
    em_object_push(top, page);
    em_object_mark_modified(top, page);
}

kern_return_t em_fault(struct entry *entry, uint64_t address, bool write)
{
    vm_prot_t rights = (entry->protection & VM_PROT_EXECUTE) | VM_PROT_READ | (write ? VM_PROT_WRITE : 0);
    if ((entry->protection & (write ? VM_PROT_WRITE : VM_PROT_ALL)) == 0) {
        return KERN_PROTECTION_FAILURE;
    }
    if (write && entry->needs_copy) {
        em_object_shadow(entry);
        entry->needs_copy = false;
    }
    em_entry_allocate(entry);
    address = em_trunc(address);
    size_t page = em_entry_page(entry, address);
    if (write) {
        bring_up(entry, page);
    }
    size_t found_page = page;
    unsigned depth = 0;
    struct object *found = em_object_find(entry->object, &found_page, &depth);
    if (found == NULL) { /* a read of what was never written makes a page, too */
        found = entry->object;
        found_page = page;
        em_object_add_page(found, page, NULL);
        state.counters.zero_fills++;
    }
    if (entry->map == &state.self) {
        uint64_t inside = (entry->offset + (address - entry->start)) % state.object_page;
        em_pmap_enter(address, state.map_page, em_object_frame(found, found_page) + inside / HOST_PAGE, rights);
    }
    return KERN_SUCCESS;
}

kern_return_t em_fault_range(uint64_t start, uint64_t end, bool write)
{
    for (uint64_t at = em_trunc(start); at < end; at += state.map_page) {
        struct entry *entry = em_map_lookup(&state.self, at);
        kern_return_t result = entry == NULL ? KERN_INVALID_ADDRESS : KERN_SUCCESS;
        if (entry != NULL && !em_pmap_allows(at, write ? VM_PROT_WRITE : VM_PROT_READ)) {
            result = em_fault(entry, at, write);
        }
        if (result != KERN_SUCCESS) {
            return result;
        }
    }
    return KERN_SUCCESS;
}

/* ---- the handler */

/* The right that was missing. Elsewhere than on x86-64: a page that can be read can only have been stored into. */
static vm_prot_t access_of(const ucontext_t *context, uint64_t address)
{
#if defined(__x86_64__)
    long long error = context->uc_mcontext.gregs[REG_ERR];
    (void)address;
    return (error & 16) != 0 ? VM_PROT_EXECUTE : (error & 2) != 0 ? VM_PROT_WRITE : VM_PROT_READ;
#else
    (void)context;
    return em_pmap_allows(address, VM_PROT_READ) ? VM_PROT_WRITE : VM_PROT_READ;
#endif
}

/* Not in the model: memory that has just left it can be accessed by now, and then the instruction is repeated. */
static bool is_late(uint64_t address, vm_prot_t access)
{
    struct em_mapping mapping;
    return em_mapping_at(address, &mapping) && mapping.start <= address && (mapping.protection & access) != 0;
}

static bool serve(uint64_t address, const ucontext_t *context)
{
    vm_prot_t access = access_of(context, address);
    bool write = access == VM_PROT_WRITE;
    struct entry *entry = em_map_lookup(&state.self, address);
    if (entry == NULL) {
        return is_late(address, access);
    }
    if (em_pmap_allows(address, access)) {
        return true; /* another thread was faster */
    }
    if ((entry->protection & access) == 0 || em_fault(entry, address, write) != KERN_SUCCESS) {
        return false;
    }
    state.counters.faults++;
    state.counters.write_faults += write;
    state.counters.read_faults += !write;
    return true;
}

/* The program's handler runs as if the kernel had called it; without one the signal does what it does by default. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction action = next_action;
    bool sent = info->si_code <= 0;
    if ((action.sa_flags & SA_SIGINFO) == 0 && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)) {
        struct sigaction standard = { .sa_handler = SIG_DFL };
        if (sent && action.sa_handler == SIG_IGN) {
            return;
        }
        real_sigaction(number, &standard, NULL); /* the instruction faults again */
        if (sent) {
            raise(number);
        }
        return;
    }
    if ((action.sa_flags & (int)SA_RESETHAND) != 0) {
        next_action = (struct sigaction){ .sa_handler = SIG_DFL };
    }
    sigset_t mask;
    sigorset(&mask, &((const ucontext_t *)context)->uc_sigmask, &action.sa_mask);
    if ((action.sa_flags & SA_NODEFER) == 0) {
        sigaddset(&mask, number);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if ((action.sa_flags & SA_SIGINFO) != 0) {
        action.sa_sigaction(number, info, context);
    } else {
        action.sa_handler(number);
    }
}

static void handle(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    bool served = false;
    if (info->si_code > 0) {
        em_lock();
        served = serve((uint64_t)(uintptr_t)info->si_addr, context);
        em_unlock();
    }
    if (!served) {
        pass_on(number, info, context);
    }
    errno = saved;
}

int em_fault_set_next(const struct sigaction *action, struct sigaction *old)
{
    if (old != NULL) {
        *old = next_action;
    }
    if (action != NULL) {
        next_action = *action;
    }
    return 0;
}

static void find_sigaction(void)
{
    void *found = dlsym(RTLD_NEXT, "sigaction");
    *(void **)&real_sigaction = found;
}

/* Before any handler of the program: faults are the kernel's business first. */
__attribute__((constructor)) static void install(void)
{
    struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&action.sa_mask);
    find_sigaction();
    if (real_sigaction(SIGSEGV, &action, &next_action) != 0) {
        em_panic("no handler for SIGSEGV");
    }
}

/* The program's own handlers: that for SIGSEGV comes after ours. */
int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    if (real_sigaction == NULL) {
        find_sigaction();
    }
    return number == SIGSEGV ? em_fault_set_next(action, old) : real_sigaction(number, action, old);
}

void (*signal(int number, void (*handler)(int)))(int)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    struct sigaction old;
    sigaddset(&action.sa_mask, number);
    return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}
