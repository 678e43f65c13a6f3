/* sync_macos.c - making the content of a file durable on macOS */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* fsync leaves the data in the drive's cache; this call has the drive empty it. File systems that cannot pass that on
 * (network, some foreign ones) refuse it before anything is written: fsync is the most they have. */
static int flush(int descriptor)
{
    if (fcntl(descriptor, F_FULLFSYNC) == 0) {
        return 0;
    }
    if (errno == ENOTSUP || errno == ENOTTY || errno == EINVAL) {
        return fsync(descriptor);
    }
    return -1;
}

int svp_file_sync(const struct svp_file *file)
{
    /* Never retried: after a failure the kernel may have dropped the pages, and a second call may lie. EINTR is
     * the exception, nothing was decided then. */
    int result;
    do {
        result = flush(file->descriptor);
    } while (result != 0 && errno == EINTR);
    return result != 0 ? errno : 0;
}
