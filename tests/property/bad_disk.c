/* bad_disk.c - a disk that is full or broken now and then, and never slow */
#include "bad_disk.h"

#include <errno.h>
#include <stdatomic.h>

#include "os/file.h"

int __real_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int __wrap_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int __wrap_svp_file_sync(const struct svp_file *file);

static atomic_int countdown;
static atomic_uint faults;

void bad_disk_arm(int writes)
{
    atomic_store(&countdown, writes);
}

unsigned bad_disk_count(void)
{
    return atomic_load(&faults);
}

int __wrap_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset)
{
    if (atomic_load(&countdown) > 0 && atomic_fetch_sub(&countdown, 1) == 1) {
        unsigned number = atomic_fetch_add(&faults, 1);
        (void)__real_svp_file_write(file, from, bytes / 2, offset);
        return number % 2 == 0 ? ENOSPC : EIO;
    }
    return __real_svp_file_write(file, from, bytes, offset);
}

/* These tests are about contents; what a sync promises is the crash tests' business. */
int __wrap_svp_file_sync(const struct svp_file *file)
{
    (void)file;
    return 0;
}
