/* adapter.c - the write-watch as Windows has it: one for the process, GetWriteWatch and ResetWriteWatch */
#include <errno.h>
#include <stdatomic.h>

#include "os/host.h"
#include "pages.h"
#include "public.h"
#include "status.h"

/* Opened when it is first needed; stays for the life of the process, as its memory may. */
static _Atomic(struct savepoint_write_watch *) process_watch;

/* Threads that come first at once each open one; the first to hand it in wins. What a child has inherited gives way
 * to its own. */
enum savepoint_status savepoint_watch_default(struct savepoint_write_watch **watch, struct savepoint_error *error)
{
    struct savepoint_write_watch *found = atomic_load(&process_watch);
    struct savepoint_write_watch *opened = NULL;
    if (watch == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "the watch is NULL");
    }
    if (found == NULL || found->process != svp_host_process()) {
        enum savepoint_status status = savepoint_watch_open(&opened, NULL, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        bool first = atomic_compare_exchange_strong(&process_watch, &found, opened);
        savepoint_watch_close(first ? found : opened);
        found = first ? opened : found;
    }
    *watch = found;
    return SAVEPOINT_OK;
}

static int refuse(int code)
{
    errno = code;
    return -1;
}

static int code_of(enum savepoint_status status)
{
    switch (status) {
    case SAVEPOINT_INVALID:
    case SAVEPOINT_NOT_FOUND:
        return EINVAL;
    case SAVEPOINT_FORKED:
        return EPERM;
    case SAVEPOINT_NO_MEMORY:
        return ENOMEM;
    default:
        return EIO;
    }
}

/* ---- memory */

static bool round_up(size_t *bytes, size_t page_bytes)
{
    size_t rest = *bytes % page_bytes;
    size_t missing = rest == 0 ? 0 : page_bytes - rest;
    if (*bytes == 0 || *bytes > SIZE_MAX - missing) {
        return false;
    }
    *bytes += missing;
    return true;
}

void *savepoint_write_watch_alloc(size_t bytes)
{
    struct savepoint_write_watch *watch = NULL;
    enum savepoint_status status = savepoint_watch_default(&watch, NULL);
    if (status != SAVEPOINT_OK) {
        errno = code_of(status);
        return NULL;
    }
    if (bytes == 0) {
        errno = EINVAL;
        return NULL;
    }
    void *start = round_up(&bytes, watch->caps.page_bytes) ? svp_pages_map(bytes) : NULL;
    if (start == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    status = svp_public_add(watch, (uintptr_t)start, bytes, true, NULL);
    if (status != SAVEPOINT_OK) {
        svp_pages_unmap(start, bytes);
        errno = code_of(status);
        return NULL;
    }
    return start;
}

int savepoint_write_watch_free(void *base)
{
    struct savepoint_write_watch *watch = atomic_load(&process_watch);
    size_t bytes = 0;
    enum savepoint_status status = SAVEPOINT_NOT_FOUND;
    if (watch != NULL) {
        status = svp_public_remove_allocated(watch, (uintptr_t)base, &bytes);
    }
    if (status != SAVEPOINT_OK) {
        return refuse(code_of(status));
    }
    svp_pages_unmap(base, bytes);
    return 0;
}

/* ---- get and reset */

/* Widens the part to whole pages; false where it wraps or there is no watch, and so nothing under watch. */
static bool
whole_pages(struct savepoint_write_watch **watch, struct savepoint_watch_span *span, const void *base, size_t bytes)
{
    *watch = atomic_load(&process_watch);
    if (*watch == NULL || bytes > UINTPTR_MAX - (uintptr_t)base) {
        return false;
    }
    size_t page_bytes = (*watch)->caps.page_bytes;
    uintptr_t start = (uintptr_t)base - (uintptr_t)base % page_bytes;
    size_t covered = (uintptr_t)base + bytes - start;
    if (!round_up(&covered, page_bytes) || covered > UINTPTR_MAX - start) {
        return false;
    }
    *span = (struct savepoint_watch_span){ (void *)start, (void *)(start + covered) };
    return true;
}

int savepoint_get_write_watch(uint32_t flags, void *base, size_t bytes, void **addresses, size_t *count,
                              uint32_t *granularity)
{
    struct savepoint_write_watch *watch = NULL;
    struct savepoint_watch_span span = { NULL, NULL };
    if (count == NULL || granularity == NULL) {
        return refuse(EFAULT);
    }
    if (*count == 0 || bytes == 0 || (flags & ~(uint32_t)SAVEPOINT_WRITE_WATCH_RESET) != 0) {
        return refuse(EINVAL);
    }
    if (addresses == NULL) {
        return refuse(EFAULT);
    }
    if (!whole_pages(&watch, &span, base, bytes)) {
        return refuse(EINVAL);
    }
    uint32_t peek = (flags & SAVEPOINT_WRITE_WATCH_RESET) != 0 ? 0 : SAVEPOINT_WATCH_PEEK;
    enum savepoint_status status =
        savepoint_watch_collect_addresses(watch, addresses, *count, count, &span, peek, NULL);
    if (status != SAVEPOINT_OK) {
        return refuse(code_of(status));
    }
    *granularity = (uint32_t)watch->caps.page_bytes;
    return 0;
}

int savepoint_reset_write_watch(void *base, size_t bytes)
{
    struct savepoint_write_watch *watch = NULL;
    struct savepoint_watch_span span = { NULL, NULL };
    if (bytes == 0 || !whole_pages(&watch, &span, base, bytes)) {
        return refuse(EINVAL);
    }
    enum savepoint_status status =
        savepoint_watch_reset(watch, span.next, (size_t)((char *)span.end - (char *)span.next), NULL);
    if (status != SAVEPOINT_OK) {
        return refuse(code_of(status));
    }
    return 0;
}
