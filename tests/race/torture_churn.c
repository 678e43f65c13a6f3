/* torture_churn.c - watches that come and go beside the arenas, while those are in use */
#include "torture.h"

#include "os/vm.h"

void torture_require(enum savepoint_status status, const struct savepoint_error *error)
{
    if (status != SAVEPOINT_OK) {
        char text[512];
        savepoint_error_format(error, text, sizeof text);
        torture_fail("%s", text);
    }
}

void torture_churn(struct torture *torture, size_t turn)
{
    uintptr_t start = svp_vm_map_base();
    size_t bytes = CHURNED * torture->page_bytes;
    uintptr_t written = start + turn % CHURNED * torture->page_bytes;
    struct savepoint_error error;
    struct svp_watch *watch = NULL;
    struct svp_watch_run run = { 0, 0 };
    size_t count = 0;
    uintptr_t resume = 0;
    torture_require(torture->backend->open(&watch, &error), &error);
    torture_require(torture->backend->add(watch, start, bytes, &error), &error);
    (*(volatile unsigned char *)written)++;
    torture_require(
        torture->backend->collect(watch, start, bytes, SVP_WATCH_REARM, 0, &run, 1, &count, &resume, &error), &error);
    if (count != 1 || written - run.start >= run.bytes) {
        torture_fail("%s: a store to page %zu beside the arenas is not reported", torture->backend->name,
                     turn % CHURNED);
    }
    if (turn % 2 == 0) {
        torture->backend->remove(watch, start, bytes);
    }
    torture->backend->close(watch);
    (*(volatile unsigned char *)written)++;
}
