/* compare.c - the write-watch that arms nothing: every page counts as written, the engine compares */
#include "backends.h"
#include "format/memory.h"
#include "mapping.h"
#include "os/vm.h"
#include "status.h"

struct svp_watch {
    size_t page_bytes;
};

static enum savepoint_status compare_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    (void)error;
    *caps = (struct svp_watch_caps){
        .page_bytes = svp_vm_page_bytes(),
        .kernel_writes_counted = true,
        .atomic_rearm = true,
        .concurrent_writers_safe = true,
        .concurrent_collects = true,
        .arms_memory = false,
        .exclusive = false,
        .cost = SAVEPOINT_WATCH_COST_NOTHING,
    };
    return SAVEPOINT_OK;
}

static enum savepoint_status compare_open(struct svp_watch **watch, struct savepoint_error *error)
{
    struct svp_watch *opened = svp_memory_alloc(sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    opened->page_bytes = svp_vm_page_bytes();
    *watch = opened;
    return SAVEPOINT_OK;
}

static enum savepoint_status
compare_add(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    (void)watch;
    struct savepoint_error found = { .message = "" };
    enum savepoint_status status = svp_mapping_check(start, bytes, 0, NULL, &found);
    if (status == SAVEPOINT_BAD_MEMORY) {
        return svp_status_fail(error, status, "watch", "%s", found.message);
    }
    return SAVEPOINT_OK; /* also where the system does not tell: nothing is armed */
}

static void compare_remove(struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    (void)watch;
    (void)start;
    (void)bytes;
}

static enum savepoint_status
compare_collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode, size_t max_pages,
                struct svp_watch_run *runs, size_t run_capacity, size_t *run_count, uintptr_t *resume,
                struct savepoint_error *error)
{
    (void)mode;
    (void)run_capacity;
    (void)error;
    bool limited = max_pages != 0 && max_pages < bytes / watch->page_bytes;
    runs[0] = (struct svp_watch_run){ start, limited ? max_pages * watch->page_bytes : bytes };
    *run_count = 1;
    *resume = start + runs[0].bytes;
    return SAVEPOINT_OK;
}

/* Marks and prepared ranges need nothing: all is reported, nothing is protected. */
static enum savepoint_status
compare_mark(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    (void)watch;
    (void)start;
    (void)bytes;
    (void)error;
    return SAVEPOINT_OK;
}

static bool compare_widened(const struct svp_watch *watch)
{
    (void)watch;
    return false;
}

static void compare_close(struct svp_watch *watch)
{
    svp_memory_free(watch);
}

const struct svp_watch_backend svp_compare_backend = {
    .name = "compare",
    .mechanism = "arms nothing; every page is compared with a reference copy",
    .probe = compare_probe,
    .open = compare_open,
    .add = compare_add,
    .remove = compare_remove,
    .collect = compare_collect,
    .mark = compare_mark,
    .prepare = compare_mark,
    .widened = compare_widened,
    .close = compare_close,
};
