/* test_mach_guards.c - what others do to watched memory, and kernels that refuse: no write unreported, none lost */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mach_fixture.h"

static struct mach_emulation_options options;
static const struct svp_watch_backend *backend;

/* ---- copies by others: what comes between a snapshot and the memory takes the old pages of later writes */

static unsigned copy_elsewhere(const struct guarded *guarded)
{
    unsigned copy = 0;
    CHECK_EQ(mach_emulation_foreign_copy(guarded_page(guarded, 0), GUARDED * vm_page_size, &copy), KERN_SUCCESS);
    return copy;
}

static unsigned fork_in_the_model(const struct guarded *guarded)
{
    unsigned child = 0;
    (void)guarded;
    CHECK_EQ(mach_emulation_fork(&child), KERN_SUCCESS);
    return child;
}

static unsigned fork_for_real(const struct guarded *guarded)
{
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        memset(guarded->watched.memory, 99, GUARDED * vm_page_size);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    return 0;
}

/* Writes before and after the copy, looks with and without re-arming, then the copy goes. */
static void write_around(unsigned (*copy)(const struct guarded *))
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, GUARDED);
        guarded_store(&guarded, 1);
        unsigned first = copy(&guarded);
        guarded_look(&guarded, SVP_WATCH_PEEK, PAGE(1));
        guarded_store(&guarded, 2);
        uint64_t found = guarded_look(&guarded, SVP_WATCH_REARM, PAGE(1) | PAGE(2));
        CHECK(!is_exact(&guarded) || found == (PAGE(1) | PAGE(2)));
        guarded_store(&guarded, 3);
        unsigned second = copy(&guarded);
        guarded_store(&guarded, 3);
        mach_emulation_release(first);
        guarded_store(&guarded, 4);
        found = guarded_look(&guarded, SVP_WATCH_REARM, PAGE(3) | PAGE(4));
        CHECK(!is_exact(&guarded) || found == (PAGE(3) | PAGE(4)));
        mach_emulation_release(second);
        guarded_store(&guarded, 1);
        found = guarded_look(&guarded, SVP_WATCH_REARM, PAGE(1));
        CHECK(!is_exact(&guarded) || found == PAGE(1));
        guarded_close(&guarded);
    }
}

CHECK_TEST(mach_guards, a_copy_by_another_task)
{
    write_around(copy_elsewhere);
}

CHECK_TEST(mach_guards, a_fork_in_the_model)
{
    write_around(fork_in_the_model);
}

CHECK_TEST(mach_guards, a_child_that_writes)
{
    write_around(fork_for_real);
}

/* ---- locked memory: copies of it are real ones, with nothing to keep up */

static void wire(const struct guarded *guarded, size_t page, size_t pages, bool wired)
{
    CHECK_EQ(mach_emulation_wire(guarded_page(guarded, page), pages * vm_page_size, wired), KERN_SUCCESS);
}

CHECK_TEST(mach_guards, locked_before_add)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        guarded_map(&guarded, backend, GUARDED);
        wire(&guarded, 2, 2, true);
        enum savepoint_status status = guarded_try(&guarded);
        CHECK_MSG(!is_exact(&guarded) || status == SAVEPOINT_BAD_MEMORY, "status %d", (int)status);
        for (size_t page = 1; page < 5 && status == SAVEPOINT_OK; page++) {
            guarded_store(&guarded, page);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(page));
        }
        wire(&guarded, 2, 2, false);
        guarded_close(&guarded);
    }
}

CHECK_TEST(mach_guards, locked_under_the_watch)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, GUARDED);
        guarded_store(&guarded, 1);
        wire(&guarded, 2, 2, true);
        guarded_store(&guarded, 2);
        guarded_look(&guarded, SVP_WATCH_REARM, PAGE(1) | PAGE(2));
        guarded_store(&guarded, 3);
        guarded_store(&guarded, 4);
        guarded_look(&guarded, SVP_WATCH_REARM, PAGE(3) | PAGE(4));
        wire(&guarded, 2, 2, false);
        guarded_store(&guarded, 3);
        guarded_look(&guarded, SVP_WATCH_REARM, PAGE(3));
        guarded_store(&guarded, 2);
        guarded_look(&guarded, SVP_WATCH_REARM, PAGE(2));
        guarded_close(&guarded);
    }
}

/* ---- contents that change without a store */

/* A page that was written in this epoch and then discarded is reported all the same. (One that was not is unseen, and
 * page by page old contents may come back: docs/PLATFORMS.md.) */
CHECK_TEST(mach_guards, discarded_when_written)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        if (backend != &svp_mach_epochs_backend) {
            continue;
        }
        guarded_open(&guarded, backend, GUARDED);
        for (size_t round = 0; round < 3; round++) {
            guarded_store(&guarded, 2);
            CHECK_EQ(mach_emulation_discard(guarded_page(&guarded, 2), vm_page_size), KERN_SUCCESS);
            guarded_changed(&guarded, 2, 1);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(2));
            guarded_store(&guarded, 2);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(2));
        }
        guarded_close(&guarded);
    }
}

CHECK_TEST(mach_guards, mapped_over)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, GUARDED);
        for (size_t round = 0; round < 3; round++) {
            mach_vm_address_t at = guarded_page(&guarded, 2);
            guarded_store(&guarded, 1);
            CHECK_EQ(mach_vm_allocate(mach_task_self(), &at, 2 * vm_page_size, VM_FLAGS_FIXED | VM_FLAGS_OVERWRITE),
                     KERN_SUCCESS);
            guarded_changed(&guarded, 2, 2);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(1) | PAGES(2, 4));
            guarded_store(&guarded, 3);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(3));
            guarded_store(&guarded, 3);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(3));
        }
        guarded_close(&guarded);
    }
}

