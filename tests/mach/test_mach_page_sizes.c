/* test_mach_page_sizes.c - pages of 16 KiB, and maps of 4 KiB over objects of 16 KiB (a translated program) */
#include "mach_fixture.h"

static struct mach_emulation_options options;
static const struct svp_watch_backend *backend;

/* All pages that share an object's page with those of `written`. */
static uint64_t whole_object_pages(uint64_t written)
{
    size_t each = vm_kernel_page_size / vm_page_size;
    uint64_t whole = 0;
    for (size_t page = 0; page < GUARDED; page++) {
        if ((written & PAGE(page)) != 0) {
            whole |= PAGES(page / each * each, page / each * each + each);
        }
    }
    return whole;
}

static void store_and_look(struct guarded *guarded, uint64_t written)
{
    for (size_t page = 0; page < GUARDED; page++) {
        if ((written & PAGE(page)) != 0) {
            guarded_store(guarded, page);
        }
    }
    CHECK_OK(guarded_try_look(guarded, SVP_WATCH_PEEK, written));
    uint64_t found = guarded_look(guarded, SVP_WATCH_REARM, written);
    CHECK(!is_exact(guarded) || found == whole_object_pages(written));
}

static void watch_and_write(size_t map_page_bytes, size_t object_page_bytes)
{
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        unsigned copy = 0;
        options.map_page_bytes = map_page_bytes;
        options.object_page_bytes = object_page_bytes;
        mach_emulation_reset(&options);
        CHECK_EQ(vm_page_size, map_page_bytes);
        guarded_open(&guarded, backend, GUARDED);
        for (size_t page = 0; page < GUARDED; page++) {
            store_and_look(&guarded, PAGE(page));
        }
        CHECK_EQ(mach_emulation_foreign_copy(guarded_page(&guarded, 0), GUARDED * vm_page_size, &copy), KERN_SUCCESS);
        store_and_look(&guarded, PAGE(2) | PAGE(5));
        mach_emulation_release(copy);
        store_and_look(&guarded, PAGE(1) | PAGE(7));
        store_and_look(&guarded, 0);
        guarded_close(&guarded);
    }
}

CHECK_TEST(mach_page_sizes, large_pages)
{
    watch_and_write(16384, 16384);
}

CHECK_TEST(mach_page_sizes, small_pages_over_large_ones)
{
    watch_and_write(4096, 16384);
}

CHECK_TEST(mach_page_sizes, small_pages)
{
    watch_and_write(4096, 4096);
}
