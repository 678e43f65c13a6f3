/* sync_linux.c - making the content of a file durable on Linux */
#define _GNU_SOURCE
#include "os/file.h"

#include <errno.h>
#include <unistd.h>

int svp_file_sync(const struct svp_file *file)
{
    /* Never retried: after a failure the kernel may have dropped the pages, and a second call may lie. EINTR is
     * the exception, nothing was decided then. */
    int result;
    do {
        result = fdatasync(file->descriptor);
    } while (result != 0 && errno == EINTR);
    return result != 0 ? errno : 0;
}