/* ---- system calls are counted */

CHECK_TEST(mach_guards, writes_by_the_kernel)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        guarded_open(&guarded, backend, GUARDED);
        CHECK_EQ(mach_emulation_kernel_write(guarded_page(&guarded, 3) + 7, vm_page_size), KERN_SUCCESS);
        guarded_look(&guarded, SVP_WATCH_PEEK, PAGES(3, 5));
        guarded_look(&guarded, SVP_WATCH_REARM, PAGES(3, 5));
        CHECK_EQ(guarded_look(&guarded, SVP_WATCH_REARM, 0), 0);
        guarded_close(&guarded);
    }
}

/* ---- several entries: the kernel makes them of 128 MiB */

CHECK_TEST(mach_guards, larger_than_an_entry)
{
    const size_t pages = ((size_t)300 << 20) / vm_page_size;
    FOR_EACH_SETTING(options, backend)
    {
        mach_vm_address_t at = 0;
        if (backend != &svp_mach_epochs_backend) {
            continue; /* page by page that would be as many mappings here */
        }
        CHECK_EQ(mach_vm_allocate(mach_task_self(), &at, pages * vm_page_size, VM_FLAGS_ANYWHERE), KERN_SUCCESS);
        struct watched watched;
        watched_open_on(&watched, backend, (void *)(uintptr_t)at, pages);
        for (int round = 0; round < 3; round++) {
            struct svp_watch_run runs[8] = { { 0, 0 } };
            size_t count = 0;
            uintptr_t resume = 0;
            const size_t written[] = { 0, 100, ((size_t)128 << 20) / vm_page_size, pages - 1 };
            for (size_t i = 0; i < 4; i++) {
                watched.memory[written[i] * vm_page_size]++;
            }
            CHECK_OK(backend->collect(watched.watch, (uintptr_t)at, pages * vm_page_size, SVP_WATCH_REARM, 0, runs, 8,
                                      &count, &resume, NULL));
            CHECK_EQ(count, 4);
            for (size_t i = 0; i < 4; i++) {
                CHECK_EQ(runs[i].start, at + written[i] * vm_page_size);
                CHECK_EQ(runs[i].bytes, vm_page_size);
            }
        }
        watched_close(&watched);
        CHECK_EQ(mach_vm_deallocate(mach_task_self(), at, pages * vm_page_size), KERN_SUCCESS);
    }
}

/* ---- kernels that refuse VM_PROT_COPY */

CHECK_TEST(mach_guards, a_refusal_after_the_deed)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        guarded_map(&guarded, backend, GUARDED);
        options.late_failure = true;
        mach_emulation_change(&options);
        if (backend == &svp_mach_pages_backend) {
            CHECK_STATUS(guarded_try(&guarded), SAVEPOINT_BAD_MEMORY);
            options.late_failure = false;
            mach_emulation_change(&options);
            CHECK_OK(guarded_try(&guarded));
            options.late_failure = true;
            mach_emulation_change(&options);
        } else {
            CHECK_OK(guarded_try(&guarded));
        }
        for (size_t page = 1; page < GUARDED; page++) {
            guarded_store(&guarded, page);
            guarded_look(&guarded, SVP_WATCH_REARM, PAGE(page));
        }
        guarded_close(&guarded);
    }
}

CHECK_TEST(mach_guards, no_page_by_page)
{
    struct savepoint_error error;
    struct svp_watch_caps caps;
    struct guarded guarded;
    options = (struct mach_emulation_options){ .kernel = MACH_EMULATION_KERNEL_27 };
    mach_emulation_reset(&options);
    guarded_map(&guarded, &svp_mach_pages_backend, GUARDED);
    CHECK_STATUS(guarded_try(&guarded), SAVEPOINT_BAD_MEMORY);
    guarded.watched.backend = &svp_mach_epochs_backend;
    CHECK_OK(guarded_try(&guarded));
    guarded_store(&guarded, 4);
    CHECK_EQ(guarded_look(&guarded, SVP_WATCH_REARM, PAGE(4)), PAGE(4));
    guarded_close(&guarded);
    CHECK_STATUS(svp_mach_pages_backend.probe(&caps, &error), SAVEPOINT_NO_BACKEND);
    mach_emulation_reset(NULL);
}

/* Both ways refused: others serve, and the message says why. */
CHECK_TEST(mach_guards, others_serve_where_mach_cannot)
{
    struct svp_watch_choice choice = { .fallback = false };
    struct savepoint_error error;
    options = (struct mach_emulation_options){ .kernel = MACH_EMULATION_KERNEL_27 };
    mach_emulation_reset(&options);
    mach_emulation_fail(MACH_EMULATION_REMAP, 1, 1000, KERN_NOT_SUPPORTED);
    CHECK_STATUS(svp_watch_choose(&choice, "mach", 4096, 65536, &error), SAVEPOINT_NO_BACKEND);
    CHECK(choice.backend == NULL && !choice.fallback);
    CHECK(strstr(error.message, "snapshot") != NULL && strstr(error.message, "page by page") != NULL);
    CHECK_OK(svp_watch_choose(&choice, NULL, 65536, 65536, &error));
    CHECK_STR(choice.backend->name, "compare");
    CHECK(choice.fallback);
    CHECK_OK(svp_watch_choose(&choice, NULL, 65537, 65536, &error));
    CHECK_STR(choice.backend->name, "signal");
    CHECK(choice.fallback);
    mach_emulation_reset(NULL);
    CHECK_OK(svp_watch_choose(&choice, NULL, 65537, 65536, &error));
    CHECK_STR(choice.backend->name, "mach");
    CHECK(!choice.fallback);
}
